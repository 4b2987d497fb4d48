//! `weir completions`, `weir man`: what shells and manuals need, made from the one definition of the command line.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Arguments;
use super::say::say;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir completions bash > /etc/bash_completion.d/weir
  weir completions zsh > ~/.zfunc/_weir
  weir completions fish > ~/.config/fish/completions/weir.fish

Exit codes: 0 done, 2 the command line is wrong")]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn completions(arguments: &CompletionsArguments) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "weir", &mut text);
    say(&String::from_utf8(text)?)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir man > /usr/local/share/man/man1/weir.1
  weir man explain > /usr/local/share/man/man1/weir-explain.1
  weir man check | man -l -

Exit codes: 0 done, 1 there is no such command, 2 the command line is wrong")]
pub struct ManArguments {
    /// A command; without one the page of weir itself
    command: Option<String>,
}

pub fn man(arguments: &ManArguments) -> anyhow::Result<ExitCode> {
    let mut weir = Arguments::command();
    weir.build();
    let page = match &arguments.command {
        None => weir,
        Some(name) => match weir.find_subcommand(name) {
            Some(found) => found.clone(),
            None => bail!("there is no command {name:?}; `weir --help` lists them"),
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    say(&String::from_utf8(text)?)?;
    Ok(ExitCode::SUCCESS)
}
