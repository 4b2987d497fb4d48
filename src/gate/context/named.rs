//! What the body of a request names: an account, a password that is compared and dropped, a method that may stand for its own.
//!
//! Only the name's hash is kept, and whether what was typed has leaked. It must never take somebody whom a request only names for who
//! asks.

use http::request;

use super::{Context, Leaked, body, method};
use crate::confidence::{Reading, Why};
use crate::gate::Gate;
use crate::gate::fault::Fault;
use crate::gate::record::Record;
use crate::identity::fields;
use crate::judge::stage::Stage;

impl Context<'_> {
    /// Whether a field of the body is needed before the request is judged: the account's, a password that is compared, or one that
    /// may stand for the method.
    pub fn reads_fields(&self, head: &request::Parts) -> bool {
        let rules = self.prepared.rules();
        let asks = |journey| {
            let journey = rules.journey(journey);
            journey.account.is_some() || (journey.credential.is_some() && rules.breach.is_some())
        };
        self.journey.is_some_and(asks) || (self.listed && method::is_form(head))
    }

    /// Reads the account's name and the password from the body, where the journey has them, and forgets them: only the name's hash
    /// is kept, and whether they have leaked.
    ///
    /// # Errors
    /// When the body asks that the method be read as another.
    pub fn read_fields(
        &mut self,
        gate: &Gate,
        head: &request::Parts,
        body: &body::Taken,
        record: &mut Record,
    ) -> Result<(), Fault> {
        if self.listed && body.whole().is_some_and(|bytes| method::is_overridden(head, bytes)) {
            return Err(Fault::MethodOverride);
        }
        let Some(journey) = self.journey else { return Ok(()) };
        let rules = self.prepared.rules();
        let journey = rules.journey(journey);
        let bytes = body.whole().map(|bytes| &bytes[..]);
        let name = journey.account.as_ref().map(|field| match bytes {
            Some(bytes) => {
                let query = head.uri.query().unwrap_or_default();
                fields::with_query(field, query, fields::read(field, &head.headers, bytes))
            }
            None => Reading::Unknown(Why::Ambiguous),
        });
        let named = name.as_ref().map_or(Reading::Unknown(Why::NotAsked), |name| name.as_ref().map(|name| &**name));
        self.leaked = Leaked::read(gate, (rules, journey), head, bytes, named, self.now);
        if let Some(name) = &name {
            let named = name.as_ref().map(|name| gate.shared.names.account(name));
            let own = self.vouched && named.known().is_none_or(|named| self.account.known() == Some(named));
            self.stage = Stage::of_named(self.stage == Stage::Attempt, own);
            self.account = named;
            record.account = self.account.known();
            if self.prepared.keeps_snapshots() {
                self.owner = name.as_ref().known().map(|name| gate.shared.names.owner(name));
            }
        }
        Ok(())
    }
}
