//! Who a client is to the business: proved by a certificate, a key or a claim, and never by saying so.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use http::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer as Signer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use crate::identity::Issuer;
use crate::support::client::{Client, Protocol};
use crate::support::upstream::Upstream;
use crate::support::{GROUND, NOON, Rig};
use weir::control::law::Outcome;

const JOURNEYS: &str = r#"
[journeys.order_status]
routes = ["GET /order-status"]
ladder = [{ at = 0, do = "allow" }]
"#;

const CHANNELS: &str = r#"
[channels]
app = { when = { header = { name = "user-agent", matches = "^ShopApp/" } } }
store = { class = "partner" }
desk = { class = "agent", when = { host = "127.0.0.1" } }
"#;

fn hex(key: &str) -> String {
    digest(&SHA256, key.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn keys(named: &[(&str, &str)]) -> String {
    named.iter().map(|(name, key)| format!("[[key]]\nname = \"{name}\"\nsha256 = \"{}\"\n", hex(key))).collect()
}

pub fn identity(lines: &str) -> String {
    let (_, ground) = GROUND.iter().find(|(name, _)| *name == "identity.toml").unwrap();
    ground.replace("[identity]\n", &format!("[identity]\n{lines}\n"))
}

/// One worker: its lines are in the order of its answers.
fn alone(options: &mut weir::app::Options) {
    options.workers = Some(1);
}

/// Class and channel of every request to the journey, in order.
fn said(rig: Rig) -> Vec<(String, String)> {
    let word = |line: &Value, key: &str, otherwise: &str| line[key].as_str().unwrap_or(otherwise).to_owned();
    let lines = rig.stop().into_iter().filter(|line| line["journey"] == "order_status");
    lines.map(|line| (word(&line, "class", "customer"), word(&line, "channel", "web"))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(class, channel)| ((*class).to_owned(), (*channel).to_owned())).collect()
}

#[tokio::test]
async fn a_key_proves_a_class_and_is_taken_back_with_its_line() {
    let lines =
        "partner = [{ keys = \"till_keys.toml\", header = \"x-till\" }]\nautomation = [{ keys = \"api_keys.toml\" }]";
    let (bots, tills) = (keys(&[("courier-bot", "k-1"), ("faq-bot", "k-2")]), keys(&[("till 4", "t-4")]));
    let identity = identity(lines);
    let files = [
        ("identity.toml", identity.as_str()),
        ("api_keys.toml", &bots),
        ("till_keys.toml", &tills),
        ("channels.toml", CHANNELS),
    ];
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &files, alone);
    let mut client = rig.client(Protocol::H2);
    for fields in [
        &[][..],
        &[("x-api-key", "k-1")],
        &[("x-api-key", "k-2"), ("user-agent", "ShopApp/7")],
        &[("x-api-key", "wrong")],
        &[("x-api-key", "t-4")],
        &[("x-till", "t-4")],
        &[("x-till", "t-4"), ("x-api-key", "k-1")],
        &[("x-api-key", "k-1"), ("x-api-key", "k-2")],
        &[("x-class", "partner"), ("weir-class", "partner")],
    ] {
        assert_eq!(client.send("GET", "/order-status", fields, "").await.status, StatusCode::OK);
    }
    assert!(matches!(rig.save("api_keys.toml", &keys(&[("faq-bot", "k-2")])), Outcome::Installed { .. }));
    client.send("GET", "/order-status", &[("x-api-key", "k-1")], "").await;
    client.send("GET", "/order-status", &[("x-api-key", "k-2")], "").await;
    assert_eq!(
        said(rig),
        pairs(&[
            ("customer", "web"),
            ("automation", "web"),
            ("automation", "app"),
            ("customer", "web"),
            ("customer", "web"),
            ("partner", "store"),
            ("partner", "store"),
            ("customer", "web"),
            ("customer", "web"),
            ("customer", "web"),
            ("automation", "web"),
        ])
    );
}

#[tokio::test]
async fn a_claim_proves_a_class_only_in_a_token_that_holds() {
    let issuer = Issuer::p256("one");
    let jwt = r#"{ jwt = { jwks = "file:keys.json", issuer = "https://id.example", audience = "shop", account_claim = "email" } }"#;
    let lines = "automation = [{ jwt_claim = { name = \"client_type\", equals = \"bot\" } }]\nagent = [{ jwt_claim = { name = \"groups\", equals = \"contact-centre\" } }]";
    let document = String::from_utf8(issuer.document()).unwrap();
    let identity = identity(lines).replace(r#"{ session_cookie = "sid", ends_on = ["POST /logout"] }"#, jwt);
    let rig = Rig::start(
        JOURNEYS,
        Upstream::shop(),
        &[("identity.toml", &identity), ("keys.json", &document), ("channels.toml", CHANNELS)],
        alone,
    );
    let now = NOON.unix_seconds();
    let claims = |more: Value| {
        let mut claims = json!({
            "iss": "https://id.example", "aud": "shop", "sub": "4711", "email": "ada@shop.example", "sid": "s1",
            "exp": now + 3600, "iat": now, "auth_time": now - 60, "acr": "pwd",
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    let mut client = rig.client(Protocol::H1);
    let mut ask = async |token: String| {
        client.send("GET", "/order-status", &[("authorization", &format!("Bearer {token}"))], "").await.status
    };
    let bot = issuer.token(&claims(json!({ "client_type": "bot" })));
    let forged = format!("{}AAAA", &bot[..bot.len() - 4]);
    // A token whose keys have not come yet proves nothing, and the journey is open to all.
    while rig.weir().telemetry.gauges.jwks_up.value() != 1 {
        ask(bot.clone()).await;
    }
    for more in [
        json!({ "client_type": "bot" }),
        json!({ "client_type": "botnet" }),
        json!({ "client_type": ["person", "bot"] }),
        json!({ "client_type=bot": "" }),
        json!({ "groups": ["sales", "contact-centre"], "client_type": "bot" }),
    ] {
        assert_eq!(ask(issuer.token(&claims(more))).await, StatusCode::OK);
    }
    assert_eq!(ask(forged).await, StatusCode::UNAUTHORIZED);
    let said = said(rig);
    assert_eq!(
        said[said.len() - 6..],
        pairs(&[
            ("automation", "web"),
            ("customer", "web"),
            ("automation", "web"),
            ("customer", "web"),
            ("agent", "desk"),
            ("customer", "web"),
        ])
    );
}

/// An authority and what it vouches for, written to files.
pub struct Authority {
    key: KeyPair,
    params: CertificateParams,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self { key: KeyPair::generate().unwrap(), params }
    }

    pub fn pem(&self) -> String {
        self.params.self_signed(&self.key).unwrap().pem()
    }

    /// A client's certificate and key.
    pub fn vouch(&self, attributes: &[(DnType, &str)]) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in attributes {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &Signer::from_params(&self.params, &self.key)).unwrap();
        (signed.der().clone(), PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap())
    }
}

pub fn with_clients(required: bool, authority: PathBuf) -> impl FnOnce(&mut weir::app::Options) {
    move |options| {
        alone(options);
        let tls = options.listeners.as_mut().unwrap()[0].tls.as_mut().unwrap();
        tls.clients = Some((authority, required));
    }
}

async fn ask(
    address: SocketAddr,
    trusted: &Path,
    shown: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> Option<StatusCode> {
    let client = Client::tls(address, trusted, Protocol::H1);
    let client = match shown {
        Some((certificate, key)) => client.showing(certificate, key),
        None => client,
    };
    let request = client.request("GET", "/order-status", &[], "");
    let mut connection = client.try_connect().await.ok()?;
    connection.send(request).await.ok().map(|answer| answer.status())
}

#[tokio::test]
async fn a_certificate_proves_a_class_when_its_authority_is_ours() {
    let (ours, theirs) = (Authority::new("Shop machines"), Authority::new("Shop machines"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clients.pem");
    std::fs::write(&file, ours.pem()).unwrap();
    let lines = "partner = [{ client_certificate = \"CN=tills, O=Shop\", issuer = \"CN=Shop machines\" }]\nagent = [{ client_certificate = \"CN=desk\" }]";
    let identity = identity(lines);
    let files = [("identity.toml", identity.as_str()), ("channels.toml", CHANNELS)];
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &files, with_clients(false, file));
    let (address, trusted) = (rig.weir().addresses[0], rig.dir().join("certs/weir.pem"));
    let named = |common: &'static str| [(DnType::CommonName, common), (DnType::OrganizationName, "Shop")];
    let shown = [
        (None, Some(StatusCode::OK)),
        (Some(ours.vouch(&named("tills"))), Some(StatusCode::OK)),
        (Some(ours.vouch(&named("desk"))), Some(StatusCode::OK)),
        (Some(ours.vouch(&[(DnType::CommonName, "tills")])), Some(StatusCode::OK)),
        (Some(ours.vouch(&[(DnType::CommonName, "tills, O=Shop")])), Some(StatusCode::OK)),
        (Some(ours.vouch(&named("Tills"))), Some(StatusCode::OK)),
        (Some(theirs.vouch(&named("tills"))), None),
    ];
    for (shown, expected) in shown {
        assert_eq!(ask(address, &trusted, shown).await, expected);
    }
    assert_eq!(
        said(rig),
        pairs(&[
            ("customer", "web"),
            ("partner", "store"),
            ("agent", "desk"),
            ("customer", "web"),
            ("customer", "web"),
            ("customer", "web"),
        ])
    );
}

#[tokio::test]
async fn a_listener_may_require_a_certificate_and_behind_a_proxy_it_is_the_proxys() {
    let ours = Authority::new("Shop machines");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clients.pem");
    std::fs::write(&file, ours.pem()).unwrap();
    let identity = identity("partner = [{ client_certificate = \"CN=tills\" }]\ntrusted_proxies = [\"127.0.0.0/8\"]");
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("identity.toml", &identity)], with_clients(true, file));
    let (address, trusted) = (rig.weir().addresses[0], rig.dir().join("certs/weir.pem"));
    let till = || Some(ours.vouch(&[(DnType::CommonName, "tills")]));
    assert_eq!(ask(address, &trusted, None).await, None);
    assert_eq!(ask(address, &trusted, till()).await, Some(StatusCode::OK));
    rig.advance(Duration::from_secs(1));
    assert_eq!(said(rig), pairs(&[("customer", "web")]));
}
