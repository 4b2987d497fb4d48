//! The door for operators over TCP: its listener, certificates and tokens, made ready before anything serves.

use std::fs;
use std::sync::Arc;

use super::{StartError, certificates, listen_alone};
use crate::control::api::tokens::{Token, Tokens};
use crate::control::law::Law;
use crate::control::who::Role;
use crate::listen::tls::Certificates;
use crate::settings::Settings;
use crate::settings::control::{Digest, TokenRole, TokenSetting, digest};

/// The door.
pub(super) struct Door {
    pub listener: std::net::TcpListener,
    pub certificates: Option<Certificates>,
    pub tokens: Arc<Tokens>,
}

impl Door {
    /// Opens it, when the settings ask for one.
    pub fn open(settings: &Settings, law: &Law) -> Result<Option<Self>, StartError> {
        let Some(door) = &settings.control else { return Ok(None) };
        let tokens = door.tokens.iter().map(token).collect::<Result<Vec<_>, _>>()?;
        let certificates = certificates(door.tls.as_ref(), law)?;
        let listener = listen_alone(door.address)?;
        Ok(Some(Self { listener, certificates, tokens: Arc::new(Tokens::new(tokens)) }))
    }
}

fn token(setting: &TokenSetting) -> Result<Token, StartError> {
    let sha256 = match &setting.sha256 {
        Digest::Here(bytes) => *bytes,
        Digest::File(path) => {
            let said =
                |why: &str| StartError::Token(format!("the token of {} in {}: {why}", setting.name, path.display()));
            let text = fs::read_to_string(path).map_err(|cause| said(&cause.to_string()))?;
            digest(&text)
                .ok_or_else(|| said("this is not a SHA-256 in 64 hexadecimal digits; `weir token` makes one"))?
        }
    };
    let role = match setting.role {
        TokenRole::Operator => Role::Operator,
        TokenRole::Agent => Role::Agent,
        TokenRole::Application => Role::Application,
        TokenRole::Viewer => Role::Viewer,
    };
    Ok(Token { name: setting.name.clone(), role, sha256 })
}
