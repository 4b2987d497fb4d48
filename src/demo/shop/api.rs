//! The JSON API under `/api/v1`: the same shop for programs. Money is in pence.
//!
//! Another customer's account or order does not exist, as far as an answer tells. Errors are `{"error": "word"}`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::books::{AccountAt, Line, Order, Refused};
use super::seeds::{CATALOGUE, product};
use super::visit::{Visit, forget, keep};
use super::{Floor, Shared};

/// The routes of the API.
pub fn routes() -> Router<Arc<Floor>> {
    let api = Router::new()
        .route("/session", post(sign_in).delete(sign_out))
        .route("/products", get(products))
        .route("/accounts/{id}", get(account))
        .route("/accounts/{id}/balance", get(balance))
        .route("/accounts/{id}/address", get(address).put(new_address))
        .route("/accounts/{id}/email", put(new_email))
        .route("/accounts/{id}/password", put(new_password))
        .route("/orders", get(orders).post(place_order))
        .route("/orders/{id}", get(order))
        .route("/password-resets", post(ask_reset))
        .route("/password-resets/{token}", put(reset))
        .fallback(nothing);
    Router::new().nest("/api/v1", api)
}

/// Why there is no answer: a status, and a word for programs.
struct Fault(StatusCode, &'static str);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<Refused> for Fault {
    fn from(why: Refused) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, why.word())
    }
}

const SIGNED_OUT: Fault = Fault(StatusCode::UNAUTHORIZED, "not_signed_in");
const NOT_FOUND: Fault = Fault(StatusCode::NOT_FOUND, "not_found");

async fn nothing() -> Fault {
    NOT_FOUND
}

/// The account that is signed in, if it is the one asked for: by its number, or as `me`.
fn own(floor: &Floor, visit: &Visit, id: &str) -> Result<AccountAt, Fault> {
    let at = visit.account.ok_or(SIGNED_OUT)?;
    let is_own = id == "me" || floor.books().account(at).is_some_and(|account| account.id == id);
    if is_own { Ok(at) } else { Err(NOT_FOUND) }
}

#[derive(Deserialize)]
struct SignIn {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

async fn sign_in(State(floor): Shared, visit: Visit, Json(form): Json<SignIn>) -> Response {
    let opened = floor.books().sign_in(&form.email, &form.password, visit.sid.as_deref(), visit.now);
    match opened {
        Ok(Some(sid)) => ([keep(&sid)], Json(json!({ "ok": true }))).into_response(),
        Ok(None) => Fault(StatusCode::UNAUTHORIZED, "wrong_email_or_password").into_response(),
        Err(_) => Fault(StatusCode::INTERNAL_SERVER_ERROR, "internal").into_response(),
    }
}

async fn sign_out(State(floor): Shared, visit: Visit) -> Response {
    floor.books().sign_out(visit.sid.as_deref());
    (StatusCode::NO_CONTENT, [forget()]).into_response()
}

async fn products() -> Json<Value> {
    let goods =
        CATALOGUE.iter().map(|p| json!({ "product": p.slug, "name": p.name, "about": p.about, "price": p.price }));
    Json(json!({ "products": goods.collect::<Vec<_>>() }))
}

async fn account(State(floor): Shared, visit: Visit, Path(id): Path<String>) -> Result<Json<Value>, Fault> {
    let at = own(&floor, &visit, &id)?;
    let books = floor.books();
    let account = books.account(at).ok_or(SIGNED_OUT)?;
    Ok(Json(json!({ "id": account.id, "name": account.name, "email": account.email })))
}

async fn balance(State(floor): Shared, visit: Visit, Path(id): Path<String>) -> Result<Json<Value>, Fault> {
    let at = own(&floor, &visit, &id)?;
    let books = floor.books();
    let account = books.account(at).ok_or(SIGNED_OUT)?;
    Ok(Json(json!({ "id": account.id, "owed": account.owed, "currency": "GBP" })))
}

async fn address(State(floor): Shared, visit: Visit, Path(id): Path<String>) -> Result<Json<Value>, Fault> {
    let at = own(&floor, &visit, &id)?;
    let books = floor.books();
    let [street, town, postcode] = books.account(at).map(|a| a.address.clone()).unwrap_or_default();
    Ok(Json(json!({ "street": street, "town": town, "postcode": postcode })))
}

#[derive(Deserialize)]
struct Address {
    street: String,
    town: String,
    postcode: String,
}

async fn new_address(
    State(floor): Shared,
    visit: Visit,
    Path(id): Path<String>,
    Json(form): Json<Address>,
) -> Result<Json<Value>, Fault> {
    let at = own(&floor, &visit, &id)?;
    floor.books().move_house(at, [form.street, form.town, form.postcode])?;
    Ok(Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
struct Email {
    email: String,
}

async fn new_email(
    State(floor): Shared,
    visit: Visit,
    Path(id): Path<String>,
    Json(form): Json<Email>,
) -> Result<Response, Fault> {
    let at = own(&floor, &visit, &id)?;
    let waiting = floor.books().ask_new_email(at, &form.email, visit.now)?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "ok": true, "unconfirmed": waiting }))).into_response())
}

#[derive(Deserialize)]
struct Passwords {
    current: String,
    new: String,
}

async fn new_password(
    State(floor): Shared,
    visit: Visit,
    Path(id): Path<String>,
    Json(form): Json<Passwords>,
) -> Result<Json<Value>, Fault> {
    let at = own(&floor, &visit, &id)?;
    floor.books().change_password(at, visit.sid.as_deref(), &form.current, &form.new)?;
    Ok(Json(json!({ "ok": true })))
}

fn shown(order: &Order, now: Instant) -> Value {
    let lines = order.lines.iter().map(|line| json!({ "product": line.product.slug, "quantity": line.pieces }));
    json!({
        "id": order.id, "placed": order.day(), "status": order.status(now), "total": order.total(), "currency": "GBP",
        "items": lines.collect::<Vec<_>>()
    })
}

async fn orders(State(floor): Shared, visit: Visit) -> Result<Json<Value>, Fault> {
    let at = visit.account.ok_or(SIGNED_OUT)?;
    let books = floor.books();
    let account = books.account(at).ok_or(SIGNED_OUT)?;
    let orders: Vec<Value> = account.orders.iter().rev().map(|order| shown(order, visit.now)).collect();
    Ok(Json(json!({ "orders": orders })))
}

async fn order(State(floor): Shared, visit: Visit, Path(id): Path<String>) -> Result<Json<Value>, Fault> {
    let at = visit.account.ok_or(SIGNED_OUT)?;
    let books = floor.books();
    let order = books.account(at).and_then(|account| account.order(&id)).map(|order| shown(order, visit.now));
    order.map(Json).ok_or(NOT_FOUND)
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    product: String,
    #[serde(default = "one")]
    quantity: u32,
}

const fn one() -> u32 {
    1
}

async fn place_order(State(floor): Shared, visit: Visit, Json(form): Json<Wanted>) -> Result<Response, Fault> {
    let at = visit.account.ok_or(SIGNED_OUT)?;
    let line = |item: &Item| Some(Line { product: product(&item.product)?, pieces: item.quantity });
    let lines: Option<Vec<Line>> = form.items.iter().map(line).collect();
    let lines = lines.ok_or(Fault(StatusCode::UNPROCESSABLE_ENTITY, "unknown_product"))?;
    let order = floor.books().order(at, lines, visit.now)?;
    Ok((StatusCode::CREATED, Json(shown(&order, visit.now))).into_response())
}

#[derive(Deserialize)]
struct AskReset {
    #[serde(default)]
    email: String,
}

async fn ask_reset(State(floor): Shared, visit: Visit, Json(form): Json<AskReset>) -> Response {
    floor.books().ask_new_password(&form.email, visit.now);
    (StatusCode::ACCEPTED, Json(json!({ "ok": true }))).into_response()
}

#[derive(Deserialize)]
struct Reset {
    #[serde(default)]
    password: String,
}

async fn reset(
    State(floor): Shared,
    visit: Visit,
    Path(token): Path<String>,
    Json(form): Json<Reset>,
) -> Result<Json<Value>, Fault> {
    floor.books().new_password(&token, &form.password, visit.now)?;
    Ok(Json(json!({ "ok": true })))
}
