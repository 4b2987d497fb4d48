//! The continuity pass that a request brings: taken up only where it may be shown something by, renewed or voided, and not read yet.

use http::request;

use super::Context;
use crate::gate::Gate;
use crate::identity::dpop::Asked;
use crate::identity::pass;
use crate::identity::token::{Bearer, Tokens};
use crate::judge::stage::Stage;

impl Context<'_> {
    /// The continuity pass that a request brings, where it matters.
    pub(super) fn carried(&self, head: &request::Parts) -> Option<Box<str>> {
        let matters = |id| {
            let journey = self.prepared.rules().journey(id);
            let shows = journey.snapshot.as_ref().is_some_and(|law| law.pass);
            shows || journey.succeeds_on.is_some() || journey.changes_account || journey.resets_password
        };
        let matters = self.prepared.gives_passes() && (self.marks.ends_session || self.journey.is_some_and(matters));
        if matters { pass::carried(&head.headers, self.client.https).map(Box::from) } else { None }
    }

    /// Takes up the pass that a request brings to what is told of no journey alone.
    pub(in crate::gate) fn bring_pass(&mut self, head: &request::Parts) {
        self.pass = pass::carried(&head.headers, self.client.https).map(Box::from);
    }

    /// Whom a token names that is not believed.
    pub(super) fn name_unverified(&mut self, tokens: &Tokens, head: &request::Parts) {
        if self.may_show_by_pass() {
            (self.unbelieved, self.owner) = (true, tokens.named(&head.headers));
        }
    }

    /// The key that is proved on this request: that of a valid token, and where a pass may take its place, that of one which is not.
    pub(super) fn shown_key(
        &self,
        gate: &Gate,
        tokens: &Tokens,
        bearer: &Bearer,
        (head, asked): (&request::Parts, &Asked<'_>),
    ) -> Option<u64> {
        let thumbprint = match bearer {
            Bearer::Valid(claims) => claims.bound.and_then(|bound| bound.key()),
            Bearer::Invalid(_) | Bearer::Unverifiable(_) if self.may_show_by_pass() => {
                tokens.shown_key(&head.headers, asked, self.now)
            }
            Bearer::Invalid(_) | Bearer::Unverifiable(_) | Bearer::Absent | Bearer::Unbound(_) => None,
        };
        thumbprint.map(|thumbprint| gate.shared.names.key(&[b"bound to", &thumbprint]))
    }

    /// Whether a request without a token that is believed may be shown something by its pass.
    pub(super) fn may_show_by_pass(&self) -> bool {
        self.pass.is_some() && self.safe && self.stage == Stage::Session
    }
}
