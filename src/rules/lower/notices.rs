//! Words for customers: which languages are spoken, and that every one of them has words for everything.

use std::collections::BTreeMap;

use super::Lower;
use super::names::Entry;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::notices::{
    BUILT_IN, JourneyWords, Kind, Language, LanguageId, Phrase, Place, PlaybookWords, SPOKEN, Text, Words, places,
};
use crate::rules::ruleset::HelpId;
use crate::rules::source::Span;
use crate::rules::syntax::closest;
use crate::rules::syntax::files::{HelpFile, RuleFile};
use crate::rules::syntax::forms::Named;
use crate::rules::syntax::notices::{LanguagesFile, NoticeFile, PhrasesFile, WordsFile};
use crate::rules::syntax::table::{Field, Said, listed};

type LanguageFile = NoticeFile<true>;

impl<'f> Lower<'f> {
    /// The spoken languages, whole; English alone when nothing is said.
    pub(super) fn languages(&mut self, spoken: Option<&LanguagesFile>, words: &[Entry<'f, LanguageFile>]) {
        let mut tags: Vec<(Box<str>, Span)> = Vec::new();
        for tag in spoken.and_then(|file| file.speak.given()).map_or(&[][..], |many| &many.all) {
            match tags.iter().find(|(known, _)| *known == tag.0) {
                Some((_, first)) => {
                    let problem = Diagnostic::of(&codes::TWICE, format!("the language `{}` stands twice", tag.0));
                    let problem = problem.at(tag.span, "the second").also(*first, "the first");
                    self.error(problem.help("leave one of them out"));
                }
                None => tags.push((tag.0.clone(), tag.span)),
            }
        }
        if tags.len() > SPOKEN {
            let said = format!("there are {} languages; at most {SPOKEN} are spoken", tags.len());
            let place = spoken.map(|file| file.span).unwrap_or_default();
            self.error(Diagnostic::of(&codes::TOO_MUCH, said).at(place, "here").help("leave some out"));
            tags.truncate(SPOKEN);
        }
        if tags.is_empty() {
            tags.push((BUILT_IN[0].into(), Span::default()));
        }
        let whole = spoken.is_none_or(|file| file.speak.given().is_some());
        self.languages = tags
            .iter()
            .filter_map(|(tag, place)| {
                let about: Vec<_> = words.iter().filter(|(name, _)| name.value == *tag).collect();
                let files: Vec<&LanguageFile> = about.iter().filter_map(|(_, file)| *file).collect();
                let torn = about.len() != files.len() || files.iter().any(|file| file.broken);
                self.language(tag, *place, &files, torn)
            })
            .collect();
        self.names_known = whole && self.languages.len() == tags.len();
        self.never_ask_everywhere(words);
        for (name, _) in words {
            self.spoken(name);
        }
    }

    /// The place of a spoken language; one that is not spoken is reported.
    fn spoken(&mut self, name: &Said<Box<str>>) -> Option<LanguageId> {
        let at = self.languages.iter().position(|language| language.tag == name.value);
        if at.is_none() && self.names_known && !self.broken {
            let said = format!("nobody is spoken to in `{}`", name.value);
            let tags: Vec<&str> = self.languages.iter().map(|language| &*language.tag).collect();
            let help = match closest(&name.value, tags.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("add it to speak in [languages], which has {}, or remove these words", listed(&tags)),
            };
            self.error(Diagnostic::of(&codes::NOT_SPOKEN, said).at(name.span, "not spoken").help(help));
        }
        at.and_then(|at| u8::try_from(at).ok()).map(LanguageId)
    }

    /// What is never asked for is a promise: whoever makes it in words of their own makes it in every language that is built in. All
    /// others are in words of their own anyway.
    fn never_ask_everywhere(&mut self, words: &[Entry<'_, LanguageFile>]) {
        let is_built_in = |name: &str| BUILT_IN.contains(&name);
        let said: Vec<(&str, Span)> = words
            .iter()
            .filter(|(name, _)| is_built_in(&name.value))
            .filter_map(|(name, file)| {
                let phrases = file.as_ref()?.phrases.as_ref()?;
                let (_, text) = phrases.said.iter().find(|(phrase, _)| *phrase == Phrase::NeverAsk)?;
                Some((&*name.value, text.span))
            })
            .collect();
        let Some((_, place)) = said.first() else { return };
        let torn = words.iter().any(|(_, file)| file.is_none_or(|file| file.broken));
        let tags = self.languages.iter().map(|language| &*language.tag).filter(|tag| is_built_in(tag));
        let lacks: Vec<&str> = tags.filter(|tag| said.iter().all(|(own, _)| own != tag)).collect();
        if lacks.is_empty() || torn || !self.names_known || self.broken {
            return;
        }
        let said = format!("what you never ask for is not said in {} in words of your own", listed(&lacks));
        let help = format!("add `never_ask` to [notice.{}.phrases]", lacks.join(".phrases], [notice."));
        self.error(Diagnostic::of(&codes::HALF_SPOKEN, said).at(*place, "not in every language").help(help));
    }

    fn language(&mut self, tag: &str, place: Span, files: &[&LanguageFile], torn: bool) -> Option<Language> {
        let mut kinds: BTreeMap<usize, &WordsFile> = BTreeMap::new();
        for (kind, file) in files.iter().flat_map(|file| &file.kinds) {
            if let Some(first) = kinds.insert(*kind as usize, file) {
                let said = format!("the words of `{}` in `{tag}` stand twice", kind.key());
                let problem = Diagnostic::of(&codes::TWICE, said).at(file.span, "the second");
                self.error(problem.also(first.span, "the first").help("join them"));
            }
        }
        let phrases: Vec<&PhrasesFile> = files.iter().filter_map(|file| file.phrases.as_ref()).collect();
        if let [first, second, ..] = phrases[..] {
            let problem = Diagnostic::of(&codes::TWICE, format!("the phrases of `{tag}` stand twice"));
            let problem = problem.at(second.span, "the second").also(first.span, "the first");
            self.error(problem.help("join them"));
        }
        let phrases = phrases.first().copied();
        match Language::built_in(tag) {
            Some(mut language) => {
                let (words, said, days, months) = language.parts();
                for kind in Kind::ALL {
                    if let Some(file) = kinds.get(&(*kind as usize)) {
                        self.reword(&mut words[*kind as usize], file, kind.places());
                    }
                }
                for (phrase, text) in phrases.map_or(&[][..], |file| &file.said) {
                    self.rephrase(*phrase, text);
                    said[*phrase as usize] = text.value.to_string().into();
                }
                if let Some(own) = self.names(phrases.map(|file| &file.days)) {
                    *days = own;
                }
                if let Some(own) = self.names(phrases.map(|file| &file.months)) {
                    *months = own;
                }
                Some(language)
            }
            None => self.foreign(tag, place, &kinds, phrases, torn),
        }
    }

    /// A language that is not built in: it must say everything.
    fn foreign(
        &mut self,
        tag: &str,
        place: Span,
        kinds: &BTreeMap<usize, &WordsFile>,
        phrases: Option<&PhrasesFile>,
        torn: bool,
    ) -> Option<Language> {
        let mut lacks: Vec<String> = Vec::new();
        let mut words = Vec::new();
        for kind in Kind::ALL {
            let file = kinds.get(&(*kind as usize));
            let mut own = Words { headline: Text::default(), detail: Text::default() };
            if let Some(file) = file {
                self.reword(&mut own, file, kind.places());
            }
            let absent =
                [file.is_none_or(|file| file.headline.is_absent()), file.is_none_or(|file| file.detail.is_absent())];
            match absent {
                [true, true] => lacks.push(kind.key().to_owned()),
                [true, false] => lacks.push(format!("{}.headline", kind.key())),
                [false, true] => lacks.push(format!("{}.detail", kind.key())),
                [false, false] => {}
            }
            words.push(own);
        }
        let mut said = Vec::new();
        for phrase in Phrase::ALL {
            match phrases.and_then(|file| file.said.iter().find(|(known, _)| known == phrase)) {
                Some((_, text)) => {
                    self.rephrase(*phrase, text);
                    said.push(Text::from(text.value.to_string()));
                }
                None => lacks.push(format!("phrases.{}", phrase.key())),
            }
        }
        let lists = phrases.map(|file| (&file.days, &file.months));
        for (name, absent) in [
            ("phrases.days", lists.is_none_or(|(days, _)| days.is_absent())),
            ("phrases.months", lists.is_none_or(|(_, months)| months.is_absent())),
        ] {
            if absent {
                lacks.push(name.to_owned());
            }
        }
        let days = self.names(lists.map(|(days, _)| days));
        let months = self.names(lists.map(|(_, months)| months));
        if !lacks.is_empty() && !torn && !self.broken {
            let said = format!(
                "`{tag}` is spoken, but lacks words for {} of {} things",
                lacks.len(),
                Kind::ALL.len() + Phrase::ALL.len() + 2
            );
            let help = format!("write [notice.{tag}] with {}; `en` and `de` are built in", listed(&lacks));
            self.error(Diagnostic::of(&codes::WITHOUT_WORDS, said).at(place, "not whole").help(help));
        }
        Language::of(tag.into(), words, said, days?, months?)
    }

    /// Takes over what is written, as far as it may stand there.
    fn reword(&mut self, words: &mut Words, file: &WordsFile, may: &[Place]) {
        if let Some(headline) = file.headline.given() {
            self.has_places(&headline.0, headline.span, may);
            words.headline = headline.0.to_string().into();
        }
        if let Some(detail) = file.detail.given() {
            self.has_places(&detail.0, detail.span, may);
            words.detail = detail.0.to_string().into();
        }
        if file.headline.is_absent() && file.detail.is_absent() && !self.broken {
            let problem = Diagnostic::of(&codes::EMPTY, "these words say nothing").at(file.span, "nothing here");
            self.error(problem.help("give `headline`, `detail` or both"));
        }
    }

    fn has_places(&mut self, text: &str, place: Span, may: &[Place]) {
        let known: Vec<String> = may.iter().map(|place| format!("{{{}}}", place.word())).collect();
        let help = match known.is_empty() {
            true => "write plain words: nothing is filled in here".to_owned(),
            false => format!("here {} is filled in, and nothing else", listed(&known)),
        };
        let problem =
            |said: String| Diagnostic::of(&codes::BAD_WORDS, said).at(place, "not known here").help(help.clone());
        match places(text) {
            None => self.error(problem("a brace stands alone".to_owned())),
            Some(found) => {
                if let Some(other) = found.iter().find(|name| may.iter().all(|place| place.word() != **name)) {
                    self.error(problem(format!("`{{{}}}` is not filled in here", other.escape_debug())));
                }
            }
        }
    }

    fn rephrase(&mut self, phrase: Phrase, text: &Said<Box<str>>) {
        let mut found = places(&text.value).unwrap_or_else(|| vec!["{"]);
        let mut wanted = phrase.places().to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        if found != wanted {
            let said = format!("the phrase `{}` does not hold what belongs into it", phrase.key());
            let wanted: Vec<String> = wanted.iter().map(|place| format!("{{{place}}}")).collect();
            let help = match wanted.is_empty() {
                true => "write plain words: nothing is filled in here".to_owned(),
                false => format!("write it with {}, each once", listed(&wanted)),
            };
            self.error(Diagnostic::of(&codes::BAD_WORDS, said).at(text.span, "not so").help(help));
        }
    }

    /// The names of days or months.
    fn names<const N: usize>(&mut self, field: Option<&Field<Vec<Said<Box<str>>>>>) -> Option<[Text; N]> {
        let names = field?.given()?;
        let own: Vec<Text> = names.iter().map(|name| Text::from(name.value.to_string())).collect();
        let many = own.len();
        let own: Option<[Text; N]> = own.try_into().ok();
        if own.is_none() {
            let place = names.first().map(|name| name.span).unwrap_or_default();
            let said = format!("there are {many} names; a calendar has {N} of them");
            self.error(
                Diagnostic::of(&codes::BAD_WORDS, said).at(place, "from here").help("write every one, in order"),
            );
        }
        own
    }

    /// The words of a journey's own.
    pub(super) fn journey_words(&mut self, field: &Field<Named<NoticeFile<false>>>) -> JourneyWords {
        let mut all: Vec<(LanguageId, Kind, Words)> = Vec::new();
        let mut spans: Vec<(Kind, Span)> = Vec::new();
        let mut torn = !self.names_known || self.broken;
        for (name, file) in field.given().map_or(&[][..], |named| &named.all) {
            let Some(language) = self.spoken(name) else {
                torn = true;
                continue;
            };
            torn |= file.as_ref().is_none_or(|file| file.broken);
            for (kind, words) in file.as_ref().map_or(&[][..], |file| &file.kinds) {
                let Some(mut own) = self.languages.get(language.index()).map(|known| known.words(*kind).clone()) else {
                    continue;
                };
                self.reword(&mut own, words, kind.places());
                all.push((language, *kind, own));
                if spans.iter().all(|(known, _)| known != kind) {
                    spans.push((*kind, words.span));
                }
            }
        }
        for (kind, place) in spans.into_iter().filter(|_| !torn) {
            let says = |at: usize| all.iter().any(|(own, about, _)| own.index() == at && *about == kind);
            let tags = self.languages.iter().enumerate().filter(|(at, _)| !says(*at));
            let lacks: Vec<&str> = tags.map(|(_, language)| &*language.tag).collect();
            if lacks.is_empty() {
                continue;
            }
            let said = format!("the journey's own words of `{}` are not said in {}", kind.key(), listed(&lacks));
            let help = format!(
                "add notice.{}.{key}",
                lacks.join(&format!(".{key}, notice.", key = kind.key())),
                key = kind.key()
            );
            self.error(Diagnostic::of(&codes::HALF_SPOKEN, said).at(place, "not in every language").help(help));
        }
        JourneyWords(all)
    }

    /// Whoever meets a notice of no journey is led to the first help: so it must be open to those who make no voice call.
    pub(super) fn first_help_is_for_everybody(&mut self, names: &[Entry<'_, HelpFile>]) {
        let Some((first, _)) = names.first() else { return };
        if self.broken || self.report.has_errors() || self.has_text(HelpId(0)) {
            return;
        }
        let name = &first.value;
        let said = format!(
            "whoever is held back outside of every journey is led to help `{name}`, which takes voice calls only"
        );
        let problem = Diagnostic::of(&codes::FIRST_HELP, said).at(first.span, "no way out for those who cannot call");
        let help =
            format!("give [help.{name}] a `text` with `relay` or `chat`, or write a help that has one before it");
        self.error(problem.help(help));
    }

    /// The words of a playbook: in every spoken language, or in none. Those of a language that lacks them are reported.
    pub(super) fn playbook_words(&mut self, field: &Field<Named<WordsFile>>) -> PlaybookWords {
        let Some(named) = field.given() else { return PlaybookWords::default() };
        let place = named.all.first().map(|(name, _)| name.span).unwrap_or_default();
        let mut own: Vec<Option<Words>> = self.languages.iter().map(|_| None).collect();
        let mut torn = false;
        for (name, file) in &named.all {
            let (Some(language), Some(file)) = (self.spoken(name), file) else {
                torn = true;
                continue;
            };
            let mut words = Words { headline: Text::default(), detail: Text::default() };
            self.reword(&mut words, file, &[Place::Until]);
            if file.headline.is_absent() != file.detail.is_absent() {
                let said = format!("the words in `{}` are not whole", name.value);
                let problem = Diagnostic::of(&codes::WITHOUT_WORDS, said).at(file.span, "half of it");
                self.error(problem.help("give both `headline` and `detail`"));
            }
            own[language.index()] = Some(words);
        }
        let lacks: Vec<&str> = self
            .languages
            .iter()
            .zip(&own)
            .filter(|(_, own)| own.is_none())
            .map(|(language, _)| &*language.tag)
            .collect();
        if !lacks.is_empty() && !torn && !self.broken {
            let said = format!("these words are not said in {}", listed(&lacks));
            let help = format!("add [notice.{}] with `headline` and `detail`", lacks.join("], [notice."));
            self.error(Diagnostic::of(&codes::WITHOUT_WORDS, said).at(place, "not in every language").help(help));
        }
        PlaybookWords(own.into_iter().flatten().collect())
    }
}

/// The tables of words of every file.
pub(super) fn worded<'f>(files: &'f [RuleFile]) -> Vec<Entry<'f, LanguageFile>> {
    super::named(files, |file| file.notice.given())
}
