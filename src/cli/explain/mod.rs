//! `weir explain`: why a request comes out as it does. A request that is described is judged here and now by the rules of a directory; a
//! reference is looked up in a running Weir, or in a file of decision lines.
//!
//! What is described becomes a case of the rule language, so that everything that a case can say can be said here, in the same words.

pub mod decision;
mod find;
mod words;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::say::{say, say_line};
use super::test::law_of;
use super::{SteerArguments, asking, color};
use crate::judge::explain::Explanation;
use crate::judge::registers::{Aloud, Reasons, Told, to_the_customer};
use crate::rules::diagnostic::{self, render};
use crate::rules::feeds::Feed;
use crate::rules::source::{Bounds, Sources};
use crate::rules::syntax::closest;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir explain POST /checkout --given device=unknown,network=new,authenticated=pwd
  weir explain POST /login --given account_failures=4
  weir explain /account/balance --given authenticated=pwd --down jwks,upstream
  weir explain POST /checkout --given device=known,network=known --down redis,jwks,geo
  weir explain POST /checkout --given device=unknown --for agent
  weir explain GET /products -H 'user-agent: sqlmap/1.8' --host shop.example
  weir explain 4f1c09ab77e2                       # what a customer reads out, or a line of the log
  weir explain \"123 456 789\"                      # a handoff's reference
  weir explain 4f1c09ab77e2 --log decisions.jsonl # without a running Weir

--given takes what the given of a [[case]] takes: weir schema --reference lists it.
Exit codes: 0 explained, 1 the rules have errors or nothing has this reference, 2 the command
line is wrong")]
pub struct ExplainArguments {
    /// A method and a path, a path alone (GET), or a reference
    #[arg(value_name = "METHOD PATH | REFERENCE", required = true, num_args = 1..=3)]
    what: Vec<String>,
    /// The directory of rule files that judge the request
    #[arg(long, value_name = "DIR", default_value = "rules")]
    rules: PathBuf,
    /// The host asked for; the first site's without it
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// A header of the request
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// What is known of the client, as in a case
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = given)]
    given: Vec<(String, String)>,
    /// Playbooks that are armed
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    armed: Vec<String>,
    /// What kind of client asks: customer, agent, partner, automation
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Where it comes from: web, app, store, desk
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Sources that are gone: device, geo, exits, breach, events, jwks, redis, upstream; both outcomes are shown
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = feed)]
    down: Vec<Feed>,
    /// Whom it is explained to: operators with every point, an agent without any, the customer in one sentence
    #[arg(long = "for", value_name = "WHOM", value_enum, default_value = "operator")]
    whom: Whom,
    /// A file of decision lines to look the reference up in
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    #[command(flatten)]
    at: SteerArguments,
}

/// Whom something is explained to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Whom {
    /// Every line of the arithmetic
    Operator,
    /// What may be said aloud
    Agent,
    /// One sentence
    Customer,
}

/// A source by its name.
fn feed(written: &str) -> Result<Feed, String> {
    let known = || Feed::ALL.iter().map(|feed| feed.word());
    Feed::ALL.into_iter().find(|feed| feed.word() == written.trim()).ok_or_else(|| {
        let near = closest(written, known()).map_or_else(String::new, |near| format!("; did you mean {near}?"));
        format!("it is none of {}{near}", known().collect::<Vec<_>>().join(", "))
    })
}

fn header(written: &str) -> Result<(String, String), String> {
    let (name, value) = written.split_once(':').ok_or_else(|| "write it as 'name: value'".to_owned())?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

fn given(written: &str) -> Result<(String, String), String> {
    let (key, value) = written.split_once('=').ok_or_else(|| "write it as key=value".to_owned())?;
    let key = key.trim();
    match !key.is_empty() && key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_') {
        true => Ok((key.to_owned(), value.trim().to_owned())),
        false => Err(format!("{key:?} is not a key; try device, network, authenticated or account_failures")),
    }
}

pub fn explain(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    let words: Vec<&str> = arguments.what.iter().map(String::as_str).collect();
    match words.as_slice() {
        [path] if path.starts_with('/') => request(arguments, "GET", path),
        [method, path] if path.starts_with('/') => request(arguments, method, path),
        // A handoff's reference is three groups of digits, with quotes or without.
        _ => reference(arguments, &words.join(" ")),
    }
}

fn reference(arguments: &ExplainArguments, written: &str) -> anyhow::Result<ExitCode> {
    let Some(reference) = find::Reference::parse(written) else {
        bail!(
            "{written:?} is neither a request nor a reference; write a method and a path that begins with /, \
             the 12 or 32 digits of an id, or the nine digits of a handoff"
        )
    };
    let line = match &arguments.log {
        Some(file) => match find::in_file(file, &reference)? {
            Some(line) => line,
            None => bail!("no line of {} has the reference {reference}", file.display()),
        },
        None => {
            let told =
                asking::ask(&arguments.at, http::Method::GET, &format!("/v1/decisions/{}", reference.bare()), None)?;
            match told.status.as_u16() {
                200 => told.document,
                404 => bail!(
                    "this Weir no longer remembers a decision {reference}; if its lines are kept in a file, look there with --log FILE"
                ),
                _ => bail!("{}", told.refusal()),
            }
        }
    };
    if arguments.whom != Whom::Operator {
        let because = ["session_because", "because"].into_iter().find_map(|key| line[key].as_array());
        let told = because.into_iter().flatten().take(64).filter_map(|line| Told::parse(line.as_str()?));
        let action = line["session_action"].as_str().or(line["action"].as_str()).unwrap_or_default();
        return tell(arguments, &Reasons::among(told).aloud(), to_the_customer(action));
    }
    if arguments.at.json {
        say_line(&format!("{line:#}"))?;
    } else {
        say(&decision::words(&line))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the words of a command line are called where a problem in them is shown.
const COMMAND_LINE: &str = "command line";

fn request(arguments: &ExplainArguments, method: &str, path: &str) -> anyhow::Result<ExitCode> {
    if arguments.log.is_some() {
        bail!("--log looks up a reference; a request is judged by --rules");
    }
    let sources = match Sources::read(&arguments.rules, &Bounds::default()) {
        Ok(sources) => sources,
        Err(problems) => return refused(arguments, &Sources::default(), &problems),
    };
    let as_it_is = case(arguments, method, path, &[]);
    let gone = case(arguments, method, path, &arguments.down);
    let both = if arguments.down.is_empty() { as_it_is } else { format!("{as_it_is}{gone}") };
    let (sources, rules) = match law_of(sources.and(COMMAND_LINE, &both)) {
        Ok(law) => law,
        Err((sources, problems)) => return refused(arguments, &sources, &problems),
    };
    let ours = |case: &&crate::rules::ruleset::Case| {
        sources.get(case.span.source).is_some_and(|source| &*source.name == COMMAND_LINE)
    };
    let explained: Vec<Explanation> =
        rules.cases.iter().filter(ours).map(|case| crate::judge::explain::explain(&rules, case)).collect();
    let Some(first) = explained.first() else { bail!("the request could not be read") };
    let gone = explained.get(1);
    if arguments.whom != Whom::Operator {
        let deciding = gone.unwrap_or(first).judgements.iter().find(|judgement| judgement.decides);
        let Some(judgement) = deciding else { bail!("nobody is judged on this request: it is answered before") };
        return tell(arguments, &judgement.agent, judgement.customer);
    }
    let names: Vec<&str> = arguments.down.iter().map(|down| down.word()).collect();
    if arguments.at.json {
        let document = match gone {
            None => json!(first),
            Some(gone) => json!({ "as_it_is": first, "when_gone": gone, "gone": names }),
        };
        say_line(&format!("{document:#}"))?;
    } else {
        say(&words::text(&rules, first, color(&std::io::stdout())))?;
        if let Some(gone) = gone {
            say(&words::beside(&rules, first, gone, &names.join(" and "), color(&std::io::stdout())))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What an agent or the customer is told.
fn tell(arguments: &ExplainArguments, aloud: &Aloud, customer: &str) -> anyhow::Result<ExitCode> {
    let agent = arguments.whom == Whom::Agent;
    if arguments.at.json {
        let document =
            if agent { json!({ "agent": aloud, "customer": customer }) } else { json!({ "customer": customer }) };
        say_line(&format!("{document:#}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if agent {
        for (what, lines) in
            [("What speaks for the customer", &aloud.speaks_for), ("What is unusual", &aloud.speaks_against)]
        {
            if !lines.is_empty() {
                say_line(&format!("{what}:\n  {}", lines.join("\n  ")))?;
            }
        }
        say_line(&format!("To the customer:\n  {customer}"))?;
    } else {
        say_line(customer)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn refused(
    arguments: &ExplainArguments,
    sources: &Sources,
    problems: &[diagnostic::Diagnostic],
) -> anyhow::Result<ExitCode> {
    if arguments.at.json {
        say_line(&format!("{:#}", json!({ "problems": diagnostic::to_json(problems, sources) })))?;
    } else {
        say(&render(problems, sources, color(&std::io::stdout())))?;
        eprintln!("weir: nothing could be explained");
    }
    Ok(ExitCode::FAILURE)
}

/// What was described, as a case.
fn case(arguments: &ExplainArguments, method: &str, path: &str, down: &[Feed]) -> String {
    let mut text = String::from("[[case]]\nname = \"the request\"\nexpect = \"allow\"\n");
    let list = |names: &[String]| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    if !arguments.armed.is_empty() {
        let _ = writeln!(text, "armed = [{}]", list(&arguments.armed));
    }
    let _ = writeln!(text, "[case.request]\nmethod = {}\npath = {}", quoted(&method.to_uppercase()), quoted(path));
    if let Some(host) = &arguments.host {
        let _ = writeln!(text, "host = {}", quoted(host));
    }
    text.push_str("[case.request.headers]\n");
    for (name, value) in &arguments.headers {
        let _ = writeln!(text, "{} = {}", quoted(name), quoted(value));
    }
    text.push_str("[case.given]\n");
    let named = [("class", &arguments.class), ("channel", &arguments.channel)];
    let named = named.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    for (key, value) in arguments.given.iter().map(|(key, value)| (key.as_str(), value)).chain(named) {
        let _ = writeln!(text, "{key} = {}", value_of(value));
    }
    if !down.is_empty() {
        let names: Vec<String> = down.iter().map(|feed| quoted(feed.word())).collect();
        let _ = writeln!(text, "down = [{}]", names.join(", "));
    }
    text
}

/// A value of `--given`: a number or a flag as it is, everything else as text.
fn value_of(written: &str) -> String {
    let bare = matches!(written, "true" | "false")
        || (!written.is_empty() && written.len() < 19 && written.bytes().all(|byte| byte.is_ascii_digit()));
    if bare { written.to_owned() } else { quoted(written) }
}

/// A text in quotes. What JSON escapes, TOML reads.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
