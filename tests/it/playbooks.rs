//! Playbooks: what the armed ones add, to any law and any request; and as customers and upstreams meet them.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use weir::clock::Moment;
use weir::confidence::Family;
use weir::judge::decision::{Hold, Outcome, Question, Verdict, judge};
use weir::judge::rehearse::rehearse;
use weir::judge::signals::Readings;
use weir::judge::stage::Stage;
use weir::rules::client::{Channel, Channels, Class};
use weir::rules::compile;
use weir::rules::effects::Effects;
use weir::rules::in_force::InForce;
use weir::rules::playbook::{Change, Desk, Families, Playbook, StandDown};
use weir::rules::posture::{Armed, Posture, Ramp, Scope};
use weir::rules::ruleset::{Action, InShadow, JourneyId, Ladder, RuleSet, Rung};
use weir::rules::source::Sources;

use crate::judge::{NOW, any_readings, strictness};
use crate::law::{law, shared};
use crate::support::client::BOTH;
use crate::support::upstream::Upstream;
use crate::support::{NOON, Rig};

const HOUR: Duration = Duration::from_secs(3600);

fn armed(playbook: &str, since: Moment, until: Moment) -> Armed {
    Armed {
        playbook: playbook.into(),
        by: "ann".into(),
        reason: "a test".into(),
        since,
        until,
        latest: until,
        confirm_by: None,
        scope: Scope::default(),
        shadow: false,
        ramp: None,
    }
}

// What follows is generated: laws with ladders of any kind, playbooks that change them in any way, postures that arm some.

fn any_action() -> impl Strategy<Value = Action> {
    let rules = shared();
    let to = rules.help_named("main").unwrap();
    let levels = ["pwd", "mfa", "phr"].map(|name| rules.level_named(name).unwrap());
    let age = prop::option::of(Just(Duration::from_secs(600)));
    prop_oneof![
        Just(Action::Allow),
        (1_u64..60).prop_map(|seconds| Action::Throttle { every: Duration::from_secs(seconds) }),
        (prop::sample::select(levels.to_vec()), age).prop_map(|(level, max_age)| Action::StepUp { level, max_age }),
        Just(Action::ReadOnly),
        Just(Action::Handoff { to }),
        Just(Action::Deny { to }),
    ]
}

/// Falling, never more generous further down, ending at 0.
fn any_ladder() -> impl Strategy<Value = Ladder> {
    let rungs = prop::collection::btree_map(1_u8..=100, any_action(), 0..5);
    (rungs, any_action()).prop_map(|(rungs, last)| {
        let (ats, mut actions): (Vec<u8>, Vec<Action>) = rungs.into_iter().rev().unzip();
        actions.push(last);
        actions.sort_by_key(Action::strictness);
        let ats = ats.into_iter().chain([0]);
        Ladder::descending(
            ats.zip(actions).map(|(at, action)| Rung { at: weir::confidence::Confidence::line(at).unwrap(), action }),
        )
        .unwrap()
    })
}

const JOURNEYS: [&str; 4] = ["login", "balance", "checkout", "browse"];

fn some_journeys() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(JOURNEYS.to_vec(), 0..=4)
}

fn some_channels() -> impl Strategy<Value = Channels> {
    prop::sample::subsequence(Channel::ALL.to_vec(), 1..=4).prop_map(|all| all.into_iter().collect())
}

fn any_change(journey: JourneyId) -> impl Strategy<Value = Change> {
    (prop::option::of(any_action()), prop::option::of(any_action()), any::<bool>(), any::<bool>()).prop_map(
        move |(at_most, attempt, contained, only_contaminated)| Change {
            journey,
            at_most,
            // An attempt can be asked for no proof.
            attempt_at_most: attempt.filter(|action| !matches!(action, Action::StepUp { .. })),
            contained,
            only_contaminated,
        },
    )
}

fn any_playbook(name: &'static str) -> impl Strategy<Value = Playbook> {
    let rules = shared();
    let ids: Vec<JourneyId> = rules.journey_ids().collect();
    let changes: Vec<_> = ids.iter().map(|id| prop::option::of(any_change(*id))).collect();
    let families = prop::sample::subsequence(Family::ALL.to_vec(), 0..=2);
    let only = prop::option::of(prop::sample::subsequence(ids, 0..=4));
    (changes, families, only, any::<bool>(), some_channels()).prop_map(
        move |(changes, families, automation_only, unlisted_read_only, channels)| Playbook {
            changes: changes.into_iter().flatten().collect(),
            unlisted_read_only,
            automation_only,
            distrust: families.into_iter().fold(Families::NONE, Families::with),
            channels,
            ..plain(name)
        },
    )
}

const PLAYBOOKS: [&str; 3] = ["first", "second", "third"];

fn any_law() -> impl Strategy<Value = Arc<RuleSet>> {
    let playbooks: Vec<_> = PLAYBOOKS.map(any_playbook).into_iter().collect();
    let ladders = prop::collection::vec((any_ladder(), any_ladder(), prop::option::of(any_action())), 4);
    (ladders, playbooks).prop_map(|(ladders, playbooks)| {
        let mut rules = law();
        for (journey, (ladder, attempt, unknown)) in rules.journeys.iter_mut().zip(ladders) {
            journey.ladder = ladder;
            journey.when_unknown = unknown;
            journey.attempt = journey.attempt.as_ref().map(|_| attempt);
        }
        rules.playbooks = playbooks;
        Arc::new(rules)
    })
}

fn any_armed(name: &'static str) -> impl Strategy<Value = Armed> {
    let ramp = prop::option::weighted(0.3, (0_u64..3600, 1_u64..3600));
    (ramp, some_journeys(), some_channels()).prop_map(move |(ramp, journeys, channels)| Armed {
        ramp: ramp.map(|(ago, ahead)| Ramp {
            from: Moment::from_unix_seconds(NOW.unix_seconds() - ago),
            until: NOW.plus(Duration::from_secs(ahead)),
        }),
        scope: Scope { journeys: journeys.into_iter().map(Into::into).collect(), channels },
        ..armed(name, NOW, NOW.plus(HOUR))
    })
}

fn any_posture() -> impl Strategy<Value = Posture> {
    let all: Vec<_> = PLAYBOOKS.map(any_armed).into_iter().collect();
    all.prop_shuffle().prop_map(|armed| Posture { armed })
}

/// A request, without the law and what it knows of the client.
#[derive(Debug, Clone, Copy)]
struct Asked {
    journey: Option<&'static str>,
    attempt: bool,
    safe: bool,
    away: bool,
    listed: bool,
    class: Class,
    channel: Channel,
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let classes = vec![Class::Customer, Class::Agent, Class::Partner, Class::Automation];
    (
        prop::option::weighted(0.8, prop::sample::select(JOURNEYS.to_vec())),
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.2),
        any::<bool>(),
        prop::sample::select(classes),
        prop::sample::select(Channel::ALL.to_vec()),
    )
        .prop_map(|(journey, attempt, safe, away, listed, class, channel)| Asked {
            journey,
            attempt,
            safe,
            away,
            listed,
            class,
            channel,
        })
}

fn verdict(rules: &RuleSet, posture: &Posture, asked: Asked, readings: &Readings, now: Moment) -> Verdict {
    let effects = Effects::of(rules, posture).unwrap();
    let journey = asked.journey.map(|name| rules.journey_named(name).unwrap());
    judge(&Question {
        effects: &effects,
        journey,
        listed: asked.listed || journey.is_some(),
        stage: if asked.attempt && asked.journey == Some("login") { Stage::Attempt } else { Stage::Session },
        safe_method: asked.safe,
        upstream_away: asked.away,
        class: asked.class,
        channel: asked.channel,
        ..Question::calm(rules, readings, now)
    })
}

fn only(posture: &Posture, keep: impl Fn(usize) -> bool) -> Posture {
    let armed = posture.armed.iter().enumerate().filter(|(at, _)| keep(*at)).map(|(_, armed)| armed.clone());
    Posture { armed: armed.collect() }
}

fn in_shadow(posture: &Posture) -> Posture {
    Posture { armed: posture.armed.iter().map(|armed| Armed { shadow: true, ..armed.clone() }).collect() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn several_playbooks_are_as_strict_as_the_strictest_and_standing_one_down_loosens_nothing_that_another_holds(
        rules in any_law(), posture in any_posture(), asked in any_asked(), readings in any_readings(),
    ) {
        let of = |posture: &Posture| verdict(&rules, posture, asked, &readings, NOW);
        let all = strictness(&of(&posture));
        prop_assert!(all >= strictness(&of(&Posture::default())), "arming gave more than before");
        for without in 0..posture.armed.len() {
            let rest = strictness(&of(&only(&posture, |at| at != without)));
            prop_assert!(all >= rest, "one more gave more");
            for alone in (0..posture.armed.len()).filter(|alone| *alone != without) {
                let held = strictness(&of(&only(&posture, |at| at == alone)));
                prop_assert!(rest >= held, "standing one down loosened what another holds");
            }
        }
    }

    #[test]
    fn the_order_of_arming_does_not_matter(
        rules in any_law(), posture in any_posture(), asked in any_asked(), readings in any_readings(),
    ) {
        let turned = Posture { armed: posture.armed.iter().rev().cloned().collect() };
        let one = verdict(&rules, &posture, asked, &readings, NOW);
        let other = verdict(&rules, &turned, asked, &readings, NOW);
        prop_assert_eq!(format!("{:?}", one.outcome), format!("{:?}", other.outcome));
        let names = |verdict: &Verdict, posture: &Posture| {
            let mut names: Vec<String> = verdict.playbooks.names(posture).map(str::to_owned).collect();
            names.sort();
            names
        };
        prop_assert_eq!(names(&one, &posture), names(&other, &turned));
    }

    #[test]
    fn shadow_enforces_nothing_and_says_what_enforcing_would(
        rules in any_law(), posture in any_posture(), asked in any_asked(), readings in any_readings(),
    ) {
        let calm = verdict(&rules, &Posture::default(), asked, &readings, NOW);
        let shadow = verdict(&rules, &in_shadow(&posture), asked, &readings, NOW);
        let enforced = verdict(&rules, &posture, asked, &readings, NOW);
        prop_assert_eq!(format!("{:?}", &shadow.outcome), format!("{:?}", calm.outcome));
        prop_assert_eq!((shadow.action, shadow.reached), (calm.action, calm.reached));
        prop_assert!(shadow.playbooks.is_empty());
        prop_assert_eq!(shadow.shadow.unwrap_or(shadow.action), enforced.action);
        prop_assert!(shadow.shadow != Some(shadow.action), "the same is not said twice");
        prop_assert_eq!(enforced.shadow, None);
    }

    #[test]
    fn a_rung_in_shadow_enforces_nothing_and_says_what_it_would_do(
        rules in any_law(), full in any_ladder(), asked in any_asked(), readings in any_readings(),
    ) {
        let mut trial = law();
        let mut whole = law();
        for ((tried, held), drawn) in trial.journeys.iter_mut().zip(&mut whole.journeys).zip(&rules.journeys) {
            tried.ladder = drawn.ladder.clone();
            tried.in_shadow = Some(InShadow { attempt: tried.attempt.clone(), ladder: full.clone() });
            held.ladder = full.clone();
        }
        let shadow = verdict(&trial, &Posture::default(), asked, &readings, NOW);
        for journey in &mut trial.journeys {
            journey.in_shadow = None;
        }
        let without = verdict(&trial, &Posture::default(), asked, &readings, NOW);
        let enforced = verdict(&whole, &Posture::default(), asked, &readings, NOW);
        prop_assert_eq!(format!("{:?}", &shadow.outcome), format!("{:?}", without.outcome));
        prop_assert_eq!(shadow.shadow.unwrap_or(shadow.action), enforced.action);
    }

    #[test]
    fn the_way_back_only_ever_loosens(
        rules in any_law(), posture in any_posture(), asked in any_asked(), readings in any_readings(),
        early in 0_u64..7200, later in 0_u64..7200,
    ) {
        // A proof that grows old on the way would hide what the ramp does.
        let long_ago = readings.session.map(|proof| weir::judge::signals::authentication::Proof {
            at: Moment::from_unix_seconds(NOW.unix_seconds() - 1_000_000), ..proof
        });
        let readings = Readings { session: long_ago, ..readings };
        let at = |seconds| verdict(&rules, &posture, asked, &readings, NOW.plus(Duration::from_secs(seconds)));
        let (first, last) = (early.min(later), early.max(later));
        prop_assert!(strictness(&at(last)) <= strictness(&at(first)));
    }

    #[test]
    fn what_has_ended_is_not_armed(
        rules in any_law(), posture in any_posture(), asked in any_asked(), readings in any_readings(),
    ) {
        let ended = posture.armed.iter().map(|armed| Armed { until: NOW, ramp: None, ..armed.clone() });
        let ended = Posture { armed: ended.collect() };
        let unconfirmed = posture.armed.iter().map(|armed| Armed { confirm_by: Some(NOW), ramp: None, ..armed.clone() });
        let unconfirmed = Posture { armed: unconfirmed.collect() };
        let calm = verdict(&rules, &Posture::default(), asked, &readings, NOW);
        for posture in [ended, unconfirmed] {
            let over = verdict(&rules, &posture, asked, &readings, NOW);
            prop_assert_eq!(format!("{:?}", over.outcome), format!("{:?}", &calm.outcome));
            prop_assert!(over.playbooks.is_empty());
        }
    }

    #[test]
    fn distrust_never_gives_more_and_never_raises_the_score(
        rules in any_law(), families in prop::sample::subsequence(Family::ALL.to_vec(), 1..=4),
        asked in any_asked(), readings in any_readings(),
    ) {
        let mut rules = law_of(&rules);
        rules.playbooks = vec![Playbook {
            distrust: families.into_iter().fold(Families::NONE, Families::with),
            ..plain("doubt")
        }];
        let posture = Posture { armed: vec![armed("doubt", NOW, NOW.plus(HOUR))] };
        let calm = verdict(&rules, &Posture::default(), asked, &readings, NOW);
        let doubting = verdict(&rules, &posture, asked, &readings, NOW);
        prop_assert!(strictness(&doubting) >= strictness(&calm));
        prop_assert!(
            doubting.scored.confidence() <= calm.scored.confidence(),
            "{} then {}", calm.scored.because(), doubting.scored.because()
        );
    }

    #[test]
    fn partners_and_customers_are_never_narrowed(
        rules in any_law(), posture in any_posture(), asked in any_asked(), readings in any_readings(),
    ) {
        let verdict = verdict(&rules, &posture, asked, &readings, NOW);
        let narrowed = matches!(verdict.outcome, Outcome::Held(Hold::Narrowed));
        prop_assert!(!narrowed || asked.class == Class::Automation);
        let serves_proofs = asked.journey.is_none() && asked.listed;
        prop_assert!(!serves_proofs || verdict.action == "allow", "a route that takes a proof was shut");
    }
}

/// The same ladders in a law of one's own.
fn law_of(rules: &RuleSet) -> RuleSet {
    let mut own = law();
    for (journey, drawn) in own.journeys.iter_mut().zip(&rules.journeys) {
        journey.ladder = drawn.ladder.clone();
        journey.attempt.clone_from(&drawn.attempt);
        journey.when_unknown.clone_from(&drawn.when_unknown);
    }
    own
}

/// A playbook that changes nothing yet.
fn plain(name: &str) -> Playbook {
    Playbook {
        name: name.into(),
        summary: "Any.".into(),
        owner: "test".into(),
        expires: HOUR,
        at_most_total: HOUR,
        triggers: Vec::new(),
        changes: Vec::new(),
        unlisted_read_only: false,
        automation_only: None,
        routes: Vec::new(),
        distrust: Families::NONE,
        cut_streams: false,
        channels: Channels::ALL,
        stand_down: StandDown::default(),
        shadow: false,
        words: Arc::default(),
        desk: Desk::default(),
    }
}

#[test]
fn a_posture_that_names_a_playbook_which_the_law_lacks_is_no_posture_of_this_law() {
    let posture = Arc::new(Posture { armed: vec![armed("unheard_of", NOW, NOW.plus(HOUR))] });
    let missing = InForce::new(2, Arc::new(law()), posture, NOW).unwrap_err();
    assert_eq!(missing, [Box::from("unheard_of")]);
}

#[test]
fn streams_are_cut_where_a_playbook_says_so_and_no_longer_than_it_holds() {
    let mut rules = law();
    let channels = [Channel::Web].into_iter().collect();
    rules.playbooks = vec![Playbook { cut_streams: true, channels, ..plain("cut") }];
    let rules = Arc::new(rules);
    let (balance, checkout) = (rules.journey_named("balance"), rules.journey_named("checkout"));
    let with = |entry| InForce::new(2, rules.clone(), Arc::new(Posture { armed: vec![entry] }), NOW).unwrap();
    let entry = armed("cut", NOW, NOW.plus(HOUR));
    let whole = with(entry.clone());
    assert!(whole.cuts_streams(balance, Channel::Web, NOW) && whole.cuts_streams(None, Channel::Web, NOW));
    assert!(!whole.cuts_streams(balance, Channel::App, NOW));
    assert!(!whole.cuts_streams(balance, Channel::Web, NOW.plus(HOUR)));
    let scope = Scope { journeys: vec!["balance".into()], ..Scope::default() };
    let scoped = with(Armed { scope, ..entry.clone() });
    assert!(scoped.cuts_streams(balance, Channel::Web, NOW));
    assert!(!scoped.cuts_streams(checkout, Channel::Web, NOW) && !scoped.cuts_streams(None, Channel::Web, NOW));
    let ramp = Some(Ramp { from: NOW, until: NOW.plus(HOUR) });
    for over in [Armed { shadow: true, ..entry.clone() }, Armed { ramp, ..entry }] {
        assert!(!with(over).cuts_streams(balance, Channel::Web, NOW));
    }
}

#[test]
fn the_shipped_playbooks_compile_and_each_promise_in_them_holds() {
    let texts = weir::demo::rules::SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let sources = Sources::from_texts(texts.collect());
    let compiled = compile(&sources);
    let said = weir::rules::diagnostic::render(&compiled.diagnostics, &sources, false);
    assert!(compiled.diagnostics.is_empty(), "{said}");
    let rules = compiled.rules.unwrap();
    let failing = rehearse(&rules);
    assert!(failing.is_empty(), "{}", weir::rules::diagnostic::render(&failing, &sources, false));
    let names: Vec<&str> = rules.playbooks.iter().map(|playbook| &*playbook.name).collect();
    assert_eq!(
        names,
        [
            "account_takeover",
            "bot_abuse",
            "credential_stuffing",
            "fraud_spike",
            "own_data_breach",
            "upstream_or_sign_in_down"
        ]
    );
    for playbook in &rules.playbooks {
        let cases = rules.cases.iter().filter(|case| case.armed.contains(&(&*playbook.name).into()));
        assert!((2..=5).contains(&cases.count()), "{}", playbook.name);
        assert!(!playbook.desk.verify.is_empty() && !playbook.desk.never.is_empty(), "{}", playbook.name);
        let spoken = ["en", "de"].map(|tag| rules.notices.choose(Some(tag.as_bytes())));
        assert!(spoken.iter().all(|tag| playbook.words.of(*tag).is_some()), "{}", playbook.name);
        assert!(!playbook.stand_down.ramp.is_zero(), "{}", playbook.name);
    }
}

#[test]
fn a_case_is_rehearsed_with_the_playbook_of_its_file_and_those_that_it_names() {
    let text = |at: &str, expect: &str| {
        format!(
            "\n[[case]]\nname = \"it comes out as {expect}\"\nrequest = {{ method = \"GET\", path = \"/shop/x\" }}\n{at}\nexpect = \"{expect}\"\n"
        )
    };
    let playbook = |cases: &str| {
        format!(
            "summary = \"x\"\nowner = \"x\"\nexpires = \"1h\"\n[changes.browse]\nat_most = \"handoff\"\n[desk]\nverify = [\"call back\"]\n{cases}"
        )
    };
    let ladder = "ladder = [{ at = 0, do = \"allow\" }]";
    let held = "ladder = [{ at = 10, do = \"allow\" }, { at = 0, do = \"handoff\", to = \"main\" }]\nwhen_unknown = \"handoff\"";
    let law = crate::law::LAW.replace(ladder, held);
    let rehearsed = |law: String, playbook: String| {
        let sources =
            Sources::from_texts(vec![("law.toml".to_owned(), law), ("playbooks/calm_down.toml".to_owned(), playbook)]);
        let compiled = compile(&sources);
        let said = weir::rules::diagnostic::render(&compiled.diagnostics, &sources, false);
        rehearse(&compiled.rules.unwrap_or_else(|| panic!("{said}")))
    };
    let named = "armed = \"calm_down\"";
    let right = [text("", "allow"), text(named, "handoff")].concat();
    assert_eq!(rehearsed(format!("{law}{right}"), playbook(&text("", "handoff"))), []);
    let wrong = rehearsed(law, playbook(&text("", "allow")));
    let help = wrong[0].help.as_deref().unwrap();
    assert!(help.contains("playbook calm_down asked something of it"), "{help}");
}

// From here on with a running Weir.

const SHOP: &str = concat!(
    include_str!("support/journeys/sign_in.toml"),
    r#"
[journeys.balance]
routes = ["GET /account/balance"]
ladder = [{ at = 40, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "step_up"

[journeys.order_status]
routes = ["GET /orders"]
ladder = [{ at = 0, do = "allow" }]

[journeys.search]
routes = ["GET /search"]
ladder = [{ at = 54, do = "allow" }, { at = 0, do = "step_up", mode = "shadow" }]
when_unknown = "step_up"
"#
);

const LOCKED: &str = r#"
summary = "x"
owner = "x"
expires = "1h"
unlisted = "read_only"
[changes.balance]
at_most = "handoff"
[route]
order_status = { upstream = "status" }
[desk]
verify = ["Call back"]
"#;

fn rig(other: &Upstream) -> Rig {
    let shop = Upstream::shop();
    let sites = format!(
        "[[site]]\nhosts = [\"127.0.0.1\"]\nupstream = \"shop\"\n[upstreams.shop]\nservers = [\"http://{}\"]\n[upstreams.status]\nservers = [\"http://{}\"]\n",
        shop.address, other.address
    );
    let files = [("sites.toml", &*sites), ("playbooks/locked.toml", LOCKED)];
    Rig::start(SHOP, shop, &files, |options| options.servers = None)
}

/// Puts a posture into force, as arming does.
fn install(rig: &Rig, posture: Posture) {
    let law = rig.weir().law.in_force();
    let now = law.load();
    let next = InForce::new(now.generation + 1, now.rules.clone(), Arc::new(posture), NOON).unwrap();
    law.store(Arc::new(next));
}

#[tokio::test]
async fn an_armed_playbook_holds_the_next_request_of_an_open_connection_and_ends_by_itself() {
    for protocol in BOTH {
        let other = Upstream::answering(|_| http::Response::new("from elsewhere".into()));
        let rig = rig(&other);
        let client = rig.signed_in(protocol).await;
        let mut again = client.clone();
        let mut connection = client.connect().await;
        let mut status = async |method: &str, path: &str| {
            let answer = connection.send(client.request(method, path, &[], "")).await.unwrap();
            (answer.status(), crate::support::client::whole(answer).await)
        };
        assert_eq!(status("GET", "/account/balance").await.0, StatusCode::OK);
        assert!(!rig.upstream.last().headers.contains_key("weir-posture"));

        install(&rig, Posture { armed: vec![armed("locked", NOON, NOON.plus(HOUR))] });
        let (held, answer) = status("GET", "/account/balance").await;
        assert_eq!((held, answer.json()["type"].as_str()), (StatusCode::FORBIDDEN, Some("urn:weir:problem:handoff")));
        assert_eq!(status("POST", "/newsletter").await.0, StatusCode::SERVICE_UNAVAILABLE, "unlisted: looking only");
        assert_eq!(status("GET", "/newsletter").await.0, StatusCode::OK);
        assert_eq!(rig.upstream.last().header("weir-posture"), "locked");
        assert_eq!(status("GET", "/orders").await.1.text(), "from elsewhere");
        assert_eq!(other.last().header("weir-journey"), "order_status");
        let proof = again.post("/verify", "code=right").await;
        assert_eq!(proof.status, StatusCode::SEE_OTHER, "a proof is still taken");

        // Nobody stands it down, and nothing is installed: it ends on the path.
        rig.advance(HOUR);
        assert_eq!(status("GET", "/account/balance").await.0, StatusCode::OK);
        assert_eq!(status("POST", "/newsletter").await.0, StatusCode::OK);
        assert!(!rig.upstream.last().headers.contains_key("weir-posture"));
        assert_eq!(status("GET", "/orders").await.1.text(), "GET /orders");
        drop(connection);
        let lines = rig.stop();
        let held: Vec<_> = lines.iter().filter(|line| line["playbooks"] == serde_json::json!(["locked"])).collect();
        assert_eq!(held.len(), 2, "{lines:#?}");
    }
}

#[tokio::test]
async fn what_is_in_shadow_is_logged_and_counted_and_holds_nobody() {
    let other = Upstream::answering(|_| http::Response::new("from elsewhere".into()));
    let rig = rig(&other);
    let shadow = Armed { shadow: true, ..armed("locked", NOON, NOON.plus(HOUR)) };
    install(&rig, Posture { armed: vec![shadow] });
    let mut client = rig.signed_in(BOTH[0]).await;
    assert_eq!(client.get("/account/balance").await.status, StatusCode::OK);
    assert!(!rig.upstream.last().headers.contains_key("weir-posture"), "the upstream is told what is enforced");
    assert_eq!(client.get("/orders").await.text(), "GET /orders");
    assert_eq!(client.post("/newsletter", "").await.status, StatusCode::OK);
    let admin = rig.weir().admin.unwrap();
    let metrics = crate::support::client::Client::clear(admin).get("/metrics").await;
    let counted = r#"weir_decisions_total{journey="balance",action="handoff",mode="shadow"} 1"#;
    assert!(metrics.text().contains(counted), "{}", metrics.text());
    let lines = rig.stop();
    let line = lines.iter().find(|line| line["journey"] == "balance").unwrap();
    assert_eq!((&line["action"], &line["shadow"]), (&"allow".into(), &"handoff".into()));
    assert!(line.get("playbooks").is_none(), "{line}");
    let unlisted = lines.iter().find(|line| line["method"] == "POST" && line["route"] == "(unlisted)").unwrap();
    assert_eq!(unlisted["shadow"], "read_only");
}

#[tokio::test]
async fn a_rung_in_shadow_is_passed_over_by_the_one_above() {
    let other = Upstream::answering(|_| http::Response::new("".into()));
    let rig = rig(&other);
    // Nobody has signed in from here, and failed tries have brought the score below 54.
    let mut client = rig.client(BOTH[0]);
    for _ in 0..30 {
        client.post("/login", "email=ada%40example.test&password=wrong").await;
    }
    assert_eq!(client.get("/search").await.status, StatusCode::OK);
    let lines = rig.stop();
    let line = lines.iter().find(|line| line["journey"] == "search").unwrap();
    assert_eq!(
        (&line["action"], &line["shadow"], &line["rung"]),
        (&"allow".into(), &"step_up".into(), &0.into()),
        "{line}"
    );
}
