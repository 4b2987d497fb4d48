//! How much each signal weighs.

use super::Lower;
use super::names::{Entry, Index};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::signal::{Signal, Weights};
use crate::rules::syntax::closest;
use crate::rules::syntax::signals::SignalFile;

impl Lower<'_> {
    /// The weights of `[signals]`. A name that is none is an error: a weight that does nothing would be believed to do something.
    pub(super) fn weights(&mut self, files: &[Entry<'_, SignalFile>]) -> Weights {
        let mut weights = Weights::default();
        Index::new("signal", files, self.report);
        for (name, file) in files {
            let Some(signal) = Signal::named(&name.value) else {
                let problem = Diagnostic::of(&codes::UNKNOWN_SIGNAL, format!("there is no signal `{}`", name.value));
                let near = closest(&name.value, Signal::ALL.iter().map(|signal| signal.about().name));
                let help =
                    near.map_or("`weir data-map` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
                self.error(problem.at(name.span, "unknown").help(help));
                continue;
            };
            if let Some(weight) = file.and_then(|file| file.weight.given()) {
                weights.set(signal, u8::try_from(weight.value).unwrap_or(Weights::MOST));
            }
        }
        weights
    }
}
