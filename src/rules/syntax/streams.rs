//! What is written of streams: protocols that a client may switch to.

use super::table::{Written, Wrong};
use crate::rules::diagnostic::{Code, codes};

/// A protocol of `Upgrade` (RFC 9110 section 7.8), lower case.
#[derive(Debug, Clone)]
pub(crate) struct UpgradeName(pub(crate) Box<str>);

impl Written for UpgradeName {
    const WHAT: &'static str = "the name of a protocol to switch to";
    const EXAMPLE: &'static str = "websocket";
    const CODE: &'static Code = &codes::BAD_UPGRADE;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let name = text.to_ascii_lowercase();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/+".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
            return Err(Wrong::help(
                format!("`{text:.64}` is not the name of a protocol"),
                "write it as in the Upgrade field, for example \"websocket\"",
            ));
        }
        // Requests after it would reach the server past every rule.
        if name == "h2c" || name.starts_with("http/") || name.starts_with("tls/") {
            return Err(Wrong::help(
                format!("`{name}` carries requests that no rule would see"),
                "remove it: HTTP/2 is spoken without an upgrade",
            ));
        }
        Ok(Self(name.into()))
    }
}
