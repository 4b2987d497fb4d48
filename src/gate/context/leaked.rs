//! Whether what a customer types has leaked: asked while the body is at hand, of lists in memory.
//!
//! The password is read where it stands, compared and dropped. It must never reach a record, a line or the context.

use http::request;

use super::super::Gate;
use crate::clock::Moment;
use crate::confidence::{Reading, Why};
use crate::identity::fields;
use crate::judge::signals::exposure::Exposure;
use crate::rules::ruleset::{Journey, RuleSet};

/// What the lists say of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaked {
    /// Of the name and password of a sign-in.
    pub exposure: Reading<Exposure>,
    /// Whether the account was in a breach of the company's own.
    pub account_breached: Reading<bool>,
}

impl Leaked {
    /// Nothing was asked.
    pub const NOT_ASKED: Self =
        Self { exposure: Reading::Unknown(Why::NotAsked), account_breached: Reading::Unknown(Why::NotAsked) };

    /// Asks about what this body says. `body` is `None` when it was not read whole.
    pub fn read(
        gate: &Gate,
        (rules, journey): (&RuleSet, &Journey),
        head: &request::Parts,
        body: Option<&[u8]>,
        name: Reading<&str>,
        now: Moment,
    ) -> Self {
        let Some(law) = &rules.breach else { return Self::NOT_ASKED };
        if journey.credential.is_none() && journey.account.is_none() {
            return Self::NOT_ASKED;
        }
        let lists = gate.leaks.borrow_mut().pin();
        let exposure = match &journey.credential {
            None => Reading::Unknown(Why::NotAsked),
            Some(field) => {
                let query = head.uri.query().unwrap_or_default();
                let secret = match body {
                    Some(body) => fields::secret(field, query, &head.headers, body),
                    None => Reading::Unknown(Why::Ambiguous),
                };
                lists.exposure(law, name, secret.as_ref().map(|secret| secret.reveal()), now)
            }
        };
        let account_breached = match (&journey.account, name) {
            (None, _) => Reading::Unknown(Why::NotAsked),
            (Some(_), Reading::Known(name)) => lists.account(law, name, now),
            (Some(_), Reading::Unknown(why)) => match law.list(crate::rules::breach::Kind::Accounts) {
                Some(_) => Reading::Unknown(why),
                None => Reading::Unknown(Why::NotAsked),
            },
        };
        Self { exposure, account_breached }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_sign_in_can_hold_neither_name_nor_password() {
        fn is_plain<T: Copy + 'static>() -> usize {
            std::mem::size_of::<T>()
        }
        assert!(is_plain::<Leaked>() <= 8);
    }
}
