//! The forms that values take: numbers in a range, flags, lists, one or many, tables by name.

use toml::de::DeValue;

use super::table::{Form, Said, Shape, Value, Walk, Written as _};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::source::Span;

/// A whole number in a range.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole<const FROM: u64, const TO: u64> {
    /// The number.
    pub(crate) value: u64,
    /// Where it stands.
    pub(crate) span: Span,
}

impl<const FROM: u64, const TO: u64> Form for Whole<FROM, TO> {
    fn shape() -> Shape {
        Shape::Whole(FROM, TO)
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        let DeValue::Integer(integer) = value.get_ref() else {
            walk.wrong(value, &Self::shape());
            return None;
        };
        let span = walk.span(value.span());
        let number =
            u64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|number| (FROM..=TO).contains(number));
        if number.is_none() {
            let said = format!("this should be {}", Self::shape().say());
            let help = format!("choose a number between {FROM} and {TO}");
            walk.push(Diagnostic::of(&codes::OUT_OF_RANGE, said).at(span, "out of range").help(help));
        }
        number.map(|value| Self { value, span })
    }
}

impl Form for Said<bool> {
    fn shape() -> Shape {
        Shape::Flag
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        let DeValue::Boolean(flag) = value.get_ref() else {
            walk.wrong(value, &Shape::Flag);
            return None;
        };
        Some(Self { value: *flag, span: walk.span(value.span()) })
    }
}

impl<T: Form> Form for Vec<T> {
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        let DeValue::Array(items) = value.get_ref() else {
            walk.wrong(value, &Self::shape());
            return None;
        };
        Some(items.iter().filter_map(|item| T::read(walk, item)).collect())
    }
}

impl<T: Form> Form for Box<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        T::read(walk, value).map(Self::new)
    }
}

/// One value or a list of them.
#[derive(Debug, Clone)]
pub(crate) struct Many<T> {
    /// The values that could be read.
    pub(crate) all: Vec<T>,
}

impl<T: Form> Form for Many<T> {
    fn shape() -> Shape {
        Shape::OneOrMany(Box::new(T::shape()))
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        let span = walk.span(value.span());
        let all = match value.get_ref() {
            DeValue::Array(items) if items.is_empty() => {
                let problem = Diagnostic::of(&codes::EMPTY, "this list is empty").at(span, "nothing here");
                walk.push(problem.help(format!("give {}, or leave the key out", T::shape().say())));
                return None;
            }
            DeValue::Array(items) => items.iter().filter_map(|item| T::read(walk, item)).collect(),
            _ => vec![T::read(walk, value)?],
        };
        Some(Self { all })
    }
}

/// A table whose keys are names. Every name is kept, even if what it names could not be read.
#[derive(Debug, Clone)]
pub(crate) struct Named<T> {
    /// In the order written.
    pub(crate) all: Vec<(Said<Box<str>>, Option<T>)>,
}

impl<T: Form> Form for Named<T> {
    fn shape() -> Shape {
        Shape::Named(Box::new(T::shape()))
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        let mut all = Vec::new();
        for (key, span, value) in walk.entries(value, Self::shape)? {
            if let Err(wrong) = super::written::Name::parse(key) {
                let help = wrong.help.unwrap_or_default();
                walk.push(Diagnostic::of(&codes::BAD_NAME, wrong.says).at(span, "not a name").help(help));
            }
            all.push((Said { value: key.into(), span }, T::read(walk, value)));
        }
        Some(Self { all })
    }
}

/// A part of the language that is known and not acted on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Later;

impl Form for Later {
    fn shape() -> Shape {
        Shape::Anything
    }

    fn read(_: &mut Walk, _: &Value<'_>) -> Option<Self> {
        Some(Self)
    }
}
