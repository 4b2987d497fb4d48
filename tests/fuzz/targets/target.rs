//! The path of a request: reading it never panics, and what is canonical once stays as it is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::rules::target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(path) = std::str::from_utf8(bytes) else { return };
    let Ok(read) = target::read(path) else { return };
    let (plain, worst) = (read.plain().to_owned(), read.worst().to_owned());
    if let Ok(again) = target::read(&plain) {
        assert_eq!(again.plain(), plain, "{path:?}");
    }
    if let Ok(again) = target::read(&worst) {
        assert_eq!(again.worst(), worst, "{path:?}");
    }
});
