//! `budget` of a journey: which share of customers who have long been known its lines may hold.

use std::time::Duration;

use super::forms::Whole;
use super::table::{Said, Written, Wrong, table};
use crate::rules::budgets::Share;
use crate::rules::diagnostic::{Code, codes};

table! {
    /// What a journey's lines may cost customers who have long been known. When more of them are held than this, because a release, a holiday or a list changed their scores, every line of the journey floats down, a point at a time, until the share is kept or the range is at its end; then it says so loudly. Lines never float above what is written, below a view line, or further down while a playbook holds the journey, and the line below which somebody is refused does not float. Only customers who have been known for a week, on a device that their account trusts or in a session on a network that it knows, are counted, each once a day, and not what strangers' guessing takes from them.
    BudgetFile("a budget") {
        /// The share of them that the ladder may hold in a day: one more proof, slower, looking only, a person.
        challenged: Said<Share> = required;
        /// The share whose attempts to sign in may be held. Without it the lines of `attempt` do not float.
        attempts: Said<Share> = optional;
        /// How many points lines may float down.
        range: Whole<1, 20> = default("12");
        /// How far back is looked. After half of it a customer counts half.
        over: Said<Duration> = default("\"24h\"");
    }
}

impl Written for Share {
    const WHAT: &'static str = "a share of customers";
    const EXAMPLE: &'static str = "1%";
    const CODE: &'static Code = &codes::BAD_SHARE;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let help = "write a share from 0.01% to 50% with at most two places: \"1%\", \"0.5%\"";
        let wrong = || Wrong::help(format!("`{text:.40}` is not a share of customers"), help);
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 2) || !digits(part, 2) {
            return Err(wrong());
        }
        let hundredths = |text: &str| text.parse::<u16>().unwrap_or(0);
        let part = if part.len() == 1 { hundredths(part) * 10 } else { hundredths(part) };
        let share = hundredths(whole) * 100 + part;
        if (1..=5_000).contains(&share) { Ok(Self(share)) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_at_most_two_places_and_is_at_most_a_half() {
        let read = |text| Share::parse(text).ok().map(|share| share.0);
        assert_eq!(read("1%"), Some(100));
        assert_eq!(read("0.5%"), Some(50));
        assert_eq!(read("0.05%"), Some(5));
        assert_eq!(read("50%"), Some(5_000));
        for bad in ["", "%", "1", "0%", "0.00%", "51%", "100%", "1.234%", "-1%", ".5%", "1.%", "1 %", "१%"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
