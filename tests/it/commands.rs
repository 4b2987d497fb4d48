//! The commands that need no running Weir, as an operator has them: `test`, `init`, `schema`, `key`, `completions`, `man`.

use std::collections::HashSet;

use crate::support::program::Terminal;
use crate::support::upstream::Upstream;

/// SHA-256 of a text, in hexadecimal.
fn digest(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn every_case_has_its_line_and_a_failing_one_says_why_and_where() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    let said = terminal.run(&["test"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("ok     a customer at home buys\n"), "{}", said.out);
    assert!(said.out.contains(" cases hold.\n") && !said.out.contains("FAILS"), "{}", said.out);
    terminal.write(
        "rules/mine.toml",
        "[[case]]\nname = \"everybody buys\"\nrequest = { method = \"POST\", path = \"/checkout\" }\nexpect = \"allow\"\n",
    );
    let said = terminal.run(&["test", "rules", "--filter", "BUYS"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for words in [
        "FAILS  everybody buys\n",
        "expected allow, got step_up",
        "because journey checkout",
        "mine.toml:",
        "1 does not hold",
    ] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    let json: serde_json::Value = serde_json::from_str(&terminal.run(&["test", "--json"]).out).unwrap();
    assert_eq!((&json["good"], &json["fail"]), (&false.into(), &1.into()));
    let failing = json["cases"].as_array().unwrap().iter().find(|case| case["holds"] == false).unwrap();
    assert_eq!((&failing["expected"], &failing["got"]), (&"allow".into(), &"step_up".into()));
    assert_eq!(failing["place"], "mine.toml:2");
}

#[test]
fn a_test_of_nothing_is_said_and_broken_rules_are_not_tested() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    let said = terminal.run(&["test", "--filter", "no such words"]);
    assert!(said.code == Some(1) && said.err.contains("no case has \"no such words\""), "{said:?}");
    terminal.write("bare/sites.toml", &std::fs::read_to_string(terminal.path("rules/sites.toml")).unwrap());
    let said = terminal.run(&["test", "bare"]);
    assert!(said.code == Some(0) && said.out.contains("there is no [[case]]"), "{said:?}");
    terminal.write("rules/bad.toml", "[[site]]\n");
    let said = terminal.run(&["test"]);
    assert!(said.code == Some(1) && said.out.contains("bad.toml:") && said.out.contains("no case was run"), "{said:?}");
    let json: serde_json::Value = serde_json::from_str(&terminal.run(&["test", "--json"]).out).unwrap();
    assert!(json["good"] == false && !json["problems"].as_array().unwrap().is_empty(), "{json}");
}

#[test]
fn what_init_writes_is_checked_tested_and_serves() {
    let terminal = Terminal::new();
    let upstream = Upstream::shop();
    let url = format!("http://{}", upstream.address);
    let said = terminal.run(&["init", "rules", "--upstream", &url, "--host", "Shop.Example"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for next in ["weir check rules", "weir test rules", "weir run --rules rules"] {
        assert!(said.out.contains(&format!("\n  {next}\n")), "{}", said.out);
    }
    let check = terminal.run(&["check", "rules", "--deny-warnings"]);
    assert_eq!(check.code, Some(0), "{}", check.out);
    let test = terminal.run(&["test", "rules"]);
    assert!(test.code == Some(0) && test.out.contains("rules: 6 cases hold."), "{}", test.out);
    let sites = std::fs::read_to_string(terminal.path("rules/sites.toml")).unwrap();
    assert!(sites.contains("\"shop.example\", \"localhost\"") && sites.contains(&url), "{sites}");

    // Nothing of it is written over.
    let again = terminal.run(&["init", "rules"]);
    assert!(again.code == Some(1) && again.err.contains("nothing was written"), "{again:?}");
    assert_eq!(std::fs::read_to_string(terminal.path("rules/sites.toml")).unwrap(), sites);

    let gateway = std::fs::read_to_string(terminal.path("rules/gateway.toml")).unwrap();
    let anywhere = gateway.replace("127.0.0.1:8443", "127.0.0.1:0");
    terminal.write("rules/gateway.toml", &format!("admin = \"127.0.0.1:0\"\n{anywhere}"));
    let (weir, base) = terminal.start_run();
    assert_eq!(terminal.get(&format!("{}/hello", base.replace("http:", "https:"))), (200, "GET /hello".to_owned()));
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
}

#[test]
fn init_wants_a_directory_that_it_can_write() {
    let terminal = Terminal::new();
    terminal.write("taken", "a file");
    let said = terminal.run(&["init", "taken/rules"]);
    assert!(said.code == Some(1) && said.err.contains("taken/rules/gateway.toml"), "{said:?}");
    for (arguments, words) in [
        (&["init", "x", "--upstream", "shop"][..], "http:// or https://"),
        (&["init", "x", "--host", "https://shop.example"], "write the name alone"),
    ] {
        let said = terminal.run(arguments);
        assert!(said.code == Some(2) && said.err.contains(words), "{said:?}");
    }
    assert!(!terminal.path("x").exists());
}

#[test]
fn the_schema_and_the_reference_are_those_of_the_tables_that_read() {
    let terminal = Terminal::new();
    let schema: serde_json::Value = serde_json::from_str(&terminal.run(&["schema"]).out).unwrap();
    assert_eq!(schema, weir::rules::syntax::schema());
    let settings: serde_json::Value = serde_json::from_str(&terminal.run(&["schema", "--settings"]).out).unwrap();
    assert_eq!(settings, weir::settings::Settings::schema());
    assert_eq!(terminal.run(&["schema", "--reference"]).out, weir::rules::syntax::reference());
    assert_eq!(terminal.run(&["schema", "--settings", "--reference"]).out, weir::settings::Settings::reference());
}

/// Every key that the schema knows has exactly one line in the reference, below its table.
#[test]
fn every_key_has_one_line_in_the_reference() {
    let reference = weir::rules::syntax::reference();
    let schema = weir::rules::syntax::schema();
    for (table, definition) in schema["definitions"].as_object().unwrap() {
        let heading = format!("## {}\n", table.replace('_', " "));
        let section = reference
            .split("## ")
            .map(|section| format!("## {section}"))
            .find(|section| {
                section.to_lowercase().starts_with(&heading.to_lowercase().trim_end().to_owned())
                    || section.starts_with(&format!("## {table}\n"))
            })
            .unwrap_or_else(|| panic!("no section for {table}"));
        for key in definition["properties"].as_object().unwrap().keys() {
            let lines = section.lines().filter(|line| line.starts_with(&format!("- `{key}`: "))).count();
            assert_eq!(lines, 1, "{table}.{key}");
        }
    }
}

#[test]
fn a_key_is_shown_once_and_only_its_digest_is_written_down() {
    let terminal = Terminal::new();
    let said = terminal.run(&["key", "price-robot", "--class", "automation"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let key = said.out.lines().find(|line| line.starts_with("  weir_")).unwrap().trim();
    assert_eq!(said.out.matches(key).count(), 1);
    assert!(said.out.contains("[[key]]\n  name = \"price-robot\"\n"), "{}", said.out);
    assert!(said.out.contains(&format!("sha256 = \"{}\"", digest(key))), "{}", said.out);
    let keys: HashSet<String> = (0..8)
        .map(|_| {
            let said = terminal.run(&["key", "tills", "--class", "partner", "--json"]);
            let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
            let key = json["key"].as_str().unwrap().to_owned();
            assert_eq!((json["sha256"].as_str().unwrap(), key.len()), (&*digest(&key), 48));
            key
        })
        .collect();
    assert_eq!(keys.len(), 8);
    for arguments in
        [&["key", "Two Words", "--class", "partner"][..], &["key", "x", "--class", "customer"], &["key", "x"]]
    {
        assert_eq!(terminal.run(arguments).code, Some(2));
    }
}

#[test]
fn shells_and_manuals_are_told_every_command() {
    let terminal = Terminal::new();
    let help = terminal.run(&["--help"]).out;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|word| !word.is_empty())
        .collect();
    assert!(commands.len() > 10 && commands.contains(&"explain"), "{commands:?}");
    // In a manual page every hyphen that is one is escaped.
    let page = terminal.run(&["man"]).out.replace("\\-", "-");
    for shell in ["bash", "zsh", "fish"] {
        let script = terminal.run(&["completions", shell]);
        assert_eq!(script.code, Some(0));
        assert!(commands.iter().all(|command| script.out.contains(command)), "{shell}");
    }
    assert!(page.starts_with(".ie") && commands.iter().all(|command| page.contains(command)), "{page}");
    assert!(terminal.run(&["man", "explain"]).out.contains("given"));
    let said = terminal.run(&["man", "nothing"]);
    assert!(said.code == Some(1) && said.err.contains("no command \"nothing\""), "{said:?}");
}
