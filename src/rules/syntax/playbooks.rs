//! What operators write in `playbooks/NAME.toml`: every table of a playbook, declared once.
//!
//! These types mirror the files. What they mean, and whether the names in them exist, is for `lower`.

use std::time::Duration;

use toml::de::DeValue;

use super::files::{ActionWord, CaseFile, Text};
use super::forms::{Many, Named};
use super::notices::WordsFile;
use super::table::{Form, Said, Shape, Value, Walk, table, words};
use super::written::short;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::playbook::Threshold;

table! {
    /// A playbook: a prebuilt incident mode, armed and stood down as one. Its name is the name of its file.
    PlaybookFile("a playbook") {
        /// One sentence: what is going on when it is armed.
        summary: Text = required;
        /// Who answers for it.
        owner: Text = required;
        /// When it ends by itself; it is never armed for ever.
        expires: Said<Duration> = required;
        /// The longest that extensions may make it, 7d at most; `expires` when absent, so that nothing extends it.
        at_most_total: Said<Duration> = optional;
        /// What arms it, or proposes to.
        trigger: Vec<TriggerFile> = optional;
        /// What it changes, by journey.
        changes: Named<ChangeFile> = optional;
        /// What automation may still do. Partners are not automation.
        automation: AutomationFile = optional;
        /// Journeys served from elsewhere while it holds, by journey.
        route: Named<ElsewhereFile> = optional;
        /// Signals that are not believed while it holds.
        signals: DistrustFile = optional;
        /// How it ends.
        stand_down: StandDownFile = optional;
        /// What customers read who are held back by it, in every spoken language. May hold `{until}`: when it ends as things stand.
        notice: Named<WordsFile> = optional;
        /// What agents say and do.
        desk: DeskFile = optional;
        /// What happens to routes that no journey names: `read_only` takes no changes on them.
        unlisted: Said<UnlistedWord> = optional;
        /// Whether tunnels and event streams are ended.
        cut_streams: Said<bool> = default("false");
        /// The channels that it concerns; all when absent.
        channels: Many<Said<ChannelWord>> = optional;
        /// Whether it is enforced, or only logged.
        mode: Said<ModeWord> = default("\"enforce\"");
        /// What must hold, with this playbook armed, before the law is installed.
        case: Vec<CaseFile> = optional;
    }
}

table! {
    /// What arms a playbook. Without a person only what concerns clients under attack may be changed.
    TriggerFile("a trigger") {
        /// What is watched.
        watch: Said<WatchWord> = required;
        /// Over how long it is measured.
        over: Said<Duration> = default("\"2m\"");
        /// From which value on: a number, or so many times what is usual.
        at_least: Said<Threshold> = required;
        /// Armed at once, or proposed to a person.
        then: Said<ThenWord> = default("\"propose\"");
    }
}

words! {
    /// What can be watched.
    WatchWord {
        /// Failed sign-ins among all that the upstream answered, 0 to 1.
        "login_failure_rate" => LoginFailures,
        /// Sign-ins a second.
        "login_rate" => Logins,
        /// Requests that an upstream failed, among all that reached one, 0 to 1.
        "upstream_failure_rate" => UpstreamFailures,
        /// Requests that were held back, among all of journeys, 0 to 1.
        "held_rate" => Held,
        /// Requests of automation a second.
        "automation_rate" => Automation,
    }
}

words! {
    /// What a trigger does.
    ThenWord {
        /// It arms the playbook.
        "arm" => Arm,
        /// It asks a person to.
        "propose" => Propose,
    }
}

table! {
    /// What a playbook changes on a journey. It only ever adds.
    ChangeFile("a change") {
        /// Nobody gets a higher rung than this one of the journey.
        at_most: Said<ActionWord> = optional;
        /// The journey is served as if its upstream were away.
        contained: Said<bool> = default("false");
        /// Whom it concerns; everybody when absent.
        r#where: WhereFile = optional;
    }
}

table! {
    /// Whom a change concerns.
    WhereFile("where") {
        /// Only clients that come from networks and devices under attack. A device that the account trusts never is.
        contaminated: Said<bool> = required;
    }
}

table! {
    /// What automation may still do.
    AutomationFile("automation") {
        /// Journeys: these alone. Routes that prove something or end a session stay open.
        only: Vec<Text> = required;
    }
}

table! {
    /// Where a journey is served from instead.
    ElsewhereFile("a route") {
        /// Another upstream.
        upstream: Text = required;
    }
}

table! {
    /// What is not believed.
    DistrustFile("signals") {
        /// Families of signals. `when_unknown` answers for what is missing then.
        distrust: Vec<Said<FamilyWord>> = required;
    }
}

words! {
    /// A family of signals.
    FamilyWord {
        /// The device cookie and the client software.
        "device" => Device,
        /// Network, failed sign-ins, the account's past.
        "behaviour" => Behaviour,
        /// What the session has proved.
        "authentication" => Authentication,
        /// What is known to have leaked.
        "exposure" => Exposure,
    }
}

table! {
    /// How a playbook ends before its time, and how the way back is.
    StandDownFile("stand_down") {
        /// It stands down by itself when this has held.
        when: CalmFile = optional;
        /// The way back to full service takes so long, the surest customers first.
        ramp: Said<Duration> = default("\"0s\"");
    }
}

table! {
    /// When it is calm again.
    CalmFile("when") {
        /// What is watched.
        watch: Said<WatchWord> = required;
        /// Up to which value: a number, or so many times what is usual.
        at_most: Said<Threshold> = required;
        /// For how long.
        during: Said<Duration> = default("\"10m\"");
    }
}

table! {
    /// What agents say and do while it holds.
    DeskFile("desk") {
        /// How a caller is verified: needed where the playbook leads customers to people.
        verify: Vec<Text> = optional;
        /// What is said.
        script: Text = optional;
        /// What is never done on an incoming call.
        never: Vec<Text> = optional;
        /// Who is called.
        escalate: Vec<Text> = optional;
    }
}

words! {
    /// What happens to routes that no journey names.
    UnlistedWord {
        /// They are looked at, and take no changes.
        "read_only" => ReadOnly,
    }
}

words! {
    /// Where a client comes from.
    ChannelWord {
        /// A browser on the site.
        "web" => Web,
        /// The company's own app.
        "app" => App,
        /// A shop: tills, kiosks.
        "store" => Store,
        /// The contact centre.
        "desk" => Desk,
    }
}

words! {
    /// Whether something is enforced, or only logged.
    ModeWord {
        /// Enforced.
        "enforce" => Enforce,
        /// Both outcomes are logged, nothing is enforced.
        "shadow" => Shadow,
    }
}

words! {
    /// What kind of client asks.
    ClassWord {
        /// A person.
        "customer" => Customer,
        /// A contact-centre employee who acts for one.
        "agent" => Agent,
        /// A known machine that the business needs.
        "partner" => Partner,
        /// A bot, script or assistant.
        "automation" => Automation,
    }
}

impl Form for Said<Threshold> {
    fn shape() -> Shape {
        Shape::Either(vec![Shape::Number, Shape::Text("a multiple of the baseline", "5x baseline")])
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        let span = walk.span(value.span());
        let (text, times) = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => (number.as_str(), false),
            DeValue::Float(number) => (number.as_str(), false),
            DeValue::String(text) => match text.trim().strip_suffix("baseline").map(str::trim_end) {
                Some(times) => (times.strip_suffix('x').unwrap_or(""), true),
                None => (text.trim(), false),
            },
            _ => {
                walk.wrong(value, &Self::shape());
                return None;
            }
        };
        let digits = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        let number = if text.bytes().all(digits) { text.parse::<f64>().ok() } else { None };
        match number.filter(|number| number.is_finite() && *number <= 1e9) {
            Some(number) if times && number > 0.0 => Some(Self { value: Threshold::Baseline(number), span }),
            Some(number) if !times => Some(Self { value: Threshold::Value(number), span }),
            Some(_) | None => {
                let said = format!("`{}` is no value to compare with", short(text));
                let problem = Diagnostic::of(&codes::BAD_THRESHOLD, said).at(span, "not a threshold");
                walk.push(
                    problem
                        .help("write a share or a rate such as 0.3, or a multiple of what is usual: \"5x baseline\""),
                );
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threshold(text: &'static str) -> Option<Threshold> {
        let mut walk = Walk::new(0, Vec::new(), false);
        let field = walk.default::<Said<Threshold>>(text, crate::rules::source::Span::default());
        field.given().map(|said| said.value)
    }

    #[test]
    fn a_threshold_is_a_number_or_a_multiple_of_what_is_usual() {
        assert_eq!(threshold("\"5x baseline\""), Some(Threshold::Baseline(5.0)));
        assert_eq!(threshold("\"1.5x baseline\""), Some(Threshold::Baseline(1.5)));
        assert_eq!(threshold("\"0.3\""), Some(Threshold::Value(0.3)));
        assert_eq!(threshold("0.3"), Some(Threshold::Value(0.3)));
        assert_eq!(threshold("12"), Some(Threshold::Value(12.0)));
        for bad in [
            "\"5 baseline\"",
            "\"x baseline\"",
            "\"0x baseline\"",
            "\"-1\"",
            "-1",
            "nan",
            "inf",
            "\"\"",
            "1e300",
            "0x10",
            "true",
        ] {
            assert_eq!(threshold(bad), None, "{bad}");
        }
    }
}
