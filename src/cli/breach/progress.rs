//! How far a long command is, on one line of a terminal. Where standard error is no terminal it says nothing.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the line is written.
const EVERY: Duration = Duration::from_millis(200);
/// Characters of the bar.
const WIDE: u64 = 24;

/// One line that is written over.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
    said: Option<Instant>,
    all: u64,
    /// Bytes read so far.
    pub read: Arc<AtomicU64>,
}

impl Progress {
    /// A line about so many bytes, when standard error is a terminal.
    pub(super) fn of(all: u64) -> Self {
        Self { shown: io::stderr().is_terminal(), said: None, all, read: Arc::default() }
    }

    /// So many lines have been read.
    pub(super) fn lines(&mut self, lines: u64) {
        // Asking for the time costs more than a line.
        if self.shown && lines & 0xfff == 0 {
            let read = self.read.load(Ordering::Relaxed);
            let all = self.all.max(read).max(1);
            self.say(read, all, || format!("reading, {lines} lines, {} of {}", size(read), size(all)));
        }
    }

    /// So many of the filters are made.
    pub(super) fn filters(&mut self, made: u64, all: u64) {
        if self.shown {
            self.say(made, all, || format!("building, {made} of {all} filters"));
        }
    }

    fn say(&mut self, part: u64, all: u64, words: impl FnOnce() -> String) {
        if self.said.is_some_and(|said| said.elapsed() < EVERY) {
            return;
        }
        self.said = Some(Instant::now());
        let full = usize::try_from(part.saturating_mul(WIDE) / all.max(1)).unwrap_or(0);
        let bar = "=".repeat(full) + &" ".repeat((WIDE as usize).saturating_sub(full));
        let _ = write!(io::stderr(), "\r\x1b[K[{bar}] {}", words());
        let _ = io::stderr().flush();
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
        if self.said.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
            let _ = io::stderr().flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

/// Bytes as people say them.
pub(super) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..0x10_0000 => format!("{} KiB", tenths(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{} MiB", tenths(1 << 20)),
        _ => format!("{} GiB", tenths(1 << 30)),
    }
}
