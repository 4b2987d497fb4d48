//! `weir notices`: every page, problem, banner and script that a law gives, for those who answer for the words.
//!
//! It only reads. What it shows is rendered by what answers customers.

mod html;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::color;
use super::say::{say, say_line};
use crate::clock::Clock;
use crate::control::load::load;
use crate::gate::sheet::Sheet;
use crate::rules::notices::{BUILT_IN_PAGE, TOLD};

#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct NoticesArguments {
    /// The directory of rule files
    #[arg(value_name = "DIR", default_value = "rules")]
    dir: PathBuf,
    /// Write one HTML page here, with everything in it
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Print the built-in page, to begin a page of your own with
    #[arg(long, conflicts_with_all = ["html", "json"])]
    template: bool,
}

fn after_help() -> String {
    format!(
        "Examples:
  weir notices                                       # one line for each notice
  weir notices --html notices.html                   # every word, to read or to print
  weir notices rules --json | jq '.parts[] | select(.name == \"checkout\")'
  weir notices --template > rules/templates/page.html

By journey and by playbook: who reads it and when, the page, the problem document, the gRPC
message, the feed of what works now, the banner, and what agents say. References and times in it
are samples; the words are those that customers get.

A page of your own is a template, like Jinja, in templates/page.html beside the rules, and as quick
to change: --template prints the built-in one to begin with. It may use

{TOLD}

Exit codes: 0 done, 1 the rules do not compile or the file cannot be written, 2 the command line
is wrong"
    )
}

pub fn notices(arguments: &NoticesArguments) -> anyhow::Result<ExitCode> {
    if arguments.template {
        say(BUILT_IN_PAGE)?;
        return Ok(ExitCode::SUCCESS);
    }
    let loaded = load(&arguments.dir);
    let Some(rules) = loaded.compiled() else {
        say(&loaded.render(color(&std::io::stdout())))?;
        say_line(&format!("{}: no notices are shown of rules that do not compile.", arguments.dir.display()))?;
        return Ok(ExitCode::FAILURE);
    };
    let sheet = Sheet::of(rules, Clock::System.now());
    if let Some(path) = &arguments.html {
        let page = html::page(&sheet);
        std::fs::write(path, &page).with_context(|| path.display().to_string())?;
        if !arguments.json {
            let size = page.len().div_ceil(1024);
            say_line(&format!("{}: {}, {size} KB", path.display(), text::head(&sheet)))?;
        }
    }
    match (arguments.json, &arguments.html) {
        (true, _) => say_line(&format!("{:#}", serde_json::to_value(&sheet)?))?,
        (false, Some(_)) => {}
        (false, None) => say(&text::table(&arguments.dir.display().to_string(), &sheet))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What a part is about, for a heading.
fn title(part: &crate::gate::sheet::Part) -> String {
    match (part.about, &part.name) {
        ("help", _) => "While nobody can be reached".to_owned(),
        (about, Some(name)) => format!("{}{} {name}", about[..1].to_ascii_uppercase(), &about[1..]),
        (_, None) => "On any page".to_owned(),
    }
}
