//! Security events at the whole gateway: signed with real keys, pushed over real sockets. An accepted one changes the very next
//! request; a forged, old, foreign or repeated one changes nothing and is told why.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::identity::Issuer;
use crate::support::client::{Answer, BOTH, Client, Connection, Protocol, whole};
use crate::support::upstream::Upstream;
use crate::support::{GROUND, NOON, Rig};
use crate::upgrades;

const JOURNEYS: &str = concat!(
    include_str!("support/journeys/sign_in_of_anybody.toml"),
    r#"
[journeys.balance]
routes = ["GET /balance"]
require = { level = "pwd" }
ladder = [{ at = 0, do = "allow" }]
when_unknown = "step_up"

[journeys.transfer]
routes = ["POST /transfer"]
ladder = [{ at = 0, do = "step_up", level = "mfa" }]
when_unknown = "step_up"
"#
);

pub const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
pub const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";
const SSF: &str = "https://schemas.openid.net/secevent/ssf/event-type/";
const PATH: &str = "/.well-known/weir/events";

fn digest(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A rig that listens to this issuer, once its keys are here.
pub struct Listening {
    pub rig: Rig,
    issuer: Issuer,
    client: Client,
    serial: u64,
    elapsed: Duration,
}

impl Listening {
    async fn start(more: &str) -> Self {
        Self::with(more, &[]).await
    }

    async fn with(more: &str, files: &[(&str, &str)]) -> Self {
        let issuer = Issuer::p256("a");
        let (keys, law) = (String::from_utf8(issuer.document()).unwrap(), law(more));
        let all: Vec<_> = files.iter().copied().chain([("shared_signals.toml", &*law), ("idp.json", &*keys)]).collect();
        let rig = Rig::start(JOURNEYS, Upstream::shop(), &all, |_| {});
        Self::over(rig, issuer).await
    }

    pub async fn over(rig: Rig, issuer: Issuer) -> Self {
        let client = rig.client(Protocol::H1);
        let mut listening = Self { rig, issuer, client, serial: 0, elapsed: Duration::ZERO };
        // Keys come in the background. What asks is a replay after the first time, and so changes nothing.
        let hello = listening.token(&claims("hello", json!({ format!("{SSF}verification"): {"state": "x"} }), None));
        while push(&mut listening.client, &hello).await.status == StatusCode::SERVICE_UNAVAILABLE {
            tokio::task::yield_now().await;
        }
        listening
    }

    fn token(&self, claims: &Value) -> String {
        self.issuer.token_with(&json!({"alg": "ES256", "typ": "secevent+jwt", "kid": "a"}), claims)
    }

    /// Sends one event about this subject, and sees that it is taken.
    pub async fn tell(&mut self, uri: &str, subject: Value, payload: Value) {
        self.serial += 1;
        let mut claims = claims(&format!("e{}", self.serial), json!({ uri: payload }), Some(subject));
        claims["iat"] = json!(NOON.unix_seconds() + self.elapsed.as_secs());
        let token = self.token(&claims);
        let answer = push(&mut self.client, &token).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{uri}: {}", answer.text());
        assert!(answer.body.is_empty());
    }

    fn advance(&mut self, seconds: u64) {
        self.rig.advance(Duration::from_secs(seconds));
        self.elapsed += Duration::from_secs(seconds);
    }

    fn metric(&self, line: &str) -> bool {
        self.rig.weir().telemetry.text().lines().any(|known| known == line)
    }
}

/// What makes Weir listen to the issuer.
pub fn law(more: &str) -> String {
    format!(
        "[shared_signals.idp]\nissuer = \"https://id.example\"\njwks = \"file:idp.json\"\naudience = \"weir\"\n{more}\n"
    )
}

fn claims(id: &str, events: Value, subject: Option<Value>) -> Value {
    let mut claims = json!({
        "iss": "https://id.example", "aud": "weir", "iat": NOON.unix_seconds(), "jti": id, "events": events,
    });
    if let Some(subject) = subject {
        claims["sub_id"] = subject;
    }
    claims
}

pub fn email(name: &str) -> Value {
    json!({"format": "email", "email": name})
}

async fn push(client: &mut Client, token: &str) -> Answer {
    client.send("POST", PATH, &[("content-type", "application/secevent+jwt")], token).await
}

async fn sign_in(client: &mut Client, name: &str) -> Answer {
    client.post("/login", &format!("email={name}&password=right")).await
}

/// A customer who is signed in, on one connection that stays open.
struct Customer {
    client: Client,
    connection: Connection,
}

impl Customer {
    async fn sign_in(rig: &Rig, protocol: Protocol, name: &str) -> Self {
        let mut client = rig.client(protocol);
        assert_eq!(sign_in(&mut client, name).await.status, StatusCode::SEE_OTHER);
        let connection = client.connect().await;
        Self { client, connection }
    }

    async fn ask(&mut self, method: &str, path: &str) -> Answer {
        let request = self.client.request(method, path, &[], "");
        whole(self.connection.send(request).await.unwrap()).await
    }

    async fn balance(&mut self) -> StatusCode {
        self.ask("GET", "/balance").await.status
    }
}

#[tokio::test]
async fn a_revoked_session_is_over_with_the_very_next_request_on_an_open_connection() {
    for protocol in BOTH {
        let mut idp = Listening::start("").await;
        let mut ada = Customer::sign_in(&idp.rig, protocol, "ada@shop.example").await;
        let mut eve = Customer::sign_in(&idp.rig, protocol, "eve@shop.example").await;
        assert_eq!((ada.balance().await, eve.balance().await), (StatusCode::OK, StatusCode::OK));
        let revoked = format!("{CAEP}session-revoked");
        let at = NOON.unix_millis();
        idp.tell(&revoked, email("Ada@Shop.example"), json!({ "event_timestamp": at })).await;
        assert_eq!((ada.balance().await, eve.balance().await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
        ada.ask("GET", "/about").await;
        assert!(!idp.rig.upstream.last().header("cookie").contains("sid="), "its cookie goes nowhere any more");
        ada.ask("POST", "/verify").await;
        assert!(!idp.rig.upstream.last().header("cookie").contains("sid="), "no proof brings it back");
        assert_eq!(ada.balance().await, StatusCode::UNAUTHORIZED);
        idp.advance(1);
        assert_eq!(sign_in(&mut ada.client, "ada@shop.example").await.status, StatusCode::SEE_OTHER);
        assert_eq!(ada.balance().await, StatusCode::OK, "who signs in anew is served");
    }
}

#[tokio::test]
async fn one_session_can_end_alone() {
    let mut idp = Listening::start("").await;
    let mut desk = Customer::sign_in(&idp.rig, Protocol::H1, "ada@shop.example").await;
    let mut phone = Customer::sign_in(&idp.rig, Protocol::H2, "ada@shop.example").await;
    let sid = |customer: &Customer| customer.client.cookies.iter().find(|(name, _)| name == "sid").unwrap().1.clone();
    let one = json!({"format": "complex", "user": email("ada@shop.example"), "session": {"format": "opaque", "id": sid(&desk)}});
    idp.tell(&format!("{CAEP}session-revoked"), one, json!({})).await;
    assert_eq!((desk.balance().await, phone.balance().await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    idp.tell(&format!("{CAEP}session-revoked"), json!({"format": "opaque", "id": sid(&phone)}), json!({})).await;
    assert_eq!(phone.balance().await, StatusCode::UNAUTHORIZED, "an opaque subject that is no account is a session");
}

#[tokio::test]
async fn a_shut_account_is_no_more_and_strangers_are_not_told() {
    for protocol in BOTH {
        let mut idp = Listening::start("").await;
        let mut ada = Customer::sign_in(&idp.rig, protocol, "ada@shop.example").await;
        idp.tell(&format!("{RISC}account-disabled"), email("ada@shop.example"), json!({"reason": "hijacking"})).await;
        assert_eq!(ada.balance().await, StatusCode::UNAUTHORIZED);
        idp.advance(60);

        let mut stranger = idp.rig.client(protocol);
        let guess = |name: &str| format!("email={name}&password=wrong");
        let shut = stranger.post("/login", &guess("ada@shop.example")).await;
        let other = stranger.post("/login", &guess("nobody@shop.example")).await;
        assert_eq!((shut.status, &shut.body), (other.status, &other.body), "a wrong password tells nothing");

        let mut owner = idp.rig.client(protocol);
        let answer = sign_in(&mut owner, "ada@shop.example").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.exits().contains(&"contact".to_owned()), "{}", answer.text());
        assert!(!owner.cookies.iter().any(|(name, _)| name == "sid"), "no session is handed out");

        idp.tell(
            &format!("{RISC}account-enabled"),
            email("ada@shop.example"),
            json!({"event_timestamp": NOON.unix_seconds() + 50}),
        )
        .await;
        assert_eq!(sign_in(&mut owner, "ada@shop.example").await.status, StatusCode::SEE_OTHER);
        assert_eq!(owner.get("/balance").await.status, StatusCode::OK);
        assert_eq!(ada.balance().await, StatusCode::UNAUTHORIZED, "what began before stays over");
    }
}

#[tokio::test]
async fn a_lowered_assurance_asks_for_the_proof_anew() {
    let mut idp = Listening::start("").await;
    let mut ada = Customer::sign_in(&idp.rig, Protocol::H1, "ada@shop.example").await;
    assert_eq!(ada.client.post("/verify", "code=right").await.status, StatusCode::SEE_OTHER);
    assert_eq!(ada.ask("POST", "/transfer").await.status, StatusCode::OK);
    for (uri, payload) in [
        (
            format!("{CAEP}assurance-level-change"),
            json!({"namespace": "NIST-AAL", "current_level": "nist-aal1", "change_direction": "decrease"}),
        ),
        (
            format!("{CAEP}device-compliance-change"),
            json!({"current_status": "not-compliant", "previous_status": "compliant"}),
        ),
    ] {
        idp.tell(&uri, email("ada@shop.example"), payload).await;
        assert_eq!(ada.ask("POST", "/transfer").await.status, StatusCode::UNAUTHORIZED, "{uri}");
        assert_eq!(ada.balance().await, StatusCode::OK, "the password is still right");
        idp.advance(1);
        assert_eq!(ada.client.post("/verify", "code=right").await.status, StatusCode::SEE_OTHER);
        assert_eq!(ada.ask("POST", "/transfer").await.status, StatusCode::OK);
    }
    let raised = json!({"namespace": "NIST-AAL", "current_level": "nist-aal3", "change_direction": "increase"});
    let mut eve = Customer::sign_in(&idp.rig, Protocol::H1, "eve@shop.example").await;
    idp.tell(&format!("{CAEP}assurance-level-change"), email("eve@shop.example"), raised).await;
    assert_eq!(eve.ask("POST", "/transfer").await.status, StatusCode::UNAUTHORIZED, "no event proves anything");
}

#[tokio::test]
async fn what_is_not_an_event_from_who_it_says_is_refused_with_the_right_word() {
    let secret = format!("token_sha256 = \"{}\"", digest("let me in"));
    let other = Issuer::ed25519("b");
    let files = [
        ("other.json", String::from_utf8(other.document()).unwrap()),
        (
            "other.toml",
            "[shared_signals.mail]\nissuer = \"https://mail.example\"\njwks = \"file:other.json\"\naudience = \"weir\"\n"
                .to_owned(),
        ),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, &**text)).collect();
    let idp = Listening::with("", &files).await;
    let mut ada = Customer::sign_in(&idp.rig, Protocol::H1, "ada@shop.example").await;
    let good = || claims("x", json!({ format!("{CAEP}session-revoked"): {} }), Some(email("ada@shop.example")));
    let with = |name: &str, value: Value| {
        let mut claims = good();
        claims[name] = value;
        idp.token(&claims)
    };
    let without = |name: &str| {
        let mut claims = good();
        claims.as_object_mut().unwrap().remove(name);
        idp.token(&claims)
    };
    let headed = |head: Value| idp.issuer.token_with(&head, &good());
    let whole = idp.token(&good());
    let parts: Vec<&str> = whole.split('.').collect();
    let now = NOON.unix_seconds();
    let oversized = format!("{}.{}", "x".repeat(66_000), whole);
    let stranger = Issuer::p256("a");
    let mut foreign = good();
    foreign["iss"] = json!("https://mail.example");
    let cases: Vec<(&str, &str, String)> = vec![
        ("invalid_request", "nothing", String::new()),
        ("invalid_request", "no JWT", "hello".into()),
        ("invalid_request", "cut short in its head", parts[0][1..].to_owned() + "." + parts[1] + "." + parts[2]),
        ("invalid_request", "oversized", oversized),
        ("invalid_request", "an access token", headed(json!({"alg": "ES256", "typ": "at+jwt", "kid": "a"}))),
        ("invalid_request", "no type", headed(json!({"alg": "ES256", "kid": "a"}))),
        (
            "invalid_request",
            "an extension",
            headed(json!({"alg": "ES256", "typ": "secevent+jwt", "kid": "a", "crit": ["x"]})),
        ),
        ("invalid_request", "no identifier", without("jti")),
        ("invalid_request", "no time", without("iat")),
        ("invalid_request", "expired", with("iat", json!(now - 86_401))),
        ("invalid_request", "from the future", with("iat", json!(now + 31))),
        ("invalid_request", "no events", without("events")),
        ("invalid_request", "events that are none", with("events", json!({}))),
        ("invalid_request", "an event that is text", with("events", json!({ "x": "y" }))),
        (
            "invalid_key",
            "a key that nobody publishes",
            headed(json!({"alg": "ES256", "typ": "secevent+jwt", "kid": "z"})),
        ),
        ("invalid_key", "no signature", headed(json!({"alg": "none", "typ": "secevent+jwt", "kid": "a"}))),
        (
            "invalid_key",
            "the public key as a secret",
            headed(json!({"alg": "HS256", "typ": "secevent+jwt", "kid": "secret"})),
        ),
        ("invalid_key", "another algorithm", headed(json!({"alg": "EdDSA", "typ": "secevent+jwt", "kid": "a"}))),
        (
            "invalid_key",
            "forged",
            stranger.token_with(&json!({"alg": "ES256", "typ": "secevent+jwt", "kid": "a"}), &good()),
        ),
        ("invalid_key", "another's name over the own key", idp.token(&foreign)),
        ("invalid_issuer", "a stranger", with("iss", json!("https://evil.example"))),
        ("invalid_issuer", "nobody", without("iss")),
        ("invalid_audience", "for another", with("aud", json!("other"))),
        ("invalid_audience", "for nobody", without("aud")),
    ];
    let mut client = idp.client.clone();
    for (err, what, token) in &cases {
        let mut answer = push(&mut client, token).await;
        while answer.status == StatusCode::SERVICE_UNAVAILABLE {
            // The other transmitter's keys are on their way.
            tokio::task::yield_now().await;
            answer = push(&mut client, token).await;
        }
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.json()["err"], *err, "{what}: {}", answer.text());
        assert!(!answer.json()["description"].as_str().unwrap().is_empty());
    }
    let as_text = client.send("POST", PATH, &[("content-type", "application/jwt")], &whole).await;
    assert_eq!(as_text.json()["err"], "invalid_request");
    assert_eq!(ada.balance().await, StatusCode::OK, "none of them changed anything");

    // With a token of its own, a transmitter must show it, and it opens nothing to another.
    idp.rig.save("shared_signals.toml", &law(&secret));
    let own_door = "[shared_signals.mail]\nissuer = \"https://mail.example\"\njwks = \"file:other.json\"\naudience = \"weir\"\ntoken_sha256 = \"";
    idp.rig.save("other.toml", &format!("{own_door}{}\"\n", digest("mail only")));
    for (err, shown) in [
        ("authentication_failed", ""),
        ("authentication_failed", "Bearer let me out"),
        ("authentication_failed", "Basic let me in"),
        ("access_denied", "Bearer mail only"),
    ] {
        let fields = [("content-type", "application/secevent+jwt"), ("authorization", shown)];
        let answer = client.send("POST", PATH, &fields, &whole).await;
        assert_eq!((answer.status, &answer.json()["err"]), (StatusCode::BAD_REQUEST, &json!(err)), "{shown}");
    }
    assert_eq!(ada.balance().await, StatusCode::OK);
    let fields = [("content-type", "application/secevent+jwt; charset=utf-8"), ("authorization", "bearer let me in")];
    assert_eq!(client.send("POST", PATH, &fields, &whole).await.status, StatusCode::ACCEPTED);
    assert_eq!(ada.balance().await, StatusCode::UNAUTHORIZED);
    for line in idp.rig.stop() {
        let line = line.to_string();
        assert!(!line.contains("ada@") && !line.contains("let me") && !line.contains(parts[1]), "{line}");
    }
}

#[tokio::test]
async fn an_event_is_taken_once() {
    let mut idp = Listening::start("").await;
    let mut ada = Customer::sign_in(&idp.rig, Protocol::H1, "ada@shop.example").await;
    let event = json!({ format!("{RISC}account-disabled"): {} });
    let shut = idp.token(&claims("once", event, Some(email("ada@shop.example"))));
    assert_eq!(push(&mut idp.client, &shut).await.status, StatusCode::ACCEPTED);
    assert_eq!(ada.balance().await, StatusCode::UNAUTHORIZED);
    idp.advance(60);
    let opened = json!({"event_timestamp": NOON.unix_seconds() + 1});
    idp.tell(&format!("{RISC}account-enabled"), email("ada@shop.example"), opened).await;
    assert_eq!(sign_in(&mut ada.client, "ada@shop.example").await.status, StatusCode::SEE_OTHER);
    assert_eq!(
        push(&mut idp.client, &shut).await.status,
        StatusCode::ACCEPTED,
        "the transmitter need not send it again"
    );
    assert_eq!(ada.balance().await, StatusCode::OK);
    assert!(idp.metric("weir_events_total{transmitter=\"idp\",outcome=\"replayed\"} 1"));
}

#[tokio::test]
async fn what_changes_nothing_or_names_nobody_is_taken_and_counted() {
    let mut idp = Listening::start("").await;
    let mut ada = Customer::sign_in(&idp.rig, Protocol::H1, "ada@shop.example").await;
    let ada_sub = || email("ada@shop.example");
    for event in ["token-claims-change", "session-presented"] {
        idp.tell(&format!("{CAEP}{event}"), ada_sub(), json!({})).await;
    }
    for event in ["opt-in", "opt-out-effective", "identifier-changed"] {
        idp.tell(&format!("{RISC}{event}"), ada_sub(), json!({})).await;
    }
    let factor = json!({"credential_type": "fido2-platform", "change_type": "create"});
    idp.tell(&format!("{CAEP}credential-change"), ada_sub(), factor).await;
    idp.tell(&format!("{CAEP}risk-level-change"), ada_sub(), json!({"principal": "TENANT", "current_level": "HIGH"}))
        .await;
    idp.tell("https://example.com/event", ada_sub(), json!({})).await;
    let revoked = format!("{CAEP}session-revoked");
    for nobody in [
        json!({"format": "did", "url": "did:example:1"}),
        json!({"format": "phone_number", "phone_number": "+15550100"}),
        json!({"format": "iss_sub", "iss": "https://id.example", "sub": "4711"}),
        json!({"format": "account", "uri": "ada@shop.example"}),
        json!({"format": "email"}),
        json!({"format": "email", "email": ["ada@shop.example"]}),
        json!({"format": "complex", "device": {"format": "opaque", "id": "d1"}}),
        json!("ada@shop.example"),
        json!(null),
    ] {
        idp.tell(&revoked, nobody, json!({})).await;
    }
    assert_eq!(ada.balance().await, StatusCode::OK);
    for (outcome, count) in [("ignored", 8), ("unknown", 1), ("unmatched", 9)] {
        let line = format!("weir_events_total{{transmitter=\"idp\",outcome=\"{outcome}\"}} {count}");
        assert!(idp.metric(&line), "{line}\n{}", idp.rig.weir().telemetry.text());
    }
    idp.tell(
        &revoked,
        json!({"format": "aliases", "identifiers": [{"format": "did", "url": "x"}, ada_sub()]}),
        json!({}),
    )
    .await;
    assert_eq!(ada.balance().await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_runaway_transmitter_does_not_sign_everybody_out() {
    let mut idp = Listening::start("may_take = \"3/min\"").await;
    let mut customers = Vec::new();
    for n in 0..6 {
        customers.push(Customer::sign_in(&idp.rig, Protocol::H1, &format!("c{n}@shop.example")).await);
    }
    let revoked = format!("{CAEP}session-revoked");
    for n in 0..6 {
        idp.tell(&revoked, email(&format!("c{n}@shop.example")), json!({})).await;
    }
    let mut served = Vec::new();
    for customer in &mut customers {
        served.push(customer.balance().await == StatusCode::OK);
    }
    assert_eq!(served, [false, false, false, true, true, true]);
    assert!(idp.metric("weir_events_total{transmitter=\"idp\",outcome=\"held\"} 3"));
    // They wait their turn ...
    idp.advance(20);
    idp.tell(&format!("{SSF}verification"), json!(null), json!({})).await;
    assert_eq!(customers[3].balance().await, StatusCode::UNAUTHORIZED);
    assert_eq!(customers[4].balance().await, StatusCode::OK);
    // ... and are gone with a transmitter that is not believed any more.
    idp.rig.save("shared_signals.toml", "");
    while idp.rig.weir().telemetry.text().contains("weir_events_held{") {
        tokio::task::yield_now().await;
    }
    idp.advance(3600);
    assert_eq!(customers[4].balance().await, StatusCode::OK);
    assert_eq!(customers[3].balance().await, StatusCode::UNAUTHORIZED, "what was applied stays");
    assert_eq!(push(&mut idp.client, "x").await.status, StatusCode::OK, "the path is nothing special any more");
}

#[tokio::test]
async fn a_silent_transmitter_is_noticed() {
    let mut idp = Listening::start("expected_every = \"1h\"").await;
    let up = |idp: &Listening, value: i64| idp.rig.weir().telemetry.gauges.events_up.value() == value;
    while !up(&idp, 1) {
        tokio::task::yield_now().await;
    }
    idp.advance(3601);
    while !up(&idp, 0) {
        tokio::task::yield_now().await;
    }
    assert!(idp.metric("weir_signal_up{signal=\"events\"} 0"));
    let now = NOON.unix_seconds() + 3601;
    let mut fresh = claims("later", json!({ format!("{SSF}verification"): {} }), None);
    fresh["iat"] = json!(now);
    let fresh = idp.token(&fresh);
    assert_eq!(push(&mut idp.client, &fresh).await.status, StatusCode::ACCEPTED);
    while !up(&idp, 1) {
        tokio::task::yield_now().await;
    }
    assert!(idp.metric(&format!("weir_events_last_timestamp_seconds{{transmitter=\"idp\"}} {now}")));
}

#[tokio::test]
async fn events_are_taken_on_their_own_host_alone() {
    let mut idp = Listening::start("").await;
    let elsewhere = [("content-type", "application/secevent+jwt"), ("host", "unknown.example")];
    let nobody = idp.client.send("POST", PATH, &elsewhere, "x").await;
    assert_eq!(nobody.status, StatusCode::MISDIRECTED_REQUEST, "without hosts, those that are served");
    idp.rig.save("shared_signals.toml", &law("hosts = [\"events.example\"]"));
    let mut ada = Customer::sign_in(&idp.rig, Protocol::H1, "ada@shop.example").await;
    let token =
        idp.token(&claims("h", json!({ format!("{CAEP}session-revoked"): {} }), Some(email("ada@shop.example"))));
    assert_eq!(push(&mut idp.client, &token).await.status, StatusCode::OK, "the application's own");
    assert_eq!(ada.balance().await, StatusCode::OK);
    let fields = [("content-type", "application/secevent+jwt"), ("host", "events.example")];
    assert_eq!(idp.client.send("POST", PATH, &fields, &token).await.status, StatusCode::ACCEPTED);
    assert_eq!(ada.balance().await, StatusCode::UNAUTHORIZED);
    assert_eq!(idp.client.send("GET", PATH, &fields, "").await.status, StatusCode::MISDIRECTED_REQUEST);
}

/// Identity by tokens of the same issuer.
fn by_token() -> String {
    let (_, ground) = GROUND.iter().find(|(name, _)| *name == "identity.toml").unwrap();
    let jwt = r#"{ jwt = { jwks = "file:idp.json", issuer = "https://id.example", audience = "shop", account_claim = "email" }, ends_on = ["POST /logout"] }"#;
    ground.replace(r#"{ session_cookie = "sid", ends_on = ["POST /logout"] }"#, jwt)
}

fn access(session: &str, issued: u64, proved: u64) -> Value {
    json!({
        "iss": "https://id.example", "aud": "shop", "sub": "4711", "email": "ada@shop.example", "sid": session,
        "exp": NOON.unix_seconds() + 7200, "iat": issued, "auth_time": proved, "acr": "pwd",
    })
}

async fn bearing(client: &mut Client, method: &str, path: &str, token: &str) -> Answer {
    client.send(method, path, &[("authorization", &format!("Bearer {token}"))], "").await
}

#[tokio::test]
async fn tokens_end_with_their_session_and_with_all_of_their_account() {
    for protocol in BOTH {
        let identity = by_token();
        let mut idp = Listening::with("", &[("identity.toml", &identity)]).await;
        let mut client = idp.rig.client(protocol);
        let now = NOON.unix_seconds();
        let token = |idp: &Listening, session: &str, issued, proved| idp.issuer.token(&access(session, issued, proved));
        let (one, two) = (token(&idp, "s1", now - 10, now - 60), token(&idp, "s2", now - 10, now - 60));
        for token in [&one, &two] {
            assert_eq!(bearing(&mut client, "GET", "/balance", token).await.status, StatusCode::OK);
        }
        let session = json!({"format": "complex", "user": email("ada@shop.example"), "session": {"format": "opaque", "id": "s1"}});
        idp.tell(&format!("{CAEP}session-revoked"), session, json!({})).await;
        let dead = bearing(&mut client, "GET", "/balance", &one).await;
        assert_eq!(dead.status, StatusCode::UNAUTHORIZED);
        assert!(dead.header("www-authenticate").contains("invalid_token"), "{}", dead.header("www-authenticate"));
        assert_eq!(bearing(&mut client, "GET", "/about", &one).await.status, StatusCode::OK);
        assert_eq!(idp.rig.upstream.last().header("authorization"), "", "what no journey guards does not see it");
        assert_eq!(bearing(&mut client, "GET", "/balance", &two).await.status, StatusCode::OK);

        assert_eq!(bearing(&mut client, "POST", "/logout", &two).await.status, StatusCode::OK);
        assert_eq!(bearing(&mut client, "GET", "/balance", &two).await.status, StatusCode::UNAUTHORIZED, "signed out");

        let three = token(&idp, "s3", now - 10, now - 60);
        assert_eq!(bearing(&mut client, "GET", "/balance", &three).await.status, StatusCode::OK);
        idp.tell(&format!("{RISC}sessions-revoked"), email("ada@shop.example"), json!({})).await;
        assert_eq!(bearing(&mut client, "GET", "/balance", &three).await.status, StatusCode::UNAUTHORIZED);
        idp.advance(5);
        let refreshed = token(&idp, "s3", now + 4, now - 60);
        assert_eq!(
            bearing(&mut client, "GET", "/balance", &refreshed).await.status,
            StatusCode::UNAUTHORIZED,
            "a fresh token of an old sign-in is an old session"
        );
        let anew = token(&idp, "s4", now + 4, now + 4);
        assert_eq!(bearing(&mut client, "GET", "/balance", &anew).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_tunnel_ends_with_its_session_wherever_that_was_revoked() {
    let issuer = Issuer::p256("a");
    let (keys, law) = (String::from_utf8(issuer.document()).unwrap(), law(""));
    let (rig, live) = upgrades::rig(&[("shared_signals.toml", &law), ("idp.json", &keys)]).await;
    let mut idp = Listening::over(rig, issuer).await;
    let mut customer = idp.rig.client(Protocol::H1);
    assert_eq!(sign_in(&mut customer, "ann@example.com").await.status, StatusCode::SEE_OTHER);
    let mut sockets = Vec::new();
    for client in upgrades::ways(&idp.rig) {
        sockets.push(upgrades::open(&client, "/chat", "sid=s-1").await.unwrap().1);
    }
    let mut other = upgrades::open(&idp.rig.clear_client(), "/chat", "sid=another").await.unwrap().1;
    for socket in sockets.iter_mut().chain([&mut other]) {
        upgrades::echoes(socket, "hello").await;
    }
    idp.tell(&format!("{CAEP}session-revoked"), email("ann@example.com"), json!({})).await;
    for socket in &mut sockets {
        upgrades::is_over(socket).await;
    }
    live.ended(3).await;
    upgrades::echoes(&mut other, "still here").await;
}

#[tokio::test]
async fn what_was_revoked_stays_so_over_a_restart_and_no_event_is_taken_again() {
    let data = tempfile::tempdir().unwrap();
    let issuer = Issuer::p256("a");
    let (keys, law) = (String::from_utf8(issuer.document()).unwrap(), law(""));
    let start = || {
        let files = [("shared_signals.toml", &*law), ("idp.json", &*keys)];
        Rig::start(JOURNEYS, Upstream::shop(), &files, |options| options.data = Some(data.path().join("data")))
    };
    let mut idp = Listening::over(start(), issuer).await;
    let mut customers = Vec::new();
    for name in ["ada@shop.example", "eve@shop.example", "ann@shop.example"] {
        customers.push(Customer::sign_in(&idp.rig, Protocol::H1, name).await.client.cookies);
    }
    let sid = |cookies: &[(String, String)]| cookies.iter().find(|(name, _)| name == "sid").unwrap().1.clone();
    let revoked = format!("{CAEP}session-revoked");
    idp.tell(&revoked, email("ada@shop.example"), json!({})).await;
    idp.tell(&revoked, json!({"format": "opaque", "id": sid(&customers[1])}), json!({})).await;
    let Listening { rig, issuer, .. } = idp;
    rig.stop();

    let idp = Listening::over(start(), issuer).await;
    assert!(idp.metric("weir_events_total{transmitter=\"idp\",outcome=\"replayed\"} 1"), "it was taken before");
    let mut served = Vec::new();
    for cookies in customers {
        let mut client = idp.rig.client(Protocol::H2);
        client.cookies = cookies;
        served.push(client.get("/balance").await.status);
    }
    assert_eq!(served, [StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED, StatusCode::OK]);
}
