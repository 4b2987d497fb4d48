//! The shipped rules, carried in the program, so that the demonstration runs from anywhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Every shipped file: its name and its text.
pub const SHIPPED: &[(&str, &str)] = &[
    ("cases.toml", include_str!("../../rules/cases.toml")),
    ("gateway.toml", include_str!("../../rules/gateway.toml")),
    ("help.toml", include_str!("../../rules/help.toml")),
    ("identity.toml", include_str!("../../rules/identity.toml")),
    ("journeys.toml", include_str!("../../rules/journeys.toml")),
    ("limits.toml", include_str!("../../rules/limits.toml")),
    ("playbooks/account_takeover.toml", include_str!("../../rules/playbooks/account_takeover.toml")),
    ("playbooks/bot_abuse.toml", include_str!("../../rules/playbooks/bot_abuse.toml")),
    ("playbooks/credential_stuffing.toml", include_str!("../../rules/playbooks/credential_stuffing.toml")),
    ("playbooks/fraud_spike.toml", include_str!("../../rules/playbooks/fraud_spike.toml")),
    ("playbooks/own_data_breach.toml", include_str!("../../rules/playbooks/own_data_breach.toml")),
    ("playbooks/upstream_or_sign_in_down.toml", include_str!("../../rules/playbooks/upstream_or_sign_in_down.toml")),
    ("refuse.toml", include_str!("../../rules/refuse.toml")),
    ("sites.toml", include_str!("../../rules/sites.toml")),
];

/// Writes the shipped rules into a new directory and gives it back.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(dir.join("playbooks"))?;
    for (name, text) in SHIPPED {
        fs::write(dir.join(name), text)?;
    }
    Ok(dir.to_path_buf())
}
