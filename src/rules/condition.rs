//! When something is refused: typed predicates, compiled to a tree of enums.
//!
//! A predicate on the path holds if either reading of the path fits. Regular expressions over one subject share one set, so that a
//! thousand that miss cost one search. Nothing here can fail, block or grow with the request.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use http::HeaderName;
use ipnet::IpNet;
use regex::bytes::{RegexSet, RegexSetBuilder, SetMatches};
use smallvec::SmallVec;

use super::facts::Facts;
use super::target::{decode_fully, fold_ascii};

/// A condition.
#[derive(Debug, Clone)]
pub enum Condition {
    /// One of these holds.
    Any(Box<[Condition]>),
    /// All of these hold.
    All(Box<[Condition]>),
    /// This does not hold.
    Not(Box<Condition>),
    /// The path is this.
    Path(Spelled),
    /// The path begins so.
    PathPrefix(Spelled),
    /// The path ends so.
    PathSuffix(Spelled),
    /// The method is one of these.
    Method(Box<[Box<str>]>),
    /// The host is one of these; one that begins with a dot stands for all below.
    Host(Box<[Box<str>]>),
    /// A header says this.
    Header(HeaderName, HeaderTest),
    /// The client's address is in one of these networks.
    Address(Networks),
    /// A regular expression fits.
    Fits(Pattern),
}

impl Condition {
    /// Whether it holds only for some addresses: what else it looks at, a client can say as it likes.
    pub fn needs_address(&self) -> bool {
        match self {
            Self::Address(_) => true,
            Self::All(all) => all.iter().any(Self::needs_address),
            Self::Any(any) => any.iter().all(Self::needs_address),
            Self::Not(_)
            | Self::Path(_)
            | Self::PathPrefix(_)
            | Self::PathSuffix(_)
            | Self::Method(_)
            | Self::Host(_)
            | Self::Header(..)
            | Self::Fits(_) => false,
        }
    }
}

/// Part of a path, for both readings: as written, and as the worst reading would spell it.
#[derive(Debug, Clone)]
pub struct Spelled {
    plain: Box<str>,
    worst: Box<str>,
    /// A written trailing slash, which the worst reading has lost.
    open: bool,
}

impl Spelled {
    /// A path, or its beginning or end.
    pub fn new(written: &str) -> Self {
        let open = written.len() > 1 && written.ends_with('/');
        Self { plain: written.into(), worst: fold_ascii(written).into(), open }
    }

    /// Whether the worst reading of a path begins so. `/admin/` also takes `/admin`: a trailing slash makes no other path.
    fn begins(&self, worst: &str) -> bool {
        worst.strip_prefix(&*self.worst).is_some_and(|rest| !self.open || rest.is_empty() || rest.starts_with('/'))
    }

    /// An expression that fits wherever this may fit, so that a set can tell where it cannot.
    pub(in crate::rules) fn pattern(&self, before: &str, after: &str) -> String {
        format!("(?i-u){before}{}{after}", regex::escape(&self.worst))
    }
}

/// What a header's values must be; one value is enough.
#[derive(Debug, Clone)]
pub enum HeaderTest {
    /// The header is there, or is not.
    Present(bool),
    /// Exactly this.
    Equals(Box<[u8]>),
    /// With this in it.
    Contains(Box<[u8]>),
}

impl Condition {
    /// Whether it holds for this request. Refusals are asked faster through [`super::ruleset::RuleSet::refused`].
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.holds_with(facts, &|pattern| pattern.set.hits(facts).is_some_and(|hits| hits.have(pattern.index)))
    }

    /// Whether it holds, given a way to know which expressions fit.
    pub(in crate::rules) fn holds_with(&self, facts: &Facts<'_>, fits: &impl Fn(&Pattern) -> bool) -> bool {
        let (plain, worst) = (facts.target.plain(), facts.target.worst());
        match self {
            Self::Any(all) => all.iter().any(|condition| condition.holds_with(facts, fits)),
            Self::All(all) => all.iter().all(|condition| condition.holds_with(facts, fits)),
            Self::Not(condition) => !condition.holds_with(facts, fits),
            Self::Path(path) => plain == &*path.plain || worst == &*path.worst,
            Self::PathPrefix(prefix) => plain.starts_with(&*prefix.plain) || prefix.begins(worst),
            Self::PathSuffix(suffix) => plain.ends_with(&*suffix.plain) || worst.ends_with(&*suffix.worst),
            Self::Method(methods) => methods.iter().any(|method| &**method == facts.method),
            Self::Host(hosts) => hosts.iter().any(|host| match host.strip_prefix('.') {
                Some(_) => facts.host.len() > host.len() && facts.host.ends_with(&**host),
                None => facts.host == &**host,
            }),
            Self::Header(name, test) => test.holds(facts, name),
            Self::Address(networks) => networks.contain(facts.address),
            Self::Fits(pattern) => fits(pattern),
        }
    }
}

impl HeaderTest {
    fn holds(&self, facts: &Facts<'_>, name: &HeaderName) -> bool {
        let mut values = facts.headers.get_all(name).iter();
        match self {
            Self::Present(present) => values.next().is_some() == *present,
            Self::Equals(wanted) => values.any(|value| value.as_bytes() == &**wanted),
            Self::Contains(wanted) => values.any(|value| memchr::memmem::find(value.as_bytes(), wanted).is_some()),
        }
    }
}

/// Networks, as sorted ranges that do not overlap.
#[derive(Debug, Clone)]
pub struct Networks(Box<[(IpAddr, IpAddr)]>);

impl Networks {
    /// The union of these.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let ranges = IpNet::aggregate(&networks.into_iter().collect());
        let mut ranges: Vec<_> = ranges.iter().map(|net| (net.network(), net.broadcast())).collect();
        ranges.sort_unstable();
        Self(ranges.into())
    }

    /// Whether one of them contains this address; IPv4-mapped IPv6 counts as IPv4.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let after = self.0.partition_point(|(first, _)| *first <= address);
        after > 0 && self.0.get(after - 1).is_some_and(|(_, last)| address <= *last)
    }
}

/// What regular expressions look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Both readings of the path.
    Path,
    /// The query as sent, and decoded.
    Query,
    /// Every value of a header.
    Header(HeaderName),
}

/// One regular expression, as its place in the set of its subject.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub(in crate::rules) set: Arc<PatternSet>,
    pub(in crate::rules) index: usize,
}

/// All regular expressions over one subject.
#[derive(Debug)]
pub(in crate::rules) struct PatternSet {
    pub(in crate::rules) subject: Subject,
    /// Which set of the rule set this is.
    pub(in crate::rules) number: usize,
    compiled: OnceLock<RegexSet>,
}

/// Which expressions of a set fit; of the path and the query there are two readings.
pub(in crate::rules) struct Hits(SmallVec<[SetMatches; 2]>);

impl Hits {
    pub(in crate::rules) fn have(&self, index: usize) -> bool {
        self.0.iter().any(|hits| index < hits.len() && hits.matched(index))
    }
}

impl PatternSet {
    /// Which expressions fit; `None` when none does, which is found out without allocating.
    pub(in crate::rules) fn hits(&self, facts: &Facts<'_>) -> Option<Hits> {
        let set = self.compiled.get()?;
        let mut hits = SmallVec::new();
        self.each(facts, |text| {
            if set.is_match(text) {
                hits.push(set.matches(text));
            }
        });
        if hits.is_empty() { None } else { Some(Hits(hits)) }
    }

    fn each(&self, facts: &Facts<'_>, mut look: impl FnMut(&[u8])) {
        match &self.subject {
            Subject::Path => {
                let (plain, worst) = (facts.target.plain(), facts.target.worst());
                look(plain.as_bytes());
                if plain != worst {
                    look(worst.as_bytes());
                }
            }
            Subject::Query => {
                look(facts.query.as_bytes());
                if facts.query.bytes().any(|byte| byte == b'%' || byte == b'+' || !byte.is_ascii()) {
                    let spaced = facts.query.replace('+', " ");
                    // What does not come to rest is looked at as sent.
                    if let Some(decoded) = decode_fully(&spaced) {
                        look(decoded.as_bytes());
                    }
                }
            }
            Subject::Header(name) => facts.headers.get_all(name).iter().for_each(|value| look(value.as_bytes())),
        }
    }
}

/// Bytes that one set may take compiled, and that its search may use for each thread.
const SET_BYTES: usize = 64 << 20;
const SEARCH_BYTES: usize = 16 << 20;

/// Gathers regular expressions while conditions are built.
#[derive(Debug, Default)]
pub(in crate::rules) struct Patterns {
    sets: Vec<(Arc<PatternSet>, Vec<Box<str>>)>,
}

impl Patterns {
    /// The place of an expression in the set of its subject.
    pub(in crate::rules) fn add(&mut self, subject: &Subject, text: &str) -> Pattern {
        let known = self.sets.iter().position(|(set, _)| set.subject == *subject);
        let number = known.unwrap_or(self.sets.len());
        if known.is_none() {
            let set = PatternSet { subject: subject.clone(), number, compiled: OnceLock::new() };
            self.sets.push((Arc::new(set), Vec::new()));
        }
        let (set, texts) = &mut self.sets[number];
        texts.push(text.into());
        Pattern { set: set.clone(), index: texts.len() - 1 }
    }

    /// Compiles the sets, or says which subject's together are too large.
    pub(in crate::rules) fn finish(self) -> Result<Vec<Arc<PatternSet>>, Subject> {
        self.sets
            .into_iter()
            .map(|(set, texts)| {
                let built = RegexSetBuilder::new(texts).size_limit(SET_BYTES).dfa_size_limit(SEARCH_BYTES).build();
                let _ = set.compiled.set(built.map_err(|_| set.subject.clone())?);
                Ok(set)
            })
            .collect()
    }
}

/// Finds the first refusal that holds without looking at those that cannot.
#[derive(Debug, Default)]
pub struct Screen {
    sets: Vec<Arc<PatternSet>>,
    /// Refusals by the sets of which one must have a hit; in the order written.
    groups: Vec<(u64, Vec<u32>)>,
}

/// No set decides: always look.
const ALWAYS: u64 = u64::MAX;

impl Screen {
    /// A screen for these conditions, in their order.
    pub(in crate::rules) fn new<'c>(
        sets: Vec<Arc<PatternSet>>,
        conditions: impl Iterator<Item = &'c Condition>,
    ) -> Self {
        let path = sets.iter().find(|set| set.subject == Subject::Path).map_or(ALWAYS, |set| bit(set.number));
        let mut groups: Vec<(u64, Vec<u32>)> = Vec::new();
        for (at, condition) in (0u32..).zip(conditions) {
            let need = need(condition, path);
            match groups.iter_mut().find(|(known, _)| *known == need) {
                Some((_, all)) => all.push(at),
                None => groups.push((need, vec![at])),
            }
        }
        Self { sets, groups }
    }

    /// The place of the first condition that holds.
    pub(in crate::rules) fn first<'c>(
        &self,
        facts: &Facts<'_>,
        condition: impl Fn(usize) -> Option<&'c Condition>,
    ) -> Option<usize> {
        if self.groups.is_empty() {
            return None;
        }
        let hits: SmallVec<[Option<Hits>; 4]> = self.sets.iter().map(|set| set.hits(facts)).collect();
        let hit = self
            .sets
            .iter()
            .zip(&hits)
            .filter(|(_, hits)| hits.is_some())
            .fold(0, |mask, (set, _)| mask | bit(set.number));
        let fits = |pattern: &Pattern| {
            hits.get(pattern.set.number).and_then(Option::as_ref).is_some_and(|hits| hits.have(pattern.index))
        };
        self.groups
            .iter()
            .filter(|(need, _)| *need == ALWAYS || need & hit != 0)
            .filter_map(|(_, all)| {
                all.iter()
                    .map(|at| *at as usize)
                    .find(|at| condition(*at).is_some_and(|condition| condition.holds_with(facts, &fits)))
            })
            .min()
    }
}

fn bit(set: usize) -> u64 {
    if set < 63 { 1 << set } else { ALWAYS }
}

/// The sets without a hit in any of which the condition cannot hold.
fn need(condition: &Condition, path: u64) -> u64 {
    match condition {
        Condition::Any(all) => all.iter().map(|condition| need(condition, path)).fold(0, |all, one| all | one),
        Condition::All(all) => {
            all.iter().map(|condition| need(condition, path)).min_by_key(|need| need.count_ones()).unwrap_or(ALWAYS)
        }
        Condition::Path(_) | Condition::PathPrefix(_) | Condition::PathSuffix(_) => path,
        Condition::Fits(pattern) => bit(pattern.set.number),
        Condition::Not(_)
        | Condition::Method(_)
        | Condition::Host(_)
        | Condition::Header(..)
        | Condition::Address(_) => ALWAYS,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use crate::rules::compile;
    use crate::rules::facts::Facts;
    use crate::rules::ruleset::RuleSet;
    use crate::rules::source::Sources;
    use crate::rules::target;

    fn law(refusals: &str) -> RuleSet {
        let site =
            "[[site]]\nhosts = [\"a.example\"]\nupstream = \"a\"\n[upstreams.a]\nservers = [\"http://127.0.0.1:1\"]\n";
        let sources = Sources::from_texts(vec![("a.toml".to_owned(), format!("{site}{refusals}"))]);
        let compiled = compile(&sources);
        compiled.rules.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
    }

    /// The name of the refusal that holds, found by the screen and found one by one.
    fn refused<'l>(law: &'l RuleSet, method: &str, path: &str, query: &str, headers: &HeaderMap) -> Option<&'l str> {
        let target = target::read(path).ok()?;
        let address = "10.1.2.3".parse().unwrap();
        let facts = Facts { method, target: &target, query, headers, host: "www.a.example", address };
        let screened = law.refused(&facts).map(|refusal| &*refusal.name);
        let one_by_one = law.refusals.iter().find(|refusal| refusal.when.holds(&facts)).map(|refusal| &*refusal.name);
        assert_eq!(screened, one_by_one, "{method} {path} {query}");
        screened
    }

    const GUARD: &str = r#"
        [[refuse]]
        name = "path"
        when = { any = [{ path_suffix = ".env" }, { path_prefix = ["/.git/", "/wp-admin"] }, { path = "/Secret/" }, { path_matches = '\.(php|asp)$' }] }
        [[refuse]]
        name = "query"
        when = { query_matches = '(?i)(union\s+select|<script|\.\./)' }
        [[refuse]]
        name = "agent"
        when = { header = { name = "User-Agent", matches = "(?i)sqlmap" } }
        [[refuse]]
        name = "method"
        when = { not = { method = ["GET", "POST"] } }
        [[refuse]]
        name = "inside"
        when = { path_prefix = "/internal", host = "*.a.example", not = { address = ["10.0.0.0/9", "192.0.2.1"] } }
        [[refuse]]
        name = "outside"
        when = { path_prefix = "/outer", address = ["10.0.0.0/9", "10.1.0.0/16", "192.0.2.1"] }
    "#;

    #[test]
    fn a_guard_sees_through_spellings() {
        let law = law(GUARD);
        let none = HeaderMap::new();
        for path in [
            "/.env",
            "/a/.ENV",
            "/.env;x",
            "/%2eenv",
            "/.git/config",
            "/.git/",
            "/.git;x/",
            "/x.php",
            "/x.php;y",
            "/x.PHP",
            "/secret",
            "/SECRET/",
            "/WP-Admin",
            "/%77p-admin/x",
            "/x.ph%70",
            "/x.ph%2570",
        ] {
            assert_eq!(refused(&law, "GET", path, "", &none), Some("path"), "{path}");
        }
        for path in ["/", "/env", "/.gitx", "/.github/x", "/x.php.html", "/internal"] {
            assert_eq!(refused(&law, "GET", path, "", &none), None, "{path}");
        }
        for query in ["a=union select", "a=UNION%20SELECT+x", "a=%253Cscript", "../x", "a=..%2f"] {
            assert_eq!(refused(&law, "GET", "/", query, &none), Some("query"), "{query}");
        }
        assert_eq!(refused(&law, "GET", "/", "a=selection", &none), None);
        assert_eq!(refused(&law, "PURGE", "/", "", &none), Some("method"));
        assert_eq!(refused(&law, "PURGE", "/.env", "", &none), Some("path"));
        assert_eq!(refused(&law, "GET", "/outer/x", "", &none), Some("outside"));
        let mut agent = HeaderMap::new();
        agent.append("user-agent", "curl".parse().unwrap());
        agent.append("user-agent", "SQLmap/1".parse().unwrap());
        assert_eq!(refused(&law, "GET", "/", "", &agent), Some("agent"));
    }

    proptest! {
        #[test]
        fn the_screen_never_differs_from_asking_one_by_one(path in "/[.a-zA-Z%2;/-]{0,12}(\\.env|\\.php|/.git/x|)", query in "[a-z%+.<=/]{0,20}") {
            static LAW: std::sync::LazyLock<RuleSet> = std::sync::LazyLock::new(|| law(GUARD));
            refused(&LAW, "GET", &path, &query, &HeaderMap::new());
        }
    }
}
