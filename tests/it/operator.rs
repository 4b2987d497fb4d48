//! A night of an operator, typed: every command with what it says, and with the slips of tired fingers.

use crate::support::program::{Said, Terminal};

const NOBODY: &str = "http://127.0.0.1:1";

/// A refusal: nothing on standard output, these words on the other, and this exit code.
fn refused(said: &Said, code: i32, words: &[&str]) {
    assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{said:?}");
    for words in words {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
}

#[test]
fn a_playbook_is_armed_watched_confirmed_and_ended_and_every_slip_is_answered_with_a_way_on() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    let (weir, _) = terminal.start_run();
    let run = |typed: &[&str]| terminal.run(typed);

    let meant = "did you mean credential_stuffing?\nhelp: weir playbooks lists";
    refused(&run(&["playbooks", "credental_stuffing"]), 1, &[meant]);
    refused(&run(&["arm", "credental_stuffing", "--reason", "x"]), 1, &[meant]);
    refused(&run(&["stand-down", "credental_stuffing", "--reason", "x"]), 1, &[meant]);
    refused(&run(&["confirm", "credental_stuffing"]), 1, &[meant]);
    refused(&run(&["stand-down", "bot_abuse", "--reason", "x"]), 1, &["bot_abuse is not armed.\nhelp: weir status"]);
    refused(&run(&["arm", "bot_abuse"]), 2, &["--reason <TEXT>"]);
    refused(&run(&["arm", "bot_abuse", "--reason", " "]), 1, &["say why"]);
    refused(&run(&["arm", "bot_abuse", "--reason", "x", "--for", "2x"]), 2, &["write a whole number and one of"]);
    refused(&run(&["arm", "bot_abuse", "--reason", "x", "--for", "900d"]), 1, &["at most; ask for less"]);
    refused(
        &run(&["arm", "credential_stuffing", "--reason", "x", "--scope", "logn,web"]),
        1,
        &["did you mean login?\nhelp: name journeys"],
    );

    let said = run(&[
        "arm",
        "credential_stuffing",
        "--shadow",
        "--scope",
        "login,web",
        "--confirm-within",
        "5m",
        "--reason",
        "trying it out",
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines = [
        "credential_stuffing, ",
        "  UNCONFIRMED: it ends then, unless you run  weir confirm credential_stuffing",
        "  in shadow: nothing is enforced",
        "  only the journeys login",
        "  only the channels web",
        "  by ",
    ];
    assert_eq!(said.out.lines().count(), lines.len(), "{}", said.out);
    for (line, begins) in said.out.lines().zip(lines) {
        assert!(line.starts_with(begins), "{begins}: {}", said.out);
    }
    assert_eq!(run(&["confirm", "credential_stuffing"]).code, Some(0));
    let status = run(&["status"]).out;
    assert!(status.contains("\narmed        credential_stuffing, ") && !status.contains("UNCONFIRMED"), "{status}");
    assert!(status.contains("\n             only the journeys login\n"), "{status}");
    refused(&run(&["confirm", "credential_stuffing"]), 1, &["not waiting to be confirmed"]);
    assert_eq!(run(&["arm", "credential_stuffing", "--scope", "all", "--reason", "ticket 4711"]).code, Some(0));
    let said = run(&["stand-down", "credential_stuffing", "--reason", "calm since 20 minutes"]);
    assert!(said.out.contains("\n  standing down: customers from confidence 100 up are served in full"), "{said:?}");
    let said = run(&["stand-down", "credential_stuffing", "--now", "--reason", "it hits customers"]);
    assert!(said.out.starts_with("credential_stuffing is not armed any more."), "{said:?}");

    let tail = run(&["audit", "tail"]).out;
    let wanted = [
        ("arm credential_stuffing (until ", "; in shadow; unconfirmed; only login; only web): trying it out"),
        ("confirm credential_stuffing (until ", "; in shadow; only login; only web)"),
        ("arm credential_stuffing (until ", "Z): ticket 4711"),
        ("stand_down credential_stuffing (until ", "Z): calm since 20 minutes"),
        ("stand_down_now credential_stuffing", ": it hits customers"),
    ];
    assert_eq!(tail.lines().count(), wanted.len(), "{tail}");
    for (line, (what, how)) in tail.lines().zip(wanted) {
        assert!(line.contains(what) && line.ends_with(how), "{what} .. {how}: {tail}");
    }
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
}

#[test]
fn the_status_says_why_saved_files_are_not_in_force_and_when_rules_hold_despite_their_cases() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    let (weir, _) = terminal.start_run();
    let run = |typed: &[&str]| terminal.run(typed);
    let journeys = std::fs::read_to_string(terminal.path("rules/journeys.toml")).unwrap();

    terminal.write("rules/journeys.toml", &journeys.replace("at = 55", "at = 99"));
    let said = run(&["reload"]);
    assert!(said.code == Some(1) && said.out.contains("Cases do not hold; generation 1 stays in force"), "{said:?}");
    let status = run(&["status"]).out;
    assert!(status.contains(": NOT IN FORCE, cases do not hold: run weir test /"), "{status}");
    assert_eq!(run(&["reload", "--despite-cases", "--reason", "the case is wrong"]).code, Some(0));
    let status = run(&["status"]).out;
    assert!(status.contains("\ncases        NOT ALL HOLD, let in despite them: run weir test /"), "{status}");
    let tail = run(&["audit", "tail", "-n", "1"]).out;
    assert!(tail.contains("installed_despite_cases rules (") && tail.contains(" -> "), "{tail}");
    assert!(tail.ends_with("): the case is wrong\n"), "{tail}");
    terminal.write("rules/journeys.toml", &journeys);
    assert_eq!(run(&["reload"]).code, Some(0));
    assert!(!run(&["status"]).out.contains("\ncases "));

    assert_eq!(run(&["arm", "fraud_spike", "--reason", "night"]).code, Some(0));
    std::fs::remove_file(terminal.path("rules/playbooks/fraud_spike.toml")).unwrap();
    let said = run(&["reload"]);
    assert!(said.code == Some(1) && said.out.contains("\n  weir stand-down fraud_spike --reason"), "{said:?}");
    let status = run(&["status"]).out;
    assert!(status.contains(": NOT IN FORCE: they lack a playbook that is armed"), "{status}");
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
}

#[test]
fn what_is_given_may_stand_in_one_list_and_two_outcomes_stand_below_each_other() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    let given = "device=known,network=known,authenticated=pwd";
    let said = terminal.run(&["explain", "POST", "/checkout", "--given", given, "--down", "jwks,upstream"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("confidence 96"), "{}", said.out);
    let two: Vec<&str> = said.out.lines().rev().take(2).collect();
    let columns: Vec<usize> = two.iter().map(|line| line.rfind("  ").unwrap()).collect();
    assert!(columns[0] == columns[1] && two[0].starts_with("when jwks and upstream are gone  "), "{two:?}");
}

#[test]
fn a_token_has_a_name_that_a_record_can_hold() {
    let terminal = Terminal::new();
    for name in ["", "Ann Other", "a\"b", "ann\n"] {
        refused(&terminal.run(&["token", name, "--role", "viewer"]), 2, &["use 1 to 64 of a-z, 0-9, - and _"]);
    }
    assert_eq!(terminal.run(&["token", "ann", "--role", "viewer"]).code, Some(0));
}

#[test]
fn no_line_of_a_help_text_is_wider_than_the_page() {
    fn look(command: &clap::Command) {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in after.lines() {
            assert!(line.chars().count() <= 100, "{}: {line}", command.get_name());
        }
        command.get_subcommands().for_each(look);
    }
    look(&<weir::cli::Arguments as clap::CommandFactory>::command());
}
