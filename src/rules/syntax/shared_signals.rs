//! `[shared_signals.NAME]`: a transmitter of security events, as it is written.

use std::time::Duration;

use super::clients::Digest;
use super::files::Text;
use super::forms::Many;
use super::table::{Said, table, words};
use super::written::{Host, KeysAt, PlainPath};
use crate::rules::limits::Rate;

table! {
    /// A transmitter of security events (Shared Signals Framework 1.0). It pushes them (RFC 8935): a POST of one signed event to `path`.
    TransmitterFile("a transmitter") {
        /// `iss` of its events must equal this; no two transmitters have the same.
        issuer: Text = required;
        /// Where its keys are: an address, or `file:` and a path beside the rules.
        jwks: Said<KeysAt> = required;
        /// `aud` of its events must contain one of these.
        audience: Many<Text> = required;
        /// The hosts that its events are taken on; without it, every host that is served. Of another host the path is nothing special.
        hosts: Many<Said<Host>> = optional;
        /// The path that its events are taken at. What else is asked of it goes on as ever.
        path: Said<PlainPath> = default("\"/.well-known/weir/events\"");
        /// SHA-256 of a bearer token that it must show too, 64 hexadecimal digits; the signature alone is asked for when absent.
        token_sha256: Said<Digest> = optional;
        /// What names an account here: the formats of a subject (RFC 9493) whose value customers sign in with, or tokens carry.
        accounts: Many<Said<SubjectWord>> = default("[\"email\", \"account\"]");
        /// How old an event may be when it arrives, by its `iat`; at most 7d, for so long are those that were taken remembered.
        max_age: Said<Duration> = default("\"1d\"");
        /// How long it may be silent. After that its reports are stale, loudly; never when absent. Ask it for verification events.
        expected_every: Said<Duration> = optional;
        /// How much it may take from customers: events that end sessions, shut accounts or lower confidence. Those beyond are held back in order and applied as the rate allows, loudly; raise it to let them through, remove the transmitter to drop them.
        may_take: Said<Rate> = default("\"600/h\"");
    }
}

words! {
    /// A format of a subject.
    SubjectWord {
        /// `email`.
        "email" => Email,
        /// `account`, an acct: address, without its scheme.
        "account" => Account,
        /// `iss_sub`, the `sub` of it, where `iss` is the transmitter's own.
        "iss_sub" => IssuerAndSubject,
        /// `opaque`, an identifier that both sides agreed on.
        "opaque" => Opaque,
        /// `phone_number`.
        "phone_number" => Phone,
    }
}
