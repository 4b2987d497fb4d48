//! Looking, not changing: what a customer is told whose change is not taken now, and where looking still works.

use super::context::Context;
use super::notice::Notice;
use crate::rules::routes::Found;

/// The notice for a change that is not taken. Where the same path can be looked at, it says so.
pub fn notice(context: &Context<'_>) -> Notice {
    let looking = matches!(context.prepared.rules().routes.find("GET", &context.target), Found::Listed { .. });
    Notice::read_only(looking.then(|| context.uri.path().to_owned()))
}
