//! From text to tables: the TOML of every source, walked by hand against one field table, with every problem kept.
//!
//! It knows words and kinds, not meaning: whether a name exists is for `lower`. No text may overflow the stack or stop the walk.

pub(crate) mod breach;
pub(crate) mod budgets;
pub(crate) mod calibration;
pub(crate) mod clients;
pub(crate) mod continuity_pass;
pub(crate) mod feeds;
pub(crate) mod files;
pub(crate) mod forms;
pub(crate) mod guards;
pub(crate) mod journeys_feed;
pub(crate) mod limits;
pub(crate) mod lists;
mod mend;
mod nesting;
pub(crate) mod notices;
pub(crate) mod playbooks;
mod reference;
pub(crate) mod route;
pub(crate) mod shared_signals;
pub mod signals;
pub(crate) mod sites;
pub(crate) mod snapshots;
pub(crate) mod streams;
mod suggest;
pub(crate) mod table;
pub(crate) mod written;

pub use reference::{playbook_schema, reference, schema};
pub(crate) use reference::{reference_of, schema_of};
pub(crate) use suggest::closest;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, codes};
use super::source::{Source, Span};
use files::RuleFile;
use playbooks::PlaybookFile;
use table::{Form, Said, Walk};

/// Brackets inside brackets that a rule file may have.
const NESTING: usize = 32;

/// What one source said.
#[derive(Debug)]
pub(crate) struct Read<T> {
    /// What could be read; always something, so that later checks see as much as there is.
    pub(crate) file: T,
    /// Whether the text itself was broken, so that names may be missing through no fault of others.
    pub(crate) broken: bool,
    /// What was wrong.
    pub(crate) problems: Vec<Diagnostic>,
}

/// Reads one source as the tables of `T`.
pub(crate) fn read<T: Form + Default>(number: u16, source: &Source) -> Read<T> {
    if let Some(at) = nesting::deeper_than(&source.text, NESTING) {
        let place = Span { source: number, start: offset(at), end: offset(at + 1) };
        let problem = Diagnostic::of(&codes::TOO_MUCH, format!("brackets are nested more than {NESTING} deep"))
            .at(place, "one too many")
            .help("write the inner tables as tables of their own");
        return Read { file: T::default(), broken: true, problems: vec![problem] };
    }
    let mended = mend::mend(&source.text);
    let broken = !mended.errors.is_empty();
    let mut problems: Vec<Diagnostic> =
        mended.errors.iter().map(|(range, message)| not_toml(number, range, message)).collect();
    let (tables, _) = DeTable::parse_recoverable(&mended.text);
    let mut walk = Walk::new(number, mended.torn.clone(), mended.lost);
    let whole = toml::Spanned::new(tables.span(), DeValue::Table(tables.into_inner()));
    let file = T::read(&mut walk, &whole).unwrap_or_default();
    problems.extend(walk.into_problems());
    Read { file, broken, problems }
}

/// The tables of every source of law.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// Rule files.
    pub(crate) rules: Vec<RuleFile>,
    /// Playbooks, each with the name of its file.
    pub(crate) playbooks: Vec<(Said<Box<str>>, PlaybookFile)>,
    /// Some text was broken, so that names may be missing through no fault of others.
    pub(crate) broken: bool,
}

impl Tables {
    /// Reads one more source, and gives what was wrong with it.
    pub(crate) fn add(&mut self, number: u16, source: &Source) -> Vec<Diagnostic> {
        if !source.is_playbook() {
            let read = read(number, source);
            self.rules.push(read.file);
            self.broken |= read.broken;
            return read.problems;
        }
        let read = read(number, source);
        let name = source.name.rsplit('/').next().unwrap_or_default();
        let span = Span { source: number, start: 0, end: 0 };
        self.playbooks.push((Said { value: name.trim_end_matches(".toml").into(), span }, read.file));
        self.broken |= read.broken;
        read.problems
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn not_toml(number: u16, range: &std::ops::Range<usize>, message: &str) -> Diagnostic {
    let place = Span { source: number, start: offset(range.start), end: offset(range.end) };
    Diagnostic::of(&codes::SYNTAX, format!("this is not TOML: {message}"))
        .at(place, "here")
        .help("text needs quotes, lists need commas, and a key stands once")
}
