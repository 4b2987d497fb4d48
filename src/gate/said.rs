//! What the upstream says to Weir alone, in `Weir-*` fields of its answers: who signed in, whether it worked, and a proof that it
//! took itself. Believed only from the upstream, and never passed on.

use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

use crate::clock::Moment;

/// The fields, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// `Weir-Subject`: the account's name.
    pub subject: Option<Box<str>>,
    /// `Weir-Outcome: success|failure`.
    pub outcome: Option<bool>,
    /// `Weir-Authenticated: acr="aal2", amr="otp", auth_time=1795363100`.
    pub authenticated: Option<Authenticated>,
    /// `Weir-Cache-Control`, in place of `Cache-Control` for what is kept of the answer (RFC 9213); nothing when it is empty.
    pub cache_control: Option<Box<str>>,
}

/// A proof that the application took itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Authenticated {
    /// The class.
    pub acr: Option<Box<str>>,
    /// The methods (RFC 8176).
    pub amr: SmallVec<[Box<str>; 2]>,
    /// When; now when it is not said.
    pub auth_time: Option<Moment>,
}

impl Said {
    /// Reads what forwarding stripped from an answer. A field that cannot be read says nothing.
    pub fn read(told: &[(HeaderName, HeaderValue)]) -> Self {
        let mut said = Self::default();
        for (name, value) in told {
            let Ok(value) = value.to_str() else { continue };
            match name.as_str() {
                "weir-subject" => said.subject = Some(value.trim()).filter(|name| !name.is_empty()).map(Box::from),
                "weir-outcome" => {
                    said.outcome = match value.trim() {
                        "success" => Some(true),
                        "failure" => Some(false),
                        _ => None,
                    }
                }
                "weir-cache-control" => {
                    let text = value.trim();
                    let joined = said.cache_control.take().map(|before| format!("{before}, {text}").into());
                    said.cache_control = joined.or_else(|| Some(Box::from(text)).filter(|_| !text.is_empty()));
                }
                "weir-authenticated" => said.authenticated = Some(Authenticated::read(value)),
                _ => {}
            }
        }
        said
    }
}

impl Authenticated {
    fn read(value: &str) -> Self {
        let mut found = Self::default();
        for member in value.split(',') {
            let Some((key, value)) = member.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match key.trim() {
                "acr" => found.acr = Some(value.into()),
                "amr" => found.amr.extend(value.split_ascii_whitespace().map(Box::from)),
                "auth_time" => found.auth_time = value.parse().ok().map(Moment::from_unix_seconds),
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstreams_own_words_are_read_and_nonsense_says_nothing() {
        let field = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let said = Said::read(&[
            field("weir-authenticated", r#"acr="aal2", amr="otp pwd", auth_time=1795363100"#),
            field("weir-outcome", "perhaps"),
            field("weir-subject", " "),
        ]);
        let proof = said.authenticated.unwrap();
        assert_eq!((proof.acr.as_deref(), proof.amr.len()), (Some("aal2"), 2));
        assert_eq!(proof.auth_time, Some(Moment::from_unix_seconds(1_795_363_100)));
        assert_eq!((said.outcome, said.subject), (None, None));
    }
}
