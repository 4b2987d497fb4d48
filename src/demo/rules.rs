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
    ("refuse.toml", include_str!("../../rules/refuse.toml")),
    ("sites.toml", include_str!("../../rules/sites.toml")),
];

/// Writes the shipped rules into a new directory and gives it back.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(dir)?;
    for (name, text) in SHIPPED {
        fs::write(dir.join(name), text)?;
    }
    Ok(dir.to_path_buf())
}
