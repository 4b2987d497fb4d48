//! A decision line: whatever stands in a log, telling it in words never panics and never steers a terminal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::cli::decision::words;

fuzz_target!(|bytes: &[u8]| {
    let Ok(line) = serde_json::from_slice(bytes) else { return };
    let told = words(&line);
    assert!(told.chars().all(|letter| letter == '\n' || !letter.is_control()), "{told:?}");
    assert!(told.len() < 64 * 1024, "{}", told.len());
});
