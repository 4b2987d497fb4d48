//! `weir schema`: the language of the rule files, for editors and for people, printed from the table that reads them.

use std::process::ExitCode;

use clap::Args;

use super::say::{say, say_line};
use crate::rules::syntax;
use crate::settings::Settings;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir schema > weir-rules.schema.json            # for your editor
  weir schema --settings > weir-gateway.schema.json
  weir schema --reference | less                  # every key, one line each
  weir schema --settings --reference

Exit codes: 0 done, 2 the command line is wrong")]
pub struct SchemaArguments {
    /// Of gateway.toml instead of the rule files
    #[arg(long)]
    settings: bool,
    /// The reference for people, as Markdown, instead of the JSON schema
    #[arg(long)]
    reference: bool,
}

pub fn schema(arguments: &SchemaArguments) -> anyhow::Result<ExitCode> {
    match (arguments.settings, arguments.reference) {
        (false, false) => say_line(&format!("{:#}", syntax::schema()))?,
        (true, false) => say_line(&format!("{:#}", Settings::schema()))?,
        (false, true) => say(&syntax::reference())?,
        (true, true) => say(&Settings::reference())?,
    }
    Ok(ExitCode::SUCCESS)
}
