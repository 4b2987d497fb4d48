//! Where a described request leads before anybody is judged: its site, route and journey, or nowhere, and why. The same order in which
//! the gate looks.
//!
//! It must never say that a request is served; only the judge does.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::rules::facts::Facts;
use crate::rules::routes::{Found, RouteId};
use crate::rules::ruleset::{Case, JourneyId, Refusal, RuleSet, Site, UpstreamId};
use crate::rules::target;

/// Where a described client comes from: an address of nobody (RFC 5737).
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// How far a request came.
#[derive(Debug)]
pub struct Way<'r> {
    /// The host that it is for: as described, or the first site's.
    pub host: String,
    /// The site that answers for it.
    pub site: Option<&'r Site>,
    /// What serves its path.
    pub upstream: Option<UpstreamId>,
    /// The route on its path.
    pub route: Option<RouteId>,
    /// The journey of the route.
    pub journey: Option<JourneyId>,
    /// Why it goes no further; `None` when it is judged.
    pub stop: Option<Stop<'r>>,
}

/// Why a request goes no further.
#[derive(Debug)]
pub enum Stop<'r> {
    /// No site has this host.
    NoSite(String),
    /// Its path cannot be read.
    Path,
    /// Its path can be read in two ways that lead to different journeys.
    TwoWays,
    /// A journey has its path, for other methods.
    Method {
        /// Those.
        allow: &'r str,
    },
    /// A `[[refuse]]` holds.
    Refused(&'r Refusal),
}

impl Stop<'_> {
    /// The status that it is answered with.
    pub const fn status(&self) -> u16 {
        match self {
            Self::NoSite(_) => 421,
            Self::Path | Self::TwoWays => 400,
            Self::Method { .. } => 405,
            Self::Refused(refusal) => refusal.status,
        }
    }
}

impl fmt::Display for Stop<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSite(host) => write!(f, "no site has the host {host} (421)"),
            Self::Path => f.write_str("the path cannot be read (400)"),
            Self::TwoWays => f.write_str("the path can be read in two ways (400)"),
            Self::Method { allow } => write!(f, "a journey has this path, for {allow} only (405)"),
            Self::Refused(refusal) => write!(f, "{} refuses it ({})", refusal.name, refusal.status),
        }
    }
}

impl<'r> Way<'r> {
    /// The way of a case's request.
    pub fn of(rules: &'r RuleSet, case: &Case) -> Self {
        let first = || rules.sites.iter().next()?.hosts.first().map(|host| host.replacen('*', "www", 1));
        let host = case.host.as_deref().map(str::to_owned).or_else(first).unwrap_or_default();
        let site = rules.sites.find(&host);
        let mut way = Self { host, site, upstream: None, route: None, journey: None, stop: None };
        way.stop = way.walk(rules, case).err();
        way
    }

    fn walk(&mut self, rules: &'r RuleSet, case: &Case) -> Result<(), Stop<'r>> {
        let site = self.site.ok_or_else(|| Stop::NoSite(self.host.clone()))?;
        let (path, query) = case.path.split_once('?').unwrap_or((&case.path, ""));
        let target = target::read(path).map_err(|_| Stop::Path)?;
        self.upstream = Some(site.upstream_of(target.plain()));
        match rules.routes.find(&case.method, &target) {
            Found::Unlisted => {}
            Found::Listed { journey, route, .. } => (self.route, self.journey) = (Some(route), journey),
            Found::MethodNotAllowed { allow } => return Err(Stop::Method { allow }),
            Found::Ambiguous => return Err(Stop::TwoWays),
        }
        let headers: HeaderMap = case.headers.iter().filter_map(|(name, value)| header(name, value)).collect();
        let host = &self.host;
        let facts = Facts { method: &case.method, target: &target, query, headers: &headers, host, address: CLIENT };
        match rules.refused(&facts) {
            Some(refusal) => Err(Stop::Refused(refusal)),
            None => Ok(()),
        }
    }
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, value.parse().ok()?))
}
