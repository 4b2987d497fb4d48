//! Bearer tokens at the whole gateway, with real keys: from a file, from a server, rotated, gone; and every forgery there is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

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

[journeys.transfer]
routes = ["POST /transfer"]
ladder = [{ at = 0, do = "step_up", level = "mfa", max_age = "10m" }]
when_unknown = "step_up"

[journeys.close]
routes = ["POST /close"]
require = { level = "phr" }
ladder = [{ at = 0, do = "allow" }]
when_unknown = "handoff"

[journeys.order_status]
routes = ["GET /order-status"]
ladder = [{ at = 0, do = "allow" }]
"#;

/// Identity by the tokens of an issuer whose keys are there.
fn identity(keys: &str) -> String {
    let (_, ground) = GROUND.iter().find(|(name, _)| *name == "identity.toml").unwrap();
    let jwt = format!(
        r#"{{ jwt = {{ jwks = "{keys}", issuer = "https://id.example", audience = "shop", account_claim = "email" }} }}"#
    );
    ground.replace(r#"{ session_cookie = "sid", ends_on = ["POST /logout"] }"#, &jwt)
}

fn rig(keys: &str) -> Rig {
    Rig::start(JOURNEYS, Upstream::shop(), &[("identity.toml", &identity(keys))], |_| {})
}

fn claims(acr: &str, proved: Duration) -> Value {
    let now = NOON.unix_seconds();
    json!({
        "iss": "https://id.example", "aud": ["shop"], "sub": "4711", "email": "ada@shop.example", "sid": "s1",
        "exp": now + 3600, "iat": now, "auth_time": now - proved.as_secs(), "acr": acr,
    })
}

fn usual() -> Value {
    claims("pwd", Duration::from_secs(60))
}

async fn ask(client: &mut Client, method: &str, path: &str, token: &str) -> Answer {
    client.send(method, path, &[("authorization", &format!("Bearer {token}"))], "").await
}

/// Asks until the keys are here: they come in the background.
async fn once_known(client: &mut Client, path: &str, token: &str) -> Answer {
    loop {
        let answer = ask(client, "GET", path, token).await;
        if answer.status == StatusCode::OK {
            return answer;
        }
        tokio::task::yield_now().await;
    }
}

/// A rig whose keys lie in a file beside the rules, read already.
async fn with_file(issuer: &Issuer) -> Rig {
    let place = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(place.path(), issuer.document()).unwrap();
    let rig = rig(&format!("file:{}", place.path().display()));
    once_known(&mut rig.client(Protocol::H1), "/balance", &issuer.token(&usual())).await;
    rig
}

#[tokio::test]
async fn a_token_says_who_and_a_step_up_asks_for_a_better_one() {
    let issuer = Issuer::ed25519("a");
    let rig = with_file(&issuer).await;
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        let weak = ask(&mut client, "POST", "/transfer", &issuer.token(&claims("pwd", minute))).await;
        assert_eq!(weak.status, StatusCode::UNAUTHORIZED);
        let challenge = weak.header("www-authenticate");
        assert!(challenge.contains("insufficient_user_authentication"), "{challenge}");
        assert!(challenge.contains("acr_values=\"urn:weir:aal2\"") && !challenge.contains("max_age"), "{challenge}");
        let old = ask(&mut client, "POST", "/transfer", &issuer.token(&claims("urn:weir:aal2", hour))).await;
        assert!(old.header("www-authenticate").contains("max_age=\"600\""), "{}", old.header("www-authenticate"));
        let fresh = issuer.token(&claims("urn:weir:aal2", minute));
        assert_eq!(ask(&mut client, "POST", "/transfer", &fresh).await.status, StatusCode::OK);
        let mut by_method = claims("anything", minute);
        by_method["amr"] = json!(["pwd", "otp"]);
        assert_eq!(ask(&mut client, "POST", "/transfer", &issuer.token(&by_method)).await.status, StatusCode::OK);
        let mut timeless = claims("urn:weir:aal2", minute);
        timeless.as_object_mut().unwrap().remove("auth_time");
        let undated = ask(&mut client, "POST", "/transfer", &issuer.token(&timeless)).await;
        assert_ne!(undated.status, StatusCode::OK, "a proof that does not say when is as old as can be");
        assert_eq!(ask(&mut client, "POST", "/close", &fresh).await.status, StatusCode::UNAUTHORIZED);
        let strong = issuer.token(&claims("phr", minute));
        assert_eq!(ask(&mut client, "POST", "/close", &strong).await.status, StatusCode::OK);
        assert_eq!(rig.upstream.last().header("authorization"), format!("Bearer {strong}"));
        // Who repeats a refused request four times in a minute is told so with 403.
        rig.advance(Duration::from_secs(61));
    }
    let mut client = rig.client(Protocol::H1);
    let token = issuer.token(&claims("urn:weir:aal2", Duration::from_secs(60)));
    assert_eq!(ask(&mut client, "POST", "/transfer", &token).await.status, StatusCode::OK);
    rig.advance(Duration::from_secs(600));
    let late = ask(&mut client, "POST", "/transfer", &token).await;
    assert_ne!(late.status, StatusCode::OK, "remembering a token does not keep its proof fresh");
    rig.advance(Duration::from_secs(3600));
    let expired = ask(&mut client, "GET", "/balance", &token).await;
    assert!(expired.header("www-authenticate").contains("invalid_token"), "{}", expired.header("www-authenticate"));
}

/// Tokens that must not be believed, each with what is wrong with it.
fn forgeries(issuer: &Issuer) -> Vec<(&'static str, String)> {
    let stranger = Issuer::ed25519("a");
    let good = issuer.token(&usual());
    let [head, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
    let part = |value: Value| B64.encode(value.to_string());
    let with = |key: &str, value: Value| {
        let mut claims = usual();
        claims[key] = value;
        issuer.token(&claims)
    };
    let without = |key: &str| {
        let mut claims = usual();
        claims.as_object_mut().unwrap().remove(key);
        issuer.token(&claims)
    };
    let headed = |head: Value| issuer.token_with(&head, &usual());
    let public = issuer.jwk["x"].as_str().unwrap();
    let confused = |secret: &[u8]| {
        let message = format!("{}.{payload}", part(json!({"alg": "HS256", "typ": "JWT", "kid": "a"})));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        format!("{message}.{}", B64.encode(aws_lc_rs::hmac::sign(&key, message.as_bytes()).as_ref()))
    };
    let now = NOON.unix_seconds();
    let mut grown = usual();
    grown["acr"] = json!("phr");
    vec![
        ("no signature", format!("{}.{payload}.", part(json!({"alg": "none"})))),
        ("no signature, other case", format!("{}.{payload}.", part(json!({"alg": "nOnE", "kid": "a"})))),
        ("another's signature under none", format!("{}.{payload}.{signature}", part(json!({"alg": "none"})))),
        ("signed with the public key, as text", confused(public.as_bytes())),
        ("signed with the public key, as bytes", confused(&B64.decode(public).unwrap())),
        ("signed with the document", confused(&issuer.document())),
        ("signed with the secret that the document must not have", confused(b"secret")),
        ("another algorithm's name", headed(json!({"alg": "ES256", "kid": "a"}))),
        ("another key's name", headed(json!({"alg": "EdDSA", "kid": "secret"}))),
        ("a key that nobody has", headed(json!({"alg": "EdDSA", "kid": "../../dev/null"}))),
        ("a stranger's signature", stranger.token(&usual())),
        (
            "a key of its own",
            stranger.token_with(&json!({"alg": "EdDSA", "jwk": stranger.jwk, "jku": "https://evil.example"}), &usual()),
        ),
        ("an extension", headed(json!({"alg": "EdDSA", "kid": "a", "crit": ["b64"], "b64": false}))),
        ("another kind of token", headed(json!({"alg": "EdDSA", "kid": "a", "typ": "logout+jwt"}))),
        ("changed claims", format!("{head}.{}.{signature}", part(grown))),
        ("cut short", good[..good.len() - 2].to_owned()),
        ("four parts", format!("{good}.x")),
        ("five parts", format!("{good}.x.y")),
        ("padding", format!("{good}==")),
        ("expired", with("exp", json!(now - 31))),
        ("no expiry", without("exp")),
        ("an expiry that is text", with("exp", json!("9999999999"))),
        ("not yet", with("nbf", json!(now + 3600))),
        ("another issuer", with("iss", json!("https://id.example/"))),
        ("several issuers", with("iss", json!(["https://id.example"]))),
        ("no issuer", without("iss")),
        ("another audience", with("aud", json!("shop2"))),
        ("no audience", without("aud")),
        ("proved in the future", with("auth_time", json!(now + 3600))),
        ("nobody", without("email")),
        ("an account that is a list", with("email", json!(["ada@shop.example"]))),
    ]
}

#[tokio::test]
async fn no_forged_token_is_believed() {
    let issuer = Issuer::ed25519("a");
    let rig = with_file(&issuer).await;
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        let before = rig.upstream.seen().len();
        for (what, token) in forgeries(&issuer) {
            for path in ["/balance", "/order-status"] {
                let answer = ask(&mut client, "GET", path, &token).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what} on {path}");
                let challenge = answer.header("www-authenticate");
                assert!(challenge.contains("error=\"invalid_token\""), "{what}: {challenge}");
                assert!(!answer.text().contains("signature") && !answer.text().contains("issuer"), "{}", answer.text());
            }
        }
        let app = [("authorization", "Bearer junk"), ("origin", "https://app.example")];
        let told = client.send("GET", "/balance", &app, "").await;
        assert_eq!(told.header("access-control-allow-origin"), "https://app.example", "the app can read why");
        let twice = [("authorization", &*format!("Bearer {}", issuer.token(&usual()))), ("authorization", "Bearer x")];
        assert_eq!(client.send("GET", "/balance", &twice, "").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(rig.upstream.seen().len(), before, "nothing went on");
        // What no journey guards is the application's own business.
        assert_eq!(ask(&mut client, "GET", "/about", "junk").await.status, StatusCode::OK);
        assert_eq!(ask(&mut client, "GET", "/balance", &issuer.token(&usual())).await.status, StatusCode::OK);
    }
    for line in rig.stop() {
        assert!(!line.to_string().contains("ada@"), "{line}");
    }
}

#[tokio::test]
async fn without_keys_the_rules_say_what_is_done_and_nobody_is_called_a_liar() {
    let rig = rig("http://127.0.0.1:1/jwks.json");
    let issuer = Issuer::p256("a");
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        let token = issuer.token(&claims("phr", Duration::from_secs(60)));
        let held = ask(&mut client, "GET", "/balance", &token).await;
        assert_eq!(held.status, StatusCode::UNAUTHORIZED);
        assert!(held.header("www-authenticate").contains("insufficient_user_authentication"));
        assert_eq!(ask(&mut client, "POST", "/close", &token).await.status, StatusCode::FORBIDDEN, "a person");
        assert_eq!(ask(&mut client, "GET", "/about", &token).await.status, StatusCode::OK);
        assert_eq!(
            ask(&mut client, "GET", "/order-status", &token).await.status,
            StatusCode::OK,
            "it asks for nothing"
        );
    }
}

#[tokio::test]
async fn keys_rotate_without_a_restart_and_strangers_cannot_make_it_happen_often() {
    let (first, second) = (Issuer::p256("a"), Issuer::ed25519("b"));
    let document = Arc::new(Mutex::new(first.document()));
    let fetched = Arc::new(AtomicUsize::new(0));
    let (served, counted) = (document.clone(), fetched.clone());
    let server = Upstream::answering(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Response::new(Full::new(Bytes::from(served.lock().unwrap().clone())))
    });
    let rig = rig(&format!("http://{}/jwks.json", server.address));
    let mut client = rig.client(Protocol::H2);
    let (old, new) = (first.token(&usual()), second.token(&usual()));
    once_known(&mut client, "/balance", &old).await;
    *document.lock().unwrap() = second.document();
    for n in 0..50 {
        let unknown = first.token_with(&json!({"alg": "ES256", "kid": format!("k{n}")}), &usual());
        assert_eq!(ask(&mut client, "GET", "/balance", &unknown).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 1, "names of keys that do not exist fetch nothing");
    rig.advance(Duration::from_secs(31));
    once_known(&mut client, "/balance", &new).await;
    assert_eq!(fetched.load(Ordering::SeqCst), 2);
    let gone = ask(&mut client, "GET", "/balance", &old).await;
    assert!(gone.header("www-authenticate").contains("invalid_token"), "a key that was taken back is not believed");
}
