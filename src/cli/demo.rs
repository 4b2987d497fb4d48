//! `weir demo`: a demonstration shop with Weir in front of it, from one command and without any other set-up.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::{DemoArguments, color, log_to_stderr, run};
use crate::app::{Options, Weir};
use crate::demo::{rules, running, welcome};
use crate::rules::ruleset::Server;
use crate::settings::{Listener, Tls};
use crate::telemetry::lines::Destination;

pub fn demo(arguments: &DemoArguments) -> anyhow::Result<ExitCode> {
    log_to_stderr(if arguments.quiet { "error" } else { "warn" })?;
    let home = Home::make()?;
    let rules = match &arguments.rules {
        Some(dir) => dir.clone(),
        None if Path::new("rules/sites.toml").is_file() => PathBuf::from("rules"),
        None => rules::write(&home.0.join("rules")).context("writing the shipped rules")?,
    };
    let (server, shop) = match &arguments.upstream {
        Some(url) => (server(url)?, None),
        None => {
            let shop = running::Running::start().context("starting the demonstration shop")?;
            (server(&format!("http://{}", shop.address))?, Some(shop))
        }
    };
    let certificates = home.0.join("certs");
    std::fs::create_dir_all(&certificates)?;
    let tls =
        Tls { certificates: vec![(certificates.join("weir.pem"), certificates.join("weir.key"))], self_signed: true };
    let options = Options {
        rules: rules.clone(),
        listeners: Some(vec![Listener { address: SocketAddr::from(([127, 0, 0, 1], arguments.port)), tls: Some(tls) }]),
        admin: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        data: Some(home.0.join("data")),
        servers: Some(vec![server]),
        decisions: Some(Destination::File(home.0.join("decisions.jsonl"))),
        ..Options::default()
    };
    let weir = match Weir::start(options) {
        Ok(weir) => weir,
        Err(error) => return Ok(run::explain(&error)),
    };
    let Some(address) = weir.addresses.first() else { bail!("Weir listens nowhere") };
    let base = format!("https://{address}");
    if arguments.quiet {
        println!("{base}");
    } else {
        let lines = home.0.join("decisions.jsonl");
        let place = welcome::Place {
            base: &base,
            port: address.port(),
            rules: &rules,
            admin: weir.admin,
            socket: &weir.socket,
            decisions: &lines,
            upstream: arguments.upstream.as_deref(),
        };
        print!("{}", welcome::text(&place, color(&std::io::stdout())));
    }
    let code = run::until_stopped(weir)?;
    if let Some(shop) = shop {
        shop.stop();
    }
    Ok(code)
}

fn server(url: &str) -> anyhow::Result<Server> {
    let parsed: http::Uri = url.parse().with_context(|| format!("--upstream {url:?} is not an address"))?;
    let tls = match parsed.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => bail!("--upstream {url:?} must begin with http:// or https://"),
    };
    if !matches!(parsed.path(), "" | "/") {
        bail!("--upstream {url:?} must not have a path: requests keep their own");
    }
    let Some(host) = parsed.host() else { bail!("--upstream {url:?} names no host") };
    let port = parsed.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Ok(Server { tls, host: host.trim_matches(['[', ']']).into(), port })
}

/// The demonstration's own directory: rules, keys, certificates and lines. Gone when it ends.
struct Home(PathBuf);

impl Home {
    fn make() -> anyhow::Result<Self> {
        let mut name = [0; 8];
        aws_lc_rs::rand::fill(&mut name).map_err(|_| anyhow::anyhow!("no randomness"))?;
        let path = std::env::temp_dir().join(format!("weir-demo-{:016x}", u64::from_le_bytes(name)));
        std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
