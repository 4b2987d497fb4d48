//! The sources of readings that can be lost, by name. Declared here once: cases, `weir explain --down` and `weir check --matrix` know
//! the same ones.

use super::table::words;

words! {
    /// A source of readings, or what a request leans on.
    Feed {
        /// The keys of device cookies: no device can be recognised.
        "device" => Device,
        /// The lists of providers and countries.
        "geo" => Geo,
        /// The lists of Tor exits, VPNs, datacentres and proxies.
        "exits" => Exits,
        /// The lists of what has leaked.
        "breach" => Breach,
        /// Those who report on accounts and sessions from outside.
        "events" => Events,
        /// The keys of the identity provider: nobody can show a token.
        "jwks" => Jwks,
        /// State that several processes share. Nothing leans on it yet: each keeps its own.
        "redis" => Redis,
        /// What serves the path.
        "upstream" => Upstream,
    }
}

impl Feed {
    /// All of them, in the order in which they are shown.
    pub(crate) const ALL: [Self; 8] =
        [Self::Device, Self::Geo, Self::Exits, Self::Breach, Self::Events, Self::Jwks, Self::Redis, Self::Upstream];
}
