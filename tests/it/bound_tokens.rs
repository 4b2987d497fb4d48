//! Tokens that are bound to a key (DPoP, RFC 9449) or to a certificate (RFC 8705): worth something only with the key shown on
//! this very request, and never merely less without it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use http::StatusCode;
use rcgen::DnType;
use serde_json::{Value, json};

use crate::classes::{Authority, with_clients};
use crate::identity::Issuer;
use crate::support::client::{Answer, BOTH, Client, Protocol};
use crate::support::upstream::Upstream;
use crate::support::{GROUND, NOON, Rig};

const JOURNEYS: &str = r#"
[journeys.balance]
routes = ["GET /balance"]
require = { level = "pwd" }
ladder = [{ at = 0, do = "allow" }]
when_unknown = "step_up"
"#;

fn identity(more: &str) -> String {
    let (_, ground) = GROUND.iter().find(|(name, _)| *name == "identity.toml").unwrap();
    let jwt = r#"{ jwt = { jwks = "file:keys.json", issuer = "https://id.example", audience = "shop", account_claim = "email" } }"#;
    ground
        .replace(r#"{ session_cookie = "sid", ends_on = ["POST /logout"] }"#, jwt)
        .replace("[identity]\n", &format!("[identity]\n{more}\n"))
}

fn claims(cnf: Value) -> Value {
    let now = NOON.unix_seconds();
    json!({
        "iss": "https://id.example", "aud": "shop", "sub": "4711", "email": "ada@shop.example", "sid": "s1",
        "exp": now + 7200, "iat": now, "auth_time": now - 60, "acr": "pwd", "cnf": cnf,
    })
}

fn sha256(bytes: &[u8]) -> String {
    B64.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes))
}

/// A client's own key.
struct Key {
    signer: Issuer,
    algorithm: &'static str,
}

impl Key {
    fn p256() -> Self {
        Self { signer: Issuer::p256("own"), algorithm: "ES256" }
    }

    fn ed25519() -> Self {
        Self { signer: Issuer::ed25519("own"), algorithm: "EdDSA" }
    }

    /// RFC 7638, written out: the members that a thumbprint is made of, in order.
    fn thumbprint(&self) -> String {
        let text = |name: &str| self.signer.jwk[name].as_str().unwrap().to_owned();
        let canonical = match self.algorithm {
            "ES256" => format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text("x"), text("y")),
            _ => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text("x")),
        };
        sha256(canonical.as_bytes())
    }

    fn head(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.signer.jwk})
    }

    fn proof(&self, claims: &Value) -> String {
        self.signer.token_with(&self.head(), claims)
    }
}

struct Bench {
    rig: Rig,
    issuer: Issuer,
}

impl Bench {
    async fn start(more: &str, adjust: impl FnOnce(&mut weir::app::Options)) -> Self {
        Self::with(JOURNEYS, Upstream::shop(), more, adjust).await
    }

    async fn with(
        journeys: &str,
        upstream: Upstream,
        more: &str,
        adjust: impl FnOnce(&mut weir::app::Options),
    ) -> Self {
        let issuer = Issuer::ed25519("a");
        let keys = String::from_utf8(issuer.document()).unwrap();
        let identity = identity(more);
        let files = [("identity.toml", &*identity), ("keys.json", &*keys)];
        let rig = Rig::start(journeys, upstream, &files, adjust);
        let bench = Self { rig, issuer };
        while bench.rig.weir().telemetry.gauges.jwks_up.value() != 1 {
            tokio::task::yield_now().await;
        }
        bench
    }
}

/// Where the client's requests go, as an app writes it.
fn address(bench: &Bench, path: &str) -> String {
    format!("https://{}{path}", bench.rig.weir().addresses[0])
}

fn about(bench: &Bench, id: &str, token: &str) -> Value {
    json!({
        "jti": id, "htm": "GET", "htu": address(bench, "/balance"), "iat": NOON.unix_seconds(),
        "ath": sha256(token.as_bytes()),
    })
}

async fn show(client: &mut Client, scheme: &str, token: &str, proofs: &[&str]) -> Answer {
    let authorization = format!("{scheme} {token}");
    let mut fields = vec![("authorization", &*authorization)];
    fields.extend(proofs.iter().map(|proof| ("dpop", *proof)));
    client.send("GET", "/balance", &fields, "").await
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_key_is_good_with_a_proof_for_this_request_once() {
    for (protocol, key) in BOTH.into_iter().zip([Key::p256(), Key::ed25519()]) {
        let bench = Bench::start("", |_| {}).await;
        let mut client = bench.rig.client(protocol);
        let token = bench.issuer.token(&claims(json!({"jkt": key.thumbprint()})));
        let proof = key.proof(&about(&bench, "p1", &token));
        assert_eq!(show(&mut client, "DPoP", &token, &[&proof]).await.status, StatusCode::OK);
        assert_eq!(bench.rig.upstream.last().header("dpop"), proof, "the application may check it too");
        let again = show(&mut client, "dpop", &token, &[&proof]).await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED, "a proof is good once");
        assert!(again.header("www-authenticate").starts_with("DPoP error=\"invalid_dpop_proof\", algs=\""));
        let fresh = key.proof(&about(&bench, "p2", &token));
        assert_eq!(show(&mut client, "dpop", &token, &[&fresh]).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_a_bound_token_leaves_on_its_device_is_bound_to_the_same_key() {
    const LAW: &str = r#"
[journeys.balance]
routes = ["GET /balance"]
ladder = [{ at = 40, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
view_line = 40
contained = "read_only"
when_unknown = "handoff"
snapshot = { even_if = ["no-store"] }
"#;
    let upstream = Upstream::answering(|_| {
        let mut answer = http::Response::new(http_body_util::Full::new(bytes::Bytes::from_static(b"{\"sum\":7}")));
        answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
        answer.headers_mut().insert("cache-control", "no-store".parse().unwrap());
        answer
    });
    let mut bench = Bench::with(LAW, upstream, "", |_| {}).await;
    let (key, thief) = (Key::p256(), Key::p256());
    let token = bench.issuer.token(&claims(json!({"jkt": key.thumbprint()})));
    let mut ada = bench.rig.client(Protocol::H1);
    let live = show(&mut ada, "DPoP", &token, &[&key.proof(&about(&bench, "p1", &token))]).await;
    assert_eq!(live.status, StatusCode::OK);
    assert!(ada.cookies.iter().any(|(name, value)| name == "__Host-weir-pass" && !value.is_empty()), "{live:?}");
    bench.rig.weir().snapshots.settle();
    bench.rig.upstream.go();
    // The token has run out, and nobody gives out another.
    bench.rig.advance(Duration::from_secs(3 * 3600));
    let later = |id: &str| {
        let mut about = about(&bench, id, &token);
        about["iat"] = json!(NOON.unix_seconds() + 3 * 3600);
        about
    };
    let (own, strange) = (key.proof(&later("p2")), thief.proof(&later("p3")));
    let kept = |answer: &Answer| answer.status == StatusCode::OK && !answer.header("weir-as-of").is_empty();
    for _ in 0..2 {
        // Nothing says yet that the application is away: it is asked by nobody whose token is not believed.
        let without = show(&mut ada.clone(), "Bearer", &token, &[]).await;
        assert!(!kept(&without), "{without:?}");
    }
    fail(&bench).await;
    assert!(!kept(&show(&mut ada.clone(), "DPoP", &token, &[&strange]).await), "another's key");
    assert!(!kept(&show(&mut ada.clone(), "DPoP", &token, &[]).await), "no key");
    let shown = show(&mut ada.clone(), "DPoP", &token, &[&own]).await;
    assert!(kept(&shown), "{shown:?}");
    assert!(!kept(&show(&mut ada.clone(), "DPoP", &token, &[&own]).await), "a proof is good once");
}

/// Somebody whose token holds finds that the application is away.
async fn fail(bench: &Bench) {
    let now = NOON.unix_seconds() + 3 * 3600;
    let key = Key::p256();
    let mut other = claims(json!({"jkt": key.thumbprint()}));
    (other["exp"], other["email"]) = (json!(now + 600), json!("bob@shop.example"));
    let token = bench.issuer.token(&other);
    let mut about = about(bench, "b1", &token);
    about["iat"] = json!(now);
    for turn in 0..3 {
        about["jti"] = json!(format!("b{turn}"));
        let answer = show(&mut bench.rig.client(Protocol::H1), "DPoP", &token, &[&key.proof(&about)]).await;
        assert!(answer.status.is_server_error(), "{answer:?}");
        bench.rig.advance(Duration::from_secs(3));
    }
}

#[tokio::test]
async fn a_bound_token_without_its_key_is_worth_nothing() {
    let bench = Bench::start("", |_| {}).await;
    let (key, thief) = (Key::p256(), Key::p256());
    let token = bench.issuer.token(&claims(json!({"jkt": key.thumbprint()})));
    let other = bench.issuer.token(&claims(json!({"jkt": key.thumbprint(), "x": 1})));
    let with = |name: &str, value: Value| {
        let mut claims = about(&bench, "p", &token);
        claims[name] = value;
        key.proof(&claims)
    };
    let good = || about(&bench, "p", &token);
    let headed = |change: &dyn Fn(&mut Value)| {
        let mut head = key.head();
        change(&mut head);
        key.signer.token_with(&head, &good())
    };
    let now = NOON.unix_seconds();
    let proof = key.proof(&good());
    let parts: Vec<&str> = proof.split('.').collect();
    let proofs = [
        ("another key", thief.proof(&good())),
        ("the key's name over another's signature", thief.signer.token_with(&key.head(), &good())),
        ("another method", with("htm", json!("POST"))),
        ("another path", with("htu", json!(address(&bench, "/balance/")))),
        ("another host", with("htu", json!("https://evil.example/balance"))),
        ("clear text", with("htu", json!(address(&bench, "/balance").replace("https", "http")))),
        ("too old", with("iat", json!(now - 301))),
        ("from the future", with("iat", json!(now + 31))),
        ("no time", with("iat", json!(null))),
        ("no identifier", with("jti", json!(""))),
        ("another token", with("ath", json!(sha256(other.as_bytes())))),
        ("no token", with("ath", json!(null))),
        ("another kind", headed(&|head| head["typ"] = json!("jwt"))),
        ("no kind", headed(&|head| drop(head.as_object_mut().unwrap().remove("typ")))),
        ("no key", headed(&|head| drop(head.as_object_mut().unwrap().remove("jwk")))),
        ("a key with its secret", headed(&|head| head["jwk"]["d"] = json!("c2VjcmV0"))),
        ("a shared secret", headed(&|head| head["jwk"] = json!({"kty": "oct", "k": "c2VjcmV0"}))),
        ("no algorithm", headed(&|head| head["alg"] = json!("none"))),
        ("a secret's algorithm", headed(&|head| head["alg"] = json!("HS256"))),
        ("another key's algorithm", headed(&|head| head["alg"] = json!("EdDSA"))),
        ("an extension", headed(&|head| head["crit"] = json!(["x"]))),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("nonsense", "x.y.z".to_owned()),
        ("too long", format!("{}{}", "x".repeat(9_000), parts[2])),
    ];
    let mut client = bench.rig.client(Protocol::H1);
    let before = bench.rig.upstream.seen().len();
    for (what, proof) in &proofs {
        let answer = show(&mut client, "DPoP", &token, &[proof]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
        assert!(answer.header("www-authenticate").contains("invalid_dpop_proof"), "{what}");
    }
    let none = show(&mut client, "DPoP", &token, &[]).await;
    assert!(none.header("www-authenticate").contains("invalid_dpop_proof"));
    let two = show(&mut client, "DPoP", &token, &[&proof, &proof]).await;
    assert!(two.header("www-authenticate").contains("invalid_dpop_proof"));
    let bare = show(&mut client, "Bearer", &token, &[&proof]).await;
    assert_eq!(bare.status, StatusCode::UNAUTHORIZED, "a bound token is not brought like any other");
    assert!(bare.header("www-authenticate").starts_with("DPoP error=\"invalid_token\""));
    let unbound = bench.issuer.token(&claims(json!(null)));
    assert_eq!(show(&mut client, "Bearer", &unbound, &[]).await.status, StatusCode::UNAUTHORIZED);
    let unclear = bench.issuer.token(&claims(json!({"kid": "own"})));
    assert_eq!(show(&mut client, "Bearer", &unclear, &[]).await.status, StatusCode::UNAUTHORIZED);
    let mut free = claims(json!(null));
    free.as_object_mut().unwrap().remove("cnf");
    let free = bench.issuer.token(&free);
    let claimed = show(&mut client, "DPoP", &free, &[&key.proof(&about(&bench, "q", &free))]).await;
    assert_eq!(claimed.status, StatusCode::UNAUTHORIZED, "what is not bound cannot be brought as bound");
    assert_eq!(bench.rig.upstream.seen().len(), before, "nothing went on");
    assert_eq!(show(&mut client, "Bearer", &free, &[]).await.status, StatusCode::OK);
    assert_eq!(show(&mut client, "DPoP", &token, &[&proof]).await.status, StatusCode::OK, "none of them used it up");
    for line in bench.rig.stop() {
        assert!(!line.to_string().contains(parts[1]), "{line}");
    }
}

#[tokio::test]
async fn behind_a_proxy_a_proof_is_for_the_address_that_the_client_sees() {
    let bench = Bench::start("trusted_proxies = [\"127.0.0.0/8\"]", |_| {}).await;
    let key = Key::p256();
    let token = bench.issuer.token(&claims(json!({"jkt": key.thumbprint()})));
    let mut proxy = bench.rig.clear_client();
    let mut made = about(&bench, "p", &token);
    made["htu"] = json!("https://shop.example/balance");
    let (authorization, proof) = (format!("DPoP {token}"), key.proof(&made));
    let fields = [
        ("host", "shop.example"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("authorization", &*authorization),
        ("dpop", &*proof),
    ];
    assert_eq!(proxy.send("GET", "/balance", &fields, "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_is_good_on_a_connection_that_showed_it() {
    let authority = Authority::new("Shop apps");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clients.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let bench = Bench::start("", with_clients(false, file)).await;
    let named = [(DnType::CommonName, "app")];
    let (own, other) = (authority.vouch(&named), authority.vouch(&named));
    let token = bench.issuer.token(&claims(json!({"x5t#S256": sha256(&own.0)})));
    for (shown, expected) in
        [(Some(own), StatusCode::OK), (Some(other), StatusCode::UNAUTHORIZED), (None, StatusCode::UNAUTHORIZED)]
    {
        let client = bench.rig.client(Protocol::H2);
        let mut client = match shown {
            Some((certificate, key)) => client.showing(certificate, key),
            None => client,
        };
        let answer = show(&mut client, "Bearer", &token, &[]).await;
        assert_eq!(answer.status, expected);
        if expected != StatusCode::OK {
            assert!(answer.header("www-authenticate").contains("Bearer error=\"invalid_token\""));
        }
    }
}
