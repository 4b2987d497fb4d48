//! Packages of npm that a test needs, each in one version, fetched once into the target directory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// A file of a package, such as `typescript@5.9`.
pub fn fetched(package: &str, file: &str) -> PathBuf {
    static FETCHING: Mutex<()> = Mutex::new(());
    let _one = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("npm").join(package);
    let file = home.join(file);
    if !file.is_file() {
        std::fs::create_dir_all(&home).unwrap();
        let install = ["install", "--no-audit", "--no-fund", "--silent", "--prefix"];
        let fetched = Command::new("npm").args(install).arg(&home).arg(package).status();
        assert!(fetched.expect("this test needs npm: tests/run installs it").success(), "npm cannot fetch {package}");
    }
    file
}
