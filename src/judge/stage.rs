//! When a request is judged: what may count is not the same before and after the upstream has said that a password was right.

/// When a request is judged. A sign-in is judged twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Before the upstream has answered a sign-in. The account's own past may only help.
    Attempt,
    /// An account was named, and nothing shows that it is the asker's own: a forgotten password. Its own past may only help here too; the
    /// ladder is the one for sessions.
    Claim,
    /// Everything else: what a session may do, or, once the password was right, what the session that opens may do.
    Session,
}

impl Stage {
    /// Whether the account's own past may only help: let it hurt, and what is answered tells which accounts exist.
    pub const fn only_helps(self) -> bool {
        match self {
            Self::Attempt | Self::Claim => true,
            Self::Session => false,
        }
    }

    /// The stage of a request on a journey that names an account in a field; `signs_in` where that opens a session, `own` where it is the
    /// account of the asker's own session.
    pub const fn of_named(signs_in: bool, own: bool) -> Self {
        match (signs_in, own) {
            (true, _) => Self::Attempt,
            (false, false) => Self::Claim,
            (false, true) => Self::Session,
        }
    }
}
