//! Who an event is about (RFC 9493), as far as it is anybody here.
//!
//! It must never take an identifier of one format for one of another, and never keep one: only keyed hashes go on.

use serde_json::Value;

use crate::rules::shared_signals::{SubjectFormat, Transmitter};
use crate::subject::{Account, Names, Session};

/// Longer identifiers name nobody.
const LONGEST: usize = 1024;
/// Aliases that are looked at. The loser is the last.
const ALIASES: usize = 16;

/// Who an event names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// An account.
    pub(super) account: Option<Account>,
    /// One session.
    pub(super) session: Option<Session>,
    /// An identifier that means nothing by itself, and that no account goes by: of a session, where an event is about one.
    pub(super) opaque: Option<Session>,
}

/// Reads a subject: simple, complex (`user`, `session`), or several names of one (`aliases`).
pub(super) fn read(subject: &Value, transmitter: &Transmitter, names: &Names) -> Named {
    match format(subject) {
        Some("complex") => {
            let part = |name: &str| subject.get(name).map(|part| simple(part, transmitter, names));
            let session = subject.get("session").and_then(|session| opaque(session, names));
            Named { account: part("user").and_then(|user| user.account), session, opaque: None }
        }
        Some("aliases") => {
            let all = subject.get("identifiers").and_then(Value::as_array).into_iter().flatten().take(ALIASES);
            all.map(|one| simple(one, transmitter, names)).find(|named| named.account.is_some()).unwrap_or_default()
        }
        // Before RFC 9493 a complex subject said so by its members alone.
        None if subject.get("user").is_some() || subject.get("session").is_some() => {
            let session = subject.get("session").and_then(|session| opaque(session, names));
            let user = subject.get("user").map(|user| simple(user, transmitter, names));
            Named { account: user.and_then(|user| user.account), session, opaque: None }
        }
        Some(_) | None => simple(subject, transmitter, names),
    }
}

/// `format`, or as RISC wrote it first `subject_type`.
fn format(subject: &Value) -> Option<&str> {
    subject.get("format").or_else(|| subject.get("subject_type")).and_then(Value::as_str)
}

fn text<'s>(subject: &'s Value, name: &str) -> Option<&'s str> {
    let text = subject.get(name).and_then(Value::as_str)?;
    (!text.trim().is_empty() && text.len() <= LONGEST).then_some(text)
}

fn opaque(subject: &Value, names: &Names) -> Option<Session> {
    let is_opaque = format(subject) == Some("opaque");
    text(subject, "id").filter(|_| is_opaque).map(|id| names.session(id.as_bytes()))
}

fn simple(subject: &Value, transmitter: &Transmitter, names: &Names) -> Named {
    let (format, name) = match format(subject) {
        Some("email") => (SubjectFormat::Email, text(subject, "email")),
        Some("account") => {
            let uri = text(subject, "uri");
            (SubjectFormat::Account, uri.and_then(|uri| uri.strip_prefix("acct:")))
        }
        Some("iss_sub" | "iss-sub") => {
            let own = text(subject, "iss") == Some(&*transmitter.issuer);
            (SubjectFormat::IssuerAndSubject, text(subject, "sub").filter(|_| own))
        }
        Some("opaque") => (SubjectFormat::Opaque, text(subject, "id")),
        Some("phone_number" | "phone") => (SubjectFormat::Phone, text(subject, "phone_number")),
        Some(_) | None => return Named::default(),
    };
    let known = transmitter.names_accounts_by(format);
    Named {
        account: name.filter(|_| known).map(|name| names.account(name)),
        session: None,
        opaque: opaque(subject, names).filter(|_| !known),
    }
}
