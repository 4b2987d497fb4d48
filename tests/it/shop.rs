//! The demonstration shop over real sockets: every page and every API answer, and the promises that Weir builds on.
//!
//! It must never need a fixed port or a wait.

#![allow(clippy::unwrap_used, reason = "a failing test may stop here")]

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use weir::demo::shop::{CATALOGUE, CUSTOMERS, PHONE_CODE, Shop};

/// Opens a shop on a port of its own, visits it, and closes it.
async fn with_shop<F: Future>(visit: impl FnOnce(Browser) -> F) -> F::Output {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    let (close, closed) = oneshot::channel::<()>();
    let shop = Shop { latency: false }.serve(listener, async {
        let _ = closed.await;
    });
    let visit = async {
        let out = visit(Browser { at, sid: None, more: String::new() }).await;
        drop(close);
        out
    };
    let (served, out) = tokio::join!(shop, visit);
    served.unwrap();
    out
}

/// A browser or program with one cookie.
#[derive(Clone)]
struct Browser {
    at: SocketAddr,
    sid: Option<String>,
    more: String,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &&str| line.split_once(':').is_some_and(|(n, _)| n.eq_ignore_ascii_case(name));
        self.head.lines().find(line).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    }

    fn location(&self) -> &str {
        self.header("location").unwrap_or("")
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Browser {
    async fn ask(&mut self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
        let cookie = self.sid.as_ref().map_or(String::new(), |sid| format!("Cookie: sid={sid}\r\n"));
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{cookie}{kind}{}Content-Length: {}\r\n\r\n{body}",
            self.more,
            body.len()
        );
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
        if let Some(cookie) = answer.header("set-cookie") {
            let value = cookie.split(';').next().unwrap().strip_prefix("sid=").unwrap();
            self.sid = (!value.is_empty()).then(|| value.to_owned());
        }
        answer
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "", "").await
    }

    async fn form(&mut self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, "application/x-www-form-urlencoded", body).await
    }

    async fn json(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.ask(method, path, "application/json", body).await
    }

    async fn sign_in(&mut self) -> Answer {
        self.form("/login", "email=ada@example.test&password=correct+horse").await
    }
}

#[tokio::test]
async fn a_right_password_opens_a_session_with_a_new_cookie() {
    with_shop(|mut browser| async move {
        browser.form("/basket/items", "product=lamp&quantity=2").await;
        let before = browser.sid.clone().unwrap();
        let answer = browser.sign_in().await;
        assert_eq!((answer.status, answer.location()), (303, "/account"));
        let cookie = answer.header("set-cookie").unwrap();
        for word in ["HttpOnly", "SameSite=Lax", "Path=/", "Secure"] {
            assert!(cookie.contains(word), "{cookie}");
        }
        assert_ne!(browser.sid, Some(before.clone()));
        assert!(browser.get("/basket").await.body.contains("Reading lamp"), "the basket comes along");
        let mut old = Browser { sid: Some(before), ..browser.clone() };
        assert!(!old.get("/basket").await.body.contains("Reading lamp"), "the old session is over");
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_get_the_same_answer() {
    with_shop(|mut browser| async move {
        let wrong = browser.form("/login", "email=ada@example.test&password=wrong").await;
        let unknown = browser.form("/login", "email=nobody@example.test&password=wrong").await;
        assert_eq!((wrong.status, unknown.status), (401, 401));
        assert_eq!(wrong.body, unknown.body);
        let wrong = browser.json("POST", "/api/v1/session", r#"{"email":"ada@example.test","password":"x"}"#).await;
        let unknown = browser.json("POST", "/api/v1/session", r#"{"email":"no@example.test","password":"x"}"#).await;
        assert_eq!((wrong.status, wrong.body), (401, unknown.body));
        let known = browser.form("/password/reset", "email=ada@example.test").await;
        let unknown = browser.form("/password/reset", "email=no@example.test").await;
        assert_eq!((known.status, known.body), (200, unknown.body));
        assert_eq!(browser.sid, None);
    })
    .await;
}

#[tokio::test]
async fn every_customer_can_sign_in() {
    with_shop(|browser| async move {
        for seed in CUSTOMERS {
            let mut browser = browser.clone();
            let form = format!("email={}&password={}", seed.email.to_uppercase(), seed.password.replace(' ', "+"));
            assert_eq!(browser.form("/login", &form).await.status, 303, "{}", seed.name);
            assert!(browser.get("/account").await.body.contains(seed.name));
        }
    })
    .await;
}

#[tokio::test]
async fn every_page_is_whole_and_accessible() {
    with_shop(|mut browser| async move {
        let open = ["/", "/products/kettle", "/basket", "/login", "/password/reset", "/password/new", "/nowhere"];
        let own = [
            "/account",
            "/account/balance",
            "/account/address",
            "/account/email",
            "/account/password",
            "/orders",
            "/orders/1001-2",
            "/checkout",
            "/verify?resend=1",
        ];
        for path in own {
            let answer = browser.get(path).await;
            assert_eq!(answer.status, 303, "{path} needs a sign-in");
            assert!(answer.location().starts_with("/login?next=/"), "{path}: {}", answer.location());
        }
        browser.sign_in().await;
        browser.form("/basket/items", "product=mug&quantity=3").await;
        for path in open.into_iter().chain(own) {
            let answer = browser.get(path).await;
            let body = answer.body;
            assert_eq!(answer.status, if path == "/nowhere" { 404 } else { 200 }, "{path}");
            assert!(body.len() < 14 * 1024, "{path} is {} bytes", body.len());
            assert!(body.starts_with("<!doctype html>") && body.contains("<html lang=\"en-GB\">"), "{path}");
            assert_eq!(body.matches("<h1>").count(), 1, "{path}");
            assert!(!body.contains("<script") && !body.contains("undefined") && !body.contains("none</"), "{path}");
            let labels: BTreeSet<&str> = attributes(&body, "<label for=\"").collect();
            for id in body.match_indices("<input id=\"").map(|(at, tag)| &body[at + tag.len()..]) {
                let id = id.split('"').next().unwrap();
                assert!(labels.contains(id), "{path}: the field {id} has no label");
            }
        }
    })
    .await;
}

fn attributes<'a>(body: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    body.match_indices(before).filter_map(move |(at, _)| body[at + before.len()..].split('"').next())
}

#[tokio::test]
async fn the_foot_of_a_page_shows_what_weir_said_and_nothing_else() {
    with_shop(|mut browser| async move {
        assert!(browser.get("/").await.body.contains("Weir: nothing said about this page"));
        browser.more = "Weir-Confidence: 67\r\nWeir-Journey: balance\r\n".to_owned();
        assert!(browser.get("/").await.body.contains("Weir: confidence 67, journey balance"));
        browser.more = "Weir-Confidence: <b>\r\nWeir-Journey: <script>\r\n".to_owned();
        assert!(browser.get("/").await.body.contains("Weir: nothing said about this page"));
    })
    .await;
}

#[tokio::test]
async fn only_the_right_code_of_a_signed_in_customer_is_answered_like_a_proof() {
    with_shop(|mut browser| async move {
        let form = |code: &str| format!("code={code}&rt=k1.99.abc.def");
        assert_eq!(browser.form("/verify", &form(PHONE_CODE)).await.status, 401, "signed out");
        browser.sign_in().await;
        let page = browser.get("/verify?rt=k1.99.abc.def&resend=1").await.body;
        assert!(page.contains(r#"name="rt" value="k1.99.abc.def""#) && page.contains("please send it again"));
        assert!(page.contains("demonstration") && page.contains(PHONE_CODE));
        let wrong = browser.form("/verify", &form("000000")).await;
        assert_eq!(wrong.status, 422);
        assert!(wrong.body.contains(r#"value="k1.99.abc.def""#), "the way back is kept");
        let right = browser.form("/verify", &form("246+810")).await;
        assert_eq!((right.status, right.location()), (303, "/.well-known/weir/return?rt=k1.99.abc.def"));
        let right = browser.form("/verify", "code=246810").await;
        assert_eq!((right.status, right.location()), (303, "/account"));
        assert_eq!(browser.json("POST", "/verify", r#"{"code":"246810"}"#).await.status, 200);
        assert_eq!(browser.json("POST", "/verify", r#"{"code":"1"}"#).await.status, 422);
        assert_eq!(browser.json("POST", "/verify", "{").await.status, 400);
        let odd = browser.form("/verify", "code=246810&rt=x%0d%0aSet-Cookie:+a=b").await;
        assert_eq!((odd.status, odd.location()), (303, "/account"), "an odd target is dropped");
    })
    .await;
}

#[tokio::test]
async fn wrong_codes_end_the_session() {
    with_shop(|mut browser| async move {
        browser.sign_in().await;
        for _ in 0..4 {
            assert_eq!(browser.form("/verify", "code=1").await.status, 422);
        }
        assert_eq!(browser.form("/verify", "code=1").await.status, 429);
        assert_eq!(browser.form("/verify", "code=246810").await.status, 401);
        assert_eq!(browser.get("/account").await.status, 303);
    })
    .await;
}

#[tokio::test]
async fn a_basket_becomes_an_order() {
    with_shop(|mut browser| async move {
        browser.form("/basket/items", "product=mug&quantity=2").await;
        browser.form("/basket/items", "product=kettle").await;
        browser.form("/basket/remove", "product=kettle").await;
        assert_eq!(browser.form("/basket/items", "product=anvil").await.status, 404);
        assert_eq!(browser.form("/checkout", "").await.location(), "/login?next=/checkout");
        let answer = browser.form("/login", "email=ada@example.test&password=correct+horse&next=/checkout").await;
        assert_eq!(answer.location(), "/checkout");
        let page = browser.get("/checkout").await.body;
        assert!(page.contains("Stoneware mug") && page.contains("£19.00") && !page.contains("kettle"));
        let answer = browser.form("/checkout", "").await;
        assert_eq!((answer.status, answer.location()), (303, "/orders/1001-3"));
        assert!(browser.get("/orders/1001-3").await.body.contains("received"));
        assert!(browser.get("/account/balance").await.body.contains("£60.20"), "41.20 and 19.00");
        assert_eq!(browser.form("/checkout", "").await.status, 422, "the basket is empty again");
        assert_eq!(browser.get("/orders/1002-1").await.status, 404, "another's order");
    })
    .await;
}

#[tokio::test]
async fn the_account_can_be_changed() {
    with_shop(|mut browser| async move {
        browser.sign_in().await;
        let mut other = Browser { sid: None, ..browser.clone() };
        other.sign_in().await;
        let moved = browser.form("/account/address", "street=1+%3Cb%3E+Lane&town=Bath&postcode=BA1").await;
        assert_eq!((moved.status, moved.location()), (303, "/account?done=address"));
        assert!(browser.get("/account/address").await.body.contains("1 &lt;b&gt; Lane"));
        assert_eq!(browser.form("/account/address", "street=&town=Bath&postcode=BA1").await.status, 422);
        assert_eq!(browser.form("/account/email", "email=nonsense").await.status, 422);
        let asked = browser.form("/account/email", "email=ada.lovelace@example.test").await;
        assert_eq!((asked.status, asked.location()), (303, "/account?done=email"));
        let link = letter(&mut browser, "/account/email/confirm?token=").await;
        assert_eq!(browser.get(&link).await.status, 200);
        let token = link.split_once('?').unwrap().1;
        assert_eq!(browser.form("/account/email/confirm", token).await.status, 200);
        assert_eq!(browser.form("/account/email/confirm", token).await.status, 422, "a link works once");
        assert_eq!(browser.sign_in().await.status, 401, "the old address is gone");
        let change = "current=wrong&new=long+enough";
        assert_eq!(browser.form("/account/password", change).await.status, 422);
        assert_eq!(browser.form("/account/password", "current=correct+horse&new=short").await.status, 422);
        assert_eq!(browser.form("/account/password", "current=correct+horse&new=long+enough").await.status, 303);
        assert_eq!(other.get("/account").await.status, 303, "signed out elsewhere");
        assert_eq!(browser.get("/account").await.status, 200, "and not here");
        assert_eq!(browser.form("/logout", "").await.status, 303);
        assert_eq!(browser.sid, None);
    })
    .await;
}

/// The newest link of this kind in the letterbox.
async fn letter(browser: &mut Browser, kind: &str) -> String {
    let page = browser.get("/demo/letterbox").await.body;
    let before = format!("href=\"{kind}");
    let link = attributes(&page, "href=\"").find(|link| link.replace("&#x2f;", "/").starts_with(kind));
    link.unwrap_or_else(|| panic!("no {before} in {page}")).replace("&#x2f;", "/")
}

#[tokio::test]
async fn a_forgotten_password_is_set_by_the_link_in_the_letter() {
    with_shop(|mut browser| async move {
        browser.sign_in().await;
        browser.form("/password/reset", "email=ada@example.test").await;
        let link = letter(&mut browser, "/password/new?token=").await;
        let token = link.split_once('?').unwrap().1.to_owned();
        assert!(browser.get(&link).await.body.contains("Choose a new password"));
        assert_eq!(browser.form("/password/new", &format!("{token}&password=short")).await.status, 422);
        let kept = browser.form("/password/new", &format!("{token}&password=engine+notes")).await;
        assert_eq!((kept.status, kept.location()), (303, "/login?done=password"));
        assert_eq!(browser.get("/account").await.status, 303, "every session is over");
        assert_eq!(browser.form("/password/new", &format!("{token}&password=engine+notes")).await.status, 422);
        assert_eq!(browser.sign_in().await.status, 401);
        assert_eq!(browser.form("/login", "email=ada@example.test&password=engine+notes").await.status, 303);
    })
    .await;
}

#[tokio::test]
async fn the_api_answers() {
    with_shop(|mut app| async move {
        for path in ["/api/v1/accounts/me", "/api/v1/accounts/1001/balance", "/api/v1/orders", "/api/v1/orders/1001-1"]
        {
            let answer = app.get(path).await;
            assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("not_signed_in")), "{path}");
        }
        let goods = app.get("/api/v1/products").await.json();
        assert_eq!(goods["products"].as_array().unwrap().len(), CATALOGUE.len());
        let ada = r#"{"email":"ada@example.test","password":"correct horse"}"#;
        let answer = app.json("POST", "/api/v1/session", ada).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"ok":true}"#));
        for id in ["me", "1001"] {
            let balance = app.get(&format!("/api/v1/accounts/{id}/balance")).await.json();
            assert_eq!((balance["owed"].as_i64(), balance["id"].as_str()), (Some(4120), Some("1001")));
        }
        for path in
            ["/api/v1/accounts/1002/balance", "/api/v1/accounts/9/balance", "/api/v1/orders/1002-1", "/api/v1/x"]
        {
            assert_eq!(app.get(path).await.status, 404, "{path}");
        }
        let orders = app.get("/api/v1/orders").await.json();
        assert_eq!(orders["orders"][0]["status"], "on its way");
        assert_eq!(app.get("/api/v1/orders/1001-1").await.json()["total"], 5000);
        let order = app.json("POST", "/api/v1/orders", r#"{"items":[{"product":"mug","quantity":2}]}"#).await;
        assert_eq!((order.status, order.json()["id"].as_str()), (201, Some("1001-3")));
        for bad in
            [r#"{"items":[]}"#, r#"{"items":[{"product":"mug","quantity":0}]}"#, r#"{"items":[{"product":"x"}]}"#]
        {
            assert_eq!(app.json("POST", "/api/v1/orders", bad).await.status, 422, "{bad}");
        }
        let address = r#"{"street":"1 High Street","town":"Bath","postcode":"BA1"}"#;
        assert_eq!(app.json("PUT", "/api/v1/accounts/me/address", address).await.status, 200);
        assert_eq!(app.get("/api/v1/accounts/me/address").await.json()["town"], "Bath");
        assert_eq!(app.json("PUT", "/api/v1/accounts/1002/address", address).await.status, 404);
        let email = r#"{"email":"ada.l@example.test"}"#;
        assert_eq!(app.json("PUT", "/api/v1/accounts/me/email", email).await.status, 202);
        assert_eq!(app.get("/api/v1/accounts/me").await.json()["email"], "ada@example.test", "not yet confirmed");
        let password = r#"{"current":"correct horse","new":"engine notes"}"#;
        assert_eq!(app.json("PUT", "/api/v1/accounts/me/password", password).await.status, 200);
        assert_eq!(app.json("POST", "/api/v1/password-resets", r#"{"email":"x@example.test"}"#).await.status, 202);
        assert_eq!(app.json("PUT", "/api/v1/password-resets/none", r#"{"password":"long enough"}"#).await.status, 422);
        assert_eq!(app.ask("DELETE", "/api/v1/session", "", "").await.status, 204);
        assert_eq!(app.get("/api/v1/accounts/me").await.status, 401);
    })
    .await;
}

#[tokio::test]
async fn the_shop_can_be_sent_away_from_this_machine_only() {
    with_shop(|mut browser| async move {
        assert_eq!(browser.get("/healthz").await.status, 200);
        browser.more = "X-Forwarded-For: 203.0.113.9\r\n".to_owned();
        assert_eq!(browser.form("/demo/away?for=30s", "").await.status, 403);
        assert_eq!(browser.get("/demo/letterbox").await.status, 403);
        browser.more.clear();
        assert_eq!(browser.form("/demo/away", "").await.status, 400);
        assert_eq!(browser.form("/demo/away?for=30s", "").await.status, 200);
        for path in ["/healthz", "/", "/api/v1/products"] {
            let away = browser.get(path).await;
            assert_eq!(away.status, 503, "{path}");
            assert!((1..=31).contains(&away.header("retry-after").unwrap().parse::<u32>().unwrap()));
        }
        assert_eq!(browser.form("/demo/away?for=0s", "").await.status, 200);
        assert_eq!(browser.get("/healthz").await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_form_from_another_site_and_an_endless_body_are_refused() {
    with_shop(|mut browser| async move {
        browser.sign_in().await;
        let long = format!("street={}", "x".repeat(70_000));
        assert_eq!(browser.form("/account/address", &long).await.status, 413);
        browser.more = "Sec-Fetch-Site: cross-site\r\n".to_owned();
        assert_eq!(browser.form("/account/address", "street=a&town=b&postcode=c").await.status, 403);
        assert_eq!(browser.get("/account").await.status, 200, "a link from elsewhere is fine");
    })
    .await;
}
