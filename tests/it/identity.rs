//! Identity over real sockets and with real keys.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::Full;
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::*;
use serde_json::{Value, json};
use weir::clock::{Clock, Moment};
use weir::confidence::{Reading, Why};
use weir::identity::dpop::Asked;
use weir::identity::keys::{Keys, keep};
use weir::identity::security_event::Unverified;
use weir::identity::token::{Bearer, Tokens};
use weir::rules::limits::Rate;
use weir::rules::ruleset::{JwksSource, JwtSource};
use weir::rules::shared_signals::{SubjectFormat, Transmitter};
use weir::subject::Names;

use crate::law::law;

const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

/// A request that shows no key.
const PLAIN: Asked<'static> =
    Asked { method: "GET", https: true, authority: &"shop.example", path: "/", certificate: None };

/// An issuer with one Ed25519 or P-256 key.
pub struct Issuer {
    key: EncodingKey,
    algorithm: Algorithm,
    kid: &'static str,
    pub jwk: Value,
}

impl Issuer {
    pub fn ed25519(kid: &'static str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let x = B64.encode(rcgen::PublicKeyData::der_bytes(&pair));
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": x});
        Self { key: EncodingKey::from_ed_der(&pair.serialize_der()), algorithm: Algorithm::EdDSA, kid, jwk }
    }

    pub fn p256(kid: &'static str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let point = rcgen::PublicKeyData::der_bytes(&pair);
        let (x, y) = (B64.encode(&point[1..33]), B64.encode(&point[33..65]));
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "x": x, "y": y});
        Self { key: EncodingKey::from_ec_der(&pair.serialize_der()), algorithm: Algorithm::ES256, kid, jwk }
    }

    pub fn document(&self) -> Vec<u8> {
        json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "secret"}, {"kty": "EC", "crv": "P-521"}, self.jwk]})
            .to_string()
            .into_bytes()
    }

    pub fn token(&self, claims: &Value) -> String {
        let name = if self.algorithm == Algorithm::ES256 { "ES256" } else { "EdDSA" };
        self.token_with(&json!({"alg": name, "typ": "at+jwt", "kid": self.kid}), claims)
    }

    pub fn token_with(&self, head: &Value, claims: &Value) -> String {
        weir::identity::install();
        let message = format!("{}.{}", B64.encode(head.to_string()), B64.encode(claims.to_string()));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": ["shop", "other"], "sub": "4711", "email": "Ada@shop.example", "sid": "s1",
        "exp": NOW.unix_seconds() + 300, "iat": NOW.unix_seconds() - 10, "auth_time": NOW.unix_seconds() - 60,
        "acr": "urn:weir:aal2", "amr": ["pwd", "otp"],
    })
}

fn changed(key: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

fn without(key: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(key);
    claims
}

fn names() -> Names {
    Names::new([3; 16])
}

fn tokens(keys: &Arc<Keys>) -> Tokens {
    let law = JwtSource {
        jwks: JwksSource::Url("unused".into()),
        issuer: "https://id.example".into(),
        audience: "shop".into(),
        account_claim: "email".into(),
    };
    Tokens::new(keys.clone(), law, names(), 64).unwrap()
}

fn carrying(token: &str) -> HeaderMap {
    [(header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap())].into_iter().collect()
}

fn of(issuer: &Issuer) -> (Arc<Keys>, Tokens) {
    let keys = Arc::new(Keys::default());
    keys.install(&issuer.document(), NOW).unwrap();
    let tokens = tokens(&keys);
    (keys, tokens)
}

#[track_caller]
fn assert_invalid(bearer: &Bearer) {
    assert!(matches!(bearer, Bearer::Invalid(_)), "{bearer:?}");
}

#[test]
fn a_good_token_says_who_and_how_strongly() {
    for issuer in [Issuer::ed25519("a"), Issuer::p256("b")] {
        let (_, tokens) = of(&issuer);
        let rules = law();
        for _ in 0..2 {
            let bearer = tokens.read(&carrying(&issuer.token(&claims())), &PLAIN, NOW);
            let Bearer::Valid(claims) = bearer else { panic!("{bearer:?}") };
            assert_eq!(claims.account, names().account("ada@shop.example"));
            assert_eq!(claims.session, names().session(b"s1"));
            let proof = claims.proof(&rules).unwrap();
            assert_eq!(Some(proof.level), rules.level_named("mfa"));
            assert_eq!(proof.age(NOW), Duration::from_secs(60));
        }
    }
}

#[test]
fn every_claim_that_matters_is_checked() {
    let issuer = Issuer::ed25519("a");
    let (_, tokens) = of(&issuer);
    let now = NOW.unix_seconds();
    let wrong = [
        changed("iss", json!("https://evil.example")),
        without("iss"),
        changed("aud", json!("shopping")),
        changed("aud", json!(["other"])),
        changed("aud", json!({"shop": 1})),
        without("aud"),
        without("exp"),
        changed("exp", json!("tomorrow")),
        changed("exp", json!(now - 31)),
        changed("exp", json!(-1)),
        changed("nbf", json!(now + 31)),
        changed("nbf", json!("now")),
        changed("auth_time", json!(now + 31)),
        without("email"),
        changed("email", json!(["a", "b"])),
        changed("email", json!(" ")),
    ];
    for claims in wrong {
        let bearer = tokens.read(&carrying(&issuer.token(&claims)), &PLAIN, NOW);
        assert!(matches!(bearer, Bearer::Invalid(_)), "{claims} {bearer:?}");
    }
    for fine in [changed("exp", json!(now - 29)), changed("nbf", json!(now + 29)), changed("exp", json!(1.9e9))] {
        let bearer = tokens.read(&carrying(&issuer.token(&fine)), &PLAIN, NOW);
        assert!(matches!(bearer, Bearer::Valid(_)), "{fine} {bearer:?}");
    }
}

#[test]
fn no_algorithm_is_believed_that_the_key_does_not_have() {
    let issuer = Issuer::ed25519("a");
    let (_, tokens) = of(&issuer);
    for alg in ["none", "None", "HS256", "RS256", "ES256", "ES512", ""] {
        let head = json!({"alg": alg, "kid": "a"});
        assert!(
            !matches!(tokens.read(&carrying(&issuer.token_with(&head, &claims())), &PLAIN, NOW), Bearer::Valid(_)),
            "{alg}"
        );
    }
    let unsigned = issuer.token(&claims());
    let unsigned = unsigned.rsplit_once('.').unwrap().0;
    assert_invalid(&tokens.read(&carrying(&format!("{unsigned}.")), &PLAIN, NOW));

    // The public key used as an HMAC secret.
    let message =
        format!("{}.{}", B64.encode(json!({"alg": "HS256", "kid": "a"}).to_string()), B64.encode(claims().to_string()));
    let secret = EncodingKey::from_secret(issuer.jwk["x"].as_str().unwrap().as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, Algorithm::HS256).unwrap();
    assert_invalid(&tokens.read(&carrying(&format!("{message}.{signature}")), &PLAIN, NOW));
}

#[test]
fn another_kind_of_token_and_demanded_extensions_are_refused() {
    let issuer = Issuer::ed25519("a");
    let (_, tokens) = of(&issuer);
    for head in [
        json!({"alg": "EdDSA", "kid": "a", "typ": "secevent+jwt"}),
        json!({"alg": "EdDSA", "kid": "a", "typ": "dpop+jwt"}),
        json!({"alg": "EdDSA", "kid": "a", "crit": ["b64"], "b64": false}),
    ] {
        assert_invalid(&tokens.read(&carrying(&issuer.token_with(&head, &claims())), &PLAIN, NOW));
    }
    let lone = issuer.token_with(&json!({"alg": "EdDSA"}), &claims());
    assert!(matches!(tokens.read(&carrying(&lone), &PLAIN, NOW), Bearer::Valid(_)));
}

#[test]
fn a_token_signed_by_a_stranger_is_invalid_also_after_a_good_one() {
    let (issuer, stranger) = (Issuer::ed25519("a"), Issuer::ed25519("a"));
    let (_, tokens) = of(&issuer);
    let good = issuer.token(&claims());
    assert!(matches!(tokens.read(&carrying(&good), &PLAIN, NOW), Bearer::Valid(_)));
    assert_invalid(&tokens.read(&carrying(&stranger.token(&claims())), &PLAIN, NOW));
    let other = issuer.token(&changed("email", json!("eve@shop.example")));
    let (head, signature) = (good.split('.').next().unwrap(), good.rsplit('.').next().unwrap());
    let swapped = format!("{head}.{}.{signature}", other.split('.').nth(1).unwrap());
    assert_invalid(&tokens.read(&carrying(&swapped), &PLAIN, NOW));
}

#[test]
fn a_remembered_token_dies_with_its_time_and_its_keys() {
    let (issuer, next) = (Issuer::ed25519("a"), Issuer::ed25519("b"));
    let (keys, tokens) = of(&issuer);
    let headers = carrying(&issuer.token(&claims()));
    assert!(matches!(tokens.read(&headers, &PLAIN, NOW), Bearer::Valid(_)));
    assert_invalid(&tokens.read(&headers, &PLAIN, NOW.plus(Duration::from_secs(331))));

    let other = carrying(&issuer.token(&changed("sid", json!("s2"))));
    assert!(matches!(tokens.read(&other, &PLAIN, NOW), Bearer::Valid(_)));
    keys.install(&next.document(), NOW).unwrap();
    assert_invalid(&tokens.read(&other, &PLAIN, NOW));
}

#[test]
fn without_keys_nothing_can_be_verified_and_nothing_is_believed() {
    let issuer = Issuer::ed25519("a");
    let keys = Arc::new(Keys::default());
    let tokens = tokens(&keys);
    let headers = carrying(&issuer.token(&claims()));
    assert!(matches!(tokens.read(&headers, &PLAIN, NOW), Bearer::Unverifiable(Why::Down)));
    assert_eq!(tokens.read(&headers, &PLAIN, NOW).reading(), Reading::Unknown(Why::Down));
    assert!(matches!(tokens.read(&HeaderMap::new(), &PLAIN, NOW), Bearer::Absent));
    keys.install(&issuer.document(), NOW).unwrap();
    let days = NOW.plus(Duration::from_secs(2 * 86_400));
    assert!(matches!(tokens.read(&headers, &PLAIN, days), Bearer::Unverifiable(Why::Stale)));
}

#[test]
fn a_key_that_is_not_here_yet_is_asked_for_and_a_key_that_is_not_published_is_refused() {
    let (issuer, next) = (Issuer::ed25519("a"), Issuer::ed25519("b"));
    let (keys, tokens) = of(&issuer);
    let headers = carrying(&next.token(&claims()));
    assert_invalid(&tokens.read(&headers, &PLAIN, NOW.plus(Duration::from_secs(29))));
    let later = NOW.plus(Duration::from_secs(31));
    assert!(matches!(tokens.read(&headers, &PLAIN, later), Bearer::Unverifiable(Why::Stale)));
    keys.install(&next.document(), later).unwrap();
    assert!(matches!(tokens.read(&headers, &PLAIN, later), Bearer::Valid(_)));
}

#[test]
fn the_authorization_field_is_read_in_one_way_only() {
    let issuer = Issuer::ed25519("a");
    let (_, tokens) = of(&issuer);
    let token = issuer.token(&claims());
    let field = |value: String| -> HeaderMap {
        [(header::AUTHORIZATION, HeaderValue::try_from(value).unwrap())].into_iter().collect()
    };
    assert!(matches!(tokens.read(&field(format!("bEARER   {token} ")), &PLAIN, NOW), Bearer::Valid(_)));
    for other in ["Basic QTpC", "Bear", "", "Bearerx y", "DPoPx y"] {
        assert!(matches!(tokens.read(&field(other.into()), &PLAIN, NOW), Bearer::Absent), "{other}");
    }
    for bad in ["Bearer", "DPoP abc", "Bearer a.b", "Bearer a.b.c.d", "Bearer ..", &format!("Bearer {token},{token}")] {
        assert_invalid(&tokens.read(&field(bad.to_string()), &PLAIN, NOW));
    }
    let mut two = carrying(&token);
    two.append(header::AUTHORIZATION, HeaderValue::from_static("Basic QTpC"));
    assert_invalid(&tokens.read(&two, &PLAIN, NOW));
}

#[test]
fn a_document_without_public_keys_is_refused_and_the_keys_that_stand_are_kept() {
    let issuer = Issuer::ed25519("a");
    let (keys, tokens) = of(&issuer);
    let secret = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}).to_string();
    let encrypts = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "enc", "x": issuer.jwk["x"]}]}).to_string();
    let many = json!({"keys": vec![json!({}); 65]}).to_string();
    for bad in ["", "{}", "[]", r#"{"keys":[]}"#, r#"{"keys":[1,null]}"#, &secret, &encrypts, &many] {
        assert!(keys.install(bad.as_bytes(), NOW).is_err(), "{bad:.80}");
    }
    assert_eq!(keys.generation(), 1);
    assert!(matches!(tokens.read(&carrying(&issuer.token(&claims())), &PLAIN, NOW), Bearer::Valid(_)));
}

/// An issuer's server: answers with what is asked of it, and counts.
async fn serve(documents: Vec<Response<Full<Bytes>>>) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper::service::service_fn(|_| {
                let at = counted.fetch_add(1, Ordering::SeqCst).min(documents.len() - 1);
                let answer = documents[at].clone();
                async move { Ok::<_, Infallible>(answer) }
            });
            let stream = hyper_util::rt::TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
        }
    });
    (address, asked)
}

fn answer(status: u16, body: Vec<u8>) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

/// Runs until `done` holds; the test's own time limit is the runner's.
async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

fn local(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

#[test]
fn keys_are_fetched_in_the_background_and_again_when_a_token_names_another() {
    local(async {
        let (issuer, next) = (Issuer::ed25519("a"), Issuer::ed25519("b"));
        let (address, asked) = serve(vec![answer(200, issuer.document()), answer(200, next.document())]).await;
        let keys = Arc::new(Keys::default());
        let (clock, hand) = Clock::manual(NOW);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let keeper = keep(keys.clone(), JwksSource::Url(address.into()), clock.clone(), async move {
            let _ = stopped.await;
        });
        let keeper = tokio::task::spawn_local(keeper);
        until(|| keys.generation() == 1).await;
        let tokens = tokens(&keys);
        let headers = carrying(&next.token(&claims()));
        hand.advance(Duration::from_secs(31));
        assert!(matches!(tokens.read(&headers, &PLAIN, clock.now()), Bearer::Unverifiable(Why::Stale)));
        for _ in 0..100 {
            tokens.read(&headers, &PLAIN, clock.now());
        }
        until(|| keys.generation() == 2).await;
        assert!(matches!(tokens.read(&headers, &PLAIN, clock.now()), Bearer::Valid(_)));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        stop.send(()).unwrap();
        keeper.await.unwrap();
    });
}

#[test]
fn a_failing_issuer_leaves_the_keys_that_stand_and_says_why() {
    let huge = answer(200, vec![b' '; 1024 * 1024 + 1]);
    let elsewhere =
        Response::builder().status(302).header("location", "http://127.0.0.1:1/").body(Full::default()).unwrap();
    for (bad, said) in [
        (answer(500, Vec::new()), "500"),
        (answer(200, b"<html>".to_vec()), "not a JWKS"),
        (huge, "1 MiB"),
        (elsewhere, "302"),
    ] {
        local(async {
            let issuer = Issuer::ed25519("a");
            let (address, _) = serve(vec![bad]).await;
            let keys = Arc::new(Keys::default());
            keys.install(&issuer.document(), NOW).unwrap();
            let keeper =
                keep(keys.clone(), JwksSource::Url(address.into()), Clock::manual(NOW).0, std::future::pending());
            let keeper = tokio::task::spawn_local(keeper);
            until(|| keys.trouble().is_some()).await;
            assert!(keys.trouble().unwrap().contains(said), "{:?}", keys.trouble());
            assert!(keys.usable(NOW).is_ok());
            keeper.abort();
        });
    }
}

#[test]
fn keys_are_read_from_a_file() {
    local(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jwks.json");
        std::fs::write(&path, Issuer::p256("a").document()).unwrap();
        let keys = Arc::new(Keys::default());
        let keeper = keep(keys.clone(), JwksSource::File(path), Clock::manual(NOW).0, std::future::pending());
        let keeper = tokio::task::spawn_local(keeper);
        until(|| keys.generation() == 1).await;
        keeper.abort();
    });
}

proptest! {
    #[test]
    fn no_token_panics(text in "[A-Za-z0-9._= -]{0,120}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let issuer = Issuer::ed25519("a");
        let (keys, tokens) = of(&issuer);
        assert!(!matches!(tokens.read(&carrying(&text), &PLAIN, NOW), Bearer::Valid(_)));
        let raw = format!("{}.{}.x", B64.encode(&bytes), B64.encode(&bytes));
        assert!(!matches!(tokens.read(&carrying(&raw), &PLAIN, NOW), Bearer::Valid(_)));
        let _ = keys.install(&bytes, NOW);
    }
}

/// Any JSON of a few levels.
fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "format",
        "complex",
        "user",
        "session",
        "opaque",
        "id",
        "email",
        "iss_sub",
        "aliases",
        "identifiers",
        "subject",
        "event_timestamp",
        "current_level",
        "HIGH",
        "principal",
        "ada@shop.example",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((words.clone(), inner), 0..5)
                .prop_map(|pairs| pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_security_event_panics(
        payload in any_json(),
        subject in any_json(),
        kind in prop::sample::select(vec![
            "caep/event-type/session-revoked", "caep/event-type/risk-level-change", "risc/event-type/identifier-recycled",
            "caep/event-type/credential-change", "ssf/event-type/verification", "x",
        ]),
        toe in any::<u64>(),
        raw in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _refused = Unverified::read(&raw);
        let issuer = Issuer::ed25519("a");
        let keys = Keys::default();
        keys.install(&issuer.document(), NOW).unwrap();
        let mut claims = json!({
            "iss": "https://id.example", "aud": "weir", "iat": NOW.unix_seconds(), "jti": "1", "toe": toe, "sub_id": subject,
        });
        claims["events"] = json!({ format!("https://schemas.openid.net/secevent/{kind}"): payload });
        let token = issuer.token_with(&json!({"alg": "EdDSA", "typ": "secevent+jwt", "kid": "a"}), &claims);
        let read = Unverified::read(token.as_bytes()).unwrap();
        if let Ok(event) = read.verify(&transmitter(), &keys, &names(), NOW) {
            prop_assert!(event.events.iter().filter_map(|event| event.report).all(|report| report.at <= NOW));
        }
    }
}

/// Who sends events here.
fn transmitter() -> Transmitter {
    Transmitter {
        name: "idp".into(),
        issuer: "https://id.example".into(),
        jwks: JwksSource::Url("unused".into()),
        audience: vec!["weir".into()],
        hosts: Vec::new(),
        path: "/events".into(),
        token: None,
        accounts: vec![SubjectFormat::Email, SubjectFormat::IssuerAndSubject],
        max_age: Duration::from_secs(86_400),
        expected_every: None,
        may_take: Rate { count: std::num::NonZeroU32::MIN, per: Duration::from_secs(60) },
    }
}
