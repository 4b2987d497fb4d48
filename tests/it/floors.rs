//! Holds the house to its plan: imports go down only, and the pure floors name no socket, clock or chance.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room, its floor, and the rooms of its own floor or above that it may name all the same.
struct Room {
    name: &'static str,
    floor: u8,
}

const ROOMS: &[Room] = &[
    Room { name: "alarm", floor: 0 },
    Room { name: "clock", floor: 0 },
    Room { name: "confidence", floor: 0 },
    Room { name: "subject", floor: 0 },
    Room { name: "swap", floor: 0 },
    Room { name: "telemetry", floor: 0 },
    Room { name: "rules", floor: 1 },
    Room { name: "judge", floor: 2 },
    Room { name: "admission", floor: 2 },
    Room { name: "listen", floor: 3 },
    Room { name: "identity", floor: 3 },
    Room { name: "lists", floor: 3 },
    Room { name: "memory", floor: 3 },
    Room { name: "outcomes", floor: 3 },
    Room { name: "snapshots", floor: 3 },
    Room { name: "upstream", floor: 3 },
    Room { name: "gate", floor: 4 },
    Room { name: "control", floor: 4 },
    Room { name: "settings", floor: 4 },
    Room { name: "app", floor: 5 },
    Room { name: "cli", floor: 5 },
    Room { name: "demo", floor: 5 },
    Room { name: "lib", floor: 5 },
    Room { name: "main", floor: 5 },
];

/// What the pure floors may not name, each with its reason.
const PURE: &[(&str, &str)] = &[
    ("tokio", "no runtime"),
    ("hyper", "no protocol"),
    ("async ", "nothing to wait for"),
    (".await", "nothing to wait for"),
    ("SystemTime", "the moment is an argument"),
    ("Instant", "the moment is an argument"),
    ("Clock", "the moment is an argument"),
    ("rand::", "no chance"),
    ("std::net::Tcp", "no socket"),
    ("std::thread", "no thread"),
];

/// The one room that may name a package, as its boundary. `rules/source.rs` alone among the law reads files.
const ONE_ROOM: &[(&str, &[&str])] = &[
    ("arc_swap", &["swap"]),
    ("axum", &["control", "demo"]),
    ("clap", &["cli", "main"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("rustls::", &["listen", "upstream", "identity"]),
    ("toml::", &["rules"]),
    ("notify::", &["control"]),
    ("ppp::", &["listen"]),
    ("prometheus_client", &["telemetry"]),
    ("maxminddb", &["lists"]),
    ("minijinja", &["rules", "demo"]),
    ("governor", &["memory"]),
    ("redb", &["snapshots"]),
    ("jsonwebtoken", &["identity"]),
    ("rcgen", &["listen"]),
    ("x509_parser", &["listen"]),
    ("xorf", &["identity"]),
    ("flate2", &["cli"]),
    ("zeroize", &["identity", "cli"]),
    ("lol_html", &["gate"]),
];

fn floor(room: &str) -> u8 {
    let found = ROOMS.iter().find(|known| known.name == room);
    found.unwrap_or_else(|| panic!("src/{room} is in no floor: add it to the table of DESIGN and to this test")).floor
}

fn may_import(from: &str, to: &str) -> bool {
    if from == to {
        return true;
    }
    match (from, to) {
        // Beside the floors: edges do not know each other, the judge does not know admission, control not the upstream.
        (
            "listen" | "identity" | "lists" | "memory" | "outcomes" | "snapshots" | "upstream",
            "listen" | "identity" | "lists" | "memory" | "outcomes" | "snapshots" | "upstream",
        ) => false,
        ("listen", "rules" | "judge" | "admission") => false,
        ("judge", "admission") | ("admission", "judge") => false,
        ("control", "upstream" | "gate") | ("gate", "control" | "settings") => false,
        ("control", "settings") => true,
        (
            "settings",
            "listen" | "identity" | "lists" | "memory" | "outcomes" | "snapshots" | "upstream" | "gate" | "control"
            | "judge" | "admission",
        ) => false,
        // The demonstration is reachable only from its command.
        (_, "demo") => from == "cli",
        ("main", "cli") | ("cli", "app") => true,
        _ => floor(from) > floor(to),
    }
}

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The code of a file without comments, and without its tests.
fn code(text: &str) -> String {
    let production = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    production.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn house() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the house has rooms");
    let named = files.into_iter().map(|path| {
        let inside = path.strip_prefix(&root).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&path).unwrap();
        (room, inside.to_path_buf(), text)
    });
    named.collect()
}

fn rooms_named(code: &str) -> BTreeSet<String> {
    code.match_indices("crate::")
        .filter(|(at, _)| !code[..*at].ends_with('$'))
        .map(|(at, word)| code[at + word.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .filter(|room: &String| ROOMS.iter().any(|known| known.name == room))
        .collect()
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    for (room, path, text) in house() {
        for named in rooms_named(&code(&text)) {
            if !may_import(&room, &named) {
                wrong.push(format!("{} names crate::{named}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_law_and_the_judgement_have_no_pulse() {
    let mut wrong = Vec::new();
    for (room, path, text) in house() {
        if !(1..=2).contains(&floor(&room)) {
            continue;
        }
        let code = code(&text);
        for (word, why) in PURE {
            // A file's own time tells whether it changed while it was read.
            let allowed = *word == "SystemTime" && path == Path::new("rules/source.rs");
            if code.contains(word) && !allowed {
                wrong.push(format!("{} names {word}: {why}", path.display()));
            }
        }
        if code.contains("std::fs") && path != Path::new("rules/source.rs") {
            wrong.push(format!("{} reads files: only rules/source.rs may", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_package_has_one_room() {
    let mut wrong = Vec::new();
    for (room, path, text) in house() {
        let code = code(&text);
        for (package, rooms) in ONE_ROOM {
            if code.contains(package) && !rooms.contains(&room.as_str()) {
                wrong.push(format!("{} names {package}, which lives in {rooms:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_what_it_is_for_and_is_one_idea() {
    let mut wrong = Vec::new();
    for (_, path, text) in house() {
        if !text.starts_with("//!") {
            wrong.push(format!("{} does not begin with //!", path.display()));
        }
        if text.lines().count() > 600 {
            wrong.push(format!("{} has {} lines: two ideas", path.display(), text.lines().count()));
        }
        for bare in ["TODO", "FIXME"] {
            let tagged = text.match_indices(bare).all(|(at, _)| text[at..].starts_with("TODO-"));
            if !tagged {
                wrong.push(format!("{} has a bare {bare}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
