//! `[signals.NAME]`: how much a signal weighs. And what a journey counts as for the signals that look back at it.

use super::forms::Whole;
use super::table::{table, words};

table! {
    /// How much a signal weighs. Signals that are not named weigh what they are declared with (`weir data-map` lists them).
    SignalFile("a signal") {
        /// Percent of its points: 0 switches it off, 100 is as declared, 200 the most.
        weight: Whole<0, 200> = required;
    }
}

words! {
    /// What a change on a journey counts as for the signals that look back at it.
    CountsWord {
        /// An e-mail address, a password or an address changes: a payment soon after, on a device that is not trusted, is suspicious.
        "account_change" => AccountChange,
        /// The password is reset: for a day, a device that is not trusted is suspicious.
        "password_reset" => PasswordReset,
        /// Neither, whatever its name.
        "nothing" => Nothing,
    }
}
