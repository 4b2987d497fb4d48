//! Where people are reached.

use super::Lower;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::ruleset::{Help, Otherwise};

impl Lower<'_> {
    /// Every place of help.
    pub(super) fn all_help(&mut self) -> Vec<Help> {
        let names: Vec<Box<str>> = self.help.in_order();
        let files = self.help_files.clone();
        names.into_iter().zip(files).map(|(name, file)| self.one_help(name, file)).collect()
    }

    fn one_help(&mut self, name: Box<str>, file: Option<&super::HelpFile>) -> Help {
        let mut help = Help {
            name,
            phone: None,
            relay: None,
            chat: None,
            hours: None,
            per_hour: None,
            otherwise: Otherwise::Callback,
        };
        let Some(file) = file else { return help };
        let text = file.text.given();
        if file.phone.is_absent() && file.text.is_absent() {
            let problem = Diagnostic::of(&codes::EMPTY, format!("help `{}` names no way to reach anybody", help.name));
            self.error(
                problem
                    .at(file.span, "nobody here")
                    .help("give `phone`, and `text` for people who cannot use a voice line"),
            );
        }
        if let Some(text) = text.filter(|text| text.relay.is_absent() && text.chat.is_absent()) {
            let problem = Diagnostic::of(&codes::EMPTY, format!("the text of help `{}` names no way", help.name));
            self.error(problem.at(text.span, "nothing here").help("give `relay`, `chat` or both"));
        }
        help.phone = file.phone.given().map(|phone| phone.value.clone());
        help.relay = text.and_then(|text| text.relay.given()).map(|relay| relay.value.clone());
        help.chat = text.and_then(|text| text.chat.given()).map(|chat| chat.0.clone());
        help.hours = file.hours.given().map(|hours| hours.value.clone());
        help.per_hour = file.capacity.given().map(|rate| rate.0);
        if let Some(otherwise) = file.otherwise.given() {
            help.otherwise = otherwise.0.clone();
        }
        help
    }
}
