//! Sites and upstreams: which host and path is served by what.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::Lower;
use super::names::Entry;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::prefixes::Prefixes;
use crate::rules::ruleset::{Cors, Health, Protocol, Server, Site, Sites, Upstream, UpstreamId, UpstreamTimeout};
use crate::rules::source::Span;
use crate::rules::syntax::files::{ProtocolWord, Text, TimeoutFile, UpstreamFile};
use crate::rules::syntax::sites::{CorsFile, SiteFile};
use crate::rules::syntax::table::{Field, Said};

/// Sites that a law may have.
const SITES: usize = 10_000;
/// Servers that one upstream may have.
const SERVERS: usize = 1_000;

impl Lower<'_> {
    /// Every site, with hosts told apart.
    pub(super) fn sites(&mut self, files: Vec<&SiteFile>) -> Sites {
        if files.is_empty() && !self.broken {
            let problem =
                Diagnostic::of(&codes::NO_SITE, "no rule file has a [[site]], so every request would be refused");
            self.error(problem.help("add [[site]] with hosts = [\"shop.example\"] and upstream = \"...\""));
        }
        let mut sites = Sites::default();
        if !self.within(files.len(), SITES, "sites") {
            return sites;
        }
        let mut hosts: HashMap<&str, Span> = HashMap::new();
        for (at, file) in (0..=u16::MAX).zip(files) {
            let site = self.site(file);
            for host in file.hosts.given().map_or(&[][..], |hosts| &hosts.all) {
                if let Some(first) = hosts.insert(&host.0, host.span) {
                    let problem = Diagnostic::of(&codes::HOST_TWICE, format!("two sites answer for `{}`", host.0))
                        .at(host.span, "the second")
                        .also(first, "the first");
                    self.error(problem.help("leave it to one of them; `paths` can serve parts from elsewhere"));
                }
                match host.0.strip_prefix('*') {
                    Some(suffix) => sites.suffixes.push((suffix.into(), at)),
                    None => sites.exact.push((host.0.clone(), at)),
                }
            }
            sites.all.push(site);
        }
        sites.exact.sort_unstable();
        sites.suffixes.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        sites
    }

    fn site(&mut self, file: &SiteFile) -> Site {
        let hosts = file.hosts.given().map(|hosts| hosts.all.iter().map(|host| host.0.clone()).collect());
        let upstream = self.upstream_named(&file.upstream);
        let mut paths: Vec<(Box<str>, UpstreamId)> = Vec::new();
        let mut named: HashSet<&str> = HashSet::new();
        for path in file.paths.items() {
            let upstream = self.upstream_named(&path.upstream);
            let Some(prefix) = path.prefix.given() else { continue };
            if !named.insert(&*prefix.0) {
                let problem = Diagnostic::of(&codes::TWICE, format!("this site serves `{}` twice", prefix.0));
                self.error(problem.at(prefix.span, "the second").help("leave it to one upstream"));
            }
            paths.push((prefix.0.clone(), upstream));
        }
        let paths = Prefixes::new(paths);
        Site { hosts: hosts.unwrap_or_default(), upstream, paths, cors: file.cors.given().map(cors) }
    }

    fn upstream_named(&mut self, name: &Field<Text>) -> UpstreamId {
        let found = name.given().and_then(|name| self.upstreams.find(name, self.broken, self.report));
        UpstreamId(found.unwrap_or(0))
    }

    /// Every upstream; one that nothing uses is pointed out. Call it after the sites and the playbooks.
    pub(super) fn upstreams(&mut self, files: &[Entry<'_, UpstreamFile>]) -> Option<Vec<Upstream>> {
        if !self.broken {
            for (name, span) in self.upstreams.unused() {
                let problem =
                    Diagnostic::of(&codes::UNUSED_UPSTREAM, format!("no site and no playbook uses upstream `{name}`"));
                self.error(problem.at(span, "never used").help("use it in a [[site]], or remove it"));
            }
        }
        let all: Vec<_> = files.iter().map(|(name, file)| file.and_then(|file| self.upstream(name, file))).collect();
        all.into_iter().collect()
    }

    fn upstream(&mut self, name: &Said<Box<str>>, file: &UpstreamFile) -> Option<Upstream> {
        let servers = file.servers.given()?;
        if !self.within(servers.all.len(), SERVERS, "servers in one upstream") {
            return None;
        }
        for (at, server) in servers.all.iter().enumerate() {
            if servers.all.iter().take(at).any(|known| known.value == server.value) {
                let problem = Diagnostic::of(&codes::TWICE, format!("the server {} stands twice", server.value));
                self.error(problem.at(server.span, "the second").help("remove it: servers share requests equally"));
            }
        }
        let protocol = match file.protocol.given()?.value {
            ProtocolWord::Auto => Protocol::Auto,
            ProtocolWord::Http1 => Protocol::Http1,
            ProtocolWord::H2c => Protocol::H2c,
        };
        if let Some(server) = servers.all.iter().find(|server| protocol == Protocol::H2c && server.tls) {
            let problem =
                Diagnostic::of(&codes::PROTOCOL_CLASH, "h2c is HTTP/2 in clear text, but this server is https");
            self.error(problem.at(server.span, "over TLS").help("use protocol = \"auto\", or write http://"));
        }
        let health = file.health.given().and_then(|health| {
            let every = self.at_least(health.every.given()?, Duration::from_millis(100), "asking for health");
            Some(Health { path: health.path.given()?.0.clone(), every })
        });
        Some(Upstream {
            name: (*name.value).into(),
            servers: servers.all.iter().map(|server| Server::clone(server)).collect(),
            protocol,
            timeout: self.timeout(file.timeout.given()?)?,
            health,
            max_in_flight: usize::try_from(file.max_in_flight.given()?.value).unwrap_or(usize::MAX),
            max_streams: usize::try_from(file.max_streams.given()?.value).unwrap_or(usize::MAX),
            upgrades: file.upgrades.items().iter().map(|name| name.0.clone()).collect(),
            ca: file.ca.given().map(|path| self.sources.resolve(path)),
        })
    }

    fn timeout(&mut self, file: &TimeoutFile) -> Option<UpstreamTimeout> {
        let least = Duration::from_millis(1);
        Some(UpstreamTimeout {
            connect: self.at_least(file.connect.given()?, least, "connecting"),
            answer: self.at_least(file.answer.given()?, least, "the answer"),
            idle: self.at_least(file.idle.given()?, least, "a piece of the body"),
            stream: self.at_least(file.stream.given()?, least, "silence on a stream"),
            keep: file.keep.given()?.value,
        })
    }

    fn at_least(&mut self, said: &Said<Duration>, least: Duration, what: &str) -> Duration {
        if said.value < least {
            let problem = Diagnostic::of(&codes::OUT_OF_RANGE, format!("the time for {what} is too short"));
            self.error(problem.at(said.span, "too short").help(format!("give it {} ms or more", least.as_millis())));
        }
        said.value
    }
}

fn cors(file: &CorsFile) -> Cors {
    Cors {
        origins: file
            .origins
            .given()
            .map(|origins| origins.all.iter().map(|origin| origin.0.clone()).collect())
            .unwrap_or_default(),
        credentials: file.credentials.given().is_some_and(|flag| flag.value),
    }
}
