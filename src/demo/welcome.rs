//! What `weir demo` prints first: where things are, and six things to try.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::shop::{CUSTOMERS, PHONE_CODE};
use super::tour;

/// Where things are.
#[derive(Debug)]
pub struct Place<'a> {
    /// Weir's own address.
    pub base: &'a str,
    /// The demonstration's own directory.
    pub home: &'a Path,
    /// The rule files.
    pub rules: &'a Path,
    /// Metrics and health.
    pub admin: Option<SocketAddr>,
    /// The control socket.
    pub socket: &'a Path,
    /// The decision lines.
    pub decisions: &'a Path,
    /// The operator's own application, when there is one.
    pub upstream: Option<String>,
}

/// The text, in colour on a terminal.
pub fn text(place: &Place<'_>, color: bool) -> String {
    let (bold, dim, plain) = if color { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    let mut out = String::new();
    let base = place.base;
    let behind = place.upstream.as_deref().unwrap_or("a demonstration shop");
    let _ = writeln!(out, "{bold}Weir is at {base}{plain}, in front of {behind}.\n");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "  {name:<10} {value}");
    };
    row("rules", format!("{}   save a file and it is in force for the next request", place.rules.display()));
    row("decisions", format!("tail -f {}", place.decisions.display()));
    if let Some(admin) = place.admin {
        row("metrics", format!("http://{admin}/metrics   /readyz   /livez"));
    }
    row("status", format!("{} status --socket {}", this_program(), place.socket.display()));
    if place.upstream.is_none() {
        for customer in CUSTOMERS {
            row("customer", format!("{} / {}", customer.email, customer.password));
        }
        row("code", format!("{PHONE_CODE}   what the customers' phones would show"));
        let _ = writeln!(
            out,
            "\nSix things to try, in this order, in a second terminal (the certificate is self-signed, hence curl -k):"
        );
        let jar = format!("{}/", place.home.display());
        let (weir, socket) = (this_program(), place.socket.display().to_string());
        let filled = tour::Place { base, jar: &jar, weir: &weir, socket: &socket };
        for (at, stop) in tour::STOPS.iter().enumerate() {
            let _ = writeln!(out, "\n{bold}{}. {}{plain}  {dim}[{}]{plain}", at + 1, stop.title, stop.rung);
            for line in stop.lines {
                let _ = writeln!(out, "   {}", line.typed(&filled));
            }
            let _ = writeln!(out, "   {dim}{}{plain}", stop.shows);
        }
    }
    let _ = writeln!(out, "\nCtrl-C finishes the requests in flight and stops.");
    out
}

/// How this program is started again: by its path, since nobody has put it on theirs yet.
fn this_program() -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '/' | '.' | '-' | '_');
    match std::env::current_exe().ok().as_deref().and_then(Path::to_str) {
        Some(path) if path.chars().all(plain) => path.to_owned(),
        Some(path) => format!("'{}'", path.replace('\'', "'\\''")),
        None => "weir".to_owned(),
    }
}
