//! Rule directories made to hurt: refused in bounded time and memory, in words that help, and never with a panic. Each is read by
//! the real program in a process of its own, which may not take more memory and processor time than it is given.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::support::program::{Said, Terminal};

const SITE: &str = "[[site]]\nhosts = [\"shop.example\"]\nupstream = \"shop\"\n[upstreams.shop]\nservers = [\"http://127.0.0.1:1\"]\n\
                    [help.main]\ntext = { chat = \"https://help.example/c\" }\n";

/// The most that a file may hold.
const FULL: usize = 4 << 20;

/// A directory with one site and these files, checked within 3 GiB of address space and a minute of processor time.
fn check(files: &[(&str, &[u8])]) -> Said {
    let terminal = Terminal::new();
    terminal.write("rules/0site.toml", SITE);
    for (name, bytes) in files {
        terminal.write(&format!("rules/{name}"), "");
        fs::write(terminal.path("rules").join(name), bytes).unwrap();
    }
    bounded(&terminal)
}

fn bounded(terminal: &Terminal) -> Said {
    let weir = env!("CARGO_BIN_EXE_weir");
    let said = terminal.shell(&format!("ulimit -v 3000000; ulimit -t 60; exec {weir} check rules"));
    assert!(matches!(said.code, Some(0 | 1)), "it ended otherwise: {:?}\n{}", said.code, said.err);
    assert_eq!(said.err, "", "nothing but the problems is said");
    assert!(said.out.len() < 600_000, "{} bytes are said", said.out.len());
    said
}

/// It is refused, with these words and a way out.
fn refused(files: &[(&str, &[u8])], words: &str) {
    let said = check(files);
    let name = files[0].0;
    assert_eq!(said.code, Some(1), "{name}: {}", said.out);
    let start: String = said.out.chars().take(2_000).collect();
    assert!(said.out.contains(words) && said.out.contains("help: "), "{name}: {start}");
}

/// As many lines as a file may hold.
fn filled(line: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for at in 0.. {
        let line = line(at);
        if text.len() + line.len() > FULL {
            break;
        }
        text.push_str(&line);
    }
    text
}

#[test]
fn half_a_gigabyte_of_rules_is_not_read() {
    let terminal = Terminal::new();
    terminal.write("rules/0site.toml", SITE);
    fs::File::create(terminal.path("rules/a.toml")).unwrap().set_len(500 << 20).unwrap();
    let said = bounded(&terminal);
    assert!(said.code == Some(1) && said.out.contains("a.toml is larger than 4096 KiB"), "{}", said.out);

    let terminal = Terminal::new();
    for at in 0..125 {
        terminal.write(&format!("rules/{at}.toml"), "");
        fs::File::create(terminal.path(&format!("rules/{at}.toml"))).unwrap().set_len(FULL as u64).unwrap();
    }
    let said = bounded(&terminal);
    assert!(said.code == Some(1) && said.out.contains("together are larger than"), "{}", said.out);
}

#[test]
fn ten_thousand_files_are_too_many() {
    for folder in ["rules", "rules/playbooks"] {
        let terminal = Terminal::new();
        terminal.write("rules/0site.toml", SITE);
        (0..10_000).for_each(|at| terminal.write(&format!("{folder}/{at}.toml"), ""));
        let said = bounded(&terminal);
        assert!(said.code == Some(1) && said.out.contains("more than 2000 rule files"), "{}", said.out);
    }
}

#[test]
fn deep_nesting_is_refused_before_it_is_parsed() {
    let deep = [
        format!("a = {}", "[".repeat(FULL - 10)),
        "[".repeat(FULL),
        format!("a = {}", "{a=".repeat((FULL - 10) / 3)),
        format!("{}a = 1\n", "a.".repeat(FULL / 2 - 10)),
    ];
    for text in &deep {
        refused(&[("a.toml", text.as_bytes())], "nested more than 32 deep");
        refused(&[("playbooks/a.toml", text.as_bytes())], "nested more than 32 deep");
    }
}

#[test]
fn long_words_are_not_said_again_at_length() {
    let long = "a".repeat(FULL - 200);
    refused(&[("a.toml", format!("{long} = 1\n").as_bytes())], "W0010");
    refused(&[("a.toml", format!("[[site]]\nhosts = [\"{long}\"]\nupstream = \"shop\"\n").as_bytes())], "W0024");
    refused(&[("a.toml", format!("[[site]]\nhosts = [\"b.example\"]\nupstream = \"{long}\"\n").as_bytes())], "W0040");
    refused(
        &[(
            "a.toml",
            format!("[[refuse]]\nwhen = {{ path_matches = '{}' }}\n", "(a|b)".repeat(FULL / 5 - 20)).as_bytes(),
        )],
        "W0027",
    );
}

#[test]
fn many_of_everything_is_counted_and_refused() {
    let named =
        |kind: &str, body: &str| filled(|at| format!("[{kind}.n{at}]\n{}\n", body.replace('@', &at.to_string())));
    for (kind, table, body) in [
        ("journey", "journeys", "routes = [\"GET /@\"]\nladder = [{ at = 0, do = \"allow\" }]"),
        ("upstream", "upstreams", "servers = [\"http://127.0.0.1:1\"]"),
        ("help", "help", "text = { chat = \"https://help.example/@\" }"),
    ] {
        let words = format!("entries of kind {kind}; at most 10000 are allowed");
        refused(&[("a.toml", named(table, body).as_bytes())], &words);
    }
    let levels = format!("[assurance]\nlevels = [{}]\n", "{ name = \"l\" },".repeat(200_000));
    refused(&[("a.toml", levels.as_bytes())], "there are 200000 levels");
    let servers = filled(|at| format!("\"http://h{at}.example\","));
    let servers =
        format!("[upstreams.b]\nservers = [{}]\n", &servers[..servers.len() - 100].rsplit_once(',').unwrap().0);
    refused(&[("a.toml", servers.as_bytes())], "servers in one upstream; at most 1000 are allowed");
    let rungs = "{ at = 1, do = \"allow\" },".repeat(100_000);
    refused(
        &[("a.toml", format!("[journeys.a]\nroutes = [\"GET /a\"]\nladder = [{rungs}]\n").as_bytes())],
        "100000 rungs in one ladder; at most 16 are allowed",
    );
    let cases = filled(|_| "[[case]]\nname=\"x\"\nrequest={method=\"GET\",path=\"/\"}\nexpect=\"allow\"\n".to_owned());
    refused(&[("a.toml", cases.as_bytes())], "at most 20000 are allowed");
    refused(&[("a.toml", filled(|at| format!("k{at} = 1\n")).as_bytes())], "error[W0006]: and ");
    refused(
        &[("a.toml", filled(|at| format!("[[site]]\nhosts=[\"h{at}.example\"]\nupstream=\"u{at}\"\n")).as_bytes())],
        "sites; at most 10000 are allowed",
    );
}

/// A million journeys, in as many files as it takes.
#[test]
fn a_million_journeys_are_refused() {
    let terminal = Terminal::new();
    terminal.write("rules/0site.toml", SITE);
    for file in 0..5 {
        let text: String = (0..200_000).map(|at| format!("[journeys.j{}]\n", file * 200_000 + at)).collect();
        terminal.write(&format!("rules/{file}.toml"), &text);
    }
    let said = bounded(&terminal);
    // Each lacks what a journey needs, so that the first problems are theirs; all others are counted.
    assert_eq!(said.code, Some(1));
    assert!(
        said.out.contains("a journey lacks `routes`") && said.out.contains("error[W0006]: and "),
        "{}",
        said.out.len()
    );
}

#[test]
fn expressions_that_grow_are_refused() {
    refused(&[("a.toml", b"[[refuse]]\nwhen = { path_matches = '(((a{1000}){1000}){1000})' }\n")], "W0027");
    refused(
        &[("a.toml", b"[[refuse]]\nwhen = { path_matches = '((((((((\\w{9}){9}){9}){9}){9}){9}){9}){9})' }\n")],
        "W0027",
    );
}

#[test]
fn text_that_is_no_text_is_said_plainly() {
    let utf16: Vec<u8> = "[[refuse]]\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    refused(&[("a.toml", &[&[0xff, 0xfe][..], &utf16].concat())], "is not UTF-8 text");
    refused(&[("a.toml", b"a = \"\0\"\n\0")], "W0005");
    refused(
        &[("a.toml", b"[journeys.a]\nladder = [{ at = 99999999999999999999999999999, do = \"allow\" }]\n")],
        "out of range",
    );
    refused(&[("a.toml", b"[[case]]\nname = \"a\"\nrequest = { method = \"GET\", path = \"/\" }\nexpect = \"allow\"\ngiven = { proof_age = \"99999999999999999999d\" }\n")], "W0020");
    // A mark that reaches into carriage returns at the end of a line, found by the fuzz target `settings`.
    refused(&[("gateway.toml", b"admin = \"\r\r\r\r\naddress = 1\n")], "W0005");
    for good in [
        &b"\xef\xbb\xbf[[refuse]]\nwhen = { path_suffix = \".env\" }\n"[..],
        b"[[refuse]]\r\nwhen = { path_suffix = \".env\" }\r\n",
    ] {
        assert_eq!(check(&[("a.toml", good)]).code, Some(0));
    }
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let terminal = Terminal::new();
    terminal.write("rules/0site.toml", SITE);
    terminal.write("rules/more/b.toml", "");
    let rules = terminal.path("rules");
    assert!(Command::new("mkfifo").arg(rules.join("pipe.toml")).status().unwrap().success());
    symlink(".", rules.join("self")).unwrap();
    symlink("..", rules.join("more/up")).unwrap();
    symlink("b.toml", rules.join("a.toml")).unwrap();
    symlink("a.toml", rules.join("b.toml")).unwrap();
    symlink("/dev/zero", rules.join("zero.toml")).unwrap();
    let said = bounded(&terminal);
    assert_eq!(said.code, Some(1));
    for words in [
        "pipe.toml is neither a file",
        "zero.toml is neither a file",
        "self is a link to a directory",
        "a.toml cannot be read",
    ] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
}

/// Files come and go while the directory is read: it says so or reads one state of it, and ends.
#[test]
fn a_directory_that_vanishes_while_it_is_read_is_no_panic() {
    let terminal = Terminal::new();
    let fill = |dir: &Path| (0..200).for_each(|at| fs::write(dir.join(format!("{at}.toml")), SITE).unwrap());
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            for _ in 0..20 {
                let dir = terminal.path("rules");
                let bounds = weir::rules::source::Bounds::default();
                match weir::rules::source::Sources::read(&dir, &bounds) {
                    Ok(sources) => drop(weir::rules::compile(&sources)),
                    Err(problems) => assert!(problems.iter().all(|problem| problem.help.is_some()), "{problems:?}"),
                }
            }
        });
        while !reading.is_finished() {
            fs::create_dir_all(terminal.path("rules")).unwrap();
            fill(&terminal.path("rules"));
            fs::remove_dir_all(terminal.path("rules")).unwrap();
        }
        reading.join().unwrap();
    });
}
