//! `[limits.NAME]`: how often something may be done. The table, and the rates that it holds.

use std::num::NonZeroU32;
use std::time::Duration;

use super::files::{OutcomeFile, Text};
use super::forms::{Many, Whole};
use super::playbooks::ModeWord;
use super::table::{Said, Written, Wrong, table, words};
use super::written::{HeaderKey, short};
use crate::rules::diagnostic::{Code, codes};
use crate::rules::limits::Rate;

table! {
    /// How often something may be done. Beyond it a client is answered 429, told when to come back, and shown where a person is reached. What Weir answers itself is never counted, and no CORS preflight is.
    LimitFile("a limit") {
        /// The journeys that it is put on; without it, every request, listed or not.
        journeys: Many<Text> = optional;
        /// Whose requests are counted together. Where a request does not have it, its client stands in. An account is counted apart on each device that it trusts, so that a stranger's guesses never lock the owner out; a device counts once somebody has come in on it.
        key: Said<LimitKeyWord> = required;
        /// The header, for `key = "header"`.
        header: Said<HeaderKey> = optional;
        /// Only requests for accounts that have been known for less than this count and are held; known to Weir, so import their history first. With `key = "network"` they are counted together whatever their devices: who tests cards on accounts made for it does not become a customer by keeping a cookie.
        accounts_younger_than: Said<Duration> = optional;
        /// How often.
        rate: Said<Rate> = required;
        /// How many at once after a rest; the number of the rate when absent.
        burst: Whole<1, 1_000_000_000> = optional;
        /// Which of the upstream's answers are counted; without it, every request that is sent on. Until its answer comes, a request counts.
        counts: OutcomeFile = optional;
        /// Whether it holds, or is only watched. In shadow nothing is refused; decision lines and metrics say what would have been, worked out in a small table of its own.
        mode: Said<ModeWord> = default("\"enforce\"");
    }
}

words! {
    /// Whose requests are counted together.
    LimitKeyWord {
        /// The account, of a session or tried at a sign-in.
        "account" => Account,
        /// The session, else the device, else the network.
        "client" => Client,
        /// The device, once somebody has come in on it, else the network.
        "device" => Device,
        /// The network: an IPv4 address, or an IPv6 /64.
        "network" => Network,
        /// The values of a header. A client can make them up, so this tells clients apart and stops nobody.
        "header" => Header,
    }
}

impl Written for Rate {
    const WHAT: &'static str = "a rate";
    const EXAMPLE: &'static str = "5/min";
    const CODE: &'static Code = &codes::BAD_RATE;

    fn parse(text: &str) -> Result<Self, Wrong> {
        const MOST: u32 = 1_000_000_000;
        let help = "write a whole number, a slash and one of s, min, h, d: \"20/s\", \"5/min\", \"400/h\", \"1000/d\"";
        let wrong = || Wrong::help(format!("`{}` is not a rate", short(text)), help);
        let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
        let per = match unit {
            "s" => 1,
            "min" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let count = number.parse::<u32>().ok().filter(|count| *count <= MOST).ok_or_else(|| {
            Wrong::help(format!("`{}` is too often to be counted", short(text)), format!("at most {MOST} are counted"))
        })?;
        let count = NonZeroU32::new(count).ok_or_else(|| {
            Wrong::help(
                "a rate of 0 would never let anything through",
                "to close something, use a ladder with \"handoff\" or \"deny\", or [[refuse]]: they lead somewhere",
            )
        })?;
        Ok(Self { count, per: Duration::from_secs(per) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_so_many_in_one_unit_of_time() {
        let read = |text| Rate::parse(text).unwrap();
        assert_eq!((read("5/min").count.get(), read("5/min").per), (5, Duration::from_secs(60)));
        assert_eq!(read("5/min").interval(), Duration::from_secs(12));
        assert_eq!(read("1/d").interval(), Duration::from_secs(86_400));
        assert_eq!(read("1000000000/s").interval(), Duration::from_nanos(1));
        for bad in
            ["", "5", "/s", "5/", "0/s", "-5/s", "+5/s", "5/week", "5 /s", "1000000001/s", "99999999999/s", "१/s"]
        {
            assert!(Rate::parse(bad).is_err(), "{bad}");
        }
    }
}
