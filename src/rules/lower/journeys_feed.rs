//! What apps and customers are told of what works now: which journeys are shown, and on whose clock times are said.

use super::Lower;
use super::names::Entry;
use crate::rules::banner::BannerLaw;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::journeys_feed::{JourneysFeed, MOST};
use crate::rules::ruleset::{Help, JourneyId};
use crate::rules::syntax::files::JourneyFile;
use crate::rules::syntax::journeys_feed::{BannerFile, JourneysFeedFile};

impl Lower<'_> {
    /// Whether there is a feed, and of which journeys.
    pub(super) fn journeys_feed(
        &mut self,
        file: Option<&JourneysFeedFile>,
        journeys: &[Entry<'_, JourneyFile>],
    ) -> Option<JourneysFeed> {
        let on = file.map_or(Some(true), |file| file.on.given().map(|on| on.value));
        let is_listed = |file: &JourneyFile| file.listed.given().is_some_and(|listed| listed.value);
        let mut listed: Vec<JourneyId> = Vec::new();
        for (at, (name, file)) in (0..=u16::MAX).zip(journeys) {
            if !file.is_some_and(is_listed) {
                continue;
            }
            if listed.len() == MOST {
                if on == Some(true) {
                    let said = format!("the journeys feed shows {MOST} journeys, and `{}` is one too many", name.value);
                    let problem =
                        Diagnostic::of(&codes::FEED_FULL, said).at(name.span, "not shown, nor those after it");
                    self.error(problem.help("write listed = false in journeys that no app shows a button for"));
                }
                break;
            }
            listed.push(JourneyId(at));
        }
        Some(JourneysFeed { on: on?, listed })
    }

    /// What the banner says, and on whose clock.
    pub(super) fn banner(&self, file: Option<&BannerFile>, help: &[Help]) -> Option<BannerLaw> {
        let live = file.map_or(Some(false), |file| file.live.given().map(|live| live.value));
        let own = file.and_then(|file| file.time_zone.given()).map(|zone| zone.value.0.clone());
        let of_help = || help.iter().find_map(|help| help.hours.as_ref()?.zone_name().map(Box::from));
        Some(BannerLaw { live: live?, zone: own.or_else(of_help) })
    }
}
