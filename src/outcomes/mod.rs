//! What was decided and how it turned out, kept under keyed hashes for `weir calibrate` and for nothing else.
//!
//! It is off unless `[outcomes]` says otherwise. It must never hold up a request, never hold a name, an address or a cookie, and
//! never grow beyond its bytes and days.

pub mod entry;
pub mod files;

pub use entry::{Decision, Entry, Outcome, Proof, Report, Tag};
pub use files::{Bounds, Kept};

/// The reference of a decision, by its request's id: the files do not lead back to the decision log without the key.
pub fn reference(names: &crate::subject::Names, id: &str) -> Tag {
    Tag(names.key(&[b"outcome", id.as_bytes()]))
}
