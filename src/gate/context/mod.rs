//! Everything that is known of a request before it is judged: where it wants to go, where it comes from, who asks.
//!
//! The target is canonical or the request is refused. What a client claims about itself is believed only where something
//! proves it: a signature, the transport, a trusted proxy, or what the upstream said at sign-in.

pub mod back;
pub mod body;
mod carried;
mod class;
mod client;
pub mod cookie;
mod leaked;
mod method;
mod named;
mod once;
mod outgoing;
pub mod seen;

pub use client::Client;
pub use leaked::Leaked;

use std::rc::Rc;
use std::sync::Arc;

use http::{Uri, request};
use smallvec::SmallVec;

use super::Gate;
use super::cors::is_preflight;
use super::fault::Fault;
use super::notice::Notice;
use super::prepared::Prepared;
use super::record::Record;
use crate::clock::Moment;
use crate::confidence::{Reading, Why};
use crate::identity::device::{self, Minted};
use crate::identity::dpop::Asked;
use crate::identity::session;
use crate::identity::session::Brought;
use crate::identity::token::{Bearer, Claims};
use crate::judge::decision::{Question, Verdict};
use crate::judge::history::DeviceRecord;
use crate::judge::seen::{Client as Software, Whereabouts};
use crate::judge::signals::Readings;
use crate::judge::signals::authentication::Proof;
use crate::judge::stage::Stage;
use crate::listen::host::Authority;
use crate::listen::{Peer, Scheme};
use crate::memory::SessionFacts;
use crate::memory::floating::Lane;
use crate::memory::recall::Asking;
use crate::memory::reported::TokenFacts;
use crate::rules::budgets::Floats;
use crate::rules::client::{Channel, Class};
use crate::rules::facts::Facts;
use crate::rules::routes::{Found, Marks};
use crate::rules::ruleset::{JourneyId, Refusal, Site, SubjectSource, UpstreamId};
use crate::rules::target::{self, Target};
use crate::subject::{Account, Device, Host, Network, Owner, Session};

/// One request, before it is judged.
#[derive(Debug)]
pub struct Context<'a> {
    /// What is in force for this request.
    pub prepared: &'a Prepared,
    /// The moment that it is judged at.
    pub now: Moment,
    /// The host that it is for.
    pub authority: Rc<Authority>,
    /// The site that answers for the host.
    pub site: &'a Site,
    /// What serves the path.
    pub upstream: UpstreamId,
    /// The path, in both readings.
    pub target: Target<'a>,
    /// The target as it was sent.
    pub uri: &'a Uri,
    /// The journey on the path, if any.
    pub journey: Option<JourneyId>,
    /// What else the route means.
    pub marks: Marks,
    /// The rules name the path and the method.
    pub listed: bool,
    /// The path to forward when it is not the one that was sent.
    pub canonical: Option<String>,
    /// A method that only looks (RFC 9110, section 9.2.1).
    pub safe: bool,
    /// When this request is judged.
    pub stage: Stage,
    /// What kind of client asks.
    pub class: Class,
    /// Through which channel.
    pub channel: Channel,
    /// Where it comes from.
    pub client: Client,
    /// The same, hashed.
    pub network: Network,
    /// What its software shows of itself. `NotAsked` where no journey is judged.
    pub seen: Software,
    /// What is known of where it comes from; on a journey.
    pub whereabouts: Option<Whereabouts>,
    /// With which device.
    pub device: Reading<Device>,
    /// In which session.
    pub session: Option<Session>,
    /// What is remembered of the session.
    pub facts: Option<SessionFacts>,
    /// What the session has proved.
    pub proof: Reading<Proof>,
    /// Whose account: verified in a session, claimed at a sign-in.
    pub account: Reading<Account>,
    /// Whose it is to the letter: as a verified token says, or as was typed at a sign-in, where answers are kept.
    pub owner: Option<Owner>,
    /// Whether what was typed has leaked.
    pub leaked: Leaked,
    /// Where a change was made from, on the same site.
    pub referer: Option<String>,
    /// Every session that an application might read out of the request's cookies.
    pub brought: SmallVec<[Session; 2]>,
    /// The session is remembered here, or a verified token names it: no client can make it up.
    pub vouched: bool,
    /// Several sessions could be read, and one of them is held: none of them goes on.
    pub entangled: bool,
    /// The session's cookie does not go on. A session that is open only as far as its step-up does not reach what no journey guards.
    pub detached: bool,
    /// The session is over: nothing of it is believed, and neither its cookie nor its token goes on.
    pub over: bool,
    /// What tells later whether the session of a token is over.
    pub token: Option<TokenFacts>,
    /// The continuity pass that it brings, unread, where one may be taken, renewed or voided.
    pub pass: Option<Box<str>>,
    /// The key that was proved on this request, beside a token or what is left of one: a keyed hash of its thumbprint.
    pub key: Option<u64>,
    /// It brings a token that is not believed: whom that names can only speak against a pass.
    pub unbelieved: bool,
    /// Why its token is not believed, where a pass may show something all the same. It goes nowhere else.
    pub invalid: Option<Fault>,
    /// The device that its client is told with the answer.
    pub new_device: Option<Minted>,
    /// A client that signs in and keeps no cookies: it is told its device in a header of the answer, to send it back in one.
    pub keeps_no_cookies: bool,
}

impl<'a> Context<'a> {
    /// The host that is asked, as those are remembered at which somebody is known.
    pub fn host(&self, gate: &Gate) -> Host {
        gate.shared.names.host(&self.authority.host)
    }

    /// Reads the head of a request.
    ///
    /// # Errors
    /// What makes it impossible to say which journey this is, or who asks.
    pub fn read(
        gate: &Gate,
        prepared: &'a Prepared,
        peer: &Peer,
        head: &request::Parts,
        uri: &'a Uri,
        now: Moment,
        record: &mut Record,
    ) -> Result<Self, Fault> {
        let rules = prepared.rules();
        let authority = peer.host(head)?;
        let client =
            Client::of(peer.remote, peer.scheme == Scheme::Https, &rules.identity.trusted_proxies, &head.headers);
        let network = gate.shared.names.network(client.address);
        record.network = Some(network);
        let site = rules.sites.find(&authority.host).ok_or_else(|| Fault::UnknownSite(authority.host.clone()))?;
        let target = target::read(uri.path()).map_err(|_| Fault::AmbiguousTarget)?;

        let preflight = is_preflight(&head.method, &head.headers);
        if preflight && method::overrides(head) {
            return Err(Fault::MethodOverride);
        }
        let found = if preflight { Found::Unlisted } else { rules.routes.find(head.method.as_str(), &target) };
        let (journey, marks, canonical) = match found {
            Found::Unlisted => (None, Marks::default(), None),
            Found::Ambiguous => return Err(Fault::AmbiguousTarget),
            Found::MethodNotAllowed { allow } => return Err(Fault::MethodNotAllowed { allow: allow.to_owned() }),
            Found::Listed { journey, route, canonical, marks } => {
                record.route = Some(route);
                record.journey = journey;
                if method::overrides(head) {
                    return Err(Fault::MethodOverride);
                }
                (journey, marks, canonical)
            }
        };
        let upstream = site.upstream_of(target.plain());
        let is_sign_in = journey.is_some_and(|journey| rules.journey(journey).succeeds_on.is_some());
        let devices = &gate.shared.identity.devices;
        let known = devices.read(&head.headers, client.https, now);
        let device = known.map(|known| known.device);
        // A customer who keeps signing in keeps the device: its cookie is made anew before it expires.
        let due = is_sign_in && known.known().is_some_and(|known| known.is_due(now));
        let renewed = if due { devices.renew(&head.headers, client.https, now) } else { None };
        record.device = device.known();

        let mut context = Self {
            prepared,
            now,
            authority,
            site,
            upstream,
            target,
            uri,
            journey,
            marks,
            listed: record.route.is_some(),
            canonical,
            safe: Notice::safe(&head.method),
            stage: if is_sign_in { Stage::Attempt } else { Stage::Session },
            class: Class::Customer,
            channel: Channel::Web,
            client,
            network,
            seen: Software::default(),
            whereabouts: None,
            device,
            session: None,
            facts: None,
            proof: Reading::Unknown(Why::Missing),
            account: Reading::Unknown(Why::NotAsked),
            owner: None,
            leaked: Leaked::NOT_ASKED,
            referer: None,
            brought: SmallVec::new(),
            vouched: false,
            entangled: false,
            detached: false,
            over: false,
            token: None,
            pass: None,
            key: None,
            unbelieved: false,
            invalid: None,
            new_device: renewed,
            keeps_no_cookies: is_sign_in && device::keeps_no_cookies(&head.headers),
        };
        context.pass = context.carried(head);
        if journey.is_some() {
            context.look(gate, peer, head, record);
        }
        let claims = context.recognise(gate, peer, head)?;
        context.lower(gate);
        context.classify(peer, head, claims.as_deref());
        (record.class, record.channel) = (context.class, context.channel);
        if let Some(elsewhere) = context.served_elsewhere() {
            context.upstream = elsewhere;
        }
        if !context.safe {
            context.referer = back::referer(head, &context.authority.host);
        }
        context.detached =
            context.entangled || (context.is_held() && context.journey.is_none() && !context.is_step_up(head));
        record.session = context.session;
        record.account = context.account.known();
        Ok(context)
    }

    /// Looks at what the client shows, and at where it comes from.
    pub(in crate::gate) fn look(&mut self, gate: &Gate, peer: &Peer, head: &request::Parts, record: &mut Record) {
        let header = self.prepared.rules().identity.ja4_header.as_ref();
        let seen = gate.lookups.client(peer, &self.client, header, &head.headers);
        let names = &gate.shared.names;
        self.seen = seen.client;
        self.whereabouts = Some(gate.lookups.whereabouts(names, self.client.address, self.network, self.now));
        (record.ja4, record.whereabouts) = (seen.ja4, self.whereabouts);
    }

    /// Where an armed playbook has the journey served from.
    fn served_elsewhere(&self) -> Option<UpstreamId> {
        self.prepared.law.effects.upstream(self.journey?, self.channel, self.now)
    }

    /// Whether an armed playbook has it served from another place than its own.
    pub fn is_served_elsewhere(&self) -> bool {
        self.served_elsewhere().is_some_and(|elsewhere| elsewhere != self.site.upstream_of(self.target.plain()))
    }

    /// Finds the session and what it has proved.
    fn recognise(&mut self, gate: &Gate, peer: &Peer, head: &request::Parts) -> Result<Option<Arc<Claims>>, Fault> {
        let rules = self.prepared.rules();
        let names = &gate.shared.names;
        match &rules.identity.subject {
            None => {}
            Some(SubjectSource::SessionCookie { name }) => {
                self.bring(gate, session::read(&head.headers, name, names));
                self.end_if_over(gate);
            }
            Some(SubjectSource::Jwt(_)) => {
                let Some(tokens) = self.prepared.tokens() else { return Ok(None) };
                let asked = Asked {
                    method: head.method.as_str(),
                    https: self.client.https,
                    authority: &*self.authority,
                    path: self.uri.path(),
                    // Behind a proxy the connection's certificate is the proxy's own.
                    certificate: peer.client.as_ref().filter(|_| !self.client.proxied).map(|shown| shown.thumbprint),
                };
                let bearer = tokens.read(&head.headers, &asked, self.now);
                self.key = self.shown_key(gate, tokens, &bearer, (head, &asked));
                match bearer {
                    Bearer::Absent => {}
                    Bearer::Unverifiable(why) => {
                        self.name_unverified(tokens, head);
                        self.proof = Reading::Unknown(why);
                        self.account = Reading::Unknown(why);
                    }
                    // Where no journey guards, what the token is worth is the application's own business.
                    Bearer::Invalid(_) | Bearer::Unbound(_) if self.journey.is_none() => {}
                    Bearer::Invalid(why) if self.may_show_by_pass() => {
                        self.name_unverified(tokens, head);
                        self.invalid = Some(Fault::InvalidToken(why));
                    }
                    Bearer::Invalid(why) => return Err(Fault::InvalidToken(why)),
                    Bearer::Unbound(unbound) => return Err(Fault::Unbound(unbound)),
                    Bearer::Valid(claims) => {
                        let (session, account) = (claims.session, claims.account);
                        let proved = claims.bound.is_some_and(|bound| bound.is_to_a_key());
                        let (issued, began) = (claims.issued, claims.began());
                        let expires = claims.expires;
                        let token = TokenFacts { session, account, issued, began, expires, proved };
                        if gate.shared.memory.is_token_over(&token) {
                            self.over = true;
                            return match (self.journey, self.stage) {
                                (Some(_), Stage::Session) if self.may_show_by_pass() => {
                                    self.invalid = Some(Fault::InvalidToken("its session has ended"));
                                    Ok(None)
                                }
                                (Some(_), Stage::Claim | Stage::Session) => {
                                    Err(Fault::InvalidToken("its session has ended"))
                                }
                                // Who signs in anew is not kept from it by what they were.
                                (Some(_), Stage::Attempt) | (None, _) => Ok(None),
                            };
                        }
                        self.token = Some(token);
                        self.remember(gate, claims.session);
                        self.vouched = true;
                        self.account = Reading::Known(claims.account);
                        self.owner = Some(claims.owner);
                        if let Some(own) = claims.proof(rules) {
                            self.proof = Reading::Known(stronger(self.proof.known(), own));
                        }
                        return Ok(Some(claims));
                    }
                }
            }
        }
        Ok(None)
    }

    /// What others have reported may have made a proof worth no more than a password.
    fn lower(&mut self, gate: &Gate) {
        let (Reading::Known(account), Reading::Known(proof)) = (self.account, &mut self.proof) else { return };
        let lowered = gate.shared.memory.reports(account).is_some_and(|reports| reports.lowers(proof.at));
        if let (true, Some(weakest)) = (lowered, self.prepared.rules().weakest_level()) {
            proof.level = weakest;
        }
    }

    /// A session that is over is none. Where an application might read it out of the cookies beside another, neither is believed.
    fn end_if_over(&mut self, gate: &Gate) {
        let memory = &gate.shared.memory;
        let over = |session: &Session| {
            let facts = self.facts.filter(|_| self.session == Some(*session));
            memory.is_over(*session, facts.or_else(|| memory.sessions.read(session.bits())).as_ref())
        };
        if !memory.has_ended() || !self.brought.iter().any(over) {
            return;
        }
        self.over = true;
        (self.session, self.facts, self.vouched) = (None, None, false);
        self.proof = Reading::Unknown(Why::Missing);
        self.account = Reading::Unknown(Why::NotAsked);
    }

    /// Takes up the session that the cookie names. Where an application might read another one out of the same request, that
    /// Weir remembers too, neither is believed: a proof or a hold must not be credited to the wrong one.
    fn bring(&mut self, gate: &Gate, brought: Brought) {
        let named = brought.named.known();
        if let Reading::Unknown(why) = brought.named {
            self.proof = Reading::Unknown(why);
        }
        let mut others = brought
            .all
            .iter()
            .filter(|other| Some(**other) != named)
            .filter_map(|other| gate.shared.memory.sessions.read(other.bits()))
            .peekable();
        let unclear = brought.too_many || others.peek().is_some();
        let held = brought.too_many || others.any(|facts| facts.is_held());
        if let Some(session) = named {
            self.remember(gate, session);
        }
        if unclear {
            self.entangled = held || self.is_held();
            (self.session, self.facts, self.vouched) = (None, None, false);
            self.proof = Reading::Unknown(Why::Ambiguous);
            self.account = Reading::Unknown(Why::NotAsked);
        }
        self.brought = brought.all;
    }

    fn remember(&mut self, gate: &Gate, session: Session) {
        let sessions = &gate.shared.memory.sessions;
        self.session = Some(session);
        self.facts = sessions.read(session.bits());
        if let Some(facts) = &self.facts {
            self.vouched = true;
            self.proof = facts.proof(self.prepared.rules()).map_or(self.proof, Reading::Known);
            self.account = facts.account().map_or(Reading::Unknown(Why::Missing), Reading::Known);
        }
    }

    /// Whether the session was opened only as far as its step-up.
    pub fn is_held(&self) -> bool {
        self.facts.as_ref().is_some_and(SessionFacts::is_held)
    }

    /// Whether this is the way to a proof, or out: a held session may go there.
    fn is_step_up(&self, head: &request::Parts) -> bool {
        let page = self.prepared.rules().step_up.as_ref().map(|step_up| &*step_up.page);
        self.marks.proves
            || self.marks.ends_session
            || head.uri.path() == back::RETURN
            || page.is_some_and(|page| page.split('?').next() == Some(head.uri.path()))
    }

    /// The first `[[refuse]]` that holds.
    pub fn refusal(&self, head: &request::Parts) -> Option<&'a Refusal> {
        self.prepared.rules().refused(&self.facts_of(head))
    }

    /// What conditions may look at.
    fn facts_of<'f>(&'f self, head: &'f request::Parts) -> Facts<'f> {
        Facts {
            method: head.method.as_str(),
            target: &self.target,
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            host: &self.authority.host,
            address: self.client.address,
        }
    }

    /// Whether the account is the asker's own: of a session or token that is known here, not only named.
    pub fn is_owner(&self) -> bool {
        self.vouched && self.stage == Stage::Session
    }

    /// The name of the application's session cookie, when sessions are learned from one.
    pub fn session_cookie(&self) -> Option<&str> {
        match &self.prepared.rules().identity.subject {
            Some(SubjectSource::SessionCookie { name }) => Some(name),
            Some(SubjectSource::Jwt(_)) | None => None,
        }
    }

    /// Who asks, for memory.
    pub fn asking(&self, gate: &Gate) -> Asking {
        Asking {
            account: self.account,
            device: self.device,
            at: self.whereabouts.unwrap_or_else(|| Whereabouts::of(&gate.shared.names, self.client.address)),
            client: self.seen,
            signs_in: self.stage == Stage::Attempt,
            changes: self.journey.is_some() && !self.safe,
            proof: self.proof,
            facts: self.facts,
            exposure: self.leaked.exposure,
            account_breached: self.leaked.account_breached,
        }
    }

    /// What the histories say about this request.
    pub fn readings(&self, gate: &Gate) -> Readings {
        let climate = gate.weather.borrow_mut().pin();
        gate.shared.memory.readings_in(&self.asking(gate), &climate, self.now)
    }

    /// What the judge is asked about this request.
    pub fn question<'q>(&self, gate: &Gate, readings: &'q Readings, upstream_away: bool) -> Question<'q>
    where
        'a: 'q,
    {
        Question {
            rules: self.prepared.rules(),
            effects: &self.prepared.law.effects,
            journey: self.journey,
            listed: self.listed,
            stage: self.stage,
            safe_method: self.safe,
            upstream_away,
            readings,
            frozen: gate.shared.memory.guards.frozen(),
            floats: self.floating().map_or(Floats::NONE, Lane::floats),
            class: self.class,
            channel: self.channel,
            now: self.now,
        }
    }

    /// Where the lines of its journey are, if that has a budget.
    fn floating(&self) -> Option<&'a Lane> {
        self.prepared.floating(self.journey?)
    }

    /// Counts how far a customer who has long been known falls short, where the journey has a budget and no playbook holds it.
    pub fn count_short(&self, gate: &Gate, verdict: &Verdict) {
        if let (Some(short), Some(lane), Some(account)) = (verdict.short, self.floating(), self.account.known())
            && verdict.playbooks.is_empty()
        {
            gate.shared.memory.floating.count(lane, account, short, self.now);
        }
    }

    /// One client, for what is kept per client: its session, else its device, else its network. A session that anybody could
    /// make up and a device on which nobody ever came in are none: they would buy turns and references without end.
    pub fn client_key(&self, gate: &Gate) -> u64 {
        self.known_client(gate).unwrap_or(self.network.bits())
    }

    /// The client, when it is more than an address.
    pub fn known_client(&self, gate: &Gate) -> Option<u64> {
        if let (Some(session), true) = (self.session, self.vouched) {
            return Some(session.bits());
        }
        let device = self.device.known()?.bits();
        gate.shared.memory.devices.read(device).filter(DeviceRecord::has_worked).map(|_| device)
    }

    /// One client on one journey, for noticing that it repeats itself.
    pub fn loop_key(&self, gate: &Gate) -> u64 {
        let journey = self.journey.map_or(u16::MAX, |journey| journey.index() as u16);
        gate.shared.names.key(&[b"loop", &self.client_key(gate).to_le_bytes(), &journey.to_le_bytes()])
    }

    /// Whose turn it is on a throttled journey: the account that is tried, else the client.
    pub fn turn_key(&self, gate: &Gate) -> u64 {
        let journey = self.journey.map_or(u16::MAX, |journey| journey.index() as u16);
        let who = self.account.known().map_or_else(|| self.client_key(gate), Account::bits);
        gate.shared.names.key(&[b"turn", &who.to_le_bytes(), &journey.to_le_bytes()])
    }
}

/// The site that a request is for, also one that cannot be served: an app of another origin may then read why.
pub fn site<'a>(prepared: &'a Prepared, peer: &Peer, head: &request::Parts) -> Option<&'a Site> {
    let authority = peer.host(head).ok()?;
    prepared.rules().sites.find(&authority.host)
}

/// The stronger proof; of two alike the fresher. A held session stays held until its proof.
fn stronger(remembered: Option<Proof>, own: Proof) -> Proof {
    let Some(remembered) = remembered else { return own };
    let best = if (remembered.level, remembered.at) > (own.level, own.at) { remembered } else { own };
    Proof { held: remembered.held, ..best }
}
