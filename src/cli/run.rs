//! `weir run`: the gateway, until a signal ends it.

use std::process::ExitCode;

use anyhow::Context as _;

use super::{RunArguments, color, log_to_stderr};
use crate::app::{Options, Signals, StartError, Weir};

pub fn run(arguments: RunArguments) -> anyhow::Result<ExitCode> {
    log_to_stderr(arguments.log)?;
    let signals = Signals::open().context("listening for signals")?;
    let weir = match Weir::start(Options::from_rules(&arguments.rules)) {
        Ok(weir) => weir,
        Err(error) => return Ok(explain(&error)),
    };
    announce(&weir);
    Ok(until_stopped(weir, signals))
}

/// Says why Weir did not start, and gives the exit code for it.
pub fn explain(error: &StartError) -> ExitCode {
    match error {
        StartError::Rules(loaded) => {
            eprint!("{}", loaded.render(color(&std::io::stderr())));
            eprintln!("weir: these rules cannot be put in force; nothing was started");
            ExitCode::FAILURE
        }
        StartError::Listen(_) | StartError::DataInUse(_) => {
            eprintln!("weir: {error}");
            ExitCode::from(3)
        }
        StartError::Tls(_) | StartError::System { .. } | StartError::LacksArmed { .. } | StartError::Token(_) => {
            eprintln!("weir: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM or SIGINT, reloading on SIGHUP; then drains.
pub fn until_stopped(weir: Weir, mut signals: Signals) -> ExitCode {
    signals.wait(&weir);
    tracing::info!("stopping: requests in flight are finished, no new connections are taken");
    let drained = weir.stop();
    if drained.cut == 0 {
        return ExitCode::SUCCESS;
    }
    let cut = match drained.cut {
        1 => "1 connection was".to_owned(),
        count => format!("{count} connections were"),
    };
    eprintln!("weir: {cut} still busy when the time for draining was over (drain in gateway.toml)");
    ExitCode::from(4)
}

fn announce(weir: &Weir) {
    if !weir.warnings.is_empty() {
        tracing::warn!("the rules have warnings:\n{}", weir.warnings);
    }
    let law = weir.law.standing();
    for address in &weir.addresses {
        tracing::info!(%address, "listening");
    }
    if let Some(admin) = weir.admin {
        tracing::info!(%admin, "metrics and health");
    }
    tracing::info!(socket = %weir.socket.display(), "control");
    if let Some(address) = weir.steering {
        tracing::info!(%address, "control over TCP, with a token");
    }
    tracing::info!(generation = law.generation, fingerprint = law.fingerprint, rules = %law.rules.display(), "in force");
}
