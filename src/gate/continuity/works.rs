//! What works now: how each journey would be met, for one verified customer or for everybody alike, with the words and the ways
//! out that the customer would be given.
//!
//! It must never say more than the class of what would be done: what is said of one customer is what they would find by trying. To
//! who shows no verified account it says what holds for everybody, and nothing of their device or address. Asking teaches nothing.

use std::cell::RefCell;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use serde_json::{Map, Value, json};

use super::pass::Held;
use super::sign_in;
use crate::clock::Moment;
use crate::confidence::{Reading, Why};
use crate::gate::Gate;
use crate::gate::context::Context;
use crate::gate::notice::{Contact, Exit, Notice, Reader, Voice, exit_member, rfc3339};
use crate::gate::prepared::Prepared;
use crate::judge::decision::Question;
use crate::judge::outlook::{self, Everybody, Outlook, Standing};
use crate::judge::signals::Readings;
use crate::judge::signals::authentication::Proof;
use crate::judge::stage::Stage;
use crate::memory::recall::Asking;
use crate::rules::client::{Channel, Class};
use crate::rules::in_force::InForce;
use crate::rules::journeys_feed::MOST;
use crate::rules::limits::{Key, Limit, Rate};
use crate::rules::notices::{LanguageId, ended};
use crate::rules::ruleset::{Help, HelpId, JourneyId, RuleSet, Site};
use crate::subject::Session;

/// Answers for everybody that a worker keeps ready. All of them go when one too many would be kept.
const READY: usize = 64;

/// How often one customer may ask for what is worked out for them alone, and how often at once after a rest.
const PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
const AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// The limit on that.
pub fn limit() -> Limit {
    Limit {
        // No operator's limit has a name like this.
        name: "(journeys_feed)".into(),
        key: Key::Client,
        rate: Rate { count: PER_MINUTE, per: Duration::from_secs(60) },
        burst: AT_ONCE,
        counts: None,
        shadow: false,
        younger_than: None,
    }
}

/// Who is told.
#[derive(Debug, Clone)]
pub struct Who {
    /// The host that was asked.
    host: Box<str>,
    class: Class,
    channel: Channel,
    /// What it says of languages.
    languages: Option<HeaderValue>,
    /// A verified account, as a request of it shows itself.
    customer: Option<Customer>,
    /// What the device was left by an earlier sign-in, where nobody is signed in.
    pass: Option<Box<Held>>,
}

#[derive(Debug, Clone)]
struct Customer {
    asking: Asking,
    session: Option<Session>,
    /// The level of its proof by name: what outlives a law remembers no index.
    level: Option<Box<str>>,
    /// A token was shown, and proves what it says beside what is remembered.
    token: bool,
}

impl Who {
    /// Who asks in this request.
    pub fn of(context: &Context<'_>, gate: &Gate, languages: Option<&HeaderValue>) -> Self {
        let rules = context.prepared.rules();
        let verified = context.vouched && !context.over && !context.entangled && context.account.known().is_some();
        let level = context.proof.known().map(|proof| rules.level(proof.level).name.clone());
        let customer = verified.then(|| Customer {
            asking: context.asking(gate),
            session: context.session,
            level,
            token: context.token.is_some(),
        });
        let pass = match (&customer, &context.pass) {
            (None, Some(_)) => Held::of(gate, context, None).map(Box::new),
            _ => None,
        };
        Self {
            host: (&*context.authority.host).into(),
            class: context.class,
            channel: context.channel,
            languages: languages.cloned(),
            customer,
            pass,
        }
    }

    /// Whether what is told holds for everybody alike.
    pub const fn is_everybody(&self) -> bool {
        self.customer.is_none() && self.pass.is_none()
    }

    /// Whether a verified account is told of itself.
    pub const fn is_customer(&self) -> bool {
        self.customer.is_some()
    }
}

impl Customer {
    /// The same under this law, with what its session has proved since, and what others have reported.
    fn now(&self, gate: &Gate, rules: &RuleSet) -> Asking {
        let (memory, mut asking) = (&gate.shared.memory, self.asking);
        let level = self.level.as_deref().and_then(|name| rules.level_named(name)).or_else(|| rules.weakest_level());
        let own = asking.proof.known().zip(level).map(|(proof, level)| Proof { level, ..proof });
        asking.facts = self.session.and_then(|session| memory.sessions.read(session.bits())).or(asking.facts);
        let remembered = asking.facts.and_then(|facts| facts.proof(rules));
        let proof = match (own.filter(|_| self.token), remembered) {
            (Some(own), Some(kept)) if (own.level, own.at) > (kept.level, kept.at) => {
                Some(Proof { held: kept.held, ..own })
            }
            (own, kept) => kept.or(own),
        };
        let lowered = |proof: &Proof| {
            let reports = asking.account.known().and_then(|account| memory.reports(account));
            reports.is_some_and(|reports| reports.lowers(proof.at))
        };
        let proof = proof.map(|proof| match rules.weakest_level() {
            Some(level) if lowered(&proof) => Proof { level, ..proof },
            Some(_) | None => proof,
        });
        asking.proof = proof.map_or(Reading::Unknown(Why::Missing), Reading::Known);
        asking
    }
}

/// What is told, ready to be written with the moment at which it was true.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    about: &'static str,
    /// The language of its words.
    pub language: LanguageId,
    journeys: String,
    /// Two that are told the same have the same.
    pub tag: u64,
}

impl Told {
    /// The document, as it is at this moment.
    pub fn at(&self, now: Moment) -> String {
        format!("{{\"as_of\":\"{}\",\"about\":\"{}\",\"journeys\":{}}}", rfc3339(now), self.about, self.journeys)
    }
}

/// What a worker keeps ready for everybody, for as long as nothing has changed.
#[derive(Debug, Default)]
pub struct Ready(RefCell<Kept>);

#[derive(Debug, Default)]
struct Kept {
    law: Option<Arc<InForce>>,
    state: u64,
    told: Vec<(For, Rc<Told>)>,
}

/// Which of the answers for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct For {
    /// The site, by its place in this law.
    site: usize,
    spoken: LanguageId,
    class: Class,
    channel: Channel,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.tag)
    }
}

/// What works now for whoever asks. For everybody it is worked out once for a posture.
pub fn told(gate: &Gate, prepared: &Prepared, who: &Who, now: Moment) -> Rc<Told> {
    let rules = prepared.rules();
    let spoken = rules.notices.choose(who.languages.as_ref().map(HeaderValue::as_bytes));
    let listed = &rules.journeys_feed.listed;
    let Some((at, site)) = rules.sites.iter().enumerate().find(|(_, site)| is_site(rules, &who.host, site)) else {
        return Rc::new(write(rules, who, &[], spoken, now, gate));
    };
    if !who.is_everybody() {
        return Rc::new(write(rules, who, &of(gate, prepared, site, who, listed, now), spoken, now, gate));
    }
    let wanted = For { site: at, spoken, class: who.class, channel: who.channel };
    let state = state(gate, &prepared.law, now);
    {
        let mut kept = gate.ready.0.borrow_mut();
        if kept.state != state || !kept.law.as_ref().is_some_and(|law| Arc::ptr_eq(law, &prepared.law)) {
            *kept = Kept { law: Some(Arc::clone(&prepared.law)), state, told: Vec::new() };
        }
        if let Some((_, told)) = kept.told.iter().find(|(known, _)| *known == wanted) {
            return told.clone();
        }
    }
    let told = Rc::new(write(rules, who, &of(gate, prepared, site, who, listed, now), spoken, now, gate));
    let mut kept = gate.ready.0.borrow_mut();
    if kept.told.len() >= READY {
        kept.told.clear();
    }
    kept.told.push((wanted, told.clone()));
    told
}

fn is_site(rules: &RuleSet, host: &str, site: &Site) -> bool {
    rules.sites.find(host).is_some_and(|found| std::ptr::eq(found, site))
}

/// What changes without another law: upstreams that go and come back, playbooks that end, help that opens, closes and fills.
pub fn state(gate: &Gate, law: &InForce, now: Moment) -> u64 {
    let mut state = DefaultHasher::new();
    for upstream in &law.rules.upstreams {
        gate.pools.away(upstream).hash(&mut state);
    }
    if !law.effects.is_empty() {
        law.effects.next_end(now).map(Moment::unix_millis).hash(&mut state);
        let ramps = law.posture.armed.iter().filter_map(|armed| armed.ramp);
        ramps.for_each(|ramp| (ramp.line(now) / 5).hash(&mut state));
    }
    for help in &law.rules.help {
        help.hours.as_ref().is_none_or(|hours| hours.open_at(now)).hash(&mut state);
        is_full(gate, help, now).hash(&mut state);
    }
    state.finish()
}

fn is_full(gate: &Gate, help: &Help, now: Moment) -> bool {
    let key = || gate.shared.names.key(&[help.name.as_bytes()]);
    help.per_hour.is_some_and(|most| gate.shared.memory.help.is_full(key(), most, now))
}

/// A journey that is constrained now, for whoever marks what leads to it.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// Which.
    pub journey: JourneyId,
    /// Looking is held back too.
    pub looking: bool,
    /// Why, in one line, in the reader's language.
    pub reason: Rc<str>,
}

/// The journeys that this customer cannot do now, in whole or in part. Of a law with more journeys than the feed shows, only those that
/// it shows are looked at.
pub fn constraints(gate: &Gate, context: &Context<'_>, spoken: LanguageId) -> Vec<Constraint> {
    let (prepared, now) = (context.prepared, context.now);
    let rules = prepared.rules();
    let all: Vec<JourneyId> = match rules.journeys.len() <= MOST {
        true => rules.journey_ids().collect(),
        false => rules.journeys_feed.listed.clone(),
    };
    let who = Who::of(context, gate, None);
    let each = of(gate, prepared, context.site, &who, &all, now).into_iter();
    let constraint = |(journey, outlook): (JourneyId, Outlook)| {
        let looking = match outlook.standing {
            // Whoever is asked for a proof can go on.
            Standing::Open | Standing::Proof { .. } => return None,
            Standing::ReadOnly if only_looks(rules, journey) => return None,
            Standing::ReadOnly => false,
            Standing::ByPhone { .. } | Standing::Closed { .. } | Standing::Narrowed | Standing::Away => true,
        };
        let notice = notice(rules, journey, &outlook, now, &|help| is_full(gate, help, now))?;
        let voice = voice(rules, journey, spoken, now);
        Some(Constraint { journey, looking, reason: voice.ahead(&notice).0.into() })
    };
    each.filter_map(constraint).collect()
}

/// What a page of this journey says above everything while it is contained: a playbook's words whole, else one line.
pub fn says(gate: &Gate, context: &Context<'_>, journey: JourneyId, spoken: LanguageId) -> Option<String> {
    let (rules, now) = (context.prepared.rules(), context.now);
    let who = Who::of(context, gate, None);
    let all = of(gate, context.prepared, context.site, &who, &[journey], now);
    said(rules, journey, &all.first()?.1, (spoken, now), &|help| is_full(gate, help, now))
}

/// The same of a journey that is met like this.
pub(in crate::gate) fn said(
    rules: &RuleSet,
    journey: JourneyId,
    outlook: &Outlook,
    (spoken, now): (LanguageId, Moment),
    is_full: &dyn Fn(&Help) -> bool,
) -> Option<String> {
    let notice = notice(rules, journey, outlook, now, is_full)?;
    let (headline, detail) = voice(rules, journey, spoken, now).ahead(&notice);
    let sentence = ended(&headline);
    Some(if notice.playbook.is_some() { format!("{sentence} {detail}") } else { sentence.into_owned() })
}

fn voice(rules: &RuleSet, journey: JourneyId, spoken: LanguageId, now: Moment) -> Voice<'_> {
    let words = &rules.journey(journey).words;
    Voice { journey: Some(words), spoken, ..Voice::plain(&rules.notices, Reader::Program, now) }
}

/// How each of these journeys of this site would be met.
fn of(
    gate: &Gate,
    prepared: &Prepared,
    site: &Site,
    who: &Who,
    journeys: &[JourneyId],
    now: Moment,
) -> Vec<(JourneyId, Outlook)> {
    let rules = prepared.rules();
    let asking = who.customer.as_ref().map(|customer| customer.now(gate, rules));
    let readings = |changes| asking.map(|asking| gate.shared.memory.readings(&Asking { changes, ..asking }, now));
    let (looking, changing) = (readings(false), readings(true));
    let each = journeys.iter().copied().map(|journey| {
        let looks = only_looks(rules, journey);
        let readings = if looks { looking.as_ref() } else { changing.as_ref() };
        (journey, one(gate, prepared, (site, journey), (who, readings), looks, now))
    });
    each.collect()
}

/// Whether nothing on the journey changes anything.
fn only_looks(rules: &RuleSet, journey: JourneyId) -> bool {
    rules.routes.of(journey).all(|(method, _)| matches!(method, "GET" | "HEAD"))
}

/// How one journey would be met: by this customer with these readings, or by everybody.
fn one(
    gate: &Gate,
    prepared: &Prepared,
    (site, id): (&Site, JourneyId),
    (who, readings): (&Who, Option<&Readings>),
    looks: bool,
    now: Moment,
) -> Outlook {
    let (rules, effects) = (prepared.rules(), &prepared.law.effects);
    let journey = rules.journey(id);
    let away = is_away(gate, prepared, (site, id), who.channel, now);
    let (class, channel) = (who.class, who.channel);
    let by_pass = who.pass.as_ref().filter(|held| {
        journey.snapshot.as_ref().is_some_and(|law| law.pass)
            && (away || sign_in::is_away_at(gate, prepared, site, now))
            && held.stands(gate, prepared, now)
    });
    if let Some(held) = by_pass {
        // What was left on the device shows what was seen there, and is judged as when it does.
        return outlook::of_customer(&Question {
            effects,
            journey: Some(id),
            listed: true,
            upstream_away: true,
            frozen: gate.shared.memory.guards.frozen(),
            class,
            channel,
            ..Question::calm(rules, &held.readings(gate, now), now)
        });
    }
    // Whoever signs in, or names an account, is judged by what they type then; who asks now says nothing of it.
    let names_account = journey.succeeds_on.is_some() || journey.account.is_some();
    let outlook = match readings.filter(|_| !names_account) {
        Some(readings) => outlook::of_customer(&Question {
            effects,
            journey: Some(id),
            listed: true,
            stage: Stage::Session,
            safe_method: looks,
            upstream_away: away,
            frozen: gate.shared.memory.guards.frozen(),
            class,
            channel,
            ..Question::calm(rules, readings, now)
        }),
        None => outlook::of_everybody(&Everybody {
            rules,
            effects,
            journey: id,
            safe_method: looks,
            upstream_away: away,
            class,
            channel,
            now,
        }),
    };
    // Who has looked before may still see what they saw; whether there is something kept of them is found by looking.
    let shown = readings.is_some() && journey.snapshot.is_some();
    if away { outlook.while_away(shown) } else { outlook }
}

/// Whether something that serves the journey on this site does not answer. Where several serve it, one that is away is enough: nobody
/// knows which of them a customer would need.
pub(super) fn is_away(
    gate: &Gate,
    prepared: &Prepared,
    (site, journey): (&Site, JourneyId),
    channel: Channel,
    now: Moment,
) -> bool {
    let rules = prepared.rules();
    match prepared.law.effects.upstream(journey, channel, now) {
        Some(elsewhere) => gate.pools.away(rules.upstream(elsewhere)),
        None => rules.routes.of(journey).any(|(_, path)| gate.pools.away(rules.upstream(site.upstream_of(path)))),
    }
}

fn write(
    rules: &RuleSet,
    who: &Who,
    journeys: &[(JourneyId, Outlook)],
    spoken: LanguageId,
    now: Moment,
    gate: &Gate,
) -> Told {
    let is_full = |help: &Help| is_full(gate, help, now);
    let each = journeys.iter().map(|(journey, outlook)| member(rules, *journey, outlook, (spoken, now), &is_full));
    let about = if who.is_customer() { "you" } else { "everybody" };
    let journeys = Value::Array(each.collect()).to_string();
    let mut tag = DefaultHasher::new();
    (about, &journeys, spoken.index()).hash(&mut tag);
    Told { about, language: spoken, tag: tag.finish(), journeys }
}

/// One journey, as apps read it.
pub(in crate::gate) fn member(
    rules: &RuleSet,
    id: JourneyId,
    outlook: &Outlook,
    (spoken, now): (LanguageId, Moment),
    is_full: &dyn Fn(&Help) -> bool,
) -> Value {
    let journey = rules.journey(id);
    let mut member = Map::new();
    member.insert("name".into(), (&*journey.name).into());
    member.insert("state".into(), outlook.standing.word().into());
    if let Some(until) = outlook.until {
        member.insert("until".into(), rfc3339(until).into());
    }
    if let Some(notice) = notice(rules, id, outlook, now, is_full) {
        let (headline, detail) = voice(rules, id, spoken, now).ahead(&notice);
        member.insert("headline".into(), headline.into());
        member.insert("detail".into(), detail.into());
        member.insert("exits".into(), notice.exits.iter().map(exit_member).collect());
    }
    json!(member)
}

/// What a customer would be told who tries now; nothing where nothing is in the way.
fn notice(
    rules: &RuleSet,
    journey: JourneyId,
    outlook: &Outlook,
    now: Moment,
    is_full: &dyn Fn(&Help) -> bool,
) -> Option<Notice> {
    let help = |to: HelpId| {
        let help = rules.help(to);
        Exit::Contact(Contact::at(help, is_full(help), now))
    };
    let (mut notice, to) = match outlook.standing {
        Standing::Open => return None,
        Standing::Proof { level, max_age } => {
            let url = rules.step_up.as_ref().map(|step_up| step_up.page.to_string());
            let exit = Exit::proof(rules, level, max_age, url);
            (Notice::step_up(http::StatusCode::UNAUTHORIZED, "", exit, false), None)
        }
        Standing::ReadOnly => {
            let look_at =
                |(method, path): (&str, &str)| (method == "GET" && !path.contains('{')).then(|| path.to_owned());
            (Notice::read_only(rules.routes.of(journey).find_map(look_at)), None)
        }
        Standing::ByPhone { to } => (Notice::handoff(None, None), Some(to)),
        Standing::Closed { to } => (Notice::denied(), Some(to)),
        Standing::Narrowed => (Notice::automation_narrowed(), None),
        Standing::Away => (Notice::away(), None),
    };
    let first = || rules.help_ids().next();
    notice.exits.extend(to.or_else(first).map(help));
    let law = |playbook: usize| rules.playbooks.get(playbook).map(|law| law.words.clone());
    notice.playbook = outlook.speaker.and_then(|speaker| Some((law(speaker.playbook)?, speaker.until)));
    Some(notice)
}
