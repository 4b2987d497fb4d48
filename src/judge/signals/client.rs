//! The client's software against itself: what its TLS stack is, beside what it says that it is. Weak on purpose: imitation is off the
//! shelf, so that nothing found proves nothing.
//!
//! It must never weigh on a device that the account trusts.

use super::Says;
use crate::confidence::{Points, Reading};
use crate::judge::seen::{Client, Stack};
use crate::rules::signal::Signal;

/// What a client is, beside what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guise {
    /// Nothing speaks against what it says.
    Plain,
    /// Its TLS stack is that of another program.
    Mismatch,
    /// Its TLS stack is a script's.
    Script,
}

impl Guise {
    /// What this client is.
    pub fn of(client: &Client) -> Reading<Self> {
        match (client.stack, client.software) {
            (Reading::Known(Stack::SCRIPT), _) => Reading::Known(Self::Script),
            (Reading::Known(stack), Reading::Known(software)) => {
                let other = software.expects.is_some_and(|expected| expected != stack);
                Reading::Known(if other { Self::Mismatch } else { Self::Plain })
            }
            (Reading::Unknown(why), _) | (_, Reading::Unknown(why)) => Reading::Unknown(why),
        }
    }
}

/// What the client says.
#[inline]
pub(in crate::judge) fn weigh(guise: Reading<Guise>, trusted: bool) -> Says {
    let signal = match guise {
        Reading::Known(Guise::Plain) => return None,
        Reading::Known(Guise::Mismatch) => Signal::ClientMismatch,
        Reading::Known(Guise::Script) => Signal::ScriptedClient,
        Reading::Unknown(why) if why.is_fault() => Signal::ScriptedClient,
        Reading::Unknown(_) => return None,
    };
    Some((signal, if trusted { Points::ZERO } else { signal.about().points }))
}
