//! The pages for looking and buying: catalogue, basket, checkout, orders.
//!
//! Anyone may look and fill a basket. What belongs to a customer is shown only to who is signed in, and never another's.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use minijinja::context;
use minijinja::value::Value;
use serde::Deserialize;

use super::books::{Line, Refused, total};
use super::customer::sign_in_first;
use super::seeds::{CATALOGUE, Product, product};
use super::visit::{Visit, keep};
use super::{Floor, Shared, pages};

/// The pages of this room.
pub fn routes() -> Router<Arc<Floor>> {
    Router::new()
        .route("/", get(home))
        .route("/products/{slug}", get(one_product))
        .route("/basket", get(basket))
        .route("/basket/items", post(put))
        .route("/basket/remove", post(take_out))
        .route("/checkout", get(checkout).post(place_order))
        .route("/orders", get(orders))
        .route("/orders/{id}", get(order))
}

/// The page for an address that is none.
pub async fn not_found(State(floor): Shared, visit: Visit) -> Response {
    let text = "There is no page at this address. It may have moved, or been mistyped.";
    let values = context! { heading => "Nothing here", text };
    floor.pages.show(&visit, StatusCode::NOT_FOUND, "message.html", values)
}

fn on_the_shelf(item: &Product) -> Value {
    context! { slug => item.slug, name => item.name, about => item.about, price => item.price }
}

async fn home(State(floor): Shared, visit: Visit) -> Response {
    let goods: Vec<Value> = CATALOGUE.iter().map(on_the_shelf).collect();
    floor.pages.show(&visit, StatusCode::OK, "home.html", context! { goods })
}

async fn one_product(State(floor): Shared, visit: Visit, Path(slug): Path<String>) -> Response {
    match product(&slug) {
        Some(item) => floor.pages.show(&visit, StatusCode::OK, "product.html", context! { item => on_the_shelf(item) }),
        None => not_found(State(floor), visit).await,
    }
}

async fn basket(State(floor): Shared, visit: Visit) -> Response {
    let lines = floor.books().basket(visit.sid.as_deref(), visit.now);
    let values = context! { lines => pages::lines(&lines), sum => total(&lines) };
    floor.pages.show(&visit, StatusCode::OK, "basket.html", values)
}

#[derive(Deserialize)]
struct Put {
    #[serde(default)]
    product: String,
    #[serde(default = "one")]
    quantity: u32,
}

const fn one() -> u32 {
    1
}

async fn put(State(floor): Shared, visit: Visit, Form(put): Form<Put>) -> Response {
    let Some(product) = product(&put.product) else { return not_found(State(floor), visit).await };
    let line = Line { product, pieces: put.quantity.max(1) };
    let begun = floor.books().put(visit.sid.as_deref(), line, visit.now);
    match begun {
        Ok(Some(sid)) => ([keep(&sid)], Redirect::to("/basket")).into_response(),
        Ok(None) => Redirect::to("/basket").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Deserialize)]
struct TakeOut {
    #[serde(default)]
    product: String,
}

async fn take_out(State(floor): Shared, visit: Visit, Form(out): Form<TakeOut>) -> Response {
    floor.books().take_out(visit.sid.as_deref(), &out.product, visit.now);
    Redirect::to("/basket").into_response()
}

async fn checkout(State(floor): Shared, visit: Visit) -> Response {
    let Some(at) = visit.account else { return sign_in_first("/checkout") };
    checkout_page(&floor, &visit, at, None)
}

fn checkout_page(floor: &Floor, visit: &Visit, at: usize, refused: Option<Refused>) -> Response {
    let status = refused.map_or(StatusCode::OK, |_| StatusCode::UNPROCESSABLE_ENTITY);
    let values = {
        let mut books = floor.books();
        let lines = books.basket(visit.sid.as_deref(), visit.now);
        let account = books.account(at).map(pages::account);
        context! { lines => pages::lines(&lines), sum => total(&lines), account, problem => refused.map(Refused::sentence) }
    };
    floor.pages.show(visit, status, "checkout.html", values)
}

async fn place_order(State(floor): Shared, visit: Visit) -> Response {
    let Some(at) = visit.account else { return sign_in_first("/checkout") };
    let order = floor.books().check_out(at, visit.sid.as_deref(), visit.now);
    match order {
        Ok(order) => Redirect::to(&format!("/orders/{}", order.id)).into_response(),
        Err(refused) => checkout_page(&floor, &visit, at, Some(refused)),
    }
}

async fn orders(State(floor): Shared, visit: Visit) -> Response {
    let Some(at) = visit.account else { return sign_in_first("/orders") };
    let orders: Vec<Value> = floor
        .books()
        .account(at)
        .map_or(vec![], |account| account.orders.iter().rev().map(|order| pages::order(order, visit.now)).collect());
    floor.pages.show(&visit, StatusCode::OK, "orders.html", context! { orders })
}

async fn order(State(floor): Shared, visit: Visit, Path(id): Path<String>) -> Response {
    let Some(at) = visit.account else { return sign_in_first("/orders") };
    let order = floor.books().account(at).and_then(|a| a.order(&id)).map(|order| pages::order(order, visit.now));
    match order {
        Some(order) => floor.pages.show(&visit, StatusCode::OK, "order.html", context! { order }),
        None => not_found(State(floor), visit).await,
    }
}
