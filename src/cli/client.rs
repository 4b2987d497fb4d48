//! `weir client`: prints what apps and pages need to be told what works now.

use std::process::ExitCode;

use clap::Args;

use super::say::say;
use crate::gate::continuity::feed::{CLIENT_TEXT, SCRIPT_TEXT};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir client --typescript > src/weir.ts        # types, fetch and subscribe, for apps
  weir client --script > public/journeys.js     # as it is served at /.well-known/weir/journeys.js

Both read /.well-known/weir/journeys, which answers in JSON or as server-sent events:
  { \"as_of\": ..., \"about\": \"you\" or \"everybody\", \"journeys\": [
    { \"name\", \"state\": \"open\", \"proof\", \"read_only\", \"by_phone\" or \"closed\",
      \"until\"?, \"headline\"?, \"detail\"?, \"exits\"? } ] }

A page names journeys: <button data-weir-journey=\"checkout\">. What cannot be done now gets
aria-disabled, and the reason beside it as <span class=\"weir-reason\">, for the page to dress.
What is held back is answered as application/problem+json: see Problem in the client.

Exit codes: 0 done, 2 the command line is wrong")]
#[group(required = true, multiple = false)]
pub struct ClientArguments {
    /// The client for apps, in TypeScript
    #[arg(long)]
    typescript: bool,
    /// The script for pages
    #[arg(long)]
    script: bool,
}

pub fn client(arguments: &ClientArguments) -> anyhow::Result<ExitCode> {
    let text = if arguments.typescript { CLIENT_TEXT } else { SCRIPT_TEXT };
    say(text)?;
    Ok(ExitCode::SUCCESS)
}
