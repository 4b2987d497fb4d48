//! Every notice that a law can give, on one sheet: for the people who answer for the words, before a customer reads them.
//!
//! The words are rendered by what renders them for customers, in every channel and language. It must never have words of its own for
//! them, and must leave out nothing that a customer could meet.

mod met;
mod said;

use serde::Serialize;
use serde_json::{Value, json};

use self::met::{About, Met};
pub use self::said::{Page, Said};
use crate::clock::Moment;
use crate::rules::playbook::Desk;
use crate::rules::ruleset::RuleSet;

/// What stands where a request's id would.
pub const ID: &str = "0123456789abcdef0123456789abcdef";

/// Every notice of a law.
#[derive(Debug, Serialize)]
pub struct Sheet {
    /// The spoken languages, the default first.
    pub languages: Vec<String>,
    /// In the order in which people look for them: journeys, playbooks, every page, closed help.
    pub parts: Vec<Part>,
}

/// What belongs together: one journey, one playbook, what can come on any page, help that is closed or full.
#[derive(Debug, Serialize)]
pub struct Part {
    /// `journey`, `playbook`, `anywhere` or `help`.
    pub about: &'static str,
    /// Which journey or playbook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The playbook's sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What customers read.
    pub notices: Vec<Entry>,
    /// What agents say and do while the playbook is armed.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "desk")]
    pub desk: Option<Desk>,
}

/// One notice, in every language.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Its kind.
    pub kind: &'static str,
    /// Why a customer reads it.
    pub why: &'static str,
    /// On which journey, where the part is not about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journey: Option<String>,
    /// The status for a program; none where something is served, and only the banner and the feed speak.
    pub status: Option<u16>,
    /// Who meets it, and when.
    pub who: Vec<String>,
    /// What is said, by language.
    pub said: Vec<Said>,
}

fn desk<S: serde::Serializer>(desk: &Option<Desk>, to: S) -> Result<S::Ok, S::Error> {
    let written = desk.as_ref().map_or(
        Value::Null,
        |desk| json!({ "verify": desk.verify, "script": desk.script, "never": desk.never, "escalate": desk.escalate }),
    );
    written.serialize(to)
}

impl Sheet {
    /// The sheet of this law, as it is read while people can be reached: from this moment on, the first at which they can.
    pub fn of(rules: &RuleSet, now: Moment) -> Self {
        let hours = rules.help.first().and_then(|help| help.hours.as_ref());
        let now = hours.and_then(|hours| hours.opens_next(now)).unwrap_or(now);
        let parts = met::all(rules, now).into_iter().map(|(about, met)| part(rules, about, &met)).collect();
        Self { languages: rules.notices.languages().iter().map(|language| language.tag.to_string()).collect(), parts }
    }

    /// How many notices there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.notices.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn part(rules: &RuleSet, about: About, met: &[Met]) -> Part {
    let own_journey = matches!(about, About::Journey(_));
    let notices = met.iter().map(|met| Entry {
        kind: met.kind.key(),
        why: met.kind.when(),
        journey: met.journey.filter(|_| !own_journey).map(|journey| rules.journey(journey).name.to_string()),
        status: met.notice.as_ref().map(|notice| notice.status.as_u16()),
        who: met.who.clone(),
        said: rules.notices.spoken().map(|spoken| Said::of(rules, met, spoken)).collect(),
    });
    let notices = notices.collect();
    let (about, name, playbook) = match about {
        About::Journey(journey) => ("journey", Some(rules.journey(journey).name.to_string()), None),
        About::Playbook(at) => {
            ("playbook", rules.playbooks.get(at).map(|law| law.name.to_string()), rules.playbooks.get(at))
        }
        About::Anywhere => ("anywhere", None, None),
        About::Help => ("help", None, None),
    };
    let summary = playbook.map(|law| law.summary.to_string());
    Part { about, name, summary, notices, desk: playbook.map(|law| law.desk.clone()) }
}
