//! `weir key`: a key for a machine. The key itself is printed once; what stays in a file is its digest, which opens nothing.

use std::process::ExitCode;

use anyhow::bail;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::say::{say, say_line};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir key price-robot --class automation
  weir key tills --class partner --json | jq -r .key

The key is shown this once. Only the line with its digest belongs into a file.
Exit codes: 0 done, 2 the command line is wrong")]
pub struct KeyArguments {
    /// What the key is called in logs: a-z, 0-9, - and _
    #[arg(value_parser = name)]
    name: String,
    /// What the machine is to you: a script or assistant, or a machine that the business needs
    #[arg(long, value_enum)]
    class: MachineClass,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The classes that a key can prove.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MachineClass {
    /// A bot, script or assistant
    Automation,
    /// A known machine that the business needs: tills, payment call-backs, couriers
    Partner,
}

impl MachineClass {
    const fn word(self) -> &'static str {
        match self {
            Self::Automation => "automation",
            Self::Partner => "partner",
        }
    }
}

pub(super) fn name(written: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-' || letter == '_';
    match written.len() {
        1..=64 if written.chars().all(fits) => Ok(written.to_owned()),
        _ => Err("use 1 to 64 of a-z, 0-9, - and _".to_owned()),
    }
}

pub fn key(arguments: &KeyArguments) -> anyhow::Result<ExitCode> {
    let mut bytes = [0; 32];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        bail!("this machine has no randomness to make a key of");
    }
    let key = format!("weir_{}", URL_SAFE_NO_PAD.encode(bytes));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let KeyArguments { name, class, json } = arguments;
    let class = class.word();
    if *json {
        let document = json!({ "key": key, "name": name, "class": class, "sha256": digest });
        say_line(&format!("{document:#}"))?;
    } else {
        say(&format!(
            "The key, shown this once. Give it to the machine; it sends it as `x-api-key`:\n\n  {key}\n\n\
             Add this to api_keys_{class}.toml beside your rules:\n\n  [[key]]\n  name = \"{name}\"\n  sha256 = \"{digest}\"\n\n\
             And let [identity] name that file, once:\n\n  {class} = [{{ keys = \"api_keys_{class}.toml\" }}]\n"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
