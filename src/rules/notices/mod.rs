//! What customers read when Weir answers itself: the kinds of notices, the words for each in every language that is spoken, and
//! the pages that they stand on. One source, from which every channel is rendered.
//!
//! The words never name a score, a signal or a rule, and never say whether an account exists. Every kind has words in every
//! spoken language, or the law does not compile. Operators' templates place words; one that fails never breaks an answer.

mod english;
mod german;
mod kinds;
mod negotiate;
mod pages;
pub(in crate::rules) mod rehearse;
mod spell;
mod view;

use std::borrow::Cow;

pub use kinds::{Kind, Phrase, Place};
pub use negotiate::thousandths;
pub(in crate::rules) use pages::Trouble;
pub use pages::{BUILT_IN_PAGE, BodyId, Failed, LARGEST, Templates};
pub use view::{ContactView, TOLD, View};

/// Text that is built in or was written by an operator.
pub type Text = Cow<'static, str>;

/// The words of one notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// One line.
    pub headline: Text,
    /// What it means for the customer, and what happened to what they entered.
    pub detail: Text,
}

/// Names a spoken language of one rule set. The first is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LanguageId(pub(in crate::rules) u8);

impl LanguageId {
    /// The place in the list of spoken languages.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A language with everything that is said in it.
#[derive(Debug, Clone)]
pub struct Language {
    /// Lower case, such as `de` or `pt-br` (RFC 5646).
    pub tag: Box<str>,
    words: Vec<Words>,
    phrases: Vec<Text>,
    days: [Text; 7],
    months: [Text; 12],
}

/// The languages that are built in.
pub const BUILT_IN: [&str; 2] = ["en", "de"];

/// Primary subtags of languages that are written from right to left.
const RIGHT_TO_LEFT: &[&str] =
    &["ar", "arc", "ckb", "dv", "fa", "he", "iw", "ks", "nqo", "ps", "sd", "syr", "ug", "ur", "yi"];

impl Language {
    /// A built-in language.
    pub fn built_in(tag: &str) -> Option<Self> {
        type Say = fn(Kind) -> (&'static str, &'static str);
        type Phrased = fn(Phrase) -> &'static str;
        let (words, phrase, days, months): (Say, Phrased, _, _) = match tag {
            "en" => (english::words, english::phrase, english::DAYS, english::MONTHS),
            "de" => (german::words, german::phrase, german::DAYS, german::MONTHS),
            _ => return None,
        };
        let said = |kind: &Kind| {
            let (headline, detail) = words(*kind);
            Words { headline: headline.into(), detail: detail.into() }
        };
        Some(Self {
            tag: tag.into(),
            words: Kind::ALL.iter().map(said).collect(),
            phrases: Phrase::ALL.iter().map(|name| phrase(*name).into()).collect(),
            days: days.map(Text::from),
            months: months.map(Text::from),
        })
    }

    /// A language from its parts, in the order of [`Kind::ALL`] and [`Phrase::ALL`].
    pub(in crate::rules) fn of(
        tag: Box<str>,
        words: Vec<Words>,
        phrases: Vec<Text>,
        days: [Text; 7],
        months: [Text; 12],
    ) -> Option<Self> {
        let whole = words.len() == Kind::ALL.len() && phrases.len() == Phrase::ALL.len();
        whole.then_some(Self { tag, words, phrases, days, months })
    }

    /// The words of a kind.
    pub fn words(&self, kind: Kind) -> &Words {
        &self.words[kind as usize]
    }

    /// A fixed phrase, with its places unfilled.
    pub fn phrase(&self, phrase: Phrase) -> &str {
        &self.phrases[phrase as usize]
    }

    /// `ltr` or `rtl`, for HTML.
    pub fn direction(&self) -> &'static str {
        let primary = self.tag.split('-').next().unwrap_or_default();
        if RIGHT_TO_LEFT.contains(&primary) { "rtl" } else { "ltr" }
    }

    pub(in crate::rules) fn parts(&mut self) -> (&mut [Words], &mut [Text], &mut [Text; 7], &mut [Text; 12]) {
        (&mut self.words, &mut self.phrases, &mut self.days, &mut self.months)
    }
}

/// Words of a journey's own.
#[derive(Debug, Clone, Default)]
pub struct JourneyWords(pub(in crate::rules) Vec<(LanguageId, Kind, Words)>);

impl JourneyWords {
    /// The journey's words for a kind, if it has any.
    pub fn of(&self, language: LanguageId, kind: Kind) -> Option<&Words> {
        self.0.iter().find(|(own, about, _)| (*own, *about) == (language, kind)).map(|(_, _, words)| words)
    }
}

/// Words for whatever is held back while a playbook is armed: one for each spoken language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaybookWords(pub(in crate::rules) Vec<Words>);

impl PlaybookWords {
    /// In this language.
    pub fn of(&self, language: LanguageId) -> Option<&Words> {
        self.0.get(language.index())
    }

    /// Whether nothing is said, so that the words for all stand.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Everything that customers are told: the spoken languages, and the operators' templates.
#[derive(Debug)]
pub struct Notices {
    languages: Vec<Language>,
    /// The operators' pages and bodies.
    pub templates: Templates,
}

impl Default for Notices {
    fn default() -> Self {
        Self::speaking(
            BUILT_IN.iter().take(1).filter_map(|tag| Language::built_in(tag)).collect(),
            Templates::default(),
        )
        .unwrap_or_else(|| Self { languages: Vec::new(), templates: Templates::default() })
    }
}

impl Notices {
    /// These languages, the first by default. `None` when there is none, or more than 32.
    pub fn speaking(languages: Vec<Language>, templates: Templates) -> Option<Self> {
        (1..=SPOKEN).contains(&languages.len()).then_some(Self { languages, templates })
    }

    /// The spoken languages, the default first.
    pub fn languages(&self) -> &[Language] {
        &self.languages
    }

    /// The same with their names.
    pub fn spoken(&self) -> impl Iterator<Item = (LanguageId, &Language)> {
        (0..).map(LanguageId).zip(&self.languages)
    }

    /// A spoken language.
    pub fn language(&self, id: LanguageId) -> &Language {
        &self.languages[id.index()]
    }

    /// The language for a reader who says so in `Accept-Language`; the default when nothing fits.
    pub fn choose(&self, accept: Option<&[u8]>) -> LanguageId {
        let Some(accept) = accept.filter(|_| self.languages.len() > 1) else { return LanguageId(0) };
        let mut tags = [""; SPOKEN];
        for (tag, language) in tags.iter_mut().zip(&self.languages) {
            *tag = &language.tag;
        }
        let spoken = &tags[..self.languages.len().min(SPOKEN)];
        negotiate::lookup(accept, spoken).and_then(|at| u8::try_from(at).ok()).map_or(LanguageId(0), LanguageId)
    }
}

/// Languages that one law may speak.
pub const SPOKEN: usize = 32;

/// Fills the places of a text: `{wait}` becomes what `place` gives for it. What it does not know stays as it is.
pub fn fill<'a>(text: &'a str, place: impl Fn(&str) -> Option<&'a str>) -> Cow<'a, str> {
    if !text.contains('{') {
        return text.into();
    }
    let mut filled = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        match after.split_once('}').and_then(|(name, rest)| Some((place(name)?, rest))) {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled.into()
}

/// A line as a sentence, so that another can follow it: with a full stop, unless it has an end of its own.
pub fn ended(line: &str) -> Cow<'_, str> {
    const ENDS: [char; 11] = ['.', '!', '?', ':', '…', '。', '！', '？', '؟', '।', '۔'];
    if line.ends_with(ENDS) { line.into() } else { format!("{line}.").into() }
}

/// The places that a text has, as written; `None` when a brace stands alone.
pub(in crate::rules) fn places(text: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        if before.contains('}') || name.contains('{') {
            return None;
        }
        found.push(name);
        rest = after;
    }
    (!rest.contains('}')).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_words_fit_their_bounds_and_fill_their_own_places_only() {
        for tag in BUILT_IN {
            let language = Language::built_in(tag).unwrap();
            for kind in Kind::ALL {
                let Words { headline, detail } = language.words(*kind);
                assert!(headline.chars().count() <= 80 && detail.chars().count() <= 600, "{tag} {kind:?}");
                let allowed: Vec<_> = kind.places().iter().map(|place| place.word()).collect();
                for place in [headline, detail].into_iter().flat_map(|text| places(text).unwrap()) {
                    assert!(allowed.contains(&place), "{tag} {kind:?} has {{{place}}}");
                }
            }
            for phrase in Phrase::ALL {
                let mut found = places(language.phrase(*phrase)).unwrap();
                let mut wanted = phrase.places().to_vec();
                found.sort_unstable();
                wanted.sort_unstable();
                assert_eq!(found, wanted, "{tag} {phrase:?}");
            }
        }
    }

    #[test]
    fn places_are_filled_and_nothing_else_is() {
        let place = |name: &str| (name == "wait").then_some("20 seconds");
        assert_eq!(fill("in {wait}.", place), "in 20 seconds.");
        assert_eq!(fill("{wait}{wait}", place), "20 seconds20 seconds");
        assert_eq!(fill("{wat} {", place), "{wat} {");
        for (line, sentence) in [("Please wait", "Please wait."), ("Ready?", "Ready?"), ("稍候。", "稍候。"), ("", ".")]
        {
            assert_eq!(ended(line), sentence);
        }
        assert_eq!(places("a {wait} {until}"), Some(vec!["wait", "until"]));
        for alone in ["{", "}", "a } {wait}", "{a{b}"] {
            assert_eq!(places(alone), None, "{alone}");
        }
    }
}
