//! Decision lines on their way out: each worker fills a buffer of its own, a thread writes.
//!
//! The request path never waits for the reader of these lines. When the reader is too slow the loser is the newest
//! full buffer, and the loss is counted.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::series::Counter;

/// Full buffers that may wait for the writer, over all workers.
const WAITING: usize = 256;
/// A buffer is handed over when it holds this many bytes, and at every tick of its worker.
const FULL: usize = 32 * 1024;

/// Where decision lines go.
#[derive(Debug, Clone)]
pub enum Destination {
    /// Nowhere.
    Off,
    /// The process's standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
    /// A buffer that a test reads.
    Kept(Kept),
}

/// Lines kept in memory, for tests and for `weir demo`.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// Everything written so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of the latest lines that are kept for whoever looks one up.
const KEPT: usize = 8 * 1024 * 1024;

/// The latest lines, kept by the writer's thread. The oldest lose.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<Latest>>);

#[derive(Debug, Default)]
struct Latest {
    chunks: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Recent {
    fn keep(&self, chunk: Vec<u8>) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.bytes += chunk.len();
        latest.chunks.push_back(chunk);
        while latest.bytes > KEPT {
            let Some(oldest) = latest.chunks.pop_front() else { break };
            latest.bytes -= oldest.len();
        }
    }

    /// How many lines contain these bytes.
    pub fn count(&self, part: &str) -> usize {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = latest.chunks.iter().flat_map(|chunk| chunk.split(|byte| *byte == b'\n'));
        lines.filter(|line| memchr::memmem::find(line, part.as_bytes()).is_some()).count()
    }

    /// Takes out every line that contains these bytes, and says how many that was.
    pub fn forget(&self, part: &str) -> usize {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = 0;
        for chunk in &mut latest.chunks {
            if memchr::memmem::find(chunk, part.as_bytes()).is_none() {
                continue;
            }
            let kept = chunk.split_inclusive(|byte| *byte == b'\n').filter(|line| {
                let forget = memchr::memmem::find(line, part.as_bytes()).is_some();
                gone += usize::from(forget);
                !forget
            });
            *chunk = kept.flatten().copied().collect();
        }
        latest.bytes = latest.chunks.iter().map(Vec::len).sum();
        gone
    }

    /// Every line that contains these bytes, the newest first.
    pub fn each(&self, part: &str, mut tell: impl FnMut(&str)) {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = latest.chunks.iter().rev().flat_map(|chunk| chunk.rsplit(|byte| *byte == b'\n'));
        let found = lines.filter(|line| memchr::memmem::find(line, part.as_bytes()).is_some());
        found.filter_map(|line| std::str::from_utf8(line).ok()).for_each(&mut tell);
    }

    /// The newest line that contains these bytes and that is wanted.
    pub fn find(&self, part: &str, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in latest.chunks.iter().rev() {
            for at in memchr::memmem::rfind_iter(chunk, part) {
                let from = memchr::memrchr(b'\n', &chunk[..at]).map_or(0, |end| end + 1);
                let to = memchr::memchr(b'\n', &chunk[at..]).map_or(chunk.len(), |end| at + end);
                if let Some(line) = std::str::from_utf8(&chunk[from..to]).ok().filter(|line| wanted(line)) {
                    return Some(line.to_owned());
                }
            }
        }
        None
    }
}

/// The writing side: joined when the last [`Lines`] is gone.
#[derive(Debug)]
pub struct Writer(JoinHandle<()>);

impl Writer {
    /// Waits until everything handed over is written.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the writer of decision lines stopped early; some lines are lost");
        }
    }
}

/// Hands out buffers to workers.
#[derive(Debug, Clone)]
pub struct Office {
    to_writer: Option<SyncSender<Vec<u8>>>,
    dropped: Arc<Counter>,
    recent: Recent,
}

impl Office {
    /// Opens the destination and starts its writer.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread cannot be started.
    pub fn open(destination: &Destination, dropped: Arc<Counter>) -> io::Result<(Self, Option<Writer>)> {
        let out: Box<dyn Write + Send> = match destination {
            Destination::Off => return Ok((Self { to_writer: None, dropped, recent: Recent::default() }, None)),
            Destination::Stdout => Box::new(io::stdout()),
            Destination::File(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
            Destination::Kept(kept) => Box::new(kept.clone()),
        };
        let recent = Recent::default();
        let (to_writer, writer) = start("decision lines", out, Some(recent.clone()))?;
        Ok((Self { to_writer: Some(to_writer), dropped, recent }, Some(writer)))
    }

    /// Lines of another kind, which are not kept for whoever looks one up. Each write is of whole lines.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn beside(
        what: &'static str,
        out: impl Write + Send + 'static,
        dropped: Arc<Counter>,
    ) -> io::Result<(Self, Writer)> {
        let (to_writer, writer) = start(what, Box::new(out), None)?;
        Ok((Self { to_writer: Some(to_writer), dropped, recent: Recent::default() }, writer))
    }

    /// One whose lines go nowhere.
    pub fn closed() -> Self {
        Self { to_writer: None, dropped: Arc::default(), recent: Recent::default() }
    }

    /// The latest lines; none when they go nowhere.
    pub fn recent(&self) -> Recent {
        self.recent.clone()
    }

    /// A buffer for one worker.
    pub fn lines(&self) -> Lines {
        Lines { buffer: Vec::new(), held: 0, office: self.clone() }
    }
}

fn start(
    what: &'static str,
    out: Box<dyn Write + Send>,
    recent: Option<Recent>,
) -> io::Result<(SyncSender<Vec<u8>>, Writer)> {
    let (to_writer, from_workers) = sync_channel(WAITING);
    let thread = std::thread::Builder::new()
        .name("weir-lines".into())
        .spawn(move || write_all(what, &from_workers, out, recent.as_ref()))?;
    Ok((to_writer, Writer(thread)))
}

fn write_all(what: &str, from_workers: &Receiver<Vec<u8>>, mut out: Box<dyn Write + Send>, recent: Option<&Recent>) {
    let mut told = false;
    while let Ok(chunk) = from_workers.recv() {
        let written = out.write_all(&chunk).and_then(|()| out.flush());
        match written {
            Ok(()) => told = false,
            Err(error) if !told => {
                told = true;
                tracing::error!(%error, "{what} cannot be written; requests go on without them");
            }
            Err(_) => {}
        }
        if let Some(recent) = recent {
            recent.keep(chunk);
        }
    }
}

/// One worker's buffer of decision lines.
#[derive(Debug)]
pub struct Lines {
    buffer: Vec<u8>,
    held: u64,
    office: Office,
}

impl Lines {
    /// Whether lines go anywhere.
    pub const fn wanted(&self) -> bool {
        self.office.to_writer.is_some()
    }

    /// Writes one line; `write` must not write a line break.
    pub fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.wanted() {
            return;
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(FULL + 4096);
        }
        write(&mut self.buffer);
        self.buffer.push(b'\n');
        self.held += 1;
        if self.buffer.len() >= FULL {
            self.hand_over();
        }
    }

    /// Gives what is held to the writer, without waiting.
    pub fn hand_over(&mut self) {
        let Some(to_writer) = &self.office.to_writer else { return };
        if self.buffer.is_empty() {
            return;
        }
        match to_writer.try_send(std::mem::take(&mut self.buffer)) {
            Ok(()) => {}
            Err(TrySendError::Full(mut chunk) | TrySendError::Disconnected(mut chunk)) => {
                self.office.dropped.add_shared(self.held);
                chunk.clear();
                self.buffer = chunk;
            }
        }
        self.held = 0;
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.hand_over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let kept = Kept::default();
        let (office, writer) = Office::open(&Destination::Kept(kept.clone()), Arc::default()).unwrap();
        let mut lines = office.lines();
        for n in 0..5000 {
            lines.line(|out| out.extend_from_slice(format!("line {n}").as_bytes()));
        }
        drop(lines);
        drop(office);
        writer.unwrap().join();
        let text = kept.text();
        assert_eq!(text.lines().count(), 5000);
        assert!(text.ends_with("line 4999\n"));
    }

    #[test]
    fn the_latest_lines_can_be_looked_up_and_the_oldest_are_forgotten() {
        let recent = Recent::default();
        recent.keep(b"id=1 a\nid=2 b\n".to_vec());
        assert_eq!(recent.find("id=2", |_| true).as_deref(), Some("id=2 b"));
        assert_eq!(recent.find("id=", |line| line.ends_with('a')).as_deref(), Some("id=1 a"));
        for _ in 0..9 {
            recent.keep(vec![b'x'; 1024 * 1024]);
        }
        assert_eq!(recent.find("id=1", |_| true), None);
        assert!(recent.0.lock().unwrap().bytes <= KEPT);
    }

    #[test]
    fn a_reader_that_is_too_slow_costs_lines_and_never_time() {
        let dropped = Arc::new(Counter::default());
        let (to_writer, from_workers) = sync_channel(1);
        let mut lines =
            Office { to_writer: Some(to_writer), dropped: dropped.clone(), recent: Recent::default() }.lines();
        for _ in 0..3 {
            lines.line(|out| out.push(b'x'));
            lines.hand_over();
        }
        assert_eq!(dropped.value(), 2);
        assert_eq!(from_workers.recv().unwrap(), b"x\n");
    }
}
