//! How languages, words for customers and client profiles are written.
//!
//! The keys of a notice's table are the kinds and phrases of [`crate::rules::notices`]; nothing is listed a second time here.

use toml::de::DeValue;

use super::files::{ConditionFile, Text};
use super::forms::{Many, Whole};
use super::table::{Field, FieldShape, Form, Need, Said, Shape, TableShape, Value, Walk, Written, Wrong, table};
use super::written::short;
use crate::rules::diagnostic::{Code, codes};
use crate::rules::notices::{Kind, Phrase};
use crate::rules::profiles::Version;
use crate::rules::source::Span;

table! {
    /// The languages that customers are spoken to in.
    LanguagesFile("languages") {
        /// Tags such as `en` or `pt-br`; the first is the default. `en` and `de` are built in, others are written whole in `[notice.TAG]`.
        speak: Many<Said<Tag>> = required;
    }
}

/// A language tag (RFC 5646), lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag(pub(crate) Box<str>);

impl Written for Tag {
    const WHAT: &'static str = "a language tag";
    const EXAMPLE: &'static str = "de";
    const CODE: &'static Code = &codes::BAD_LANGUAGE;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let lower = text.to_ascii_lowercase();
        let mut subtags = lower.split('-');
        let primary = subtags
            .next()
            .is_some_and(|tag| (2..=3).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphabetic()));
        let rest = subtags.all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric()));
        if !primary || !rest || lower.len() > 35 {
            return Err(Wrong::help(
                format!("`{}` is not a language tag", short(text)),
                "write for example \"en\", \"de\" or \"pt-br\"",
            ));
        }
        Ok(Self(lower.into()))
    }
}

table! {
    /// The words of a notice. What is left out is said in the words for all.
    WordsFile("the words of a notice") {
        /// One line, at most 80 characters, no markup.
        headline: Said<Line> = optional;
        /// What it means for the customer and what happened to what they entered; at most 600 characters, no markup.
        detail: Said<Prose> = optional;
    }
}

/// One line for customers.
#[derive(Debug, Clone)]
pub(crate) struct Line(pub(crate) Box<str>);

/// Some sentences for customers.
#[derive(Debug, Clone)]
pub(crate) struct Prose(pub(crate) Box<str>);

fn worded(text: &str, most: usize) -> Result<Box<str>, Wrong> {
    if text.trim().is_empty() {
        return Err(Wrong::help("these words are empty", "write something, or leave the key out"));
    }
    let letters = text.chars().count();
    if letters > most {
        let help = format!("write at most {most} characters: people who are held back read little");
        return Err(Wrong::help(format!("these words have {letters} characters"), help));
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong::help("these words hold control characters", "write them on one line, without tabs"));
    }
    if text.contains('<') && text.contains('>') {
        return Err(Wrong::help(
            "these words hold markup, which customers would read as it stands",
            "write plain words; looks belong into templates/page.html",
        ));
    }
    Ok(text.into())
}

impl Written for Line {
    const WHAT: &'static str = "a line for customers";
    const EXAMPLE: &'static str = "Please wait a moment";
    const CODE: &'static Code = &codes::BAD_WORDS;

    fn parse(text: &str) -> Result<Self, Wrong> {
        worded(text, 80).map(Self)
    }
}

impl Written for Prose {
    const WHAT: &'static str = "some sentences for customers";
    const EXAMPLE: &'static str = "Nothing is lost: please wait, then try once more.";
    const CODE: &'static Code = &codes::BAD_WORDS;

    fn parse(text: &str) -> Result<Self, Wrong> {
        worded(text, 600).map(Self)
    }
}

/// A language's words by kind: `[notice.en.step_up]`. With the phrases around them where they hold for everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct NoticeFile<const PHRASES: bool> {
    /// Words that could be read.
    pub(crate) kinds: Vec<(Kind, WordsFile)>,
    /// The phrases around them.
    pub(crate) phrases: Option<PhrasesFile>,
    /// Something in it could not be read and was reported.
    pub(crate) broken: bool,
}

impl<const PHRASES: bool> NoticeFile<PHRASES> {
    fn table() -> TableShape {
        let mut fields: Vec<FieldShape> = Kind::ALL
            .iter()
            .map(|kind| {
                let places: Vec<String> = kind.places().iter().map(|place| format!("`{{{}}}`", place.word())).collect();
                let may =
                    if places.is_empty() { String::new() } else { format!(" May hold {}.", places.join(" and ")) };
                FieldShape {
                    name: kind.key(),
                    doc: format!("{}{may}", kind.when()),
                    need: Need::Optional,
                    shape: WordsFile::shape(),
                }
            })
            .collect();
        if PHRASES {
            let doc = "What is said around the words of every notice.".to_owned();
            fields.push(FieldShape { name: "phrases", doc, need: Need::Optional, shape: PhrasesFile::shape() });
        }
        TableShape {
            name: if PHRASES { "the words of a language" } else { "a journey's words in a language" },
            doc: if PHRASES {
                "What customers read in one language, by the kind of notice."
            } else {
                "What customers read on this journey in one language, by the kind of notice."
            },
            fields,
        }
    }
}

impl<const PHRASES: bool> Form for NoticeFile<PHRASES> {
    fn shape() -> Shape {
        Shape::Table(Self::table)
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        let torn = walk.is_torn(walk.span(value.span()));
        let mut file = Self { broken: torn, ..Self::default() };
        for (key, place, value) in walk.entries(value, Self::shape)? {
            if PHRASES && key == "phrases" {
                file.phrases = PhrasesFile::read(walk, value);
                file.broken |= file.phrases.is_none();
            } else if let Some(kind) = Kind::ALL.iter().find(|kind| kind.key() == key) {
                match WordsFile::read(walk, value) {
                    Some(words) => file.kinds.push((*kind, words)),
                    None => file.broken = true,
                }
            } else {
                let table = Self::table();
                let known: Vec<&'static str> = table.fields.iter().map(|field| field.name).collect();
                walk.unknown(key, place, table.name, &known);
            }
        }
        Some(file)
    }
}

/// The phrases of a language, and the names of days and months.
#[derive(Debug, Clone, Default)]
pub(crate) struct PhrasesFile {
    /// Phrases that could be read.
    pub(crate) said: Vec<(Phrase, Said<Box<str>>)>,
    /// The days, Monday first.
    pub(crate) days: Field<Vec<Text>>,
    /// The months.
    pub(crate) months: Field<Vec<Text>>,
    /// Where it stands.
    pub(crate) span: Span,
}

impl PhrasesFile {
    fn table() -> TableShape {
        let mut fields: Vec<FieldShape> = Phrase::ALL
            .iter()
            .map(|phrase| {
                let places: Vec<String> = phrase.places().iter().map(|place| format!("`{{{place}}}`")).collect();
                let must = if places.is_empty() { String::new() } else { format!(" Holds {}.", places.join(", ")) };
                FieldShape {
                    name: phrase.key(),
                    doc: format!("{}{must}", phrase.what()),
                    need: Need::Optional,
                    shape: Text::shape(),
                }
            })
            .collect();
        for (name, doc) in [("days", "The seven days, Monday first."), ("months", "The twelve months.")] {
            let shape = <Vec<Text>>::shape();
            fields.push(FieldShape { name, doc: doc.to_owned(), need: Need::Optional, shape });
        }
        TableShape { name: "phrases", doc: "What is said around the words of every notice.", fields }
    }
}

impl Form for PhrasesFile {
    fn shape() -> Shape {
        Shape::Table(Self::table)
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        let mut file = Self { span: walk.span(value.span()), ..Self::default() };
        for (key, place, value) in walk.entries(value, Self::shape)? {
            if let Some(phrase) = Phrase::ALL.iter().find(|phrase| phrase.key() == key) {
                let said = match value.get_ref() {
                    DeValue::String(_) => <Said<Prose>>::read(walk, value),
                    _ => {
                        walk.wrong(value, &Text::shape());
                        None
                    }
                };
                file.said.extend(said.map(|said| (*phrase, Said { value: said.value.0, span: said.span })));
            } else if key == "days" {
                file.days = walk.field(value);
            } else if key == "months" {
                file.months = walk.field(value);
            } else {
                let known: Vec<&'static str> = Self::table().fields.iter().map(|field| field.name).collect();
                walk.unknown(key, place, "phrases", &known);
            }
        }
        Some(file)
    }
}

table! {
    /// How an app in the field is answered: which status, and in which format of its own.
    ProfileFile("a profile") {
        /// Which requests; all when absent.
        when: ConditionFile = optional;
        /// Which versions of an app.
        app: AppFile = optional;
        /// The status that asks for one more proof, or for a new sign-in: 401, 403 or 503.
        step_up: Whole<401, 503> = optional;
        /// The status of `handoff`, `deny` and refusals.
        refused: Whole<400, 599> = optional;
        /// The status of `throttle` and limits.
        throttle: Whole<400, 599> = optional;
        /// The status when something is away, full or not to be changed.
        unavailable: Whole<400, 599> = optional;
        /// A template for the body, below `templates/`, that ends in .json; `weir notices --template` says what it may use.
        body: Text = optional;
        /// What the body is.
        content_type: Said<MediaType> = default("\"application/json\"");
    }
}

table! {
    /// Some versions of an app, as its User-Agent names them: `ShopApp/3.2`.
    AppFile("app") {
        /// The product token, without version.
        name: Said<Product> = required;
        /// The first version.
        from: Said<Version> = default("\"0\"");
        /// The first version that is no longer one of them; none when absent.
        below: Said<Version> = optional;
    }
}

/// A product token (RFC 9110, section 10.1.5).
#[derive(Debug, Clone)]
pub(crate) struct Product(pub(crate) Box<str>);

impl Written for Product {
    const WHAT: &'static str = "the name of an app";
    const EXAMPLE: &'static str = "ShopApp";
    const CODE: &'static Code = &codes::BAD_PROFILE;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(token) {
            let help = "write the word before the slash in its User-Agent: \"ShopApp\" for ShopApp/3.2";
            return Err(Wrong::help(format!("`{}` is not a product token", short(text)), help));
        }
        Ok(Self(text.into()))
    }
}

impl Written for Version {
    const WHAT: &'static str = "a version";
    const EXAMPLE: &'static str = "3.2";
    const CODE: &'static Code = &codes::BAD_PROFILE;

    fn parse(text: &str) -> Result<Self, Wrong> {
        Self::parse(text.as_bytes()).ok_or_else(|| {
            Wrong::help(format!("`{}` is not a version", short(text)), "write one to four numbers with dots: \"3.2\"")
        })
    }
}

/// A media type without parameters other than a charset.
#[derive(Debug, Clone)]
pub(crate) struct MediaType(pub(crate) http::HeaderValue);

impl Written for MediaType {
    const WHAT: &'static str = "a media type";
    const EXAMPLE: &'static str = "application/json";
    const CODE: &'static Code = &codes::BAD_PROFILE;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-.;= _".contains(&byte);
        let value = http::HeaderValue::from_str(text).ok();
        match value
            .filter(|_| text.contains('/') && text.len() <= 100 && text.bytes().all(plain) && !text.contains("html"))
        {
            Some(value) => Ok(Self(value)),
            None => Err(Wrong::help(
                format!("`{}` is not a media type for a JSON body", short(text)),
                "write for example \"application/json\"",
            )),
        }
    }
}
