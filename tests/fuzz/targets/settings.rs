//! `gateway.toml`: whatever stands in it, nothing panics, and settings come out if and only if there is no error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::rules::diagnostic::render;
use weir::rules::source::Sources;
use weir::settings::Settings;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let sources = Sources::from_texts(vec![("gateway.toml".to_owned(), text)]);
    let read = Settings::read(&sources);
    let _ = render(&read.diagnostics, &sources, true);
    assert_eq!(read.settings.is_none(), read.diagnostics.iter().any(|problem| problem.is_error()));
});
