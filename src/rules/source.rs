//! The rule files as they lie on disk: names, texts and places in them. The only file of this room that reads files.
//!
//! It never follows a link to a directory, never reads more than its bounds allow, and never joins two states of a directory
//! that was changed while it was read.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, codes};
use super::ruleset::Fingerprint;

/// A place in a source: bytes `start..end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Which source of the [`Sources`].
    pub source: u16,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

/// What a directory of rules may be. Whatever is above a bound is refused whole; nothing is cut short.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Files.
    pub files: usize,
    /// Bytes of one template.
    pub template_bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
    /// Directories inside directories.
    pub depth: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { file_bytes: 4 << 20, files: 2_000, template_bytes: 64 << 10, total_bytes: 64 << 20, depth: 8 }
    }
}

/// One file: its name below the directory, with `/`, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Such as `playbooks/credential_stuffing.toml`.
    pub name: Box<str>,
    /// Its text.
    pub text: Box<str>,
}

impl Source {
    /// Whether this is the file of the process's settings, which is not law.
    pub fn is_settings(&self) -> bool {
        &*self.name == "gateway.toml"
    }

    /// Whether this is a template: words and looks of pages, which are part of the law but not TOML.
    pub fn is_template(&self) -> bool {
        is_template(&self.name)
    }

    /// Whether this is a file of rules.
    pub fn is_law(&self) -> bool {
        !self.is_settings() && !self.is_template()
    }

    /// Whether this is a playbook.
    pub fn is_playbook(&self) -> bool {
        self.name.starts_with("playbooks/")
    }
}

/// Whether a file of this name, below the directory, is a template.
fn is_template(name: &str) -> bool {
    name.starts_with("templates/") && (name.ends_with(".html") || name.ends_with(".json"))
}

/// Whether a file of this name is read at all.
fn is_source(name: &str) -> bool {
    name.ends_with(".toml") || is_template(name)
}

/// All rule files of one directory, in the order of their names.
#[derive(Debug, Default, PartialEq)]
pub struct Sources {
    dir: PathBuf,
    all: Vec<Source>,
    problems: Vec<Diagnostic>,
}

/// How often reading is begun again when the directory changes meanwhile. It is always read twice: two readings that are alike are
/// one state of the directory.
const ATTEMPTS: usize = 5;

impl Sources {
    /// Reads every `*.toml` below `dir`, and the templates below `dir/templates`. An unreadable file is a diagnostic that [`super::compile`] reports beside the others;
    /// a directory that cannot be read as a whole is an error.
    pub fn read(dir: &Path, bounds: &Bounds) -> Result<Self, Vec<Diagnostic>> {
        let mut before = Self::read_once(dir, bounds)?;
        for _ in 0..ATTEMPTS {
            let now = Self::read_once(dir, bounds)?;
            if now == before {
                return Ok(now);
            }
            before = now;
        }
        Err(vec![
            Diagnostic::of(&codes::DIRECTORY, format!("{} keeps changing while it is read", dir.display()))
                .help("try again when nothing writes to it"),
        ])
    }

    /// Sources that were never on disk: names and texts.
    pub fn from_texts(texts: Vec<(String, String)>) -> Self {
        let mut all: Vec<Source> = texts
            .into_iter()
            .map(|(name, text)| Source { name: name.into(), text: text.into() })
            .take(usize::from(u16::MAX))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Self { dir: PathBuf::new(), all, problems: Vec::new() }
    }

    /// The same with one more text after the others, such as what stands on a command line.
    #[must_use]
    pub fn and(mut self, name: &str, text: &str) -> Self {
        self.all.push(Source { name: name.into(), text: text.into() });
        self
    }

    /// Every source with its number, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Source)> {
        (0..=u16::MAX).zip(&self.all)
    }

    /// One source.
    pub fn get(&self, source: u16) -> Option<&Source> {
        self.all.get(usize::from(source))
    }

    /// The text at a span; empty when there is none.
    pub fn text(&self, span: Span) -> &str {
        self.get(span.source).and_then(|source| source.text.get(span.start as usize..span.end as usize)).unwrap_or("")
    }

    /// File name, line and column (both from 1, columns in characters) of a span's start.
    pub fn place(&self, span: Span) -> Option<(&str, usize, usize)> {
        let source = self.get(span.source)?;
        let before = source.text.get(..span.start as usize)?;
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Some((&source.name, line, column))
    }

    /// What went wrong with single files while reading.
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }

    /// A path of a rule file, which is relative to the directory of the rules.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// The text of `gateway.toml`; none when nothing could be read, empty when there is no such file.
    pub fn settings(&self) -> Option<&str> {
        let settings = self.all.iter().find(|source| source.is_settings());
        if self.all.is_empty() { None } else { Some(settings.map_or("", |source| &source.text)) }
    }

    /// The digest of the law: names and contents, without the process's settings.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for source in self.all.iter().filter(|source| !source.is_settings()) {
            for part in [&source.name, &source.text] {
                digest.update(&(part.len() as u64).to_be_bytes());
                digest.update(part.as_bytes());
            }
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.finish().as_ref());
        Fingerprint(bytes)
    }

    fn read_once(dir: &Path, bounds: &Bounds) -> Result<Self, Vec<Diagnostic>> {
        let listing = Listing::of(dir, bounds)?;
        let mut sources = Self { dir: absolute(dir), all: Vec::new(), problems: listing.problems };
        let mut total = 0;
        for file in &listing.files {
            match read_file(&file.path, &file.name, bounds) {
                Ok(text) => {
                    total += text.len() as u64;
                    sources.all.push(Source { name: file.name.as_str().into(), text: text.into() });
                }
                Err(problem) => sources.problems.push(*problem),
            }
            if total > bounds.total_bytes {
                let said = format!("the rule files together are larger than {} bytes", bounds.total_bytes);
                return Err(vec![
                    Diagnostic::of(&codes::TOO_MUCH, said).help("split the deployment, or generate less"),
                ]);
            }
        }
        Ok(sources)
    }
}

fn absolute(dir: &Path) -> PathBuf {
    fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf())
}

fn read_file(path: &Path, name: &str, bounds: &Bounds) -> Result<String, Box<Diagnostic>> {
    let unreadable = |error: std::io::Error| {
        let said = format!("{name} cannot be read: {error}");
        Box::new(
            Diagnostic::of(&codes::UNREADABLE, said).help("let the user that Weir runs as read it, or move it away"),
        )
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    let most = if is_template(name) { bounds.template_bytes } else { bounds.file_bytes };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        let said = format!("{name} is larger than {} KiB", most >> 10);
        return Err(Box::new(Diagnostic::of(&codes::TOO_MUCH, said).help("split it into several files")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        let said = format!("{name} is not UTF-8 text (line {line})");
        Box::new(Diagnostic::of(&codes::UNREADABLE, said).help("save it as UTF-8"))
    })
}

/// What lies in the directory.
#[derive(Debug, Default)]
struct Listing {
    files: Vec<Listed>,
    problems: Vec<Diagnostic>,
}

#[derive(Debug)]
struct Listed {
    name: String,
    path: PathBuf,
}

impl Listing {
    fn of(dir: &Path, bounds: &Bounds) -> Result<Self, Vec<Diagnostic>> {
        let mut listing = Self::default();
        listing.add(dir, "", 0, bounds).map_err(|problem| vec![*problem])?;
        if !listing.files.iter().any(|file| file.name.ends_with(".toml")) && listing.problems.is_empty() {
            let said = format!("{} holds no rule file", dir.display());
            let help = "put at least one file there that ends in .toml and has a [[site]]";
            return Err(vec![Diagnostic::of(&codes::DIRECTORY, said).help(help)]);
        }
        listing.files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listing)
    }

    fn add(&mut self, dir: &Path, prefix: &str, depth: usize, bounds: &Bounds) -> Result<(), Box<Diagnostic>> {
        if depth > bounds.depth {
            let said = format!("{} lies more than {} directories deep", dir.display(), bounds.depth);
            return Err(Box::new(Diagnostic::of(&codes::TOO_MUCH, said).help("move it up")));
        }
        let refuse = |error: std::io::Error| {
            let said = match error.kind() {
                std::io::ErrorKind::NotFound => format!("there is no directory {}", dir.display()),
                std::io::ErrorKind::NotADirectory => format!("{} is not a directory", dir.display()),
                _ => format!("the directory {} cannot be read: {error}", dir.display()),
            };
            Box::new(Diagnostic::of(&codes::DIRECTORY, said).help("check the path and its permissions"))
        };
        for entry in fs::read_dir(dir).map_err(refuse)? {
            let entry = entry.map_err(refuse)?;
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str() else {
                if Path::new(&file_name).extension().is_some_and(|ending| ending == "toml") {
                    let said = format!("the name of {} is not UTF-8", entry.path().display());
                    self.problems.push(Diagnostic::of(&codes::UNREADABLE, said).help("rename it"));
                }
                continue;
            };
            if !name.starts_with('.') {
                self.add_entry(&entry.path(), &format!("{prefix}{name}"), depth, bounds)?;
            }
            if self.files.len() > bounds.files {
                let said = format!("there are more than {} rule files", bounds.files);
                return Err(Box::new(Diagnostic::of(&codes::TOO_MUCH, said).help("join some of them")));
            }
        }
        Ok(())
    }

    fn add_entry(&mut self, path: &Path, name: &str, depth: usize, bounds: &Bounds) -> Result<(), Box<Diagnostic>> {
        let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) if is_source(name) => {
                let said = format!("{name} cannot be read: {error}");
                self.problems.push(Diagnostic::of(&codes::UNREADABLE, said).help("repair the link, or move it away"));
                return Ok(());
            }
            Err(_) => return Ok(()),
        };
        if found.is_dir() && is_link {
            let said = format!("{name} is a link to a directory and is not read");
            self.problems.push(
                Diagnostic::of(&codes::LINKED_DIRECTORY, said).help("link the files, or move the directory here"),
            );
        } else if found.is_dir() {
            self.add(path, &format!("{name}/"), depth + 1, bounds)?;
        } else if is_source(name) && found.is_file() {
            self.files.push(Listed { name: name.to_owned(), path: path.to_path_buf() });
        } else if is_source(name) {
            let said = format!("{name} is neither a file nor a directory");
            self.problems.push(Diagnostic::of(&codes::UNREADABLE, said).help("move it away"));
        }
        Ok(())
    }
}
