//! The command line: one file per command. Commands print for people, and for machines with `--json`.

mod account;
mod arm;
mod asking;
mod audit;
mod breach;
mod calibrate;
mod check;
mod client;
mod completions;
mod demo;
mod eval;
mod explain;
mod import;
mod init;
mod key;
mod lists;
mod notices;
mod outcome;
mod run;
mod say;
mod schema;
mod sessions;
mod snapshots;
mod steer;
mod test;

pub use explain::decision;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::rules::ruleset::Server;

/// Exit codes, the same for every command.
const EXIT_CODES: &str = "\
Exit codes:
  0  done; for run and demo: stopped cleanly
  1  the rules have errors, or the command failed
  2  the command line is wrong
  3  an address cannot be listened on (a second Weir on the same port, say)
  4  stopped, but some requests were still open when the time for draining was over";

const STATUS_EXAMPLES: &str = "\
Examples:
  weir status
  weir status --json | jq .law.generation
  weir status --socket /var/lib/weir/weir.sock      # where several Weirs run

Exit codes: 0 Weir answered, 1 it did not, 2 the command line is wrong";

const RELOAD_EXAMPLES: &str = "\
Examples:
  weir reload
  weir reload --json | jq -r .outcome               # installed, unchanged or refused
  weir reload --socket /var/lib/weir/weir.sock      # where several Weirs run
  weir reload --despite-cases --reason \"case 3 is wrong itself, mended tomorrow\"

Saved files are read without this. It is for when you want the answer here and now.
Exit codes: 0 the files are in force, 1 they have errors (the last good rules stay) or Weir did not
answer, 2 the command line is wrong";

const ROLLBACK_EXAMPLES: &str = "\
Examples:
  weir rollback
  weir rollback --socket /var/lib/weir/weir.sock    # where several Weirs run

One step; a second rollback undoes the first. The files stay as they are: mend them before you save.
Exit codes: 0 the rules before are in force, 1 there are none or Weir did not answer, 2 the command
line is wrong";

/// The gateway that degrades safely under attack.
#[derive(Debug, Parser)]
#[command(name = "weir", version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Run(Box<RunArguments>),
    /// Report every problem of a directory of rules
    Check(CheckArguments),
    /// Run the cases of a directory of rules, one by one
    Test(test::TestArguments),
    /// Say why a request comes out as it does, signal by signal and rung by rung
    Explain(explain::ExplainArguments),
    /// Write a small commented set of rules to begin with
    Init(init::InitArguments),
    /// Print the JSON schema or the reference of the rule files
    Schema(schema::SchemaArguments),
    /// Show every notice that customers read, who reads it and when
    Notices(notices::NoticesArguments),
    /// Print what apps and pages need to be told what works now
    Client(client::ClientArguments),
    /// Make a key for a machine that calls your site
    Key(key::KeyArguments),
    /// Make and look at lists of what has leaked
    Breach(breach::BreachArguments),
    /// Replay a recorded stream and write what each decision scores
    Eval(eval::EvalArguments),
    /// Say what kept outcomes make of the score: constants, lines by budget, and who pays for them
    Calibrate(calibrate::CalibrateArguments),
    /// Say how a decision turned out: fraud or genuine
    Outcome(outcome::OutcomeArguments),
    /// Start a demonstration shop with Weir in front of it
    Demo(DemoArguments),
    /// Show what is in force in a running Weir
    #[command(after_help = STATUS_EXAMPLES)]
    Status(SteerArguments),
    /// Read the rule files of a running Weir again, now
    #[command(after_help = RELOAD_EXAMPLES)]
    Reload(ReloadArguments),
    /// Bring back the rules that were in force before
    #[command(after_help = ROLLBACK_EXAMPLES)]
    Rollback(RollbackArguments),
    /// Arm a playbook: a prebuilt mode for an incident
    Arm(arm::ArmArguments),
    /// Confirm that an armed playbook is right to hold
    Confirm(arm::ConfirmArguments),
    /// End an armed playbook
    StandDown(arm::StandDownArguments),
    /// List the playbooks, or show one and what it changes
    Playbooks(arm::PlaybooksArguments),
    /// Show everything that is held about one account
    Access(account::AccessArguments),
    /// Erase one account from every store, in memory and on the disk
    Erase(account::EraseArguments),
    /// Show what is kept at all: about whom, as what, why and for how long
    DataMap(account::DataMapArguments),
    /// Take over what another system knows
    Import(import::ImportArguments),
    /// Show how the lists of addresses do, or what they say of one address
    Lists(lists::ListsArguments),
    /// Show what is kept of customers' own last-known-good answers, or keep more of them
    Snapshots(snapshots::SnapshotsArguments),
    /// Show whose confidence rests on one family of signals
    Sessions(sessions::SessionsArguments),
    /// Listen to what happens in a running Weir
    Events(audit::EventsArguments),
    /// Show the record of every change, or find out whether it is whole
    Audit(audit::AuditArguments),
    /// Make a token for the door over TCP
    Token(audit::TokenArguments),
    /// Print what your shell needs to complete this command
    Completions(completions::CompletionsArguments),
    /// Print the manual page
    Man(completions::ManArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir run --rules /etc/weir/rules
  weir run --rules rules --log warn

Rule files are watched: save one and it is in force for the next request. SIGHUP reads them
again at once.
SIGTERM and Ctrl-C finish the requests in flight, then stop.")]
struct RunArguments {
    /// The directory of rule files
    #[arg(long, value_name = "DIR", default_value = "rules")]
    rules: PathBuf,
    /// What to log to standard error: error, warn, info, debug, or a tracing filter
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = filter)]
    log: EnvFilter,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir check rules
  weir check rules --json | jq '.problems[].message'
  weir check rules --deny-warnings      # for a pipeline

Exit codes: 0 no errors, 1 errors (or warnings with --deny-warnings), 2 the command line is wrong")]
struct CheckArguments {
    /// The directory of rule files
    #[arg(value_name = "DIR", default_value = "rules")]
    dir: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// Show what comes out on each journey when each source of readings is gone
    #[arg(long)]
    matrix: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir demo
  weir demo --port 9443 --rules my-rules
  weir demo --upstream http://127.0.0.1:3000     # the same rules in front of my own app")]
struct DemoArguments {
    /// The port to listen on, on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// The directory of rule files; without it ./rules, or the shipped ones where there is none
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Put the rules in front of this application instead of the demonstration shop
    #[arg(long, value_name = "URL", value_parser = demo::server)]
    upstream: Option<Server>,
    /// Print only where Weir listens
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct SteerArguments {
    /// The running Weir's control socket; not needed while only one runs
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The address of a running Weir elsewhere (`[control]` in its gateway.toml)
    #[arg(long, value_name = "URL", conflicts_with = "socket", requires = "token_file")]
    url: Option<String>,
    /// A file that holds the token for --url
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A PEM file with the authority that signed the certificate of --url; the system's when left out
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Change something only if this is still the tag of what is in force (law.tag of `weir status --json`)
    #[arg(long, value_name = "TAG")]
    if_match: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ReloadArguments {
    /// Let the rules in although their cases do not hold
    #[arg(long, requires = "reason")]
    despite_cases: bool,
    /// Why: it is kept in the audit record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    steer: SteerArguments,
}

#[derive(Debug, Args)]
struct RollbackArguments {
    /// Why: it is kept in the audit record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    steer: SteerArguments,
}

/// A time as in the rules: 90s, 15m, 2h.
fn span(text: &str) -> Result<std::time::Duration, String> {
    crate::rules::duration(text)
}

/// Runs a command.
///
/// # Errors
/// What stopped it, for people.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Run(arguments) => run::run(*arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Test(arguments) => test::test(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Init(arguments) => init::init(&arguments),
        Command::Schema(arguments) => schema::schema(&arguments),
        Command::Notices(arguments) => notices::notices(&arguments),
        Command::Client(arguments) => client::client(&arguments),
        Command::Key(arguments) => key::key(&arguments),
        Command::Breach(arguments) => breach::breach(&arguments),
        Command::Eval(arguments) => eval::eval(&arguments),
        Command::Calibrate(arguments) => calibrate::calibrate(&arguments),
        Command::Outcome(arguments) => outcome::outcome(&arguments),
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Man(arguments) => completions::man(&arguments),
        Command::Demo(arguments) => demo::demo(arguments),
        Command::Status(arguments) => steer::status(&arguments),
        Command::Reload(arguments) => steer::reload(&arguments),
        Command::Rollback(arguments) => steer::roll_back(&arguments),
        Command::Arm(arguments) => arm::arm(&arguments),
        Command::Confirm(arguments) => arm::confirm(&arguments),
        Command::StandDown(arguments) => arm::stand_down(&arguments),
        Command::Playbooks(arguments) => arm::playbooks(&arguments),
        Command::Access(arguments) => account::access(&arguments),
        Command::Erase(arguments) => account::erase(&arguments),
        Command::DataMap(arguments) => account::data_map(&arguments),
        Command::Import(arguments) => import::import(&arguments),
        Command::Lists(arguments) => lists::lists(&arguments),
        Command::Snapshots(arguments) => snapshots::snapshots(&arguments),
        Command::Sessions(arguments) => sessions::sessions(&arguments),
        Command::Events(arguments) => audit::events(&arguments),
        Command::Audit(arguments) => audit::audit(&arguments),
        Command::Token(arguments) => audit::token(&arguments),
    }
}

/// Whether this stream may be coloured: a terminal, and nobody asked for none (`NO_COLOR`, when it is not empty).
fn color(stream: &impl std::io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn filter(written: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(written).map_err(|_| "try error, warn, info or debug".to_owned())
}

/// Operational messages go to standard error; decision lines have their own way out.
fn log_to_stderr(filter: EnvFilter) -> anyhow::Result<()> {
    // The file watcher's own remarks are noise to an operator; what they mean for Weir, Weir says.
    let filter = match "notify=error".parse() {
        Ok(quieter) => filter.add_directive(quieter),
        Err(_) => filter,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(color(&std::io::stderr()))
        .with_target(false)
        .try_init()
        .map_err(|error| anyhow::anyhow!("{error}"))
}
