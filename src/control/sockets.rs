//! Finding the running Weirs of this user, so that a command needs no socket's path while there is only one.
//!
//! Each leaves a link to its control socket in a directory that only its user can write. A link whose socket nobody answers
//! is swept away by whoever finds it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// A link to a control socket; gone when it is dropped.
#[derive(Debug)]
pub struct Listed(PathBuf);

impl Drop for Listed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Lists this process's control socket.
///
/// # Errors
/// When the directory cannot be made or belongs to somebody else.
pub fn list(socket: &Path) -> io::Result<Listed> {
    let dir = directory()?;
    let target = std::path::absolute(socket)?;
    for attempt in 0..100 {
        let link = dir.join(format!("{}-{attempt}", std::process::id()));
        match std::os::unix::fs::symlink(&target, &link) {
            Ok(()) => return Ok(Listed(link)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The control sockets of this user's Weirs that answer now.
pub fn running() -> Vec<PathBuf> {
    let Ok(entries) = directory().and_then(fs::read_dir) else { return Vec::new() };
    let mut found = Vec::new();
    for link in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        match (fs::read_link(&link), UnixStream::connect(&link)) {
            (Ok(socket), Ok(_)) => found.push(socket),
            _ => {
                let _ = fs::remove_file(&link);
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Made when it is missing, refused when another user owns it.
fn directory() -> io::Result<PathBuf> {
    let user = fs::metadata("/proc/self")?.uid();
    let dir = std::env::temp_dir().join(format!("weir-{user}"));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    let found = fs::symlink_metadata(&dir)?;
    if found.uid() != user || !found.is_dir() || found.mode() & 0o077 != 0 {
        let said = format!("{} is not this user's own", dir.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, said));
    }
    Ok(dir)
}
