//! `weir breach show` and `weir breach test`: what a list is, and what it says.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;
use zeroize::Zeroizing;

use super::{ShowArguments, TestArguments};
use crate::cli::arm::second;
use crate::cli::say::say_line;
use crate::clock::Clock;
use crate::control::audit::written;
use crate::identity::breach::{Entry, Filter, Key};
use crate::rules::breach::Kind;

/// A longer password is none that anybody signs in with.
const LONGEST: usize = 1024;

pub(super) fn show(arguments: &ShowArguments) -> anyhow::Result<ExitCode> {
    let file = arguments.file.display();
    let list = Filter::read(&arguments.file).with_context(|| format!("{file}"))?;
    let header = list.header();
    let keyed = header.kind.is_keyed();
    if arguments.json {
        let document = json!({
            "good": true, "list": header.kind.word(), "version": 1, "created": written(header.created),
            "breached": header.breached.map(written), "taken": header.taken, "entries": header.entries,
            "key": keyed.then(|| header.key.to_string()),
        });
        say_line(&format!("{document:#}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let days = Clock::System.now().since(header.created).as_secs() / 86_400;
    say_line(&format!("{file}: a list of {}, version 1, whole", header.kind.word()))?;
    say_line(&format!("entries   {} ({} went in)", header.entries, header.taken))?;
    say_line(&format!("dated     {}, {days} days ago", second(&written(header.created))))?;
    if let Some(breached) = header.breached {
        say_line(&format!("breached  {}", second(&written(breached))))?;
    }
    if keyed {
        say_line(&format!("key       {}", header.key))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn test(arguments: &TestArguments) -> anyhow::Result<ExitCode> {
    let file = arguments.file.display();
    let list = Filter::read(&arguments.file).with_context(|| format!("{file}"))?;
    let kind = list.header().kind;
    let key = arguments.key.as_deref().map(Key::read).transpose()?;
    list.header().fits(kind, key.as_ref().map(Key::id), Clock::System.now()).map_err(|flaw| match (kind, &key) {
        (Kind::Pairs | Kind::Accounts, None) => anyhow::anyhow!("{file} was made with a key: name it with --key"),
        (Kind::Passwords, Some(_)) => anyhow::anyhow!("{file} is a list of passwords, which has no key"),
        _ => anyhow::Error::new(flaw).context(file.to_string()),
    })?;
    let entry = match (kind, &key, arguments.name.as_deref()) {
        (Kind::Passwords, _, None) => Entry::password(&password()?),
        (Kind::Passwords, _, Some(_)) => bail!("{file} is a list of passwords, which has no names"),
        (Kind::Pairs, Some(key), Some(name)) => key.pair(name, &password()?),
        (Kind::Accounts, Some(key), Some(name)) => key.account(name),
        (Kind::Pairs | Kind::Accounts, ..) => bail!("{file} is about accounts: say which with --name"),
    };
    let leaked = list.has(entry);
    if arguments.json {
        say_line(&format!("{:#}", json!({ "list": kind.word(), "leaked": leaked })))?;
        return Ok(ExitCode::SUCCESS);
    }
    let what = match kind {
        Kind::Passwords => "this password",
        Kind::Pairs => "this name with this password",
        Kind::Accounts => "this account",
    };
    say_line(&match leaked {
        true => format!("{what} is in the list"),
        false => format!("{what} is not in the list"),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// One line of standard input, without its end.
fn password() -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        write!(io::stderr(), "Password (it is shown while you type): ")?;
        io::stderr().flush()?;
    }
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST + 2));
    let mut byte = [0];
    let mut from = stdin.lock();
    while from.read(&mut byte)? == 1 && byte[0] != b'\n' {
        if line.len() > LONGEST {
            bail!("this is longer than any password");
        }
        line.push(byte[0]);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    if line.is_empty() {
        bail!("no password was given on standard input");
    }
    Ok(line)
}
