//! Routes: every method and path in one journey at most, told apart from each other in every spelling.

use std::collections::HashMap;

use super::Lower;
use super::identity::Marked;
use super::names::Entry;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::routes::{Builder, Marks, Routes};
use crate::rules::ruleset::JourneyId;
use crate::rules::source::Span;
use crate::rules::syntax::files::{JourneyFile, Route};
use crate::rules::syntax::table::Said;

/// Routes that a law may have.
const ROUTES: usize = 100_000;

/// The first journey that named a route.
struct First<'f> {
    journey: &'f str,
    path: &'f str,
    span: Span,
}

impl Lower<'_> {
    /// Every route, or `None` when some cannot be told apart.
    pub(super) fn routes(&mut self, files: &[Entry<'_, JourneyFile>], marked: &Marked<'_>) -> Option<Routes> {
        let mut builder = Builder::default();
        let mut known: HashMap<(&str, String), First<'_>> = HashMap::new();
        let mut places: HashMap<String, (Span, &str)> = HashMap::new();
        let count = files
            .iter()
            .filter_map(|(_, file)| file.and_then(|file| file.routes.given()))
            .map(|routes| routes.all.len());
        if !self.within(count.sum(), ROUTES, "routes") {
            return None;
        }
        for (at, (name, file)) in (0..=u16::MAX).zip(files) {
            let routes = file.and_then(|file| file.routes.given());
            for route in routes.map_or(&[][..], |routes| &routes.all) {
                let folded = route.folded();
                places.entry(folded.clone()).or_insert((route.span, &route.path));
                match known.get(&(&*route.method, folded.clone())) {
                    Some(first) => self.named_before(route, &name.value, first),
                    None => {
                        builder.add(&route.method, &folded, &route.path, Some(JourneyId(at)), Marks::default());
                        let first = First { journey: &name.value, path: &route.path, span: route.span };
                        known.insert((&route.method, folded), first);
                    }
                }
            }
        }
        for (route, marks) in marked {
            let folded = route.folded();
            places.entry(folded.clone()).or_insert((route.span, &route.path));
            builder.add(&route.method, &folded, &route.path, None, *marks);
        }
        match builder.build() {
            Ok(routes) => Some(routes),
            Err(conflicts) => {
                for (route, with) in conflicts {
                    self.conflict(&route, &with, &places);
                }
                None
            }
        }
    }

    fn named_before(&mut self, route: &Said<Route>, journey: &str, first: &First<'_>) {
        let written = format!("{} {}", route.method, route.path);
        let (code, said, help) = if first.journey == journey {
            (
                &codes::ROUTE_LISTED_TWICE,
                format!("journey `{journey}` names {written} twice"),
                "remove one of them".to_owned(),
            )
        } else if first.path.trim_end_matches('/') == route.path.trim_end_matches('/') && first.path != &*route.path {
            let said = format!("{written} and {} differ only by a trailing slash", first.path);
            (&codes::ROUTE_TWIN, said, "a trailing slash makes no other route: leave it to one journey".to_owned())
        } else {
            let said = format!("journeys `{}` and `{journey}` both name {written}", first.journey);
            (&codes::ROUTE_TWICE, said, "a route belongs to one journey: leave it to one of them".to_owned())
        };
        self.error(Diagnostic::of(code, said).at(route.span, "the second").also(first.span, "the first").help(help));
    }

    fn conflict(&mut self, route: &str, with: &str, places: &HashMap<String, (Span, &str)>) {
        // A subtree's root is not written in any file: its place is the subtree's.
        let place = |folded: &str| {
            let subtree = format!("{}/{{*rest}}", folded.trim_end_matches('/'));
            places.get(folded).or_else(|| places.get(&subtree)).copied()
        };
        let (one, other) = (place(route), place(with));
        let written = |place: Option<(Span, &str)>, folded: &str| {
            place.map_or_else(|| folded.to_owned(), |(_, path)| path.to_owned())
        };
        let said = format!("the routes {} and {} cannot be told apart", written(one, route), written(other, with));
        let mut problem = Diagnostic::of(&codes::ROUTE_CONFLICT, said);
        if let Some((span, _)) = one {
            problem = problem.at(span, "this one");
        }
        if let Some((span, _)) = other {
            problem = problem.also(span, "and this one");
        }
        self.error(
            problem.help("let one segment be either a name or fixed text around a name, not both in the same place"),
        );
    }
}
