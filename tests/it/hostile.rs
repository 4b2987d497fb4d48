//! The hostile client at the whole gateway: every spelling of a path, forged trust, smuggling, hosts, overrides, lying upstreams and
//! plain noise. What must hold each time: no request reaches the application without its journey, and the next request is served.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::client::{BOTH, Protocol, whole};
use crate::support::upstream::Upstream;
use crate::support::{Rig, server};

const JOURNEYS: &str = r#"
[journeys.balance]
routes = ["GET /account/balance"]
ladder = [{ at = 0, do = "allow" }]

[journeys.address]
routes = ["GET /account/address", "POST /account/address"]
ladder = [{ at = 0, do = "allow" }]

[journeys.close]
routes = ["DELETE /account/address"]
ladder = [{ at = 100, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "handoff"

[journeys.files]
routes = ["GET /files/{*rest}"]
ladder = [{ at = 0, do = "allow" }]

[[refuse]]
name = "secrets"
when = { path_suffix = "/.env" }
"#;

/// The bytes of the answers to these bytes. The client says that it is done once it has the first.
async fn raw(rig: &Rig, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(rig.weir().addresses[1]).await.unwrap();
    let _ = stream.write_all(request.as_ref()).await;
    let mut answer = Vec::new();
    let mut done = false;
    while matches!(stream.read_buf(&mut answer).await, Ok(1..)) {
        if !done && answer.windows(4).any(|end| end == b"\r\n\r\n") {
            done = stream.shutdown().await.is_ok();
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Says these bytes and nothing more, and waits for the end.
async fn noise(address: std::net::SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// A request of somebody else's gets its own answer.
async fn still_serves(rig: &Rig) {
    for protocol in BOTH {
        let answer = rig.client(protocol).get("/control").await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "GET /control"));
    }
}

/// What some server behind might make of a path: decoded to the end, lower case, without parameters, dots and slashes.
fn worst_case(path: &str) -> String {
    let mut now = path.split(['?', '#']).next().unwrap().to_owned();
    for _ in 0..10 {
        for (spelled, meant) in [
            ("%25", "%"),
            ("%2f", "/"),
            ("%5c", "/"),
            ("%2e", "."),
            ("%3b", ";"),
            ("%61", "a"),
            ("%41", "a"),
            ("%20", " "),
            ("%c0%af", "/"),
            ("%c0%ae", "."),
            ("%ef%bc%8f", "/"),
            ("%u0061", "a"),
            ("%ef%bd%81", "a"),
            ("\\", "/"),
            ("%00", ""),
            ("%09", ""),
            ("%0a", ""),
            ("%23", "#"),
            ("%3f", "?"),
        ] {
            now = now.to_ascii_lowercase().replace(spelled, meant);
        }
    }
    let mut kept: Vec<&str> = Vec::new();
    let end = now.find(['?', '#']).unwrap_or(now.len());
    for segment in now[..end].split('/') {
        match segment.split(';').next().unwrap().trim_end_matches([' ', '.']) {
            "" if segment.starts_with("..") => drop(kept.pop()),
            "" => {}
            kept_segment => kept.push(kept_segment),
        }
    }
    kept.join("/")
}

const SPELLINGS: &[&str] = &[
    "/account/balance",
    "/account;x/balance",
    "/account/balance;jsessionid=1",
    "/%61ccount/balance",
    "/%2561ccount/balance",
    "/%252561ccount/balance",
    "/x/..;/account/balance",
    "/x/..%2faccount/balance",
    "/x/%2e%2e/account/balance",
    "/x/%252e%252e/account/balance",
    "/x/..%5caccount/balance",
    "/account%2fbalance",
    "/account%252fbalance",
    "/account\\balance",
    "/account%5cbalance",
    "//account/balance",
    "/account//balance",
    "/./account/balance",
    "/account/./balance",
    "/account/balance/.",
    "/account/balance/",
    "/account/balance//",
    "/account/balance.",
    "/account/balance%20",
    "/account/balance%2e",
    "/account/balance/..",
    "/ACCOUNT/balance",
    "/account/Balance",
    "/account/balance%00",
    "/account/balance%00.css",
    "/account/balance%0a",
    "/account/balance%09",
    "/account/balance%23",
    "/account/balance%3fx",
    "/%c1%a1ccount/balance",
    "/account%c0%afbalance",
    "/x/%c0%ae%c0%ae/account/balance",
    "/%ef%bd%81ccount/balance",
    "/account%ef%bc%8fbalance",
    "/%u0061ccount/balance",
    "/account/x/../balance",
    "/account/balance/x/..",
    "/..;/account/balance",
    "/.;/account/balance",
    "/account/balance/%2e%2e/balance",
    "/;/account/balance",
    "/account;/balance;",
    "/account/balance?x",
    "/account/balance?/../x",
    "/account/%2e/balance",
    "/%2faccount/balance",
    "/%5caccount/balance",
    "/%2e/account/balance",
    "/files/../account/balance",
    "/files/..%2f..%2faccount/balance",
    "/files/%2e%2e/account/balance",
    "/files/x;/../../account/balance",
    "/files/..;/account/balance",
    "/account/balance%3b",
    "/account/balance%252e",
    "/account /balance",
    "/account/balance%c2%a0",
];

#[tokio::test]
async fn no_spelling_of_a_guarded_path_arrives_without_its_journey() {
    let rig = Rig::with(JOURNEYS);
    let mut answers = Vec::new();
    for spelling in SPELLINGS {
        let before = rig.upstream.seen().len();
        let absolute = format!("http://127.0.0.1{spelling}");
        for target in [spelling, &*absolute] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
            answers.push((target.to_owned(), raw(&rig, head).await));
        }
        // What the library for HTTP/2 cannot say at all, cannot be sent with it.
        if let Ok(uri) = format!("https://{}{spelling}", rig.weir().addresses[0]).parse::<http::Uri>() {
            let client = rig.client(Protocol::H2);
            let mut request = client.request("GET", "/", &[], "");
            *request.uri_mut() = uri;
            let answer = client.connect().await.send(request).await.unwrap();
            answers.push((format!("h2 {spelling}"), format!("HTTP/2 {}", answer.status().as_u16())));
        }
        for seen in &rig.upstream.seen()[before..] {
            let journey = seen.header("weir-journey");
            let path = seen.uri.path();
            match worst_case(path).as_str() {
                "account/balance" => assert_eq!(journey, "balance", "{spelling} went on as {path}"),
                meant => assert!(journey.is_empty() || journey == "files", "{spelling}: {path}, {meant}, {journey}"),
            }
        }
    }
    for (target, answer) in answers {
        let status = answer.split(' ').nth(1).unwrap_or("none");
        assert!(matches!(status, "200" | "400" | "404"), "{target}: {answer}");
    }
    still_serves(&rig).await;
}

#[tokio::test]
async fn a_method_cannot_be_disguised_as_another() {
    let rig = Rig::with(JOURNEYS);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let json = ("content-type", "application/json");
    let parts = ("content-type", "multipart/form-data; boundary=b");
    let part = "--b\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--b--\r\n";
    type Fields<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(&str, Fields<'_>, &str)] = &[
        ("/account/address", &[("x-http-method-override", "DELETE")], ""),
        ("/account/address", &[("X_HTTP_Method_Override", "DELETE")], ""),
        ("/account/address", &[("x-http_method", "DELETE")], ""),
        ("/account/address", &[("x-method-override", "DELETE")], ""),
        ("/account/address?_method=DELETE", &[], ""),
        ("/account/address?a=1&_METHOD=DELETE", &[], ""),
        ("/account/address?%5fmethod=DELETE", &[], ""),
        ("/account/address?_m%65thod=DELETE", &[], ""),
        ("/account/address?a=1;_method=DELETE", &[], ""),
        ("/account/address?_method[]=DELETE", &[], ""),
        ("/account/address", &[form], "_method=DELETE"),
        ("/account/address", &[form], "street=x&_method=DELETE"),
        ("/account/address", &[form], "street=x&%5Fmethod=DELETE"),
        ("/account/address", &[form], "street=%zz&_method=DELETE"),
        ("/account/address", &[form], "street=x;_method=DELETE"),
        ("/account/address", &[json], "{\"_method\":\"DELETE\"}"),
        ("/account/address", &[json], "{\"\\u005fmethod\":\"DELETE\"}"),
        ("/account/address", &[parts], part),
    ];
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        let before = rig.upstream.seen().len();
        for (path, fields, body) in cases {
            let answer = client.send("POST", path, fields, body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {fields:?} {body}");
        }
        assert_eq!(rig.upstream.seen().len(), before);
        for (fields, body) in [(form, "street=_method&method=post"), (json, "{\"note\":\"the _method\"}")] {
            let answer = client.send("POST", "/account/address", &[fields], body).await;
            assert_eq!(answer.status, StatusCode::OK, "{body}");
        }
        // Where no journey guards, what a form says is the application's own business.
        assert_eq!(client.send("POST", "/notes", &[form], "_method=DELETE").await.status, StatusCode::OK);
    }
    let preflight = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("x-http-method-override", "DELETE"),
    ];
    let disguised = rig.client(Protocol::H2).send("OPTIONS", "/account/address", &preflight, "").await;
    assert_eq!(disguised.status, StatusCode::BAD_REQUEST, "no browser's preflight carries a field of its own");
    let chunked = "POST /account/address HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                   Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n7\r\n_method\r\n7\r\n=DELETE\r\n0\r\n\r\n";
    assert!(raw(&rig, chunked).await.starts_with("HTTP/1.1 400"));
    still_serves(&rig).await;
}

#[tokio::test]
async fn nobody_can_speak_for_weir_or_for_a_proxy() {
    let rig = Rig::with(JOURNEYS);
    let forged = [
        ("weir-confidence", "100"),
        ("WEIR-JOURNEY", "none"),
        ("Weir_Subject", "ada"),
        ("weir-subject", "ada"),
        ("x-forwarded-for", "10.0.0.1"),
        ("X_Forwarded_For", "10.0.0.1"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-user", "root"),
        ("forwarded", "for=10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("x_real_ip", "10.0.0.1"),
        ("true-client-ip", "10.0.0.1"),
        ("proxy", "evil.example"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("weir-device", "junk"),
        ("weir-request-id", "mine"),
    ];
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        let mut fields = forged.to_vec();
        if protocol == Protocol::H1 {
            let names = "close, weir-confidence, weir-journey, x-forwarded-for, forwarded, weir-request-id, host, cookie, authorization";
            fields.push(("connection", names));
        }
        fields.push(("authorization", "Basic eA=="));
        assert_eq!(client.send("GET", "/account/balance", &fields, "").await.status, StatusCode::OK);
        let seen = rig.upstream.last();
        assert_eq!(seen.header("weir-journey"), "balance");
        assert_ne!(seen.header("weir-confidence"), "100");
        assert_ne!(seen.header("weir-request-id"), "mine");
        assert_eq!(seen.header("x-forwarded-for"), "127.0.0.1");
        assert_eq!(seen.header("authorization"), "Basic eA==", "what means something is not named away");
        let text = format!("{:?}", seen.headers);
        for lie in ["10.0.0.1", "evil.example", "gopher", "root", "/admin", "ada", "junk"] {
            assert!(!text.contains(lie), "{lie} in {text}");
        }
    }
}

#[tokio::test]
async fn no_request_hides_in_another() {
    let rig = Rig::with(JOURNEYS);
    let hidden = "GET /hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let length = hidden.len();
    let host = "Host: 127.0.0.1\r\n";
    let heads = [
        format!(
            "POST / HTTP/1.1\r\n{host}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            length + 5
        ),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: +{length}\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content-Length: 0x{length:x}\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Content_Length: {length}\r\nContent-Length : 0\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}X: y\r\n Content-Length: {length}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}X: y\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}X: a\rContent-Length: {length}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}X: a\0b\r\nContent-Length: {length}\r\n\r\n"),
        format!("POST / HTTP/1.0\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
        format!("POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n0\r\nHost: x\r\nContent-Length: 9\r\n\r\n"),
    ];
    for head in &heads {
        let before = rig.upstream.seen().len();
        let answers = raw(&rig, format!("{head}{hidden}")).await.matches("HTTP/1.1 ").count();
        let seen = &rig.upstream.seen()[before..];
        let hidden: Vec<_> = seen.iter().filter(|seen| seen.uri.path() == "/hidden").collect();
        // A second request may be answered as itself where the first ended beyond doubt; never more answers than requests.
        assert!(answers <= 2 && hidden.len() <= answers, "{head:?}: {answers} answers");
        for seen in seen {
            assert!(!(seen.headers.contains_key("content-length") && seen.headers.contains_key("transfer-encoding")));
        }
        let fields = head.split("\r\n\r\n").next().unwrap();
        if fields.contains("Content-Length") && fields.contains("Transfer-Encoding") {
            assert!(hidden.is_empty(), "{head:?}");
        }
        still_serves(&rig).await;
    }
}

#[tokio::test]
async fn a_host_is_read_in_one_way_or_not_at_all() {
    let rig = Rig::with(JOURNEYS);
    let close = "Connection: close\r\n\r\n";
    for (head, status) in [
        ("GET / HTTP/1.1\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: shop.example\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n", "400"),
        ("GET http://shop.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\n", "400"),
        ("GET http://x@127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: shop.example, evil.example\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: shop.example@evil.example\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: shop.example/evil\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: shop.example:80:80\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n", "421"),
        ("GET / HTTP/1.1\r\nHost: xshop.example\r\n", "421"),
        ("GET / HTTP/1.1\r\nHost: shop.example.evil.example\r\n", "421"),
        ("CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n", "405"),
        ("GET gopher://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: SHOP.example.\r\n", "200"),
    ] {
        let answer = raw(&rig, format!("{head}{close}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head:?}: {answer}");
    }
    assert_eq!(rig.upstream.last().header("host"), "shop.example", "the one name that was judged goes on");
    let client = rig.client(Protocol::H2);
    let mut request = client.request("GET", "/", &[], "");
    request.headers_mut().insert("host", "shop.example".parse().unwrap());
    assert_eq!(client.connect().await.send(request).await.unwrap().status(), StatusCode::BAD_REQUEST);
    still_serves(&rig).await;
}

#[tokio::test]
async fn only_the_named_origin_may_read() {
    let rig = Rig::with(JOURNEYS);
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        for origin in [
            "null",
            "https://app.example.evil.example",
            "https://evilapp.example",
            "https://app.example:444",
            "http://app.example",
            "https://app.example/",
            "https://APP.example",
            "https://app.example https://evil.example",
            "*",
            "",
        ] {
            let answer = client.send("DELETE", "/account/address", &[("origin", origin)], "").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
            assert_eq!(answer.header("access-control-allow-credentials"), "", "{origin}");
        }
    }
}

#[tokio::test]
async fn an_upstream_cannot_speak_for_weir_either() {
    let upstream = Upstream::answering(|_| {
        Response::builder()
            .header("weir-confidence", "99")
            .header("weir-anything", "secret")
            .header("Weir_Outcome", "success")
            .header("weir-request-id", "theirs")
            .header("keep-alive", "timeout=5")
            .header("proxy-authenticate", "Basic")
            .header("x-app", "kept")
            .body(Full::new(Bytes::new()))
            .unwrap()
    });
    let rig = Rig::start(JOURNEYS, upstream, &[], |_| {});
    for protocol in BOTH {
        let answer = rig.client(protocol).get("/account/balance").await;
        assert_eq!(answer.header("x-app"), "kept");
        assert_eq!(answer.header("weir-request-id").len(), 32);
        let own: Vec<_> = answer.headers.keys().filter(|name| name.as_str().starts_with("weir")).collect();
        assert_eq!(own, ["weir-request-id"]);
        for name in ["keep-alive", "proxy-authenticate"] {
            assert!(!answer.headers.contains_key(name), "{name}");
        }
    }
}

#[tokio::test]
async fn a_tunnel_that_nobody_asked_for_is_not_opened() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = [0; 2048];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let answer: &[u8] = match head[..read].starts_with(b"GET /control") {
                    true => b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nGET /control",
                    false => {
                        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\ntunnel"
                    }
                };
                let _ = stream.write_all(answer).await;
                let _ = stream.read(&mut head).await;
            });
        }
    });
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[], |options| options.servers = Some(vec![server(address)]));
    for protocol in BOTH {
        let answer = rig.client(protocol).get("/account/balance").await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert!(!answer.text().contains("tunnel"));
    }
    let asked = "GET /account/balance HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert!(!raw(&rig, asked).await.contains("tunnel"));
    still_serves(&rig).await;
}

#[tokio::test]
async fn noise_costs_nobody_else_anything() {
    let rig = Rig::with(JOURNEYS);
    let piece = prop_oneof![
        4 => proptest::sample::select(vec![
            "GET ", "POST ", "/account/balance", "/", " HTTP/1.1\r\n", " HTTP/2.0\r\n", "Host: 127.0.0.1\r\n", "\r\n", "\n", "\r", "\0",
            "Content-Length: 5\r\n", "Content-Length: 99999999999999999999\r\n", "Transfer-Encoding: chunked\r\n", "5\r\n", "0\r\n\r\n",
            "Cookie: sid=", ";", "%", "%2e%2e", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "Authorization: Bearer ", "Content-Type: application/json\r\n",
            "Origin: null\r\n", "Expect: 100-continue\r\n", "\u{16}\u{3}\u{1}", "{\"email\":", "Weir-Device: ",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let cases = std::cell::RefCell::new(Vec::new());
    runner
        .run(&proptest::collection::vec(piece, 1..24), |pieces| {
            cases.borrow_mut().push(pieces.concat());
            Ok(())
        })
        .unwrap();
    for (at, bytes) in cases.into_inner().iter().enumerate() {
        for address in &rig.weir().addresses {
            noise(*address, bytes).await;
        }
        if at % 20 == 0 {
            still_serves(&rig).await;
        }
    }
    still_serves(&rig).await;
    let mut connection = rig.client(Protocol::H2).connect().await;
    let request = rig.client(Protocol::H2).request("GET", "/control", &[], "");
    assert_eq!(whole(connection.send(request).await.unwrap()).await.status, StatusCode::OK);
    for line in rig.stop() {
        assert!(!line.to_string().contains("panic"), "{line}");
    }
}
