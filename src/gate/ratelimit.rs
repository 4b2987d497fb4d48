//! The RateLimit fields (draft-ietf-httpapi-ratelimit-headers-11, structured fields as in RFC 9651), and nothing else writes them: a
//! draft that moves moves this file.
//!
//! They go out with a 429 alone. An answer that is passed on says nothing of what is left: an attacker would pace by it. `Retry-After`
//! wins over them, so they never say another time than it does.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// What a client may do: so many in a window.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// Its name: of a limit, or the word of a rung.
    pub name: &'a str,
    /// How many.
    pub quota: u32,
    /// In how long; said in whole seconds, rounded up.
    pub window: Duration,
}

/// The fields of a refusal: nothing is left for so many seconds.
pub fn fields(policy: Policy<'_>, seconds: u32) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let window = policy.window.as_millis().div_ceil(1000).max(1);
    // Names are lower-case letters, digits, `_` and `-`: nothing in them needs an escape in a string (RFC 9651, 3.3.3).
    let fields = [
        (POLICY, format!("\"{}\";q={};w={window}", policy.name, policy.quota)),
        (STATE, format!("\"{}\";r=0;t={seconds}", policy.name)),
    ];
    fields.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_the_policy_and_that_nothing_is_left() {
        let policy = Policy { name: "login_per_account", quota: 5, window: Duration::from_secs(60) };
        let said: Vec<_> =
            fields(policy, 37).map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        assert_eq!(
            said,
            [r#"ratelimit-policy: "login_per_account";q=5;w=60"#, r#"ratelimit: "login_per_account";r=0;t=37"#]
        );
        let short = Policy { window: Duration::from_millis(250), ..policy };
        assert!(fields(short, 1).any(|(_, value)| value.to_str().unwrap().ends_with("w=1")));
    }
}
