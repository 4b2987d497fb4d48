//! What a client's software shows of itself: the TLS hello as JA4, however it comes, and what a proxy may say of it.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, SupportedCipherSuite};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::client::Protocol;
use crate::support::upstream::Upstream;
use crate::support::{GROUND, Rig};

const JOURNEYS: &str = r#"
[journeys.order_status]
routes = ["GET /order-status"]
ladder = [{ at = 0, do = "allow" }]
"#;

fn rig(identity: &str) -> Rig {
    let (_, ground) = GROUND.iter().find(|(name, _)| *name == "identity.toml").unwrap();
    let identity = ground.replace("[identity]\n", &format!("[identity]\n{identity}\n"));
    Rig::start(JOURNEYS, Upstream::shop(), &[("identity.toml", &identity)], |options| options.workers = Some(1))
}

/// The fingerprint of every request to the journey, in order.
fn said(rig: Rig) -> Vec<Value> {
    let lines = rig.stop().into_iter().filter(|line| line["journey"] == "order_status");
    lines.map(|line| line["ja4"].clone()).collect()
}

/// A client with these suites, in this order.
fn config(rig: &Rig, suites: &[SupportedCipherSuite], alpn: &[&[u8]]) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(rig.dir().join("certs/weir.pem")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = rustls::crypto::CryptoProvider {
        cipher_suites: suites.to_vec(),
        ..rustls::crypto::aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

/// The first two parts as the TLS library's own reading of a hello gives them, but for the number of extensions.
fn expected(config: &ClientConfig, name: &str) -> (String, String) {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config.clone()), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let mut acceptor = rustls::server::Acceptor::default();
    acceptor.read_tls(&mut &hello[..]).unwrap();
    let accepted = acceptor.accept().ok().flatten().unwrap();
    let hello = accepted.client_hello();
    let ciphers: BTreeSet<String> =
        hello.cipher_suites().iter().map(|suite| format!("{:04x}", u16::from(*suite))).collect();
    let alpn = hello
        .alpn()
        .and_then(|mut names| names.next())
        .map_or("00".to_owned(), |name| format!("{}{}", char::from(name[0]), char::from(name[name.len() - 1])));
    let named = if hello.server_name().is_some() { 'd' } else { 'i' };
    let sum = digest(&SHA256, ciphers.iter().cloned().collect::<Vec<_>>().join(",").as_bytes());
    let sum: String = sum.as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    (format!("t13{named}{:02}..{alpn}", ciphers.len()), sum)
}

/// A stream that sends one byte at a time.
struct Dripping(TcpStream);

impl AsyncRead for Dripping {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Dripping {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &buf[..buf.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Asks once over TLS with this configuration.
async fn ask(rig: &Rig, config: ClientConfig, name: &str) -> StatusCode {
    let stream = TcpStream::connect(rig.weir().addresses[0]).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, Dripping(stream)).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("/order-status").header("host", "127.0.0.1").body(Full::<Bytes>::default()).unwrap();
    let status = sender.send_request(request).await.unwrap().status();
    drop(sender);
    connection.abort();
    status
}

#[tokio::test]
async fn a_hello_is_read_as_the_tls_library_reads_it_whatever_the_order_and_the_pieces() {
    let rig = rig("");
    let suites = rustls::crypto::aws_lc_rs::default_provider().cipher_suites;
    let mut turned = suites.clone();
    turned.reverse();
    let mut cut = config(&rig, &suites, &[b"http/1.1"]);
    cut.max_fragment_size = Some(64);
    let plain = config(&rig, &suites, &[b"http/1.1"]);
    let all = [
        (plain.clone(), "localhost"),
        (config(&rig, &turned, &[b"http/1.1"]), "localhost"),
        (cut, "localhost"),
        (plain, "127.0.0.1"),
        (config(&rig, &suites[..3], &[b"http/1.1"]), "localhost"),
        (config(&rig, &suites, &[]), "localhost"),
    ];
    let mut wanted = Vec::new();
    for (config, name) in all {
        wanted.push(expected(&config, name));
        assert_eq!(ask(&rig, config, name).await, StatusCode::OK);
    }
    let said: Vec<String> = said(rig).into_iter().map(|ja4| ja4.as_str().unwrap().to_owned()).collect();
    for (ja4, (first, second)) in said.iter().zip(&wanted) {
        let (before, after) = first.split_once("..").unwrap();
        assert!(ja4.starts_with(before) && ja4[8..10] == *after && ja4[11..23] == **second, "{ja4}: {first}_{second}");
    }
    assert_eq!(said.len(), 6);
    assert!(said[0] == said[1] && said[0] == said[2], "order and records make no other client: {said:?}");
    assert_ne!(said[0][11..23], said[4][11..23]);
    // Without a name there is one extension less, and the last part does not count it.
    let count = |ja4: &str| ja4[6..8].parse::<u32>().unwrap();
    assert_eq!((count(&said[0]), &said[0][24..]), (count(&said[3]) + 1, &said[3][24..]));
}

#[tokio::test]
async fn only_a_trusted_proxy_says_what_its_client_showed() {
    const CHROME: &str = "t13d1516h2_8daaf6152771_02713d6af862";
    let trusting = rig("trusted_proxies = [\"127.0.0.0/8\"]\nja4_header = \"x-ja4\"");
    let mut client = trusting.client(Protocol::H1);
    for fields in [
        &[("x-forwarded-for", "192.0.2.7"), ("x-ja4", CHROME)][..],
        &[("x-forwarded-for", "192.0.2.7")],
        &[("x-forwarded-for", "192.0.2.7"), ("x-ja4", "chrome")],
        &[("x-forwarded-for", "192.0.2.7"), ("x-ja4", CHROME), ("x-ja4", CHROME)],
    ] {
        assert_eq!(client.send("GET", "/order-status", fields, "").await.status, StatusCode::OK);
    }
    assert_eq!(said(trusting), [CHROME.into(), Value::Null, Value::Null, Value::Null]);

    let doubting = rig("trusted_proxies = [\"192.0.2.1\"]\nja4_header = \"x-ja4\"");
    doubting.client(Protocol::H2).send("GET", "/order-status", &[("x-ja4", CHROME)], "").await;
    doubting.clear_client().send("GET", "/order-status", &[("x-ja4", CHROME)], "").await;
    let said = said(doubting);
    assert!(said[0].as_str().is_some_and(|own| own.starts_with("t13") && own != CHROME), "{said:?}");
    assert_eq!(said[1], Value::Null);
}

/// An application whose pages say this of caches.
fn pages(cache: &'static [(&'static str, &'static str)]) -> Upstream {
    Upstream::answering(move |seen| {
        let mut answer = Response::new(Full::new(Bytes::from_static(b"<form method=post>")));
        answer.headers_mut().insert("content-type", "text/html; charset=utf-8".parse().unwrap());
        for (name, value) in cache {
            answer.headers_mut().insert(*name, value.parse().unwrap());
        }
        if seen.method == "POST" {
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
        }
        answer
    })
}

const SIGN_IN: &str = r#"
[journeys.login]
routes = ["POST /login"]
account = { field = "email" }
succeeds_on = { status = [303] }
attempt = [{ at = 0, do = "handoff", to = "main" }]
ladder = [{ at = 53, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "step_up"
"#;

const GOES_THERE: [(&str, &str); 3] =
    [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/143.0")];

#[tokio::test]
async fn a_browser_that_looked_at_the_page_is_told_from_a_script_that_only_posts() {
    let rig = Rig::start(SIGN_IN, pages(&[("cache-control", "no-store")]), &[], |_| {});
    let form = [GOES_THERE.as_slice(), &[("content-type", "application/x-www-form-urlencoded")]].concat();
    let mut browser = rig.client(Protocol::H1);
    let page = browser.send("GET", "/welcome", &GOES_THERE, "").await;
    assert_eq!(page.headers.get_all("set-cookie").iter().count(), 1, "{page:?}");
    rig.advance(Duration::from_secs(10));
    let again = browser.send("GET", "/login", &GOES_THERE, "").await;
    assert!(!again.headers.contains_key("set-cookie"), "it has one: {again:?}");
    rig.advance(Duration::from_secs(10));
    browser.send("POST", "/login", &form, "email=ada&password=x").await;
    let mut script = rig.client(Protocol::H1);
    script.send("POST", "/login", &form, "email=bob&password=x").await;
    let lines = rig.stop();
    let because: Vec<String> =
        lines.iter().filter(|line| line["journey"] == "login").map(|line| line["because"].to_string()).collect();
    let [browser, script] = &because[..] else { panic!("{lines:?}") };
    assert!(!browser.contains("no_page -") && script.contains("no_page -"), "{browser} {script}");
}

#[tokio::test]
async fn no_device_is_handed_out_where_a_cache_others_or_no_sign_in_would_have_it() {
    let looks = async |journeys: &str, cache, with: &[(&str, &str)]| {
        let rig = Rig::start(journeys, pages(cache), &[], |_| {});
        let answer = rig.client(Protocol::H1).send("GET", "/welcome", with, "").await;
        answer.headers.contains_key("set-cookie")
    };
    assert!(looks(SIGN_IN, &[], &GOES_THERE).await);
    assert!(!looks(SIGN_IN, &[("cache-control", "public, max-age=60")], &GOES_THERE).await);
    assert!(!looks(SIGN_IN, &[("etag", "\"1\"")], &GOES_THERE).await);
    assert!(!looks(SIGN_IN, &[], &[("accept", "text/html"), ("sec-fetch-mode", "cors")]).await);
    assert!(!looks("", &[], &GOES_THERE).await);
}
