//! The README is true: its commands are commands, its transcripts are what comes, its files and passwords exist.

use std::collections::BTreeSet;

use clap::Parser as _;
use weir::demo::rules::SHIPPED;
use weir::demo::shop::CUSTOMERS;

use crate::support::program::{Terminal, repository};

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).unwrap()
}

/// The fenced blocks: their language and their text.
fn blocks(readme: &str) -> Vec<(&str, &str)> {
    let fences = readme.split("\n```").skip(1).step_by(2);
    fences.filter_map(|block| block.split_once('\n')).collect()
}

/// What a block asks to be typed.
fn typed(readme: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (language, text) in blocks(readme) {
        match language {
            "sh" => lines.extend(text.lines().map(str::to_owned)),
            "console" => lines.extend(text.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned)),
            _ => {}
        }
    }
    lines
}

/// The words of a line, as a shell takes them apart.
fn spoken(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, piece) in line.split('"').enumerate() {
        match at % 2 {
            0 => words.extend(piece.split_whitespace().map(str::to_owned)),
            _ => words.push(piece.to_owned()),
        }
    }
    words
}

/// What the README shows below this command.
fn shown(command: &str) -> String {
    let readme = readme();
    let begins = format!("$ {command}");
    let found = blocks(&readme).into_iter().find_map(|(_, text)| {
        let (line, rest) = text.split_once('\n')?;
        line.starts_with(&begins).then(|| format!("{line}\n{rest}"))
    });
    found.unwrap_or_else(|| panic!("not shown: {command}"))
}

/// Whether two texts are the same but for moments, numbers, places and the operator's name.
fn alike(said: &str, shown: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let mut after_time = false;
        let each = text.split_whitespace().map(|word| {
            let number = word.contains(|letter: char| letter.is_ascii_digit()) && !word.starts_with("4711");
            let name = std::mem::replace(&mut after_time, number && word.ends_with('Z') || word == "by");
            if number || name || word.starts_with('/') { "*".to_owned() } else { word.to_owned() }
        });
        each.collect()
    };
    words(said) == words(shown)
}

#[test]
fn every_command_is_a_command() {
    let mut seen = BTreeSet::new();
    for line in typed(&readme()) {
        let line = line.replace("cargo run --release -- ", "weir ");
        let words = spoken(&line);
        match words[0].as_str() {
            "weir" => {
                seen.insert(words[1].to_owned());
                weir::cli::Arguments::try_parse_from(&words).unwrap_or_else(|error| panic!("{line}: {error}"));
            }
            "curl" => {}
            script => assert!(repository().join(script).is_file(), "{line}"),
        }
    }
    let typed = ["arm", "audit", "check", "demo", "explain", "rollback", "run", "stand-down", "status", "test"];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), typed);
    // And those that it only names.
    let readme = readme();
    for piece in readme.split('`').filter_map(|piece| piece.strip_prefix("weir ")).filter(|piece| !piece.contains('\n'))
    {
        let name = piece.split_whitespace().next().unwrap_or_default();
        assert!(<weir::cli::Arguments as clap::CommandFactory>::command().find_subcommand(name).is_some(), "{piece}");
    }
}

#[test]
fn the_first_transcript_is_what_comes() {
    let readme = readme();
    let (_, transcript) = blocks(&readme).into_iter().find(|(language, _)| *language == "console").unwrap();
    let terminal = Terminal::new();
    let mut demo = terminal.start(&["demo", "--port", "0", "--quiet"]);
    let base = demo.line();
    let ada = CUSTOMERS[0];
    let signed_in =
        terminal.shell(&format!("curl -ksi -c jar -d email={} -d 'password={}' {base}/login", ada.email, ada.password));
    assert!(signed_in.out.starts_with("HTTP/2 303"), "{}", signed_in.out);
    for part in transcript.split("$ ").skip(1) {
        let (command, shown) = part.split_once('\n').unwrap();
        let said = terminal.shell(&command.replace("https://127.0.0.1:8443", &base)).out.replace("\r\n", "\n");
        let (head, body) = said.split_once("\n\n").unwrap_or(("", &said));
        for line in shown.lines().map(str::trim).filter(|line| !line.is_empty()) {
            // Where the README shortens, what it does show has to come in this order.
            let mut rest = if line.starts_with(['{', '"']) { body } else { head };
            for piece in line.split("...").map(|piece| piece.trim_matches([' ', ','])).filter(|piece| piece.len() > 3) {
                let Some(at) = rest.find(piece) else { panic!("{command}\nshows {piece}\nbut said\n{said}") };
                rest = &rest[at + piece.len()..];
            }
        }
    }
    demo.signal("INT");
    assert_eq!(demo.end().code, Some(0));
}

#[test]
fn the_mistake_that_it_shows_is_reported_in_these_words() {
    let readme = readme();
    let shown = blocks(&readme).into_iter().find_map(|(_, text)| text.strip_prefix("$ weir check rules\n")).unwrap();
    let terminal = Terminal::new();
    for (name, text) in SHIPPED {
        terminal
            .write(&format!("rules/{name}"), &text.replacen("at = 55, do = \"allow\"", "at = 55, do = \"alow\"", 1));
    }
    assert_eq!(terminal.run(&["check", "rules"]).out.trim_end(), shown.trim_end());
}

#[test]
fn the_incident_that_it_shows_goes_as_it_says() {
    let terminal = Terminal::new();
    let mut demo = terminal.start(&["demo", "--port", "0", "--quiet"]);
    demo.line();
    for command in ["weir arm", "weir status", "weir stand-down", "weir audit tail"] {
        let text = shown(command);
        let (line, wanted) = text.split_once('\n').unwrap();
        let words = spoken(line.trim_start_matches("$ weir "));
        let said = terminal.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(said.code, Some(0), "{line}: {}", said.err);
        assert!(alike(&said.out, wanted), "{line}\n{}", said.out);
        let row = |text: &str| -> Vec<String> {
            text.lines().map(|row| row.chars().take_while(|letter| *letter == ' ').collect()).collect()
        };
        assert_eq!(row(&said.out), row(wanted), "{line}\n{}", said.out);
    }
    assert_eq!(terminal.run(&["audit", "verify"]).code, Some(0));
    demo.signal("INT");
    assert_eq!(demo.end().code, Some(0));
}

#[test]
fn the_cases_and_the_explanation_that_it_shows_are_what_comes() {
    let terminal = Terminal::new();
    terminal.rules("http://127.0.0.1:1");
    for command in ["weir test", "weir explain"] {
        let text = shown(command);
        let (line, wanted) = text.split_once('\n').unwrap();
        let words = spoken(line.trim_start_matches("$ weir "));
        let said = terminal.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(said.out.trim_end(), wanted.trim_end(), "{line}");
    }
}

#[test]
fn the_change_that_it_proposes_fits_the_shipped_rules() {
    let readme = readme();
    let (_, diff) = blocks(&readme).into_iter().find(|(language, _)| *language == "diff").unwrap();
    let journeys = SHIPPED.iter().find(|(name, _)| *name == "journeys.toml").unwrap().1;
    let side = |sign: char, drop: char| -> Vec<&str> {
        let kept = diff.lines().filter(|line| !line.starts_with(drop));
        kept.map(|line| line.trim_start_matches([sign, ' ']).trim()).filter(|line| !line.is_empty()).collect()
    };
    let checkout = journeys.split_once("[journeys.checkout]").unwrap().1;
    for line in &side('-', '+')[1..] {
        assert!(checkout.contains(line), "{line}");
    }
    let terminal = Terminal::new();
    terminal.rules("http://127.0.0.1:1");
    let (old, new) = (side('-', '+'), side('+', '-'));
    let (before, after) = journeys.split_once("[journeys.checkout]").unwrap();
    let after = after.replacen(old.last().unwrap(), new.last().unwrap(), 1);
    terminal.write("rules/journeys.toml", &format!("{before}[journeys.checkout]{after}"));
    let said = terminal.run(&["check"]);
    assert_eq!(said.code, Some(0), "{}", said.out);
}

#[test]
fn files_customers_and_versions_are_those_that_exist() {
    let readme = readme();
    let rows: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    let files: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row.split_once('`'))
        .map(|(name, _)| name)
        .filter(|name| name.ends_with(".toml") || name.ends_with('/'))
        .collect();
    let shipped = SHIPPED.iter().map(|(name, _)| name.split_inclusive('/').next().unwrap_or_default());
    assert_eq!(files, shipped.collect());
    for (name, text) in SHIPPED {
        assert_eq!(std::fs::read_to_string(repository().join("rules").join(name)).unwrap(), *text, "{name}");
    }
    for row in rows.iter().filter(|row| row.contains("@example.test")) {
        let fields: Vec<&str> = row.split('`').collect();
        assert!(CUSTOMERS.iter().any(|it| it.email == fields[0] && it.password == fields[2]), "{row}");
    }
    let manifest = std::fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap().trim_end_matches('"');
    assert!(readme.contains(&format!("Rust {version} or newer")));
}
