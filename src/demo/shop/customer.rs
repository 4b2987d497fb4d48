//! The pages for who one is: sign-in and out, the one-time code, the account and its changes, a forgotten password.
//!
//! `POST /verify` answers 303 or 200 for the right code and for nothing else: Weir takes that answer as a proof. No page
//! tells whether an account exists.

use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequest as _, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use minijinja::context;
use minijinja::value::Value;
use serde::Deserialize;
use serde_json::json;

use super::books::{AccountAt, CodeCheck, Refused};
use super::seeds::PHONE_CODE;
use super::visit::{Visit, forget, keep};
use super::{Floor, Shared, is_local, pages};

/// The pages that a sign-in may lead on to.
const ONWARD: [&str; 8] = [
    "/account",
    "/account/balance",
    "/account/address",
    "/account/email",
    "/account/password",
    "/basket",
    "/checkout",
    "/orders",
];

/// The pages of this room.
pub fn routes() -> Router<Arc<Floor>> {
    Router::new()
        .route("/login", get(login_page).post(login))
        .route("/logout", post(logout))
        .route("/verify", get(verify_page).post(verify))
        .route("/password/reset", get(reset_page).post(reset))
        .route("/password/new", get(new_password_page).post(new_password))
        .route("/account", get(account))
        .route("/account/balance", get(balance))
        .route("/account/address", get(address_page).post(address))
        .route("/account/email", get(email_page).post(email))
        .route("/account/email/confirm", get(confirm_page).post(confirm))
        .route("/account/password", get(password_page).post(password))
        .route("/demo/letterbox", get(letterbox))
}

/// Sends a visitor to the sign-in page, and from there back to `next`.
pub fn sign_in_first(next: &'static str) -> Response {
    Redirect::to(&format!("/login?next={next}")).into_response()
}

#[derive(Deserialize)]
struct LoginQuery {
    #[serde(default)]
    next: String,
    #[serde(default)]
    done: String,
}

async fn login_page(State(floor): Shared, visit: Visit, Query(query): Query<LoginQuery>) -> Response {
    let done = (query.done == "password").then_some("Your new password is kept. Please sign in with it.");
    let values = context! { next => onward(&query.next), done };
    floor.pages.show(&visit, StatusCode::OK, "login.html", values)
}

/// Where a sign-in leads: one of our own pages, whatever was asked for.
fn onward(next: &str) -> &'static str {
    ONWARD.into_iter().find(|page| *page == next).unwrap_or("/account")
}

#[derive(Deserialize)]
struct Login {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

async fn login(State(floor): Shared, visit: Visit, Form(form): Form<Login>) -> Response {
    let opened = floor.books().sign_in(&form.email, &form.password, visit.sid.as_deref(), visit.now);
    match opened {
        Ok(Some(sid)) => ([keep(&sid)], Redirect::to(onward(&form.next))).into_response(),
        Ok(None) => {
            let problem = "E-mail address and password do not belong together. Please try again.";
            let values = context! { next => onward(&form.next), problem };
            floor.pages.show(&visit, StatusCode::UNAUTHORIZED, "login.html", values)
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn logout(State(floor): Shared, visit: Visit) -> Response {
    floor.books().sign_out(visit.sid.as_deref());
    ([forget()], Redirect::to("/")).into_response()
}

#[derive(Deserialize, Default)]
struct Proof {
    #[serde(default)]
    code: String,
    #[serde(default)]
    rt: String,
    #[serde(default)]
    resend: String,
}

async fn verify_page(State(floor): Shared, visit: Visit, Query(query): Query<Proof>) -> Response {
    match visit.account {
        Some(_) => code_page(&floor, &visit, &query, StatusCode::OK, None),
        None => sign_in_first("/account"),
    }
}

fn code_page(floor: &Floor, visit: &Visit, proof: &Proof, status: StatusCode, problem: Option<&str>) -> Response {
    let values =
        context! { rt => return_target(&proof.rt), resend => proof.resend == "1", code => PHONE_CODE, problem };
    floor.pages.show(visit, status, "verify.html", values)
}

/// Weir's signed return target, if it looks like one. Weir verifies it; the shop only hands it back.
fn return_target(rt: &str) -> Option<&str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~=".contains(&b);
    (!rt.is_empty() && rt.len() <= 4096 && rt.bytes().all(plain)).then_some(rt)
}

/// Takes the code as a form or as JSON: 303 or 200 when it is right; 422 wrong, 401 signed out, 429 wrong once too often.
async fn verify(State(floor): Shared, visit: Visit, request: Request) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json = kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("application/json"));
    let proof = match is_json {
        true => Json::<Proof>::from_request(request, &()).await.map(|Json(p)| p).map_err(|e| e.into_response()),
        false => Form::<Proof>::from_request(request, &()).await.map(|Form(p)| p).map_err(|e| e.into_response()),
    };
    let proof = match proof {
        Ok(proof) => proof,
        Err(unreadable) => return unreadable,
    };
    let check = floor.books().check_code(visit.sid.as_deref(), &proof.code, visit.now);
    let (status, word) = match check {
        CodeCheck::Right if is_json => return Json(json!({ "ok": true })).into_response(),
        CodeCheck::Right => {
            let back = return_target(&proof.rt).map(|rt| format!("/.well-known/weir/return?rt={rt}"));
            return Redirect::to(back.as_deref().unwrap_or("/account")).into_response();
        }
        CodeCheck::Wrong => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_code"),
        CodeCheck::Ended => (StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_codes"),
        CodeCheck::SignedOut => (StatusCode::UNAUTHORIZED, "not_signed_in"),
    };
    if is_json {
        return (status, Json(json!({ "ok": false, "error": word }))).into_response();
    }
    if check == CodeCheck::Wrong {
        let problem = "This is not the code that your phone shows. Please type it again.";
        return code_page(&floor, &visit, &proof, status, Some(problem));
    }
    let text = match check {
        CodeCheck::Ended => "That was one wrong code too many, so we have signed you out. Your account is unchanged.",
        _ => "You are not signed in, so there is nothing to confirm yet.",
    };
    let onward = context! { heading => "Please sign in", text, onward => "/login", onward_name => "Sign in" };
    let visit = if check == CodeCheck::Ended { Visit { account: None, name: None, ..visit } } else { visit };
    floor.pages.show(&visit, status, "message.html", onward)
}

async fn reset_page(State(floor): Shared, visit: Visit) -> Response {
    floor.pages.show(&visit, StatusCode::OK, "reset.html", context! {})
}

#[derive(Deserialize)]
struct Email {
    #[serde(default)]
    email: String,
}

async fn reset(State(floor): Shared, visit: Visit, Form(form): Form<Email>) -> Response {
    floor.books().ask_new_password(&form.email, visit.now);
    let text = "If we know this e-mail address, a link is on its way to it. It works for an hour.";
    floor.pages.show(&visit, StatusCode::OK, "message.html", context! { heading => "Look at your e-mail", text })
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
}

async fn new_password_page(State(floor): Shared, visit: Visit, Query(query): Query<Token>) -> Response {
    floor.pages.show(&visit, StatusCode::OK, "new_password.html", context! { token => query.token })
}

#[derive(Deserialize)]
struct NewPassword {
    #[serde(default)]
    token: String,
    #[serde(default)]
    password: String,
}

async fn new_password(State(floor): Shared, visit: Visit, Form(form): Form<NewPassword>) -> Response {
    let kept = floor.books().new_password(&form.token, &form.password, visit.now);
    match kept {
        Ok(()) => Redirect::to("/login?done=password").into_response(),
        Err(refused) => {
            let values = context! { token => form.token, problem => refused.sentence() };
            floor.pages.show(&visit, StatusCode::UNPROCESSABLE_ENTITY, "new_password.html", values)
        }
    }
}

#[derive(Deserialize)]
struct AccountQuery {
    #[serde(default)]
    done: String,
}

async fn account(State(floor): Shared, visit: Visit, Query(query): Query<AccountQuery>) -> Response {
    if visit.account.is_none() {
        return sign_in_first("/account");
    }
    let done = match query.done.as_str() {
        "address" => Some("Your new delivery address is kept."),
        "email" => Some("We have sent a link to the new address. Your old one stays until you open it."),
        "password" => Some("Your new password is kept. We have signed you out everywhere else."),
        _ => None,
    };
    floor.pages.show(&visit, StatusCode::OK, "account.html", context! { done })
}

async fn balance(State(floor): Shared, visit: Visit) -> Response {
    let Some(at) = visit.account else { return sign_in_first("/account/balance") };
    let account = floor.books().account(at).map(pages::account);
    floor.pages.show(&visit, StatusCode::OK, "balance.html", context! { account })
}

/// One change of the account: its form and what came of the last try.
struct Change {
    heading: &'static str,
    about: &'static str,
    action: &'static str,
    button: &'static str,
    fields: Vec<Value>,
}

fn field(name: &str, label: &str, kind: &str, fill: &str, value: &str) -> Value {
    context! { name, label, kind, fill, value }
}

fn change_page(floor: &Floor, visit: &Visit, change: Change, refused: Option<Refused>) -> Response {
    let status = refused.map_or(StatusCode::OK, |_| StatusCode::UNPROCESSABLE_ENTITY);
    let Change { heading, about, action, button, fields } = change;
    let problem = refused.map(Refused::sentence);
    floor.pages.show(visit, status, "change.html", context! { heading, about, action, button, fields, problem })
}

fn changed(what: &str, made: Result<(), Refused>) -> Result<Response, Refused> {
    made.map(|()| Redirect::to(&format!("/account?done={what}")).into_response())
}

fn address_form(floor: &Floor, at: AccountAt) -> Change {
    let [street, town, postcode] = floor.books().account(at).map(|a| a.address.clone()).unwrap_or_default();
    Change {
        heading: "Delivery address",
        about: "New orders go here.",
        action: "/account/address",
        button: "Keep this address",
        fields: vec![
            field("street", "House and street", "text", "address-line1", &street),
            field("town", "Town", "text", "address-level2", &town),
            field("postcode", "Postcode", "text", "postal-code", &postcode),
        ],
    }
}

async fn address_page(State(floor): Shared, visit: Visit) -> Response {
    let Some(at) = visit.account else { return sign_in_first("/account/address") };
    change_page(&floor, &visit, address_form(&floor, at), None)
}

#[derive(Deserialize)]
struct Address {
    #[serde(default)]
    street: String,
    #[serde(default)]
    town: String,
    #[serde(default)]
    postcode: String,
}

async fn address(State(floor): Shared, visit: Visit, Form(form): Form<Address>) -> Response {
    let Some(at) = visit.account else { return sign_in_first("/account/address") };
    let made = floor.books().move_house(at, [form.street, form.town, form.postcode]);
    changed("address", made)
        .unwrap_or_else(|refused| change_page(&floor, &visit, address_form(&floor, at), Some(refused)))
}

fn email_form(floor: &Floor, at: AccountAt) -> Change {
    let email = floor.books().account(at).map(|account| account.email.clone()).unwrap_or_default();
    Change {
        heading: "E-mail address",
        about: "You sign in with it, and we write to it. A new one counts once you have opened the link that we send there.",
        action: "/account/email",
        button: "Send me the link",
        fields: vec![field("email", "E-mail address", "email", "email", &email)],
    }
}

async fn email_page(State(floor): Shared, visit: Visit) -> Response {
    let Some(at) = visit.account else { return sign_in_first("/account/email") };
    change_page(&floor, &visit, email_form(&floor, at), None)
}

async fn email(State(floor): Shared, visit: Visit, Form(form): Form<Email>) -> Response {
    let Some(at) = visit.account else { return sign_in_first("/account/email") };
    let made = floor.books().ask_new_email(at, &form.email, visit.now).map(|_| ());
    changed("email", made).unwrap_or_else(|refused| change_page(&floor, &visit, email_form(&floor, at), Some(refused)))
}

async fn confirm_page(State(floor): Shared, visit: Visit, Query(query): Query<Token>) -> Response {
    let values = context! {
        heading => "Your new e-mail address", text => "Press the button to use this address from now on.",
        button => "Use this address", action => "/account/email/confirm", token => query.token
    };
    floor.pages.show(&visit, StatusCode::OK, "message.html", values)
}

async fn confirm(State(floor): Shared, visit: Visit, Form(form): Form<Token>) -> Response {
    let made = floor.books().confirm_email(&form.token, visit.now);
    let (status, text) = match made {
        Ok(()) => (StatusCode::OK, "From now on you sign in with your new address."),
        Err(refused) => (StatusCode::UNPROCESSABLE_ENTITY, refused.sentence()),
    };
    floor.pages.show(&visit, status, "message.html", context! { heading => "Your new e-mail address", text })
}

fn password_form() -> Change {
    Change {
        heading: "Password",
        about: "At least 8 characters. Changing it signs you out everywhere else.",
        action: "/account/password",
        button: "Keep this password",
        fields: vec![
            field("current", "Current password", "password", "current-password", ""),
            field("new", "New password", "password", "new-password", ""),
        ],
    }
}

async fn password_page(State(floor): Shared, visit: Visit) -> Response {
    match visit.account {
        Some(_) => change_page(&floor, &visit, password_form(), None),
        None => sign_in_first("/account/password"),
    }
}

#[derive(Deserialize)]
struct Password {
    #[serde(default)]
    current: String,
    #[serde(default)]
    new: String,
}

async fn password(State(floor): Shared, visit: Visit, Form(form): Form<Password>) -> Response {
    let Some(at) = visit.account else { return sign_in_first("/account/password") };
    let made = floor.books().change_password(at, visit.sid.as_deref(), &form.current, &form.new);
    changed("password", made).unwrap_or_else(|refused| change_page(&floor, &visit, password_form(), Some(refused)))
}

/// The letters that a real shop would have sent. Loopback only: their links change passwords.
async fn letterbox(
    State(floor): Shared,
    ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>,
    headers: HeaderMap,
    visit: Visit,
) -> Response {
    if !is_local(peer, &headers) {
        return (StatusCode::FORBIDDEN, "Only from this machine.\n").into_response();
    }
    let letters = floor.books().letters();
    let letter = |l: super::books::Letter| context! { to => l.to, subject => l.subject, link => l.link };
    let letters: Vec<Value> = letters.into_iter().map(letter).collect();
    floor.pages.show(&visit, StatusCode::OK, "letterbox.html", context! { letters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_only_to_our_own_pages() {
        assert_eq!(onward("/checkout"), "/checkout");
        for elsewhere in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/account/../x"] {
            assert_eq!(onward(elsewhere), "/account");
        }
    }

    #[test]
    fn a_return_target_is_plain_or_none() {
        assert_eq!(return_target("k1.99.aGk.bWFj"), Some("k1.99.aGk.bWFj"));
        for odd in ["", "a&b=c", "a\r\nset-cookie: x", "a b", "%0d"] {
            assert_eq!(return_target(odd), None);
        }
    }
}
