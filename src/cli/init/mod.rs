//! `weir init`: a small commented set of rules to begin with. It is checked and its cases hold as it is written.
//!
//! It never writes over a file.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use super::demo;
use super::say::say;
use crate::rules::ruleset::Server;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir init rules
  weir init rules --upstream http://127.0.0.1:3000 --host shop.example

The files hold a site, a sign-in, an account page, a way to reach people, a playbook and cases.
Read them from the top: each says what it is for. Nothing is written over.
Exit codes: 0 written, 1 there are rule files already or they cannot be written, 2 the command
line is wrong")]
pub struct InitArguments {
    /// The directory to write to; made when it is missing
    #[arg(value_name = "DIR", default_value = "rules")]
    dir: PathBuf,
    /// The application that Weir stands in front of
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000", value_parser = demo::server)]
    upstream: Server,
    /// The host name of your site, beside localhost
    #[arg(long, value_name = "NAME", value_parser = host)]
    host: Option<String>,
}

fn host(written: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '*');
    match !written.is_empty() && written.len() <= 253 && written.chars().all(fits) {
        true => Ok(written.to_ascii_lowercase()),
        false => Err("write the name alone, such as shop.example".to_owned()),
    }
}

/// Every file: its name and its text, with `@HOSTS@` and `@UPSTREAM@` to be filled in.
const STARTER: &[(&str, &str)] = &[
    ("gateway.toml", include_str!("starter/gateway.toml")),
    ("sites.toml", include_str!("starter/sites.toml")),
    ("identity.toml", include_str!("starter/identity.toml")),
    ("help.toml", include_str!("starter/help.toml")),
    ("journeys.toml", include_str!("starter/journeys.toml")),
    ("cases.toml", include_str!("starter/cases.toml")),
    ("playbooks/account_takeover.toml", include_str!("starter/playbooks/account_takeover.toml")),
];

pub fn init(arguments: &InitArguments) -> anyhow::Result<ExitCode> {
    let dir = &arguments.dir;
    let there: Vec<&str> =
        STARTER.iter().map(|(name, _)| *name).filter(|name| dir.join(name).symlink_metadata().is_ok()).collect();
    if !there.is_empty() {
        bail!("{} holds {} already; nothing was written. Choose another directory", dir.display(), there.join(", "));
    }
    let hosts: Vec<String> = arguments
        .host
        .iter()
        .map(String::as_str)
        .chain(["localhost", "127.0.0.1"])
        .map(|host| format!("\"{host}\""))
        .collect();
    for (name, text) in STARTER {
        let text = text.replace("@HOSTS@", &hosts.join(", ")).replace("@UPSTREAM@", &arguments.upstream.to_string());
        let path = dir.join(name);
        let writing = || format!("writing {}", path.display());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(writing)?;
        }
        let made = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = match made {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                bail!("{} has just been made by somebody else", path.display())
            }
            made => made.with_context(writing)?,
        };
        file.write_all(text.as_bytes()).with_context(writing)?;
    }
    let dir = dir.display();
    let files: Vec<&str> = STARTER.iter().map(|(name, _)| *name).collect();
    say(&format!(
        "Written to {dir}: {}.\nThey stand in front of {}. Next:\n\n  weir check {dir}\n  weir test {dir}\n  weir run --rules {dir}\n",
        files.join(", "),
        arguments.upstream
    ))?;
    Ok(ExitCode::SUCCESS)
}
