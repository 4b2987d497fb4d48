//! How a table is declared once and read, checked and described from that one declaration.
//!
//! `table!` declares the keys of a TOML table; `words!` a closed set of words. Reading never stops at a problem: a value that
//! cannot be read is [`Field::Broken`], which later stages pass over in silence because it was reported here.

use std::ops::{Deref, Range};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::suggest::closest;
use crate::rules::diagnostic::{Code, Diagnostic, KEPT, codes};
use crate::rules::source::Span;

/// A value of a rule file.
pub(crate) type Value<'i> = Spanned<DeValue<'i>>;

/// What a key holds: nothing, something unreadable that was reported, or a value.
#[derive(Debug, Clone, Default)]
pub(crate) enum Field<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// The key is there; what it holds was reported.
    Broken,
    /// The value.
    Given(T),
}

impl<T> Field<T> {
    /// The value, if it could be read.
    pub(crate) const fn given(&self) -> Option<&T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Broken => None,
        }
    }

    /// Whether the key is not there at all.
    pub(crate) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T> Field<Vec<T>> {
    /// The items; none when the key is not there.
    pub(crate) fn items(&self) -> &[T] {
        self.given().map_or(&[], |items| items)
    }
}

/// A value with the place where it was said.
#[derive(Debug, Clone)]
pub(crate) struct Said<T> {
    /// The value.
    pub(crate) value: T,
    /// The place.
    pub(crate) span: Span,
}

impl<T> Deref for Said<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// What a value may look like, for messages, the schema and the reference.
pub(crate) enum Shape {
    /// Text of one kind: what it is, and an example.
    Text(&'static str, &'static str),
    /// A whole number from one to another.
    Whole(u64, u64),
    /// A number, with a fraction or without.
    Number,
    /// True or false.
    Flag,
    /// One of these words.
    Words(&'static [(&'static str, &'static str)]),
    /// A list.
    List(Box<Shape>),
    /// One value, or a list of them.
    OneOrMany(Box<Shape>),
    /// A table.
    Table(fn() -> TableShape),
    /// A table whose keys are names that the operator chooses.
    Named(Box<Shape>),
    /// One of several shapes.
    Either(Vec<Shape>),
    /// Whatever TOML can say.
    Anything,
}

/// A table, as declared.
pub(crate) struct TableShape {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) fields: Vec<FieldShape>,
}

/// A key, as declared.
pub(crate) struct FieldShape {
    pub(crate) name: &'static str,
    pub(crate) doc: String,
    pub(crate) need: Need,
    pub(crate) shape: Shape,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It must.
    Required,
    /// It may.
    Optional,
    /// It may; otherwise this, written as in a file.
    Default(&'static str),
    /// Part of the language that this build does not act on.
    NotYet,
}

impl Shape {
    /// In words: "a whole number from 0 to 100".
    pub(crate) fn say(&self) -> String {
        match self {
            Self::Text(what, _) => (*what).to_owned(),
            Self::Whole(0, u64::MAX) => "a whole number".to_owned(),
            Self::Whole(from, to) => format!("a whole number from {from} to {to}"),
            Self::Number => "a number".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Words(words) => {
                let all: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                format!("one of {}", all.join(", "))
            }
            Self::List(each) => format!("a list, each item {}", each.say()),
            Self::OneOrMany(each) => format!("{}, or a list of such", each.say()),
            Self::Table(_) | Self::Named(_) => "a table".to_owned(),
            Self::Either(shapes) => shapes.iter().map(Self::say).collect::<Vec<_>>().join(", or "),
            Self::Anything => "anything".to_owned(),
        }
    }
}

/// Something that a value can be read as.
pub(crate) trait Form: Sized {
    /// What it looks like.
    fn shape() -> Shape;
    /// Reads it; `None` when it was reported.
    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self>;
}

/// One walk through one source.
pub(crate) struct Walk {
    source: u16,
    torn: Vec<Range<usize>>,
    lost: bool,
    everywhere: Option<Span>,
    errors: bool,
    problems: Vec<Diagnostic>,
}

impl Walk {
    /// A walk through this source. In a table that is torn, or in a source of which a table is lost, a missing key is no news.
    pub(crate) const fn new(source: u16, torn: Vec<Range<usize>>, lost: bool) -> Self {
        Self { source, torn, lost, everywhere: None, errors: false, problems: Vec::new() }
    }

    /// Whether what is missing from the table that begins here may have been there.
    pub(crate) fn is_torn(&self, place: Span) -> bool {
        self.lost || self.torn.iter().any(|torn| torn.contains(&(place.start as usize)))
    }

    /// What was found.
    pub(crate) fn into_problems(self) -> Vec<Diagnostic> {
        self.problems
    }

    /// A problem was found. Only as many are kept as are ever shown, and one to say that there are more; an error always counts.
    pub(crate) fn push(&mut self, problem: Diagnostic) {
        let had_error = self.errors;
        self.errors |= problem.is_error();
        if !self.is_full() || (problem.is_error() && !had_error) {
            self.problems.push(problem);
        }
    }

    /// Whether nothing more needs to be said.
    fn is_full(&self) -> bool {
        self.problems.len() > KEPT
    }

    /// The place of a range of bytes.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.everywhere.unwrap_or(Span { source: self.source, start: offset(range.start), end: offset(range.end) })
    }

    /// Reports a value of the wrong kind.
    pub(crate) fn wrong(&mut self, value: &Value<'_>, wanted: &Shape) {
        let place = self.span(value.span());
        let is = kind_of(value.get_ref());
        let mut problem = Diagnostic::of(&codes::WRONG_TYPE, format!("this should be {}, but is {is}", wanted.say()))
            .at(place, format!("this is {is}"));
        problem = problem.help(match wanted {
            Shape::Text(_, example) => format!("write for example \"{example}\""),
            Shape::Table(table) => {
                let keys: Vec<_> = table().fields.iter().map(|field| field.name).collect();
                format!("write a table with {}", listed(&keys))
            }
            other => format!("write {}", other.say()),
        });
        self.push(problem);
    }

    /// The entries of a table in the order written.
    pub(crate) fn entries<'v, 'i>(
        &mut self,
        value: &'v Value<'i>,
        wanted: impl FnOnce() -> Shape,
    ) -> Option<Vec<(&'v str, Span, &'v Value<'i>)>> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(value, &wanted());
            return None;
        };
        Some(self.in_order(table))
    }

    fn in_order<'v, 'i>(&self, table: &'v DeTable<'i>) -> Vec<(&'v str, Span, &'v Value<'i>)> {
        let mut entries: Vec<_> =
            table.iter().map(|(key, value)| (&**key.get_ref(), self.span(key.span()), value)).collect();
        entries.sort_by_key(|(_, span, _)| span.start);
        entries
    }

    /// Reports a key that is not one of `known`.
    pub(crate) fn unknown(&mut self, key: &str, place: Span, table: &str, known: &[&'static str]) {
        if self.is_full() && self.errors {
            return;
        }
        let problem = Diagnostic::of(&codes::UNKNOWN_KEY, format!("{table} has no key `{key}`"));
        self.push(match closest(key, known.iter().copied()) {
            Some(meant) => problem.at(place, "unknown key").help(format!("did you mean `{meant}`?")),
            None => problem.at(place, "unknown key").help(format!("it knows {}", listed(known))),
        });
    }

    /// Reports a key that is missing, unless the text is broken and it may be there.
    pub(crate) fn missing(&mut self, key: &str, place: Span, table: &str, shape: &Shape) {
        if !self.is_torn(place) {
            let problem = Diagnostic::of(&codes::MISSING_KEY, format!("{table} lacks `{key}`"))
                .at(place, format!("no `{key}` here"))
                .help(format!("add `{key}`: {}", shape.say()));
            self.push(problem);
        }
    }

    /// Reports the use of a part that this build does not act on.
    pub(crate) fn not_yet(&mut self, key: &str, place: Span) {
        let said = format!("`{key}` is part of the language, but this build does not act on it yet");
        self.push(
            Diagnostic::of(&codes::NOT_YET, said).at(place, "no effect").help("keep it for later builds, or remove it"),
        );
    }

    /// Reads a field's value.
    pub(crate) fn field<T: Form>(&mut self, value: &Value<'_>) -> Field<T> {
        T::read(self, value).map_or(Field::Broken, Field::Given)
    }

    /// Reads the default of a field, as if it stood where the table stands.
    pub(crate) fn default<T: Form>(&mut self, text: &'static str, place: Span) -> Field<T> {
        let before = self.everywhere.replace(place);
        let field = DeValue::parse(text).map_or(Field::Broken, |value| self.field(&value));
        self.everywhere = before;
        field
    }

    /// Text, or a report.
    pub(crate) fn text<'v>(&mut self, value: &'v Value<'_>, wanted: impl FnOnce() -> Shape) -> Option<(&'v str, Span)> {
        match value.get_ref() {
            DeValue::String(text) => Some((text, self.span(value.span()))),
            _ => {
                self.wrong(value, &wanted());
                None
            }
        }
    }
}

/// Names that are listed in one sentence; all that a language must have words for is among them.
const LISTED: usize = 64;

/// Names as a reader wants them: `a`, `b` and `c`.
pub(crate) fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let mut shown: Vec<_> = names.iter().take(LISTED).map(|name| format!("`{}`", name.as_ref())).collect();
    if let Some(more) = names.len().checked_sub(LISTED).filter(|more| *more > 0) {
        shown.push(format!("{more} more"));
    }
    match shown.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "none".to_owned(),
    }
}

const fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Text of one kind, such as a duration.
pub(crate) trait Written: Sized {
    /// What it is: "a duration".
    const WHAT: &'static str;
    /// One that is right.
    const EXAMPLE: &'static str;
    /// What is reported when it is none.
    const CODE: &'static Code;
    /// Reads it, or says what is wrong, with a way out if it is not the example.
    fn parse(text: &str) -> Result<Self, Wrong>;
}

/// Why a text is not what it should be.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) says: String,
    pub(crate) help: Option<String>,
}

impl Wrong {
    /// With this way out.
    pub(crate) fn help(says: impl Into<String>, help: impl Into<String>) -> Self {
        Self { says: says.into(), help: Some(help.into()) }
    }
}

impl From<String> for Wrong {
    fn from(says: String) -> Self {
        Self { says, help: None }
    }
}

impl<T: Written> Form for Said<T> {
    fn shape() -> Shape {
        Shape::Text(T::WHAT, T::EXAMPLE)
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        let (text, span) = walk.text(value, Self::shape)?;
        match T::parse(text) {
            Ok(value) => Some(Self { value, span }),
            Err(wrong) => {
                let help = wrong.help.unwrap_or_else(|| format!("write {} such as \"{}\"", T::WHAT, T::EXAMPLE));
                walk.push(Diagnostic::of(T::CODE, wrong.says).at(span, format!("not {}", T::WHAT)).help(help));
                None
            }
        }
    }
}

/// The name of a key as it is written in a file.
pub(crate) fn key(name: &'static str) -> &'static str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// Declares a table: its title in messages, and for each key one line, its kind, and whether it must be there.
macro_rules! table {
    ($(#[doc = $doc:literal])+ $name:ident ($title:literal) {
        $($(#[doc = $line:literal])+ $field:ident: $kind:ty = $need:ident $(($default:literal))?;)*
    }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name {
            /// Where the table stands.
            #[allow(dead_code, reason = "not every table is pointed at")]
            pub(crate) span: $crate::rules::source::Span,
            $($(#[doc = $line])+ #[allow(dead_code, reason = "not every key is acted on")]
            pub(crate) $field: $crate::rules::syntax::table::Field<$kind>,)*
        }

        impl $name {
            fn table() -> $crate::rules::syntax::table::TableShape {
                use $crate::rules::syntax::table::{FieldShape, Form as _};
                $crate::rules::syntax::table::TableShape {
                    name: $title,
                    doc: concat!($($doc),+).trim(),
                    fields: vec![$(FieldShape {
                        name: $crate::rules::syntax::table::key(stringify!($field)),
                        doc: concat!($($line),+).trim().to_owned(),
                        need: $crate::rules::syntax::table::need!($need $(($default))?),
                        shape: <$kind>::shape(),
                    }),*],
                }
            }
        }

        impl $crate::rules::syntax::table::Form for $name {
            fn shape() -> $crate::rules::syntax::table::Shape {
                $crate::rules::syntax::table::Shape::Table(Self::table)
            }

            fn read(
                walk: &mut $crate::rules::syntax::table::Walk,
                value: &$crate::rules::syntax::table::Value<'_>,
            ) -> Option<Self> {
                use $crate::rules::syntax::table::{Need, key};
                const KNOWN: &[&str] = &[$(stringify!($field)),*];
                let span = walk.span(value.span());
                let mut table = Self { span, ..Self::default() };
                for (name, place, value) in walk.entries(value, Self::shape)? {
                    $(if name == key(stringify!($field)) {
                        table.$field = walk.field(value);
                        if $crate::rules::syntax::table::need!($need $(($default))?) == Need::NotYet {
                            walk.not_yet(name, place);
                        }
                        continue;
                    })*
                    let known: Vec<&'static str> = KNOWN.iter().map(|name| key(name)).collect();
                    walk.unknown(name, place, $title, &known);
                }
                let torn = walk.is_torn(span);
                $(match $crate::rules::syntax::table::need!($need $(($default))?) {
                    Need::Required if table.$field.is_absent() => {
                        walk.missing(key(stringify!($field)), span, $title, &<$kind as $crate::rules::syntax::table::Form>::shape());
                    }
                    Need::Default(text) if table.$field.is_absent() => table.$field = walk.default(text, span),
                    Need::Optional if torn && table.$field.is_absent() => {
                        table.$field = $crate::rules::syntax::table::Field::Broken;
                    }
                    _ => {}
                })*
                Some(table)
            }
        }
    };
}
pub(crate) use table;

macro_rules! need {
    (required) => {
        $crate::rules::syntax::table::Need::Required
    };
    (optional) => {
        $crate::rules::syntax::table::Need::Optional
    };
    (not_yet) => {
        $crate::rules::syntax::table::Need::NotYet
    };
    (default($text:literal)) => {
        $crate::rules::syntax::table::Need::Default($text)
    };
}
pub(crate) use need;

/// Declares a closed set of words.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $line:literal])+ $word:literal => $variant:ident,)* }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[doc = $line])+ $variant,)*
        }

        impl $name {
            /// As it is written.
            #[allow(dead_code, reason = "not every word is spoken again")]
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl $crate::rules::syntax::table::Form for $crate::rules::syntax::table::Said<$name> {
            fn shape() -> $crate::rules::syntax::table::Shape {
                $crate::rules::syntax::table::Shape::Words(&[$(($word, concat!($($line),+))),*])
            }

            fn read(
                walk: &mut $crate::rules::syntax::table::Walk,
                value: &$crate::rules::syntax::table::Value<'_>,
            ) -> Option<Self> {
                let (text, span) = walk.text(value, Self::shape)?;
                let value = match text {
                    $($word => $name::$variant,)*
                    _ => {
                        walk.unknown_word(text, span, &[$($word),*]);
                        return None;
                    }
                };
                Some(Self { value, span })
            }
        }
    };
}
pub(crate) use words;

impl Walk {
    /// Reports a word that is not one of `known`.
    pub(crate) fn unknown_word(&mut self, word: &str, place: Span, known: &[&'static str]) {
        let short: String = word.chars().take(60).collect();
        let problem = Diagnostic::of(&codes::UNKNOWN_WORD, format!("`{short}` is not one of {}", listed(known)));
        self.push(match closest(word, known.iter().copied()) {
            Some(meant) => problem.at(place, "unknown word").help(format!("did you mean \"{meant}\"?")),
            None => problem.at(place, "unknown word").help(format!("choose one of {}", listed(known))),
        });
    }
}
