//! `weir status`, `weir reload`, `weir rollback`: the control socket's client.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::SteerArguments;
use super::say::{say, say_line};
use crate::control::sockets;

pub fn status(arguments: &SteerArguments) -> anyhow::Result<ExitCode> {
    let (_, document) = ask(arguments, Method::GET, "/v1/status")?;
    if arguments.json {
        say_line(&format!("{document:#}"))?;
    } else {
        say(&table(&document))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub fn reload(arguments: &SteerArguments) -> anyhow::Result<ExitCode> {
    change(arguments, "/v1/rules/reload")
}

pub fn roll_back(arguments: &SteerArguments) -> anyhow::Result<ExitCode> {
    change(arguments, "/v1/rules/rollback")
}

fn change(arguments: &SteerArguments, path: &str) -> anyhow::Result<ExitCode> {
    let (status, document) = ask(arguments, Method::POST, path)?;
    if arguments.json {
        say_line(&format!("{document:#}"))?;
    } else {
        say_line(&sentence(&document))?;
    }
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn sentence(document: &Value) -> String {
    let generation = &document["generation"];
    let fingerprint = document["fingerprint"].as_str().unwrap_or_default();
    match document["outcome"].as_str().unwrap_or_default() {
        "installed" => format!("New rules are in force: generation {generation}, {fingerprint}."),
        "unchanged" => format!("The files are what is in force already: generation {generation}."),
        "rolled_back" => format!(
            "The rules before are in force again: generation {generation}, {fingerprint}. \
             The files on disk are not; mend them before you save."
        ),
        "nothing_before" => format!("There are no rules before generation {generation} in this process."),
        "refused" => format!(
            "{}The files have errors; generation {generation} stays in force.",
            document["problems"].as_str().unwrap_or_default()
        ),
        other => format!("Weir answered {other:?}."),
    }
}

fn table(document: &Value) -> String {
    let law = &document["law"];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut out = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<12} {value}");
    };
    let places = &document["places"];
    let draining = if document["draining"] == true { ", draining" } else { "" };
    row("weir", format!("{}, process {}{draining}", text(&document["weir"]), places["process"]));
    let listening: Vec<String> = places["listening"].as_array().into_iter().flatten().map(text).collect();
    row("listening", listening.join(", "));
    if let Some(admin) = places["admin"].as_str() {
        row("metrics", format!("http://{admin}/metrics"));
    }
    row("in force", format!("generation {}, {}", law["generation"], text(&law["fingerprint"])));
    row("since", text(&law["installed"]));
    let files = match (law["files_in_force"] == true, law["last"]["outcome"].as_str()) {
        (true, _) => "in force".to_owned(),
        (false, Some("refused")) => {
            let errors = match law["last"]["errors"].as_u64() {
                Some(1) => "1 error".to_owned(),
                _ => format!("{} errors", law["last"]["errors"]),
            };
            format!("REFUSED, {errors}: run weir check {}", text(&law["rules"]))
        }
        (false, _) => "not in force (rolled back)".to_owned(),
    };
    row("files", format!("{}: {files}", text(&law["rules"])));
    if law["restart_needed"] == true {
        row("settings", "gateway.toml has CHANGED: taken up at the next restart".to_owned());
    }
    row("rollback", law["before"].as_str().map_or("nothing to go back to".to_owned(), |before| format!("to {before}")));
    let rooms = &document["rooms"];
    row("connections", text(&rooms["connections"]));
    row("remembered", format!("accounts: {}, sessions: {}", rooms["accounts"], rooms["sessions"]));
    for upstream in rooms["upstreams"].as_array().into_iter().flatten() {
        let servers: Vec<String> = upstream["servers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|server| format!("{} {}", text(&server["url"]), if server["up"] == true { "up" } else { "DOWN" }))
            .collect();
        row("upstream", format!("{}: {}", text(&upstream["name"]), servers.join(", ")));
    }
    out
}

/// How long a command waits: as long as the control socket itself allows a request, and a little.
const PATIENCE: Duration = Duration::from_secs(35);

fn ask(arguments: &SteerArguments, method: Method, path: &str) -> anyhow::Result<(StatusCode, Value)> {
    let socket = socket(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (status, body) = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, exchange(&socket, method, path)).await.unwrap_or_else(|_| {
            bail!("the Weir at {} did not answer within {} seconds", socket.display(), PATIENCE.as_secs())
        })
    })?;
    let document = serde_json::from_slice(&body)
        .with_context(|| format!("Weir answered {status} with something that is not JSON"))?;
    Ok((status, document))
}

/// One request over one connection, which is closed when the answer has been read.
async fn exchange(socket: &Path, method: Method, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
    let stream = tokio::net::UnixStream::connect(socket).await.map_err(|cause| match cause.kind() {
        ErrorKind::PermissionDenied => anyhow!("{} belongs to another user's Weir: {cause}", socket.display()),
        _ => anyhow!("no Weir answers at {}; is it running? ({cause})", socket.display()),
    })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder().method(method).uri(path).header("host", "weir").body(Empty::<Bytes>::new())?;
    let asking = async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        anyhow::Ok((status, body))
    };
    let (answer, _) = tokio::join!(asking, connection);
    answer
}

/// The socket that was named, or that of the one Weir that runs.
fn socket(arguments: &SteerArguments) -> anyhow::Result<PathBuf> {
    if let Some(socket) = &arguments.socket {
        return Ok(socket.clone());
    }
    let running = sockets::running();
    match running.as_slice() {
        [] => bail!(
            "no Weir of this user is running; start one with `weir run` or `weir demo`, or name its socket with --socket PATH"
        ),
        [one] => Ok(one.clone()),
        several => {
            let list: Vec<String> = several.iter().map(|socket| format!("  --socket {}", socket.display())).collect();
            bail!("{} Weirs are running; say which:\n{}", several.len(), list.join("\n"))
        }
    }
}
