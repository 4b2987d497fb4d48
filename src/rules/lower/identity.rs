//! Who is asking, and how one more proof is given.

use http::HeaderName;

use super::{Lower, Means};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::routes::Marks;
use crate::rules::ruleset::{Identity, JwksSource, JwtSource, StatusSet, StepUp, SubjectSource};
use crate::rules::syntax::files::{IdentityFile, JwtFile, Route, Status, StepUpFile, SubjectFile};
use crate::rules::syntax::forms::Many;
use crate::rules::syntax::table::Said;
use crate::rules::syntax::written::KeysAt;

/// Routes that bear marks.
pub(super) type Marked<'f> = Vec<(&'f Said<Route>, Marks)>;

impl<'f> Lower<'f> {
    /// How one more proof is given, and the route that takes it.
    pub(super) fn step_up(&mut self, file: Option<&'f StepUpFile>) -> (Option<StepUp>, Marked<'f>) {
        let Some(file) = file else { return (None, Vec::new()) };
        let succeeds = file.succeeds.given();
        let route = succeeds.and_then(|succeeds| succeeds.route.given());
        let marked = route.into_iter().map(|route| (route, Marks { ends_session: false, proves: true })).collect();
        let level = file.level.given().and_then(|name| self.levels.find(name, self.broken, self.report));
        let step_up = file.page.given().zip(level).map(|(page, level)| StepUp {
            page: page.0.clone(),
            succeeds: succeeds.and_then(|succeeds| succeeds.status.given()).map(statuses),
            level,
        });
        // What was reported must not make every rung that leans on it a second problem.
        self.means.proof = step_up.is_none();
        (step_up, marked)
    }

    /// Who is asking, and the routes that end a session.
    pub(super) fn identity(&mut self, file: Option<&'f IdentityFile>) -> (Identity, Marked<'f>) {
        let Some(file) = file else { return (Identity::default(), Vec::new()) };
        let subject = file.subject.given();
        let ends = subject.and_then(|subject| subject.ends_on.given()).map_or(&[][..], |routes| &routes.all);
        let marked = ends.iter().map(|route| (route, Marks { ends_session: true, proves: false })).collect();
        let identity = Identity {
            trusted_proxies: file.trusted_proxies.items().iter().map(|net| net.value).collect(),
            ja4_header: self.ja4_header(file),
            subject: subject.and_then(|subject| self.subject(subject)),
        };
        self.means.proof |= identity.subject.is_none() && !file.subject.is_absent();
        (identity, marked)
    }

    /// Where trusted proxies say the JA4 of their client. There must be one to believe.
    fn ja4_header(&mut self, file: &IdentityFile) -> Option<HeaderName> {
        let said = file.ja4_header.given()?;
        if file.trusted_proxies.is_absent() || file.trusted_proxies.given().is_some_and(Vec::is_empty) {
            let problem = Diagnostic::of(&codes::NO_PROXY, "`ja4_header` is named, but no proxy is trusted");
            let help = "name the proxies that write it in `trusted_proxies`, or remove `ja4_header`: Weir reads the JA4 of its own clients by itself";
            self.error(problem.at(said.span, "believed from nobody").help(help));
        }
        Some(said.0.clone())
    }

    fn subject(&mut self, file: &SubjectFile) -> Option<SubjectSource> {
        let problem = match (file.jwt.is_absent(), file.session_cookie.is_absent()) {
            (true, true) => "the subject comes from nowhere",
            (false, false) => "the subject comes from two sources",
            (false, true) => return file.jwt.given().and_then(|jwt| self.jwt(jwt)).map(SubjectSource::Jwt),
            (true, false) => {
                let cookie = file.session_cookie.given()?;
                return Some(SubjectSource::SessionCookie { name: cookie.0.clone() });
            }
        };
        let problem = Diagnostic::of(&codes::EXACTLY_ONE, problem).at(file.span, "here");
        self.error(problem.help("give exactly one of `jwt` and `session_cookie`"));
        None
    }

    fn jwt(&mut self, file: &JwtFile) -> Option<JwtSource> {
        let jwks = self.keys_at(file.jwks.given()?);
        Some(JwtSource {
            jwks,
            issuer: file.issuer.given()?.value.clone(),
            audience: file.audience.given()?.value.clone(),
            account_claim: file.account_claim.given()?.value.clone(),
        })
    }

    /// Where keys are; a warning where somebody on the way could replace them.
    pub(super) fn keys_at(&mut self, said: &Said<KeysAt>) -> JwksSource {
        match &said.value {
            KeysAt::Url(url) => {
                if url.starts_with("http://") && !is_this_machine(url) {
                    let problem =
                        Diagnostic::of(&codes::CLEAR_TEXT, "the keys that tokens are verified with come in clear text");
                    self.error(problem.at(said.span, "whoever is on the way can replace them").help("use https://"));
                }
                JwksSource::Url(url.clone())
            }
            KeysAt::File(path) => JwksSource::File(self.sources.resolve(path)),
        }
    }

    /// What rungs can lean on: a page of the application with a session that remembers the proof, or tokens that carry it.
    pub(super) fn means_of(&self, step_up: Option<&StepUp>, identity: &Identity) -> Means {
        let proof = match &identity.subject {
            Some(SubjectSource::Jwt(_)) => true,
            Some(SubjectSource::SessionCookie { .. }) => step_up.is_some(),
            None => false,
        };
        Means {
            proof: proof || self.means.proof || self.broken,
            level: step_up.map(|step_up| step_up.level),
            nobody: self.means.nobody,
            text: self.broken
                || (0..).zip(&self.help_files).any(|(at, _)| self.has_text(crate::rules::ruleset::HelpId(at))),
        }
    }
}

/// Whether an `http` address leads to this machine.
fn is_this_machine(url: &str) -> bool {
    let host = url.trim_start_matches("http://").split(['/', '?', '#']).next().unwrap_or("");
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The set of these statuses.
pub(super) fn statuses(many: &Many<Status>) -> StatusSet {
    let mut set = StatusSet::default();
    for status in &many.all {
        set.insert(u16::try_from(status.value).unwrap_or(0));
    }
    set
}
