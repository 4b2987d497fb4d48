//! `weir breach`: makes lists of what has leaked, and looks at them. A password is never taken from the command line, printed or
//! kept.

mod build;
mod lines;
mod look;
mod progress;
mod sources;
mod spill;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::clock::Moment;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir breach build --hibp pwnedpasswords.txt -o rules/passwords.weir
  weir breach show rules/passwords.weir

The lists are named in the rules, in [breach].
Exit codes: 0 done, 1 not, 2 the command line is wrong")]
pub(super) struct BreachArguments {
    #[command(subcommand)]
    command: BreachCommand,
}

#[derive(Debug, Subcommand)]
enum BreachCommand {
    /// Make a list of leaked passwords, or of names and passwords that leaked together
    #[command(after_help = BUILD_EXAMPLES)]
    Build(BuildArguments),
    /// Make a list of the accounts that were in a breach of your own
    #[command(after_help = ACCOUNTS_EXAMPLES)]
    Accounts(AccountsArguments),
    /// Show what a list says of itself, and whether it is whole
    #[command(after_help = "Examples:
  weir breach show passwords.weir
  weir breach show passwords.weir --json | jq .entries

Exit codes: 0 the list is whole, 1 it cannot be used, 2 the command line is wrong")]
    Show(ShowArguments),
    /// Ask a list about one password (typed or piped in), or about one account
    #[command(after_help = TEST_EXAMPLES)]
    Test(TestArguments),
}

const BUILD_EXAMPLES: &str = "\
Examples:
  weir breach build --hibp pwnedpasswords.txt -o rules/passwords.weir
  weir breach build --hibp ranges/ --plain worst.txt.gz -o rules/passwords.weir --dated 2026-11-01
  weir breach build --pairs combos.txt --key rules/lists.key -o rules/pairs.weir
  weir breach build --pairs combos.csv --separator , --key rules/lists.key -o rules/pairs.weir

--hibp takes whole hashes (SHA1:COUNT), or a directory with a file for each of the 1,048,576
ranges; --plain a password a line; --pairs a name and a password. Each may be packed (.gz) and may
be given more than once. Lines that cannot be read are counted and shown by their numbers; in a
file of hashes one such line ends the command, because the download is broken.
A running Weir takes up a replaced file within seconds. Pairs are hashed under the key, which is
made when there is none: keep it and the list as you keep secrets.
Exit codes: 0 the list is made, 1 it is not (what was there before is there still), 2 the command
line is wrong";

const ACCOUNTS_EXAMPLES: &str = "\
Examples:
  weir breach accounts stolen.txt --breached 2026-10-17 --key lists.key -o rules/accounts.weir

One account a line, written as its owner types it at sign-in.
Exit codes: 0 the list is made, 1 it is not (what was there before is there still), 2 the command
line is wrong";

const TEST_EXAMPLES: &str = "\
Examples:
  weir breach test passwords.weir               # asks for a password
  pass show shop | weir breach test passwords.weir --json | jq .leaked
  weir breach test pairs.weir --key lists.key --name ada@shop.example
  weir breach test accounts.weir --key lists.key --name ada@shop.example

A list says yes to everything that is in it, and to a few things that are not: one password in
256, one pair or account in 65,536.
Exit codes: 0 the list has answered, 1 it cannot be asked, 2 the command line is wrong";

#[derive(Debug, Args)]
struct BuildArguments {
    /// Leaked passwords as SHA-1, in the format of Have I Been Pwned: a file, or a directory of ranges
    #[arg(long, value_name = "PATH", required_unless_present_any = ["plain", "pairs"])]
    hibp: Vec<PathBuf>,
    /// Leaked passwords, one a line
    #[arg(long, value_name = "FILE")]
    plain: Vec<PathBuf>,
    /// Names and passwords, one pair a line
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["hibp", "plain"])]
    pairs: Vec<PathBuf>,
    /// What stands between name and password; the first counts
    #[arg(long, value_name = "TEXT", default_value = ":", requires = "pairs", value_parser = separator)]
    separator: String,
    /// The key for pairs; made when there is none
    #[arg(long, value_name = "FILE", requires = "pairs")]
    key: Option<PathBuf>,
    #[command(flatten)]
    made: MadeArguments,
}

#[derive(Debug, Args)]
struct AccountsArguments {
    /// The accounts, one a line
    #[arg(value_name = "FILE", required = true)]
    from: Vec<PathBuf>,
    /// The day of the breach
    #[arg(long, value_name = "DATE", value_parser = day)]
    breached: Moment,
    /// The key; the one that your pairs were made with, if there are any. Made when there is none
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    made: MadeArguments,
}

#[derive(Debug, Args)]
struct MadeArguments {
    /// The list to make
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// When what it holds was known, if not now; it grows old from that day
    #[arg(long, value_name = "DATE", value_parser = day)]
    dated: Option<Moment>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// The list
    file: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct TestArguments {
    /// The list
    file: PathBuf,
    /// The key that it was made with
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The account
    #[arg(long)]
    name: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn breach(arguments: &BreachArguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        BreachCommand::Build(arguments) => build::build(arguments),
        BreachCommand::Accounts(arguments) => build::accounts(arguments),
        BreachCommand::Show(arguments) => look::show(arguments),
        BreachCommand::Test(arguments) => look::test(arguments),
    }
}

/// The beginning of a day, UTC.
fn day(text: &str) -> Result<Moment, String> {
    let wrong = || "write it as 2026-11-01".to_owned();
    let date: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
    let begins = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?.timestamp().as_second();
    match u64::try_from(begins) {
        Ok(seconds) if seconds > 0 => Ok(Moment::from_unix_seconds(seconds)),
        _ => Err("choose a day after 1 January 1970".to_owned()),
    }
}

fn separator(text: &str) -> Result<String, String> {
    match text {
        "" => Err("give at least one character".to_owned()),
        "\\t" => Ok("\t".to_owned()),
        other => Ok(other.to_owned()),
    }
}
