//! What the events of CAEP 1.0 and RISC 1.0 mean here: each either one report, or nothing.
//!
//! An event may end, shut or lower. It must never raise what somebody has proved: at most it takes back what another said.

use serde_json::{Map, Value};

use super::subjects::Named;
use crate::clock::Moment;
use crate::identity::token::moment;
use crate::judge::history::{Reported, Risk};
use crate::subject::Session;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $word:literal $base:ident / $path:literal;)*) => {
        /// A kind of event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
            /// None of these.
            Unknown,
        }

        impl Kind {
            /// The kind of an event with this address.
            pub fn of(uri: &str) -> Self {
                match uri {
                    $(concat!(base!($base), $path) => Self::$name,)*
                    _ => Self::Unknown,
                }
            }

            /// The word in logs.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                    Self::Unknown => "unknown",
                }
            }
        }
    };
}

macro_rules! base {
    (caep) => {
        "https://schemas.openid.net/secevent/caep/event-type/"
    };
    (risc) => {
        "https://schemas.openid.net/secevent/risc/event-type/"
    };
    (ssf) => {
        "https://schemas.openid.net/secevent/ssf/event-type/"
    };
}

kinds! {
    /// A session is over, or all of a user's.
    SessionRevoked "session-revoked" caep / "session-revoked";
    /// A password or factor was made, changed, revoked or deleted.
    CredentialChange "credential-change" caep / "credential-change";
    /// What was proved is worth more or less than before.
    AssuranceLevelChange "assurance-level-change" caep / "assurance-level-change";
    /// A device keeps its company's rules, or does not any more.
    DeviceComplianceChange "device-compliance-change" caep / "device-compliance-change";
    /// How risky the transmitter holds somebody.
    RiskLevelChange "risk-level-change" caep / "risk-level-change";
    /// A token would say something else by now.
    TokenClaimsChange "token-claims-change" caep / "token-claims-change";
    /// A session began elsewhere.
    SessionEstablished "session-established" caep / "session-established";
    /// A session was used elsewhere.
    SessionPresented "session-presented" caep / "session-presented";
    /// Credentials are in the wrong hands.
    CredentialCompromise "credential-compromise" risc / "credential-compromise";
    /// An account was shut.
    AccountDisabled "account-disabled" risc / "account-disabled";
    /// An account was opened again.
    AccountEnabled "account-enabled" risc / "account-enabled";
    /// An account is gone.
    AccountPurged "account-purged" risc / "account-purged";
    /// An account must change a credential.
    ChangeRequired "account-credential-change-required" risc / "account-credential-change-required";
    /// A mail address or phone number has changed.
    IdentifierChanged "identifier-changed" risc / "identifier-changed";
    /// A mail address or phone number belongs to somebody else now.
    IdentifierRecycled "identifier-recycled" risc / "identifier-recycled";
    /// Somebody began to recover an account.
    RecoveryActivated "recovery-activated" risc / "recovery-activated";
    /// The means of recovery have changed.
    RecoveryInformationChanged "recovery-information-changed" risc / "recovery-information-changed";
    /// All sessions of a user are over, as RISC said it before CAEP.
    SessionsRevoked "sessions-revoked" risc / "sessions-revoked";
    /// The user wants to be reported on.
    OptIn "opt-in" risc / "opt-in";
    /// The user asked not to be reported on.
    OptOutInitiated "opt-out-initiated" risc / "opt-out-initiated";
    /// The user wants to be reported on after all.
    OptOutCancelled "opt-out-cancelled" risc / "opt-out-cancelled";
    /// The user is not reported on any more.
    OptOutEffective "opt-out-effective" risc / "opt-out-effective";
    /// The transmitter shows that it is there.
    Verification "verification" ssf / "verification";
    /// The transmitter pauses, ends or goes on.
    StreamUpdated "stream-updated" ssf / "stream-updated";
}

/// What an event reports; none when it changes nothing here.
pub(super) fn meaning(kind: Kind, payload: &Map<String, Value>, named: &Named) -> Option<Reported> {
    let says = |name: &str| payload.get(name).and_then(Value::as_str).unwrap_or_default();
    let is = |name: &str, word: &str| says(name).eq_ignore_ascii_case(word);
    match kind {
        Kind::SessionRevoked | Kind::SessionsRevoked => Some(Reported::SessionsRevoked),
        // Only a password that is gone ends what its compromise weighs: a thief who adds a factor must not.
        Kind::CredentialChange => is("credential_type", "password").then_some(Reported::CredentialChanged),
        Kind::AssuranceLevelChange => is("change_direction", "decrease").then_some(Reported::ProofLowered),
        // The device is known here only through whoever uses it.
        Kind::DeviceComplianceChange => is("current_status", "not-compliant").then_some(Reported::ProofLowered),
        Kind::RiskLevelChange => {
            // A risk of a whole tenant or group is not its every user's.
            let own = ["", "user", "session", "device"].iter().any(|who| is("principal", who));
            let risk = match says("current_level").to_ascii_lowercase().as_str() {
                "low" => Risk::Low,
                "medium" => Risk::Medium,
                "high" => Risk::High,
                _ => return None,
            };
            (own && named.account.is_some()).then_some(Reported::Risk(risk))
        }
        Kind::CredentialCompromise => Some(Reported::Compromised),
        Kind::AccountDisabled | Kind::AccountPurged => Some(Reported::Disabled),
        Kind::AccountEnabled => Some(Reported::Enabled),
        Kind::ChangeRequired | Kind::RecoveryActivated => Some(Reported::Risk(Risk::Medium)),
        Kind::IdentifierRecycled => Some(Reported::Recycled),
        Kind::TokenClaimsChange
        | Kind::SessionEstablished
        | Kind::SessionPresented
        | Kind::IdentifierChanged
        | Kind::RecoveryInformationChanged
        | Kind::OptIn
        | Kind::OptOutInitiated
        | Kind::OptOutCancelled
        | Kind::OptOutEffective
        | Kind::Verification
        | Kind::StreamUpdated
        | Kind::Unknown => None,
    }
}

/// The one session that an event is about, where it is about one.
pub(super) fn session_of(kind: Kind, named: &Named) -> Option<Session> {
    let about = kind == Kind::SessionRevoked;
    named.session.or(named.opaque.filter(|_| named.account.is_none())).filter(|_| about)
}

/// When it happened: seconds, or milliseconds where seconds would be thousands of years away. The text of CAEP says seconds,
/// its examples write milliseconds.
pub(super) fn timestamp(payload: &Map<String, Value>) -> Option<Moment> {
    const MILLISECONDS_FROM: u64 = 100_000_000_000;
    let at = moment(payload.get("event_timestamp"))?;
    match at.unix_seconds() {
        millis if millis >= MILLISECONDS_FROM => Some(Moment::from_unix_millis(millis)),
        _ => Some(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_time_is_read_in_seconds_or_milliseconds_by_its_size() {
        let at = |value: Value| timestamp(json!({ "event_timestamp": value }).as_object().expect("an object"));
        let noon = Moment::from_unix_seconds(1_793_620_800);
        assert_eq!(at(json!(1_793_620_800)), Some(noon));
        assert_eq!(at(json!(1_793_620_800_000_u64)), Some(noon));
        assert_eq!(at(json!("1793620800")), None);
        assert_eq!(at(json!(-1)), None);
        assert!(at(json!(u64::MAX)).is_some());
    }

    #[test]
    fn every_kind_is_found_by_its_address() {
        let caep = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
        assert_eq!(Kind::of(caep), Kind::SessionRevoked);
        assert_eq!(Kind::of("https://evil.example/session-revoked"), Kind::Unknown);
        assert_eq!(Kind::of(""), Kind::Unknown);
    }
}
