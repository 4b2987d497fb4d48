//! `[calibration.JOURNEY]`: what a score has meant there. `weir calibrate --write` makes these tables.

use toml::de::DeValue;

use super::forms::Whole;
use super::table::{Form, Said, Shape, Value, Walk, Written, Wrong, table};
use crate::rules::diagnostic::{Code, Diagnostic, codes};

table! {
    /// What a score has meant on a journey, from outcomes that are known: `weir calibrate --write` makes this table. With it decision lines and `weir explain` say how likely it is that the account's owner is asking. No line and no decision leans on it.
    CalibrationFile("a calibration") {
        /// What is added to the evidence, in points.
        offset: Said<f64> = required;
        /// What a point is worth, from 0.3 to 2.
        slope: Said<f64> = required;
        /// How many known outcomes it was made from, at least 200.
        outcomes: Whole<0, 1_000_000_000> = required;
        /// The day of the last of them.
        made: Said<Day> = required;
    }
}

impl Form for Said<f64> {
    fn shape() -> Shape {
        Shape::Number
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        let span = walk.span(value.span());
        let text = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => {
                walk.wrong(value, &Self::shape());
                return None;
            }
        };
        let number = text.replace('_', "").parse::<f64>().ok().filter(|number| number.is_finite());
        if number.is_none() {
            let problem = Diagnostic::of(&codes::OUT_OF_RANGE, "this is no number that can be counted with");
            walk.push(problem.at(span, "not a number").help("write a number such as -3.2"));
        }
        number.map(|value| Self { value, span })
    }
}

/// A day: `2026-11-23`.
#[derive(Debug, Clone)]
pub(crate) struct Day(pub(crate) Box<str>);

impl Written for Day {
    const WHAT: &'static str = "a day";
    const EXAMPLE: &'static str = "2026-11-23";
    const CODE: &'static Code = &codes::CALIBRATION_DAY;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let day = text.parse::<jiff::civil::Date>().ok().filter(|day| day.to_string() == text);
        day.map(|_| Self(text.into())).ok_or_else(|| {
            Wrong::help(format!("`{text:.40}` is not a day"), "write year, month and day: \"2026-11-23\"")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_one_that_there_is() {
        assert!(Day::parse("2026-11-23").is_ok());
        for bad in ["", "2026-02-30", "23.11.2026", "2026-1-2", "2026-11-23T00:00:00Z", "20261123"] {
            assert!(Day::parse(bad).is_err(), "{bad}");
        }
    }
}
