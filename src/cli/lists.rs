//! `weir lists`: how the lists of addresses do in a running Weir, and what they say of one address.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use http::Method;
use serde_json::Value;

use super::arm::second;
use super::say::{say, say_line};
use super::{SteerArguments, asking};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir lists
  weir lists 192.0.2.7                              # what they say of one address
  weir lists --json | jq -r '.lists[] | select(.state != \"in_use\") | .list'

A list is a file that [lists] in the rules names. Replace the file, and it is in use within
seconds; one that cannot be used, or that changes more than most_change allows, is refused, and
the one before stays.
Exit codes: 0 every list is in use, 1 one is not, or Weir did not answer, 2 the command line is
wrong")]
pub(super) struct ListsArguments {
    /// One address to look up
    #[arg(value_name = "ADDRESS")]
    address: Option<IpAddr>,
    #[command(flatten)]
    steer: SteerArguments,
}

pub(super) fn lists(arguments: &ListsArguments) -> anyhow::Result<ExitCode> {
    let path = match arguments.address {
        // An address needs no escaping in a query (RFC 3986, section 3.4).
        Some(address) => format!("/v1/lists?address={address}"),
        None => "/v1/lists".to_owned(),
    };
    let told = asking::ask(&arguments.steer, Method::GET, &path, None)?;
    if !told.good() {
        anyhow::bail!("{}", told.refusal());
    }
    let each = told.document["lists"].as_array().cloned().unwrap_or_default();
    if arguments.steer.json {
        say_line(&format!("{:#}", told.document))?;
    } else {
        say(&table(&told.document, &each))?;
    }
    let good = |list: &Value| list["state"] == "in_use" && list["trouble"].is_null();
    Ok(if each.iter().all(good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(document: &Value, each: &[Value]) -> String {
    let mut out = String::new();
    if let Some(address) = document["address"].as_str() {
        let _ = writeln!(out, "{:<11} {address}", "address");
        let _ = writeln!(out, "{:<11} {}", "provider", value(&document["provider"], "AS"));
        let _ = writeln!(out, "{:<11} {}", "country", value(&document["country"], ""));
        let listed: Vec<&str> = document["listed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let listed = match (document["listed"].is_array(), listed.is_empty()) {
            (true, true) => "on none".to_owned(),
            (true, false) => listed.join(", "),
            (false, _) => value(&document["listed"], ""),
        };
        let _ = writeln!(out, "{:<11} {listed}\n", "listed");
    }
    if each.is_empty() {
        out.push_str("The rules name no list: there is no [lists].\n");
    }
    for list in each {
        let text = |key: &str| list[key].as_str().unwrap_or_default();
        let made = second(text("dated"));
        let state = match text("state") {
            "in_use" => {
                format!("in use, {} entries, made {made}, good until {}", list["entries"], second(text("stale_from")))
            }
            "stale" => format!("TOO OLD since {}: made {made}; what it says is unknown", second(text("stale_from"))),
            _ => "NOT IN USE: what it would say is unknown".to_owned(),
        };
        let _ = writeln!(out, "{:<11} {state}\n{:<11} {}", text("list"), "", text("file"));
        if let Some(trouble) = list["trouble"].as_str() {
            let _ = writeln!(out, "{:<11} the file there now is REFUSED: {trouble}", "");
        }
    }
    out
}

/// A value, or why there is none.
fn value(value: &Value, before: &str) -> String {
    match value["unknown"].as_str() {
        Some("missing") => "not in the list".to_owned(),
        Some("not_asked") => "no list is named".to_owned(),
        Some(why) => format!("unknown: the list is {why}"),
        None => format!("{before}{}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    }
}
