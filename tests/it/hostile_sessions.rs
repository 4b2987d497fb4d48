//! A thief with the right password: whatever they spell, a session that was opened only as far as its step-up stays there, no
//! sign-in goes unjudged, and no client buys itself turns, references or somebody else's proof.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;

use crate::support::client::{BOTH, Client, Protocol, whole};
use crate::support::upstream::{Seen, Upstream};
use crate::support::{GROUND, Rig};

const JOURNEYS: &str = r#"
[journeys.login]
routes = ["POST /login"]
account = { field = "email" }
succeeds_on = { status = [303] }
attempt = [{ at = 37, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
ladder = [{ at = 90, do = "allow" }, { at = 0, do = "step_up" }]
when_unknown = "step_up"

[journeys.peek]
routes = ["GET /peek"]
ladder = [{ at = 0, do = "allow" }]

[journeys.vault]
routes = ["GET /vault"]
require = { level = "mfa" }
ladder = [{ at = 0, do = "allow" }]
when_unknown = "step_up"

[journeys.search]
routes = ["GET /search"]
ladder = [{ at = 100, do = "allow" }, { at = 0, do = "throttle", every = "10s" }]
when_unknown = "throttle"
"#;

fn answer(status: u16, cookies: &[&str]) -> Response<Full<Bytes>> {
    let mut answer = Response::builder().status(status);
    for cookie in cookies {
        answer = answer.header("set-cookie", *cookie);
    }
    answer.body(Full::new(Bytes::new())).unwrap()
}

fn rig(handler: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Rig {
    Rig::start(JOURNEYS, Upstream::answering(handler), &[], |_| {})
}

/// Sends a request with these cookie fields, each a field of its own, and gives its status and the cookies that went on.
async fn with_cookies(rig: &Rig, client: &Client, path: &str, fields: &[&str]) -> (StatusCode, String) {
    let mut request: Request<_> = client.request("GET", path, &[], "");
    for field in fields {
        request.headers_mut().append("cookie", field.parse().unwrap());
    }
    let before = rig.upstream.seen().len();
    let answer = whole(client.connect().await.send(request).await.unwrap()).await;
    let seen = rig.upstream.seen();
    // By its path: a request that came before may be recorded after.
    let own = seen[before..].iter().find(|seen| seen.uri.path() == path);
    (answer.status, own.map_or(String::new(), |seen| seen.header("cookie").to_owned()))
}

#[tokio::test]
async fn no_spelling_of_its_cookie_takes_a_held_session_further() {
    for protocol in BOTH {
        let rig = rig(|seen| match seen.uri.path() {
            "/login" => answer(303, &["sid=s-held; Path=/"]),
            _ => answer(200, &[]),
        });
        let client = rig.client(protocol);
        rig.client(protocol).post("/login", "email=ada&password=right").await;
        let spellings: &[&[&str]] = &[
            &["sid=s-held"],
            &["sid=junk; sid=s-held"],
            &["sid=s-held; sid=junk"],
            &["sid=junk", "sid=s-held"],
            &["theme=dark", "sid=s-held"],
            &["sid=\"s-held\""],
            &["sid=%73-held"],
            &["sid=s%2dheld"],
            &["SID=s-held"],
            &["Sid=s-held; sid=junk"],
            &["%73id=s-held"],
            &["theme=dark, sid=s-held"],
            &["theme=\"x; sid=s-held; y\""],
            &["sid =s-held"],
            &["$Version=1; sid=s-held; $Path=/"],
            &["sid=1; sid=2; sid=3; sid=4; sid=5; sid=6; sid=7; sid=8; sid=9; sid=10; sid=s-held"],
            &["sid=s-held; sid=1; sid=2; sid=3; sid=4; sid=5; sid=6; sid=7; sid=8; sid=9; sid=10"],
        ];
        for fields in spellings {
            for path in ["/account", "/peek", "/vault"] {
                let (status, cookies) = with_cookies(&rig, &client, path, fields).await;
                assert!(!cookies.contains("held"), "{fields:?} on {path}: {status} with {cookies}");
                if path == "/account" && fields.concat().contains("theme=dark;") {
                    assert!(cookies.contains("theme=dark"), "only the session is taken out: {cookies}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_proof_goes_to_the_one_session_that_gave_it() {
    let rig = rig(|seen| match (seen.uri.path(), std::str::from_utf8(&seen.body).unwrap()) {
        ("/login", body) if body.contains("ada") => answer(303, &["sid=s-held; Path=/"]),
        ("/login", _) => answer(303, &["sid=own; Path=/"]),
        ("/verify", _) => answer(303, &[]),
        _ => answer(200, &[]),
    });
    rig.client(Protocol::H1).post("/login", "email=ada&password=right").await;
    rig.client(Protocol::H1).post("/login", "email=mallory&password=right").await;
    for fields in ["sid=s-held; SID=own", "sid=own; sid=s-held", "sid=s-held; sid=own", "a=1, sid=own; sid=s-held"] {
        let mut mallory = rig.client(Protocol::H1);
        mallory.send("POST", "/verify", &[("cookie", fields)], "code=own").await;
        let (status, _) = with_cookies(&rig, &mallory, "/vault", &["sid=s-held"]).await;
        assert_ne!(status, StatusCode::OK, "{fields}");
    }
}

#[tokio::test]
async fn every_session_that_a_sign_in_hands_out_is_judged() {
    for cookies in [
        &["sid=deleted; Max-Age=0; Path=/", "sid=s-fresh; Path=/"][..],
        &["sid=s-fresh; Path=/", "sid=other; Path=/api"],
        &["sid=\"s-fresh\"; Path=/"],
        &["theme=dark", "sid=%73-fresh"],
        &["SID=s-fresh"],
    ] {
        let rig = rig(move |seen| match seen.uri.path() {
            "/login" => answer(303, cookies),
            _ => answer(200, &[]),
        });
        let client = rig.client(Protocol::H1);
        rig.client(Protocol::H1).post("/login", "email=ada&password=right").await;
        for fields in ["sid=s-fresh", "sid=\"s-fresh\"", "sid=%73-fresh", "SID=s-fresh"] {
            let (_, cookies) = with_cookies(&rig, &client, "/account", &[fields]).await;
            assert!(!cookies.contains("fresh"), "{cookies}");
        }
    }
}

#[tokio::test]
async fn a_session_that_the_application_keeps_through_a_sign_in_is_judged_too() {
    let rig = rig(|seen| match seen.uri.path() {
        "/login" => answer(303, &[]),
        _ => answer(200, &[]),
    });
    let mut thief = rig.client(Protocol::H1);
    let fields = [("cookie", "sid=one; sid=two"), ("content-type", "application/x-www-form-urlencoded")];
    thief.send("POST", "/login", &fields, "email=ada&password=right").await;
    for field in ["sid=one", "sid=two"] {
        let (_, cookies) = with_cookies(&rig, &thief, "/account", &[field]).await;
        assert!(!cookies.contains("sid="), "{field}: {cookies}");
    }
}

#[tokio::test]
async fn a_proof_is_not_carried_into_a_session_that_a_sign_in_begins() {
    let rig = rig(|seen| match (seen.uri.path(), seen.header("accept")) {
        ("/login", "text/plain") => answer(200, &["sid=victim; Path=/"]),
        ("/login", _) => answer(303, &["sid=own; Path=/"]),
        ("/verify", _) => answer(303, &[]),
        _ => answer(200, &[]),
    });
    let mut thief = rig.client(Protocol::H1);
    thief.post("/login", "email=mallory&password=right").await;
    thief.post("/verify", "code=right").await;
    assert_eq!(thief.get("/vault").await.status, StatusCode::OK, "the thief's own session is proved");
    let plain = [("accept", "text/plain"), ("content-type", "application/x-www-form-urlencoded")];
    thief.send("POST", "/login", &plain, "email=ada&password=right").await;
    let client = rig.client(Protocol::H1);
    let (status, _) = with_cookies(&rig, &client, "/vault", &["sid=victim"]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "another session has proved nothing");
}

#[tokio::test]
async fn a_held_session_stays_held_through_every_change_of_its_cookie() {
    for status in [200, 303, 401, 404, 500, 503] {
        let rig = rig(move |seen| match (seen.method.as_str(), seen.uri.path()) {
            ("POST", "/login") => answer(303, &["sid=first; Path=/"]),
            ("GET", "/verify") => answer(status, &["sid=s-second; Path=/"]),
            _ => answer(200, &[]),
        });
        let mut thief = rig.client(Protocol::H1);
        thief.post("/login", "email=ada&password=right").await;
        thief.get("/verify").await;
        for field in ["sid=first", "sid=s-second"] {
            let (_, cookies) = with_cookies(&rig, &rig.client(Protocol::H1), "/account", &[field]).await;
            assert!(!cookies.contains("sid="), "{field} after {status}: {cookies}");
        }
    }
}

#[tokio::test]
async fn a_step_up_that_changes_the_session_still_leads_back() {
    let rig = rig(|seen| match (seen.method.as_str(), seen.uri.path()) {
        ("POST", "/login") => Response::builder()
            .status(303)
            .header("set-cookie", "sid=first; Path=/")
            .header("location", "/account")
            .body(Full::default())
            .unwrap(),
        ("POST", "/verify") => answer(303, &["sid=second; Path=/"]),
        _ => answer(200, &[]),
    });
    let mut customer = rig.client(Protocol::H2);
    let browser = [("sec-fetch-mode", "navigate"), ("content-type", "application/x-www-form-urlencoded")];
    let login = customer.send("POST", "/login", &browser, "email=ada&password=right").await;
    let rt = login.header("location").split("rt=").nth(1).unwrap().to_owned();
    customer.post("/verify", "code=right").await;
    let back = customer.get(&format!("/.well-known/weir/return?rt={rt}")).await;
    assert_eq!((back.status, back.header("location")), (StatusCode::SEE_OTHER, "/account"));
    assert_eq!(customer.get("/vault").await.status, StatusCode::OK);
}

/// Identity of the ground, where tests say in `X-Forwarded-For` where they come from.
fn placed() -> String {
    let (_, ground) = GROUND.iter().find(|(name, _)| *name == "identity.toml").unwrap();
    ground.replace("[identity]", "[identity]\ntrusted_proxies = [\"127.0.0.0/8\"]")
}

/// Sign-ins whose account Weir could be made to miss: content type, path, body. The application takes them all.
const HIDDEN: &[(&str, &str, &str)] = &[
    ("application/x-www-form-urlencoded", "/login", "email=ada&password=right"),
    ("application/x-www-form-urlencoded", "/login", "email=ada&Email=mallory&password=right"),
    ("application/x-www-form-urlencoded", "/login", "email=ada&email=mallory&password=right"),
    ("application/x-www-form-urlencoded", "/login", "email[]=ada&password=right"),
    ("application/x-www-form-urlencoded", "/login", "x=1;email=ada&password=right"),
    ("application/x-www-form-urlencoded", "/login", "x=1;email=ada&password=right&email=mallory"),
    ("application/x-www-form-urlencoded", "/login", "user=ada&password=right"),
    ("application/x-www-form-urlencoded", "/login", "email=&user=ada&password=right"),
    ("application/x-www-form-urlencoded", "/login", "email=%zz&password=right"),
    ("application/x-www-form-urlencoded", "/login?email=ada", "password=right"),
    ("application/x-www-form-urlencoded", "/login?email=ada", "email=mallory&password=right"),
    ("application/x-www-form-urlencoded", "/login?%65mail=ada", "email=mallory&password=right"),
    ("application/x-www-form-urlencoded", "/login?x;Email=ada", "email=mallory&password=right"),
    ("application/x-www-form-urlencoded; charset=utf-16", "/login", "email=ada&password=right"),
    ("text/plain", "/login", "email=ada&password=right"),
    (
        "multipart/form-data; boundary=b",
        "/login",
        "--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nada right",
    ),
    ("application/json", "/login", "{\"email\":\"ada\",\"email\":\"mallory\",\"password\":\"right\"}"),
    ("application/json", "/login", "{\"em\\u0061il\":\"ada\",\"email\":\"mallory\",\"password\":\"right\"}"),
    ("application/json", "/login", "{\"email\":[\"ada\"],\"password\":\"right\"}"),
    ("application/json", "/login", "[{\"email\":\"ada\",\"password\":\"right\"}]"),
    ("application/json", "/login", "\u{feff}{\"email\":\"ada\",\"password\":\"right\"}"),
    ("application/json", "/login", "{\"email\":\"ada\",\"password\":\"right\"} trailing"),
];

#[tokio::test]
async fn a_sign_in_cannot_hide_whose_it_is_to_be_judged_more_mildly() {
    // Whoever comes new to Weir passes; a stranger on a known customer's account does not.
    let journeys = JOURNEYS.replace("{ at = 90, do = \"allow\" }", "{ at = 62, do = \"allow\" }");
    for protocol in BOTH {
        let rig = Rig::start(&journeys, Upstream::shop(), &[("identity.toml", &placed())], |_| {});
        let mut owners = [("ada", "192.0.2.1"), ("mallory", "203.0.113.66")].map(|who| (who, rig.client(protocol)));
        for _ in 0..24 {
            for ((name, home), owner) in &mut owners {
                let fields = [("x-forwarded-for", *home), ("content-type", "application/x-www-form-urlencoded")];
                owner.send("POST", "/login", &fields, &format!("email={name}&password=right")).await;
            }
            rig.advance(Duration::from_secs(8 * 3600));
        }
        for (at, (content_type, path, body)) in HIDDEN.iter().enumerate() {
            let mut thief = rig.client(protocol);
            let from = format!("203.0.113.{at}");
            let fields = [("x-forwarded-for", &*from), ("content-type", content_type)];
            let answer = thief.send("POST", path, &fields, body).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{content_type} {path} {body}");
            thief.get("/account").await;
            let cookies = rig.upstream.last().header("cookie").to_owned();
            assert!(!cookies.contains("sid="), "judged as a stranger's: {content_type} {path} {body}");
        }
        let mut newcomer = rig.client(protocol);
        let fields = [("x-forwarded-for", "198.51.100.7"), ("content-type", "application/x-www-form-urlencoded")];
        newcomer.send("POST", "/login?next=/account", &fields, "email=somebody&password=right").await;
        newcomer.get("/account").await;
        assert!(rig.upstream.last().header("cookie").contains("sid="), "whoever comes new to Weir passes");
    }
}

#[tokio::test]
async fn a_made_up_session_buys_no_turn() {
    for protocol in BOTH {
        let rig = rig(|_| answer(200, &[]));
        let client = rig.client(protocol);
        let mut statuses = Vec::new();
        for n in 0..10 {
            statuses.push(with_cookies(&rig, &client, "/search", &[&format!("sid=made-up-{n}")]).await.0.as_u16());
        }
        assert_eq!(statuses[0], 200);
        assert!(statuses[1..].iter().all(|status| *status == 429), "{statuses:?}");
    }
}

#[tokio::test]
async fn one_guesser_cannot_use_up_the_help_of_others() {
    let help = GROUND.iter().find(|(name, _)| *name == "help.toml").unwrap().1;
    let help = help.replace("[help.main]", "[help.main]\ncapacity = \"100/h\"\notherwise = \"callback\"");
    let journeys = JOURNEYS.replace("{ at = 37, do = \"allow\" }", "{ at = 100, do = \"allow\" }")
        + r#"
[journeys.gift]
routes = ["POST /gift"]
ladder = [{ at = 100, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "handoff"
"#;
    let files = [("help.toml", &*help), ("identity.toml", &*placed())];
    let rig = Rig::start(&journeys, Upstream::shop(), &files, |_| {});
    let mut guesser = rig.client(Protocol::H2);
    let mut connection = guesser.connect().await;
    let mut references = std::collections::HashSet::new();
    for n in 0..300 {
        let cookie = format!("sid=made-up-{n}");
        let fields = [("content-type", "application/x-www-form-urlencoded"), ("cookie", &*cookie)];
        let request = guesser.request("POST", "/login", &fields, &format!("email=somebody-{n}&password=x"));
        let held = whole(connection.send(request).await.unwrap()).await;
        assert_eq!(held.status, StatusCode::FORBIDDEN);
        assert!(held.exits().contains(&"contact".to_owned()), "a person is named all the same");
        references.extend(held.json()["handoff"]["reference"].as_str().map(str::to_owned));
    }
    assert!(references.len() <= 40, "{} references for one place", references.len());
    let elsewhere = guesser.send("POST", "/gift", &[("x-forwarded-for", "192.0.2.1")], "").await.json();
    assert_eq!(elsewhere["exits"][0]["open"], true, "there is room for others: {elsewhere}");
    assert!(elsewhere["handoff"]["reference"].is_string(), "{elsewhere}");
}

#[tokio::test]
async fn a_return_target_is_worth_nothing_when_it_is_forged_or_meant_for_something_else() {
    let rig = rig(|seen| match seen.uri.path() {
        "/login" => answer(303, &["sid=one; Path=/"]),
        _ => answer(200, &[]),
    });
    let mut customer = rig.client(Protocol::H1);
    let browser = [("sec-fetch-mode", "navigate"), ("content-type", "application/x-www-form-urlencoded")];
    let page = customer.send("POST", "/login", &browser, "email=ada&password=right").await;
    let rt = page.header("location").split("rt=").nth(1).unwrap().to_owned();
    let device = customer.cookies.iter().find(|(name, _)| name.contains("device")).unwrap().1.clone();
    let mut forged = rt.clone();
    forged.replace_range(forged.len() - 3..forged.len() - 2, if forged.ends_with("A") { "B" } else { "_" });
    let mut stranger = rig.client(Protocol::H1);
    for (client, rt) in [(&mut stranger, &rt), (&mut customer, &forged)] {
        let answer = client.get(&format!("/.well-known/weir/return?rt={rt}")).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::BAD_REQUEST, ""), "{rt}");
    }
    for nonsense in [&*device, "//evil.example", "https://evil.example", "", "....", &"A".repeat(5000)] {
        let answer = customer.get(&format!("/.well-known/weir/return?rt={nonsense}")).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::BAD_REQUEST, ""), "{nonsense}");
    }
    rig.advance(Duration::from_secs(901));
    let late = customer.get(&format!("/.well-known/weir/return?rt={rt}")).await;
    assert_eq!((late.status, late.header("location")), (StatusCode::BAD_REQUEST, ""));
    // And a return target is no device: it gets a fresh cookie like any other stranger.
    let mut disguised = rig.client(Protocol::H1);
    disguised.cookies.push(("__Host-weir-device".into(), rt));
    let login = disguised.post("/login", "email=ada&password=right").await;
    assert!(login.headers.get_all("set-cookie").iter().any(|c| c.to_str().unwrap().starts_with("__Host-weir-device=")));
}

#[tokio::test]
async fn a_held_attempt_does_not_tell_whether_the_account_exists() {
    let journeys = JOURNEYS.replace("{ at = 37, do = \"allow\" }", "{ at = 95, do = \"allow\" }");
    let rig = Rig::start(&journeys, Upstream::shop(), &[("identity.toml", &placed())], |_| {});
    let mut owner = rig.client(Protocol::H1);
    let form = ("content-type", "application/x-www-form-urlencoded");
    owner.send("POST", "/login", &[("x-forwarded-for", "192.0.2.1"), form], "email=ada&password=right").await;
    for n in 0..12 {
        let from = format!("203.0.113.{n}");
        let mut shapes = Vec::new();
        for account in ["ada", "nobody"] {
            let fields = [("x-forwarded-for", &*from), form];
            let body = format!("email={account}&password=x");
            let held = rig.client(Protocol::H1).send("POST", "/login", &fields, &body).await;
            let names: Vec<_> = held.headers.keys().map(|name| name.as_str().to_owned()).collect();
            let mut problem = held.json();
            for own in ["reference", "handoff", "instance"] {
                problem.as_object_mut().unwrap().remove(own);
            }
            shapes.push((held.status, names, problem.to_string()));
        }
        assert_eq!(shapes[0], shapes[1]);
    }
}

#[tokio::test]
async fn hanging_up_before_the_answer_does_not_make_a_sign_in_unseen() {
    let (arrived, arrival) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (arrived, gone) = (std::sync::Mutex::new(arrived), std::sync::Mutex::new(gone));
    let rig = rig(move |seen| match seen.uri.path() {
        "/login" => {
            arrived.lock().unwrap().send(()).unwrap();
            let _ = gone.lock().unwrap().recv();
            answer(303, &[])
        }
        _ => answer(200, &[]),
    });
    let body = "email=ada&password=right";
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: sid=kept\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(rig.weir().addresses[1]).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    arrival.recv().unwrap();
    drop(stream);
    while !rig.lines.text().contains("client_gone") {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    let (_, cookies) = with_cookies(&rig, &rig.client(Protocol::H1), "/account", &["sid=kept"]).await;
    assert!(!cookies.contains("kept"), "the application signed it in: {cookies}");
}
