//! `weir sessions`: whose confidence rests on one family of signals, in a running Weir.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use http::Method;

use super::say::{say, say_line};
use super::{SteerArguments, asking};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir sessions --resting-on device
  weir sessions --resting-on device --json | jq -r '.sessions[].session'

Looks at the latest decisions: the newest of each session. Those shown would come to a lower
rung if the family were distrusted; a playbook with distrust does that from the next request on.
Exit codes: 0 told, 1 Weir did not answer, 2 the command line is wrong")]
pub(super) struct SessionsArguments {
    /// A family of signals: device, behaviour, authentication, exposure
    #[arg(long, value_name = "FAMILY")]
    resting_on: String,
    #[command(flatten)]
    steer: SteerArguments,
}

pub(super) fn sessions(arguments: &SessionsArguments) -> anyhow::Result<ExitCode> {
    let family = &arguments.resting_on;
    anyhow::ensure!(family.bytes().all(|byte| byte.is_ascii_lowercase()), "{family:?} is no family of signals");
    let told = asking::ask(&arguments.steer, Method::GET, &format!("/v1/sessions?resting_on={family}"), None)?;
    if !told.good() {
        anyhow::bail!("{}", told.refusal());
    }
    if arguments.steer.json {
        say_line(&format!("{:#}", told.document))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} of {} sessions in the latest decisions rest on {family}.",
        told.document["resting"], told.document["looked_at"]
    );
    for one in told.document["sessions"].as_array().into_iter().flatten() {
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        let _ = writeln!(out, "  {}  {:<20}{} -> {}", text("session"), text("journey"), text("rung"), text("without"));
    }
    say(&out)?;
    Ok(ExitCode::SUCCESS)
}
