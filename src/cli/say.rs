//! Words for standard output. A reader that has seen enough (`| head`) is no failure, and never a panic.

use std::io::{self, Write as _};

/// Writes `text` as it is.
pub fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The same, with a line end.
pub fn say_line(text: &str) -> io::Result<()> {
    say(&format!("{text}\n"))
}
