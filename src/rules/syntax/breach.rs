//! `[breach]`: the lists of what has leaked. They are made by `weir breach build` and `weir breach accounts`.

use std::time::Duration;

use super::files::Text;
use super::table::{Said, table};

table! {
    /// Lists of what has leaked, which sign-ins are compared with. Files beside the rules, made by `weir breach build` and `weir breach accounts`; a file that is replaced is taken up within seconds, and a bad one leaves the one before in use.
    BreachFile("breach") {
        /// Leaked passwords. A journey whose `credential` is one of them is less sure.
        passwords: Text = optional;
        /// Names and passwords that leaked together, for journeys with `account` and `credential`. Keep this file as you keep a secret.
        pairs: Text = optional;
        /// Accounts that were in a breach of your own, for journeys with `account`.
        accounts: Text = optional;
        /// The key that `pairs` and `accounts` were made with.
        key: KeyOfLists = optional;
        /// From this age on, a list of passwords or pairs no longer says that something has not leaked: what it does not find is then unknown.
        stale_after: Said<Duration> = default("\"45d\"");
    }
}

table! {
    /// Where a key is kept. Never the key itself.
    KeyOfLists("a key of lists") {
        /// A file beside the rules that only its owner can read.
        file: Text = required;
    }
}
