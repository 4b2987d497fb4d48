//! The continuity pass: that it ends while what is known against it is still remembered.

use std::time::Duration;

use super::Lower;
use crate::rules::continuity_pass::{ContinuityPass, LONGEST};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::lists::{ListKind, ListLaw};
use crate::rules::syntax::continuity_pass::ContinuityPassFile;

/// Less is over before the outage is; for longer nobody remembers what ended one.
const LASTS: (Duration, Duration) = (Duration::from_secs(3600), LONGEST);

impl Lower<'_> {
    /// Whether passes are left, and for how long.
    pub(super) fn continuity_pass(
        &mut self,
        file: Option<&ContinuityPassFile>,
        lists: &[ListLaw],
    ) -> Option<ContinuityPass> {
        let Some(file) = file else { return Some(ContinuityPass::USUAL) };
        let lasts = file.lasts.given()?;
        if lasts.value < LASTS.0 || lasts.value > LASTS.1 {
            let problem = Diagnostic::of(&codes::PASS_TIME, "`lasts` of [continuity_pass] is no useful time");
            let help = "choose between \"1h\" and \"30d\", or write on = false for none";
            self.error(problem.at(lasts.span, "too short or too long").help(help));
        }
        let known_only = file.known_providers_only.given()?;
        if known_only.value && !self.broken && !lists.iter().any(|list| list.kind == ListKind::Provider) {
            let said = "passes are shown at known providers only, and no list says which provider an address has";
            let help = "add provider = { file = \"...\" } to [lists], or remove this line";
            self.error(Diagnostic::of(&codes::PASS_PROVIDERS, said).at(known_only.span, "cannot be told").help(help));
        }
        Some(ContinuityPass {
            on: file.on.given()?.value,
            lasts: lasts.value,
            trusted_only: file.trusted_only.given()?.value,
            known_providers_only: known_only.value,
            outlives_revocation: file.outlives_revocation.given()?.value,
        })
    }
}
