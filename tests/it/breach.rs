//! What has leaked: lists made by the program, asked on real sign-ins, replaced while Weir runs, and refused when they are bad.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use weir::identity::breach::{About, Entry, Key, write};
use weir::rules::breach::Kind;

use crate::control::ask;
use crate::support::client::{BOTH, Client, Protocol};
use crate::support::program::{GATEWAY, Terminal};
use crate::support::upstream::Upstream;
use crate::support::{GROUND, NOON, Rig};

const JOURNEYS: &str = include_str!("support/journeys/sign_in_by_password.toml");

const LAW: &str = r#"
[breach]
passwords = "lists/passwords.weir"
pairs = "lists/pairs.weir"
accounts = "lists/accounts.weir"
key = { file = "lists/lists.key" }
"#;

const DAY: Duration = Duration::from_secs(86_400);

/// The lists of a rig, beside its rules.
struct Lists(PathBuf);

impl Lists {
    fn below(rules: &Path) -> Self {
        let dir = rules.join("lists");
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn key(&self) -> Key {
        Key::read_or_make(&self.0.join("lists.key")).unwrap().0
    }

    fn put(&self, kind: Kind, entries: Vec<Entry>) {
        let key = kind.is_keyed().then(|| self.key().id());
        let about = About { kind, created: NOON, breached: None, key };
        write(&self.0.join(format!("{}.weir", kind.word())), &about, entries).unwrap();
    }

    fn passwords(&self, passwords: &[&str]) {
        self.put(Kind::Passwords, passwords.iter().map(|password| Entry::password(password.as_bytes())).collect());
    }

    fn pairs(&self, pairs: &[(&str, &str)]) {
        let key = self.key();
        self.put(Kind::Pairs, pairs.iter().map(|(name, password)| key.pair(name, password.as_bytes())).collect());
    }

    fn accounts(&self, names: &[&str]) {
        let key = self.key();
        self.put(Kind::Accounts, names.iter().map(|name| key.account(name)).collect());
    }
}

/// A rig whose lists know one password, one pair and one account.
fn rig() -> (Rig, Lists) {
    let mut lists = None;
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("breach.toml", LAW)], |options| {
        let made = Lists::below(&options.rules);
        made.passwords(&["rightly-common"]);
        made.pairs(&[("ada@shop.example", "right-and-sold")]);
        made.accounts(&["ada@shop.example"]);
        lists = Some(made);
        // Lines of two workers may come in another order than their requests.
        options.workers = Some(1);
    });
    (rig, lists.unwrap())
}

/// What weighed on each sign-in, in their order.
fn because(lines: &[Value]) -> Vec<Vec<String>> {
    let decisions = lines.iter().filter(|line| line["event"] == "decision");
    let reasons = |line: &Value| {
        line["because"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap().to_owned()).collect()
    };
    decisions.map(reasons).collect()
}

/// What was said of leaks: `nothing` when nothing was.
fn leaks(reasons: &[Vec<String>]) -> Vec<&str> {
    let of = |reasons: &'_ Vec<String>| reasons.iter().position(|reason| reason.contains("_leaked"));
    reasons.iter().map(|all| of(all).map_or("nothing", |at| all[at].as_str())).collect()
}

async fn sign_in(client: &mut Client, name: &str, password: &str) {
    client.post("/login", &format!("email={name}&password={password}")).await;
}

#[tokio::test]
async fn what_has_leaked_is_weighed_and_a_replaced_list_changes_the_very_next_sign_in() {
    for protocol in BOTH {
        let (rig, lists) = rig();
        let mut client = rig.client(protocol);
        let json = [("content-type", "application/json")];
        sign_in(&mut client, "Ada@shop.example", "right-and-sold").await;
        let body = r#"{"email":"bob","password":"rightly\u002dcommon"}"#;
        client.send("POST", "/login", &json, body).await;
        sign_in(&mut client, "ada@shop.example", "right-and-new").await;

        lists.pairs(&[("bob", "right-and-new")]);
        rig.weir().law.reload();
        sign_in(&mut client, "ada@shop.example", "right-and-sold").await;
        sign_in(&mut client, "bob", "right-and-new").await;

        let all = because(&rig.stop());
        let pair = "pair_leaked -14";
        assert_eq!(leaks(&all), [pair, "password_leaked -3.5", "nothing", "nothing", pair]);
    }
}

#[tokio::test]
async fn a_bad_list_is_refused_loudly_and_the_one_before_goes_on() {
    let (rig, lists) = rig();
    let path = lists.0.join("pairs.weir");
    let mut client = rig.client(Protocol::H2);
    let good = std::fs::read(&path).unwrap();
    for bad in [&good[..good.len() / 2], &std::fs::read(lists.0.join("passwords.weir")).unwrap(), b""] {
        std::fs::write(lists.0.join("new"), bad).unwrap();
        std::fs::rename(lists.0.join("new"), &path).unwrap();
        rig.weir().law.reload();
        sign_in(&mut client, "ada@shop.example", "right-and-sold").await;
    }
    let (_, status) = ask(&rig, "GET", "/v1/status", None, &Value::Null).await;
    let shown = &status["rooms"]["breach"];
    let pairs = shown.as_array().unwrap().iter().find(|list| list["list"] == "pairs").unwrap();
    assert!(pairs["up"] == false && pairs["entries"] == 1 && pairs["trouble"].is_string(), "{shown}");
    let all = because(&rig.stop());
    assert_eq!(leaks(&all), ["pair_leaked -14"; 3]);
}

#[tokio::test]
async fn without_its_lists_weir_starts_and_what_they_would_say_is_unknown_until_they_are_there() {
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("breach.toml", LAW)], |options| {
        options.workers = Some(1);
    });
    let mut client = rig.client(Protocol::H1);
    sign_in(&mut client, "ada@shop.example", "right-and-new").await;
    let lists = Lists::below(&rig.rules());
    lists.passwords(&["rightly-common"]);
    lists.pairs(&[("ada@shop.example", "right-and-sold")]);
    lists.accounts(&[]);
    rig.weir().law.reload();
    sign_in(&mut client, "ada@shop.example", "right-and-new").await;
    rig.advance(46 * DAY);
    sign_in(&mut client, "ada@shop.example", "right-and-new").await;
    let all = because(&rig.stop());
    assert_eq!(leaks(&all), ["pair_leaked -14 (down)", "nothing", "pair_leaked -2 (stale)"]);
}

/// Runs the program with everything that it can log, and gives what it said when it has ended.
fn everything_said(terminal: &Terminal, sign_ins: impl FnOnce(SocketAddr)) -> String {
    let mut child =
        terminal.command(&["run", "--log", "trace"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (told, listening) = mpsc::channel();
    let log = std::thread::spawn(move || {
        let mut all = String::new();
        for line in BufReader::new(err).lines() {
            let line = line.unwrap();
            if let Some((_, address)) = line.split_once("listening address=") {
                let _ = told.send(address.trim().parse::<SocketAddr>().unwrap());
            }
            all += &line;
            all.push('\n');
        }
        all
    });
    let lines = std::thread::spawn(move || {
        let mut all = String::new();
        out.read_to_string(&mut all).unwrap();
        all
    });
    let address = listening.recv_timeout(Duration::from_secs(60)).expect("it listens");
    sign_ins(address);
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    child.wait().unwrap();
    log.join().unwrap() + &lines.join().unwrap()
}

#[test]
fn no_password_is_in_any_log_decision_or_file() {
    let upstream = Upstream::shop();
    let terminal = Terminal::new();
    terminal.ground(&upstream, &[("journeys.toml", JOURNEYS), ("breach.toml", LAW)], GATEWAY);
    let lists = Lists::below(&terminal.path("rules"));
    lists.passwords(&["right-Pfauenfeder"]);
    lists.pairs(&[("ada", "right-Pfauenfeder")]);
    lists.accounts(&[]);

    let words = ["Pfauenfeder", "%50fauenfeder", "Pf\\u0061uenfeder"];
    let all = everything_said(&terminal, |address| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut client = Client::clear(address);
            for word in &words[..2] {
                client.post("/login", &format!("email=ada&password=right-{word}")).await;
                client.post("/login", &format!("email=ada&password=wrong-{word}")).await;
                client.post("/login", &format!("email=ada&password=right-{word}&password=right-{word}")).await;
            }
            for word in [words[0], words[2], "Pfauenfeder\\ud800"] {
                let body = format!("{{\"email\":\"ada\",\"password\":\"right-{word}\"}}");
                client.send("POST", "/login", &[("content-type", "application/json")], &body).await;
            }
        });
    });
    assert!(all.contains("pair_leaked -14") && all.contains("\"event\":\"decision\""), "{all:.2000}");
    for word in words.iter().chain(&["fauenfeder"]) {
        assert!(!all.contains(word), "{word} is said: {}", all.lines().find(|line| line.contains(word)).unwrap());
    }
    for file in files_below(terminal.dir.path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("fauenfeder"), "in {}", file.display());
    }
}

#[test]
fn a_file_that_is_replaced_is_taken_up_without_being_told_and_a_bad_one_is_said() {
    let upstream = Upstream::shop();
    let terminal = Terminal::new();
    terminal.ground(&upstream, &[("journeys.toml", JOURNEYS), ("breach.toml", LAW)], GATEWAY);
    let lists = Lists::below(&terminal.path("rules"));
    lists.passwords(&["hunter2"]);
    lists.accounts(&[]);
    let mut weir = terminal.start(&["run"]);
    let missing = weir.hear("cannot be used: what it would say is unknown");
    assert!(missing.contains("ERROR") && missing.contains("list=\"pairs\""), "{missing}");
    weir.hear("in force");
    lists.pairs(&[("ada", "hunter2")]);
    let taken = weir.hear("a list of what has leaked is in use");
    assert!(taken.contains("list=\"pairs\" entries=1"), "{taken}");
    std::fs::write(lists.0.join("new"), "no list").unwrap();
    std::fs::rename(lists.0.join("new"), lists.0.join("pairs.weir")).unwrap();
    let refused = weir.hear("a new list of what has leaked is refused; the one in use stays");
    assert!(refused.contains("ERROR") && refused.contains("it is not a list made by `weir breach`"), "{refused}");
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
}

/// Every file below a directory.
fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let all: Vec<_> = entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect();
    all.into_iter().filter(|path| path.is_file()).collect()
}

/// The SHA-1 of a password, in capital digits.
fn sha1(password: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A text as gzip packs it.
fn packed(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// What `weir breach test` says of a password that is piped in.
fn asked(terminal: &Terminal, arguments: &[&str], password: &str) -> Value {
    let arguments = [&["breach", "test", "--json"], arguments].concat();
    let mut child = terminal.command(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\r\n").as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success());
    assert!(!String::from_utf8_lossy(&said.stdout).contains(password));
    serde_json::from_slice::<Value>(&said.stdout).unwrap()["leaked"].clone()
}

#[test]
fn every_command_about_lists_says_how_it_is_used() {
    let terminal = Terminal::new();
    for command in
        [&["breach"][..], &["breach", "build"], &["breach", "accounts"], &["breach", "show"], &["breach", "test"]]
    {
        let help = terminal.run(&[command, &["--help"]].concat());
        assert_eq!(help.code, Some(0));
        assert!(help.out.contains("Examples:\n  weir breach ") && help.out.contains("Exit codes: 0 "), "{}", help.out);
        assert!(help.out.lines().all(|line| line.chars().count() <= 100), "{}", help.out);
    }
}

#[test]
fn a_list_of_passwords_is_built_from_hashes_ranges_and_plain_words() {
    let terminal = Terminal::new();
    let whole = format!("{}:12\r\n{}:0\r\n{}:3\r\n", sha1("hunter2"), sha1("padding"), sha1("hunter2").to_lowercase());
    terminal.write("whole.txt", &whole);
    std::fs::create_dir(terminal.path("ranges")).unwrap();
    for password in ["letmein", "qwerty"] {
        let hash = sha1(password);
        let text = format!("{}:7\n{}:0\n", &hash[5..], "0".repeat(35));
        std::fs::write(terminal.path(&format!("ranges/{}.gz", &hash[..5])), packed(&text)).unwrap();
    }
    std::fs::write(terminal.path("plain"), packed("\u{feff}correct horse\n\n$HEX[6261747465727920]\n$HEX[6]\nletmein"))
        .unwrap();
    let from = ["--hibp", "whole.txt", "--hibp", "ranges", "--plain", "plain"];
    let build = [&["breach", "build", "-o", "passwords.weir", "--dated", "2026-01-02", "--json"][..], &from].concat();
    let made = terminal.run(&build);
    assert_eq!((made.code, made.err.as_str()), (Some(0), ""), "where no terminal is, no progress is shown");
    let made: Value = serde_json::from_str(&made.out).unwrap();
    assert_eq!((&made["taken"], &made["entries"]), (&7.into(), &5.into()), "{made}");
    assert_eq!((&made["padding"], &made["unreadable"], &made["ranges"]), (&3.into(), &1.into(), &2.into()));
    assert_eq!(made["unreadable_at"], serde_json::json!(["plain:4"]));
    for known in ["hunter2", "letmein", "qwerty", "correct horse", "battery "] {
        assert_eq!(asked(&terminal, &["passwords.weir"], known), true, "{known}");
    }
    let wrong = (0..20).filter(|n| asked(&terminal, &["passwords.weir"], &format!("not leaked {n}")) == true).count();
    assert!(wrong <= 2, "{wrong} of 20 are taken for leaked ones");

    let shown = terminal.run(&["breach", "show", "passwords.weir"]);
    assert!(
        shown.out.contains("a list of passwords, version 1, whole") && shown.out.contains("2026-01-02"),
        "{}",
        shown.out
    );
    assert_eq!(shown.out.lines().nth(1), Some("entries   5 (7 went in)"));
    let said = terminal.run(&[&["breach", "build", "-o", "passwords.weir"][..], &from].concat());
    assert!(said.out.contains("NOT every range is there: 2 of 1048576"), "{}", said.out);
    let left: Vec<_> =
        std::fs::read_dir(terminal.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn lists_about_people_are_built_under_a_key_and_bad_lines_are_counted() {
    let terminal = Terminal::new();
    terminal.write("pairs.csv", "Ada@shop.example,a,b\nno separator\n,nobody\nbob,\n\nbob,hunter2\n");
    let build =
        ["breach", "build", "--pairs", "pairs.csv", "--separator", ",", "--key", "lists.key", "-o", "pairs.weir"];
    let made = terminal.run(&build);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.out.contains("read 6 lines: 0 came more than once, 0 were padding, 3 cannot be read"), "{}", made.out);
    assert!(
        made.out.contains("pairs.csv:2, pairs.csv:3, pairs.csv:4\n") && made.out.contains("made just now"),
        "{}",
        made.out
    );
    for path in ["lists.key", "pairs.weir"] {
        assert_eq!(std::fs::metadata(terminal.path(path)).unwrap().permissions().mode() & 0o077, 0, "{path}");
    }
    let pair =
        |name: &str, password: &str| asked(&terminal, &["pairs.weir", "--key", "lists.key", "--name", name], password);
    assert_eq!(pair(" ADA@shop.example", "a,b"), true, "the first separator parts them");
    assert_eq!(
        (pair("bob", "hunter2"), pair("bob", "a,b"), pair("ada@shop.example", "hunter2")),
        (true.into(), false.into(), false.into())
    );

    terminal.write("stolen.txt", "Ada@shop.example\r\n\r\nbob\n");
    let make =
        ["breach", "accounts", "stolen.txt", "--breached", "2026-10-17", "--key", "lists.key", "-o", "accounts.weir"];
    let made = terminal.run(&make);
    assert!(made.out.contains("2 accounts of") && made.out.contains("the one that was there"), "{made:?}");
    let account = |name: &str| {
        let said = terminal.run(&["breach", "test", "accounts.weir", "--key", "lists.key", "--name", name]);
        (said.code, said.out)
    };
    assert_eq!(account("BOB"), (Some(0), "this account is in the list\n".to_owned()));
    assert_eq!(account("eve"), (Some(0), "this account is not in the list\n".to_owned()));
    let shown = terminal.run(&["breach", "show", "accounts.weir", "--json"]);
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!((&shown["breached"], &shown["entries"]), (&"2026-10-17T00:00:00.000Z".into(), &2.into()));
}

#[test]
fn what_is_no_list_is_refused_with_a_way_out_and_what_was_there_stays() {
    let terminal = Terminal::new();
    terminal.write("good.txt", &format!("{}:1\n", sha1("hunter2")));
    assert_eq!(terminal.run(&["breach", "build", "--hibp", "good.txt", "-o", "passwords.weir"]).code, Some(0));
    let before = std::fs::read(terminal.path("passwords.weir")).unwrap();
    terminal.write("ntlm.txt", "8846F7EAEE8FB117AD06BDD830B7586C:9\n");
    terminal.write("cut.txt", &format!("{}:1\n{}", sha1("a"), &sha1("b")[..31]));
    terminal.write("words.txt", "hunter2\n");
    terminal.write("empty.txt", "\n\n");
    terminal.write("ranges/README", "hello\n");
    terminal.write("long.txt", &"A".repeat(10_000));
    std::fs::write(terminal.path("cut.gz"), &packed(&format!("{}:1\n", sha1("a")).repeat(99))[..40]).unwrap();
    for (path, words) in [
        ("ntlm.txt", "ntlm.txt:1: these are NTLM hashes"),
        ("cut.txt", "cut.txt:2: not SHA1:COUNT"),
        ("words.txt", "words.txt:1: not SHA1:COUNT"),
        ("empty.txt", "there is nothing in it"),
        ("ranges", "not named by the five digits of its range"),
        ("long.txt", "long.txt:1: a line that is far too long"),
        ("cut.gz", "cut.gz:"),
        ("nowhere.txt", "nowhere.txt"),
    ] {
        let said = terminal.run(&["breach", "build", "--hibp", path, "-o", "passwords.weir"]);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{path}");
        assert!(said.err.contains(words), "{path}: {}", said.err);
        assert!(!said.err.contains("hunter2"), "what a line holds is not repeated: {}", said.err);
        assert_eq!(std::fs::read(terminal.path("passwords.weir")).unwrap(), before, "{path}");
    }
    for arguments in [
        &["breach", "build", "-o", "x"][..],
        &["breach", "build", "--pairs", "good.txt", "-o", "x"],
        &["breach", "build", "--pairs", "a", "--hibp", "b", "--key", "k", "-o", "x"],
        &["breach", "accounts", "good.txt", "--breached", "yesterday", "--key", "k", "-o", "x"],
    ] {
        assert_eq!(terminal.run(arguments).code, Some(2), "{arguments:?}");
    }
    std::fs::write(terminal.path("passwords.weir"), &before[..before.len() - 1]).unwrap();
    for arguments in [&["breach", "show", "passwords.weir"][..], &["breach", "test", "passwords.weir"]] {
        let said = terminal.run(arguments);
        assert!(said.code == Some(1) && said.err.contains("cut short"), "{said:?}");
    }
}

#[test]
fn check_looks_at_the_lists_that_the_rules_name() {
    let terminal = Terminal::new();
    for (name, text) in GROUND.iter().chain(&[("journeys.toml", JOURNEYS), ("breach.toml", LAW)]) {
        terminal.write(&format!("rules/{name}"), text);
    }
    terminal.write("rules/gateway.toml", GATEWAY);
    let said = terminal.run(&["check"]);
    assert_eq!(said.code, Some(1));
    assert_eq!(said.out.matches("error[W0153]").count(), 3, "{}", said.out);
    assert!(said.out.contains("breach.toml:3:13"), "{}", said.out);
    let lists = Lists::below(&terminal.path("rules"));
    lists.passwords(&["hunter2"]);
    lists.pairs(&[]);
    lists.pairs(&[("ada", "hunter2")]);
    lists.accounts(&["ada"]);
    let said = terminal.run(&["check", "--json"]);
    assert!(!said.out.contains("W0153"), "{}", said.out);
}
