//! When a request is judged: what may count is not the same before and after the upstream has said that a password was right.

/// When a request is judged. A sign-in is judged twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Before the upstream has answered a sign-in. The account's own past may only help.
    Attempt,
    /// Everything else: what a session may do, or, once the password was right, what the session that opens may do.
    Session,
}
