//! What control shows of the lists of addresses: how each does, and what they say of one address. It changes none of them.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Control;
use super::problem::Problem;
use crate::clock::Moment;
use crate::confidence::Reading;
use crate::control::audit::written;
use crate::judge::seen::Listed;
use crate::lists::Shown;

/// What is asked.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// One address to look up.
    address: Option<String>,
}

pub(super) async fn lists(State(control): State<Control>, Query(asked): Query<Asked>) -> Response {
    let (rules, now) = (control.law.in_force().load().rules.clone(), control.law.clock().now());
    let each: Vec<Value> = control.lists.show(&rules.lists, now).iter().map(shown).collect();
    let Some(address) = asked.address else { return Json(json!({ "lists": each })).into_response() };
    let Ok(address) = address.trim().parse::<IpAddr>() else {
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "this is no address")
            .help("give one IPv4 or IPv6 address, for example 192.0.2.7")
            .into_response();
    };
    let found = control.lists.book().look_up(address, now);
    let listed = match found.listed {
        Reading::Known(listed) => json!(words(listed)),
        Reading::Unknown(why) => json!({ "unknown": why.word() }),
    };
    let country = found.country.map(|letters| String::from_utf8_lossy(&letters).into_owned());
    Json(json!({
        "address": address.to_canonical(),
        "provider": reading(found.provider),
        "country": reading(country),
        "listed": listed,
        "lists": each,
    }))
    .into_response()
}

fn shown(list: &Shown) -> Value {
    let moment = |seconds: Option<u64>| seconds.map(|seconds| written(Moment::from_unix_seconds(seconds)));
    json!({
        "list": list.list,
        "file": list.file,
        "state": list.state,
        "entries": list.entries,
        "dated": moment(list.dated),
        "stale_from": moment(list.stale_from),
        "bytes": list.bytes,
        "trouble": list.trouble,
    })
}

fn reading<T: serde::Serialize>(reading: Reading<T>) -> Value {
    match reading {
        Reading::Known(value) => json!(value),
        Reading::Unknown(why) => json!({ "unknown": why.word() }),
    }
}

fn words(listed: Listed) -> Vec<&'static str> {
    let all =
        [(Listed::TOR, "tor"), (Listed::VPN, "vpn"), (Listed::DATACENTRE, "datacentre"), (Listed::PROXY, "proxy")];
    all.into_iter().filter(|(one, _)| listed.contains(*one)).map(|(_, word)| word).collect()
}
