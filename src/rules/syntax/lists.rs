//! `[lists]`: what is known of addresses, in files beside the rules.

use std::time::Duration;

use super::files::Text;
use super::table::{Said, Written, Wrong, table};
use crate::rules::diagnostic::{Code, codes};

table! {
    /// Lists of addresses. Files beside the rules; one that is replaced is taken up within seconds, and a bad one leaves the one before in use. What is on none of them is not suspicious.
    ListsFile("lists") {
        /// Providers by AS number: a file in MaxMind's format, with `autonomous_system_number`.
        provider: ListFile = optional;
        /// Countries: a file in MaxMind's format, with `country.iso_code` or `country_code`.
        country: ListFile = optional;
        /// Exits of Tor: text, one address or network a line, `#` before comments.
        tor: ListFile = optional;
        /// Commercial VPNs, in the same form.
        vpn: ListFile = optional;
        /// Datacentres, in the same form.
        datacentre: ListFile = optional;
        /// Proxies, in the same form.
        proxy: ListFile = optional;
    }
}

table! {
    /// A list of addresses.
    ListFile("a list") {
        /// The file. Its date is the one in a file of MaxMind's format, or the first `YYYY-MM-DD` in the comments at the top of a text, or when it was written.
        file: Text = required;
        /// From this age on, what it says is unknown.
        stale_after: Said<Duration> = default("\"14d\"");
        /// By how much a new file may grow or shrink. One that changes more is refused, and the one before stays. To let it in, raise this for as long as it takes.
        most_change: Said<Share> = default("\"20%\"");
    }
}

/// A share of something, in percent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share(pub(crate) u32);

impl Written for Share {
    const WHAT: &'static str = "a share";
    const EXAMPLE: &'static str = "20%";
    const CODE: &'static Code = &codes::BAD_SHARE;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let help = "write a whole number from 1 to 10000 and a percent sign: \"20%\"";
        let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let share = digits.and_then(|digits| digits.parse().ok()).filter(|share| (1..=10_000).contains(share));
        share.map(Self).ok_or_else(|| Wrong::help(format!("`{text:.40}` is not a share"), help))
    }
}
