//! Which method and path belongs to which journey.
//!
//! Matchers hold paths in lower case without a trailing slash: `lower` refuses journeys whose routes differ in no more than that, so an
//! exact matcher could never say anything else. There is one for each method, so a listed path costs one search. What the two
//! readings of a path disagree about is never decided in the client's favour.

use std::collections::BTreeMap;

use matchit::Router;
use smallvec::SmallVec;

use super::ruleset::JourneyId;
use super::target::{Target, fold_ascii};

/// Every route of a rule set.
#[derive(Debug, Default, Clone)]
pub struct Routes {
    /// By method; indices of `entries`. HEAD is among them only if a rule file names it.
    methods: Vec<(Box<str>, Tree)>,
    entries: Vec<Entry>,
    /// Every path, whatever the method; indices of `allow`.
    any: Tree,
    allow: Vec<Box<str>>,
    templates: Vec<Box<str>>,
    /// As journeys name them, in the order of the journeys.
    written: Vec<(JourneyId, Box<str>, RouteId)>,
}

/// Paths of one kind. A path that is written out to its end comes before one that ends with `{*rest}`.
#[derive(Debug, Default, Clone)]
struct Tree {
    whole: Router<u32>,
    rest: Router<u32>,
}

impl Tree {
    fn insert(&mut self, folded: &str, at: usize) -> Result<(), matchit::InsertError> {
        let router = if folded.ends_with("/{*rest}") { &mut self.rest } else { &mut self.whole };
        router.insert(folded, u32::try_from(at).unwrap_or(u32::MAX))
    }

    fn at(&self, path: &str) -> Option<usize> {
        let found = self.whole.at(path).or_else(|_| self.rest.at(path)).ok()?;
        Some(*found.value as usize)
    }
}

/// Names a route of one rule set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(u32);

impl RouteId {
    /// The place in the rule set's list.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What passing a route means, beside its journey.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Marks {
    /// Its success ends the session.
    pub ends_session: bool,
    /// Its success is the proof that a step-up asked for.
    pub proves: bool,
}

/// What the rules say of a method and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// Nothing, in either reading. The bytes go on unchanged.
    Unlisted,
    /// A route.
    Listed {
        /// Its journey; none for a route that only bears marks.
        journey: Option<JourneyId>,
        /// Which route.
        route: RouteId,
        /// The path to forward, when it is not the one that was sent.
        canonical: Option<String>,
        /// What else passing it means.
        marks: Marks,
    },
    /// A journey names the path, but not with this method: 405. A CORS preflight is to be answered before.
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: &'a str,
    },
    /// The readings disagree: 400.
    Ambiguous,
}

#[derive(Debug, Clone)]
struct Entry {
    journey: Option<JourneyId>,
    route: RouteId,
    marks: Marks,
}

enum Look<'a> {
    Nothing,
    NotAllowed(&'a str),
    Entry(&'a Entry),
}

impl Look<'_> {
    /// Whether both mean the same for the request; which of several routes of a journey it is does not matter.
    fn means(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, Self::Nothing) | (Self::NotAllowed(_), Self::NotAllowed(_)) => true,
            (Self::Entry(a), Self::Entry(b)) => a.journey == b.journey && a.marks == b.marks,
            (Self::Nothing | Self::NotAllowed(_) | Self::Entry(_), _) => false,
        }
    }
}

impl Routes {
    /// What the rules say of this method and path.
    pub fn find(&self, method: &str, target: &Target<'_>) -> Found<'_> {
        let mut look = self.look(method, target.worst());
        if !target.alike() {
            let plain = self.look(method, &fold_ascii(target.plain()));
            if !plain.means(&look) {
                return Found::Ambiguous;
            }
            look = plain;
        }
        match look {
            Look::Nothing => Found::Unlisted,
            Look::NotAllowed(allow) => Found::MethodNotAllowed { allow },
            Look::Entry(entry) => Found::Listed {
                journey: entry.journey,
                route: entry.route,
                canonical: target.canonical().map(str::to_owned),
                marks: entry.marks,
            },
        }
    }

    fn look(&self, method: &str, path: &str) -> Look<'_> {
        if let Some(entry) = self.tree(method).and_then(|tree| tree.at(path)).and_then(|at| self.entries.get(at)) {
            return Look::Entry(entry);
        }
        // Only a journey closes a path to other methods.
        match self.any.at(path).and_then(|at| self.allow.get(at)).filter(|allow| !allow.is_empty()) {
            Some(allow) => Look::NotAllowed(allow),
            None => Look::Nothing,
        }
    }

    fn tree(&self, method: &str) -> Option<&Tree> {
        let named = |method: &str| self.methods.iter().find(|(known, _)| &**known == method).map(|(_, tree)| tree);
        named(method).or_else(|| if method == "HEAD" { named("GET") } else { None })
    }

    /// The path of a route as it is written in a rule file.
    pub fn template(&self, route: RouteId) -> &str {
        self.templates.get(route.index()).map_or("", |template| template)
    }

    /// The paths of a journey's routes, as they are written.
    pub fn paths_of(&self, journey: JourneyId) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(move |entry| entry.journey == Some(journey)).map(|entry| self.template(entry.route))
    }

    /// The methods and paths of a journey, as they are written in a rule file.
    pub fn of(&self, journey: JourneyId) -> impl Iterator<Item = (&str, &str)> {
        let from = self.written.partition_point(|(known, ..)| *known < journey);
        let own = self.written[from..].iter().take_while(move |(known, ..)| *known == journey);
        own.map(|(_, method, route)| (&**method, self.template(*route)))
    }

    /// How many routes there are: metrics are that large.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }
}

/// Gathers routes; the only way to make [`Routes`].
#[derive(Debug, Default)]
pub(in crate::rules) struct Builder {
    leaves: BTreeMap<String, Leaf>,
    templates: Vec<Box<str>>,
    written: Vec<(JourneyId, Box<str>, RouteId)>,
}

/// Everything that is said of one path, by method.
type Leaf = SmallVec<[(Box<str>, Entry); 2]>;

/// Routes that cannot be told apart, folded.
pub(in crate::rules) type Conflict = (String, String);

impl Builder {
    /// Adds a route in its folded form, and as written. The caller has made sure that no two journeys name the same.
    pub(in crate::rules) fn add(
        &mut self,
        method: &str,
        folded: &str,
        written: &str,
        journey: Option<JourneyId>,
        marks: Marks,
    ) {
        let leaf = self.leaves.entry(folded.to_owned()).or_default();
        let route = match leaf.first() {
            Some((_, known)) => known.route,
            None => {
                self.templates.push(written.into());
                RouteId(u32::try_from(self.templates.len() - 1).unwrap_or(u32::MAX))
            }
        };
        self.written.extend(journey.map(|journey| (journey, Box::from(method), route)));
        match leaf.iter_mut().find(|(known, _)| &**known == method) {
            Some((_, known)) => {
                known.journey = known.journey.or(journey);
                known.marks.ends_session |= marks.ends_session;
                known.marks.proves |= marks.proves;
            }
            None => leaf.push((method.into(), Entry { journey, route, marks })),
        }
    }

    /// The routes, or those that cannot be told apart.
    pub(in crate::rules) fn build(mut self) -> Result<Routes, Vec<Conflict>> {
        self.open_subtrees();
        self.give_head_what_get_has();
        let mut conflicts = Vec::new();
        self.written.sort_by_key(|(journey, ..)| *journey);
        let mut routes = Routes { templates: self.templates, written: self.written, ..Routes::default() };
        for (folded, leaf) in &self.leaves {
            match routes.any.insert(folded, routes.allow.len()) {
                Ok(()) => routes.allow.push(Box::default()),
                Err(matchit::InsertError::Conflict { with }) => conflicts.push((folded.clone(), with)),
                Err(_) => conflicts.push((folded.clone(), folded.clone())),
            }
            for (method, entry) in leaf {
                let known = routes.methods.iter().position(|(known, _)| known == method);
                let at = known.unwrap_or_else(|| {
                    routes.methods.push((method.clone(), Tree::default()));
                    routes.methods.len() - 1
                });
                // What conflicts here conflicts above, where it is reported.
                if routes.methods[at].1.insert(folded, routes.entries.len()).is_ok() {
                    routes.entries.push(entry.clone());
                }
            }
        }
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        for folded in self.leaves.keys() {
            let path = sample(folded);
            let allow = routes.methods_at(&path).join(", ").into();
            if let Some(slot) = routes.any.at(&path).and_then(|at| routes.allow.get_mut(at)) {
                *slot = allow;
            }
        }
        Ok(routes)
    }

    /// `/files/{*rest}` also takes `/files`: a trailing slash makes no other route, and a guarded subtree has a guarded root.
    fn open_subtrees(&mut self) {
        let roots: Vec<(String, Leaf)> = self
            .leaves
            .iter()
            .filter_map(|(folded, leaf)| folded.strip_suffix("/{*rest}").map(|root| (root, leaf)))
            .map(|(root, leaf)| (if root.is_empty() { "/".to_owned() } else { root.to_owned() }, leaf.clone()))
            .collect();
        for (root, leaf) in roots {
            add_missing(self.leaves.entry(root).or_default(), leaf);
        }
    }

    /// GET implies HEAD. Only where a rule file names HEAD itself do the two differ.
    fn give_head_what_get_has(&mut self) {
        if !self.leaves.values().any(|leaf| leaf.iter().any(|(method, _)| &**method == "HEAD")) {
            return;
        }
        for leaf in self.leaves.values_mut() {
            let get =
                leaf.iter().find(|(method, _)| &**method == "GET").map(|(_, entry)| ("HEAD".into(), entry.clone()));
            add_missing(leaf, get.into_iter().collect());
        }
    }
}

fn add_missing(leaf: &mut Leaf, more: Leaf) {
    for (method, entry) in more {
        if !leaf.iter().any(|(known, _)| *known == method) {
            leaf.push((method, entry));
        }
    }
}

impl Routes {
    /// The methods with a journey for this path, sorted.
    fn methods_at(&self, path: &str) -> Vec<&str> {
        let journeys = |tree: &Tree| {
            tree.at(path).and_then(|at| self.entries.get(at)).is_some_and(|entry| entry.journey.is_some())
        };
        let mut all: Vec<&str> =
            self.methods.iter().filter(|(_, tree)| journeys(tree)).map(|(method, _)| &**method).collect();
        if all.contains(&"GET") && !all.contains(&"HEAD") {
            all.push("HEAD");
        }
        all.sort_unstable();
        all
    }
}

/// A path that a route takes and that no other route of the same shape was written for.
fn sample(folded: &str) -> String {
    folded.replace("{*rest}", "\u{1}").replace("{name}", "\u{1}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::target;

    const A: JourneyId = JourneyId(0);
    const B: JourneyId = JourneyId(1);

    fn routes(all: &[(&str, &str, Option<JourneyId>)]) -> Routes {
        let mut builder = Builder::default();
        for (method, path, journey) in all {
            let marks = Marks { ends_session: journey.is_none(), proves: false };
            builder.add(method, path, path, *journey, marks);
        }
        builder.build().unwrap()
    }

    fn journey(routes: &Routes, method: &str, path: &str) -> Option<JourneyId> {
        match routes.find(method, &target::read(path).unwrap()) {
            Found::Listed { journey, .. } => journey,
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    #[test]
    fn every_spelling_of_a_guarded_path_is_guarded_or_refused() {
        let routes = routes(&[("POST", "/account/password", Some(A)), ("GET", "/{name}", Some(B))]);
        let spellings = [
            "/account;x/password",
            "/%2561ccount/password",
            "/x/..;/account/password",
            "/account\\password",
            "/account%5cpassword",
            "/\u{ff41}ccount/password",
            "/account%c0%afpassword",
            "/%61ccount/password",
            "/account%2fpassword",
            "/account//password",
            "//account/password",
            "/account/./password",
            "/account/x/../password",
            "/account/password.",
            "/account/password/",
            "/account/password//",
            "/account/password%20",
            "/ACCOUNT/Password",
            "/account/password;a=b",
            "/account/password%2e",
            "/account/password/.",
            "/account/password%3fx",
            "/./account/password",
            "/%2e/account/password",
            "/x/%2e%2e/account/password",
        ];
        for path in spellings {
            match routes.find("POST", &target::read(path).unwrap()) {
                Found::Listed { journey, .. } => assert_eq!(journey, Some(A), "{path}"),
                Found::Ambiguous => {}
                other => panic!("{path}: {other:?}"),
            }
        }
        assert!(target::read("/account/password%00").is_err());
    }

    #[test]
    fn case_and_a_trailing_slash_change_nothing_and_the_plain_form_is_forwarded() {
        let routes = routes(&[("GET", "/a/{name}/b", Some(A))]);
        for (path, forwarded) in [("/A/x/B/", None), ("/a/x/b", None), ("/%61/X/b", Some("/a/X/b")), ("/a/%2f/b", None)]
        {
            match routes.find("GET", &target::read(path).unwrap()) {
                Found::Listed { journey, canonical, .. } => {
                    assert_eq!((journey, canonical.as_deref()), (Some(A), forwarded), "{path}")
                }
                Found::Ambiguous => assert_eq!(path, "/a/%2f/b"),
                other => panic!("{path}: {other:?}"),
            }
        }
        let odd = target::read("/ids/%2F;x").unwrap();
        assert_eq!(routes.find("GET", &odd), Found::Unlisted);
    }

    #[test]
    fn the_routes_of_a_journey_are_those_that_it_names() {
        let routes = routes(&[
            ("GET", "/b", Some(B)),
            ("GET", "/a/{name}", Some(A)),
            ("POST", "/b", Some(B)),
            ("POST", "/logout", None),
            ("GET", "/a/{*rest}", Some(A)),
        ]);
        assert_eq!(routes.of(A).collect::<Vec<_>>(), [("GET", "/a/{name}"), ("GET", "/a/{*rest}")]);
        assert_eq!(routes.of(B).collect::<Vec<_>>(), [("GET", "/b"), ("POST", "/b")]);
        assert_eq!(routes.of(JourneyId(7)).count(), 0);
    }

    #[test]
    fn methods_are_closed_by_journeys_only() {
        let routes = routes(&[("GET", "/a", Some(A)), ("POST", "/logout", None)]);
        assert_eq!(journey(&routes, "HEAD", "/a"), Some(A));
        assert_eq!(routes.find("POST", &target::read("/a").unwrap()), Found::MethodNotAllowed { allow: "GET, HEAD" });
        assert_eq!(routes.find("GET", &target::read("/logout").unwrap()), Found::Unlisted);
        let Found::Listed { journey, marks, route, .. } = routes.find("POST", &target::read("/logout").unwrap()) else {
            panic!()
        };
        assert!(journey.is_none() && marks.ends_session);
        assert_eq!(routes.template(route), "/logout");
    }

    #[test]
    fn a_closer_path_does_not_take_a_wider_one_its_methods() {
        let routes = routes(&[
            ("GET", "/svc/{name}", Some(A)),
            ("POST", "/svc/admin", Some(B)),
            ("PUT", "/svc/{*rest}", Some(A)),
        ]);
        assert_eq!(journey(&routes, "GET", "/svc/admin"), Some(A));
        assert_eq!(journey(&routes, "POST", "/svc/admin"), Some(B));
        assert_eq!(journey(&routes, "PUT", "/svc/admin"), Some(A));
        assert_eq!(journey(&routes, "PUT", "/svc"), Some(A));
        assert_eq!(journey(&routes, "PUT", "/svc/"), Some(A));
        assert_eq!(
            routes.find("POST", &target::read("/svc/x").unwrap()),
            Found::MethodNotAllowed { allow: "GET, HEAD, PUT" }
        );
    }
}
