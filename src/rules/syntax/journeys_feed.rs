//! `[journeys_feed]` and `[banner]`: what customers and apps are told of what works now, and of pages that show how things were.

use jiff::tz::TimeZoneDatabase;

use super::table::{Said, Written, Wrong, table};
use crate::rules::diagnostic::{Code, codes};

table! {
    /// What works now, for apps: `/.well-known/weir/journeys`, as JSON and as events, with its browser script beside it. It is on when this table is absent. A journey with `listed = false` is left out of it.
    JourneysFeedFile("journeys_feed") {
        /// Whether it is answered. Where it is not, the paths belong to the application.
        on: Said<bool> = default("true");
    }
}

table! {
    /// The banner on pages that show how things were: it says so, with the time, and what leads to a journey that is constrained now is marked. A site dresses it in its own style sheet as `.weir-banner`, and the reasons as `.weir-reason`.
    BannerFile("banner") {
        /// Whether pages that come live from the application carry it too, while their journey is contained.
        live: Said<bool> = default("false");
        /// The time zone that times are said in; that of the first help with opening hours when absent.
        time_zone: Said<Zone> = optional;
    }
}

/// A time zone of the IANA database.
#[derive(Debug, Clone)]
pub(crate) struct Zone(pub(crate) Box<str>);

impl Written for Zone {
    const WHAT: &'static str = "a time zone";
    const EXAMPLE: &'static str = "Europe/London";
    const CODE: &'static Code = &codes::BAD_ZONE;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let known = text == "UTC" || text.contains('/') && TimeZoneDatabase::bundled().get(text).is_ok();
        if !known {
            let said = format!("`{}` is not a time zone", text.chars().take(40).collect::<String>().escape_debug());
            return Err(Wrong::help(said, "write a city's zone such as \"Europe/London\", or \"UTC\""));
        }
        Ok(Self(text.into()))
    }
}
