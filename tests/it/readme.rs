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

#[test]
fn every_command_is_a_command() {
    let mut seen = BTreeSet::new();
    for line in typed(&readme()) {
        let line = line.replace("cargo run --release -- ", "weir ");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "weir" => {
                seen.insert(words[1].to_owned());
                weir::cli::Arguments::try_parse_from(&words).unwrap_or_else(|error| panic!("{line}: {error}"));
            }
            "curl" => {}
            script => assert!(repository().join(script).is_file(), "{line}"),
        }
    }
    let all = ["check", "demo", "reload", "rollback", "run", "status"];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), all, "every command is shown once at least");
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
fn the_status_that_it_shows_has_the_rows_that_come() {
    let readme = readme();
    let shown = blocks(&readme).into_iter().find_map(|(_, text)| text.strip_prefix("$ weir status\n")).unwrap();
    let terminal = Terminal::new();
    let mut demo = terminal.start(&["demo", "--port", "0", "--quiet"]);
    demo.line();
    let rows = |table: &str| -> Vec<String> { table.lines().map(|row| row[..13].to_owned()).collect() };
    let said = terminal.run(&["status"]).out;
    assert_eq!(rows(&said), rows(shown), "{said}");
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
        .filter(|name| name.ends_with(".toml"))
        .collect();
    let shipped = SHIPPED.iter().map(|(name, _)| *name).filter(|name| !name.starts_with("playbooks/"));
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
