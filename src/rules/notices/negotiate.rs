//! Which language a reader gets: RFC 4647 lookup over `Accept-Language` (RFC 9110, section 12.5.4).
//!
//! Whatever is sent costs little: only the beginning is looked at, and nonsense is passed over.

/// Bytes and ranges that are looked at.
const BYTES: usize = 512;
const RANGES: usize = 24;
/// Subtags of a range (`de-CH-1996`); RFC 5646 tags seldom have more than three.
const SUBTAGS: usize = 6;

/// The place in `spoken` (lower case) that fits best; `None` when nothing fits. Lookup, and as a last resort a spoken
/// dialect of what was asked for.
pub fn lookup(accept: &[u8], spoken: &[&str]) -> Option<usize> {
    let accept = &accept[..accept.len().min(BYTES)];
    let refused = |tag: &str| {
        let mut refused = accept.split(|byte| *byte == b',').take(RANGES).filter_map(weighted);
        refused.any(|(range, weight)| weight == 0 && range.eq_ignore_ascii_case(tag))
    };
    let mut best: Option<(u16, usize)> = None;
    for range in accept.split(|byte| *byte == b',').take(RANGES) {
        let Some((tag, weight)) = weighted(range) else { continue };
        // Of two alike, the one that stands first; zero means never.
        if weight == 0 || best.is_some_and(|(most, _)| weight <= most) {
            continue;
        }
        if let Some(at) = fits(tag, spoken, &refused) {
            best = Some((weight, at));
        }
    }
    best.map(|(_, at)| at)
}

fn fits(range: &str, spoken: &[&str], refused: &dyn Fn(&str) -> bool) -> Option<usize> {
    if range == "*" {
        // Any but those that are said not to be read.
        return spoken.iter().position(|tag| !refused(tag));
    }
    let mut rest = range;
    for _ in 0..SUBTAGS {
        if let Some(at) = spoken.iter().position(|tag| tag.eq_ignore_ascii_case(rest)) {
            return Some(at);
        }
        let Some((shorter, _)) = rest.rsplit_once('-') else { break };
        // A single letter begins an extension and means nothing alone (RFC 4647, section 3.4).
        let shorter =
            shorter.rsplit_once('-').filter(|(_, last)| last.len() == 1).map_or(shorter, |(before, _)| before);
        rest = shorter;
    }
    let dialect = |tag: &&str| tag.len() > range.len() && tag.as_bytes()[range.len()] == b'-';
    spoken.iter().position(|tag| dialect(tag) && tag.as_bytes()[..range.len()].eq_ignore_ascii_case(range.as_bytes()))
}

/// A range and its weight in thousandths.
fn weighted(range: &[u8]) -> Option<(&str, u16)> {
    let range = std::str::from_utf8(range).ok()?.trim();
    let (tag, parameters) = range.split_once(';').map_or((range, None), |(tag, rest)| (tag.trim(), Some(rest.trim())));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if tag.is_empty() || (tag != "*" && !tag.bytes().all(plain)) {
        return None;
    }
    let weight = match parameters {
        None => 1_000,
        Some(parameter) => thousandths(parameter.strip_prefix(['q', 'Q'])?.trim_start().strip_prefix('=')?.trim())?,
    };
    Some((tag, weight))
}

/// A weight in thousandths: `0`, `0.75`, `1.000`, at most three places (RFC 9110, section 12.4.2).
pub fn thousandths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = part.bytes().all(|byte| byte.is_ascii_digit()) && part.len() <= 3;
    let part = match digits {
        true => {
            part.bytes().chain(std::iter::repeat(b'0')).take(3).fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
        }
        false => return None,
    };
    match (whole, part) {
        ("0", part) => Some(part),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPOKEN: &[&str] = &["en", "de", "pt-br", "zh-hant"];

    fn chosen(accept: &str) -> Option<&'static str> {
        lookup(accept.as_bytes(), SPOKEN).map(|at| SPOKEN[at])
    }

    #[test]
    fn the_most_wanted_language_that_is_spoken_is_chosen() {
        for (accept, expected) in [
            ("de", Some("de")),
            ("de-CH, fr;q=0.9", Some("de")),
            ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", Some("en")),
            ("DE-de-1996", Some("de")),
            ("zh-Hant-CN-x-private1-private2", Some("zh-hant")),
            ("pt", Some("pt-br")),
            ("fr, *", Some("en")),
            ("en;q=0, de;q=0.1", Some("de")),
            ("en;q=0, *", Some("de")),
            ("*;q=0.1, EN;q=0, de ;q=0.0", Some("pt-br")),
            ("de;q=0.5, en;q=0.5", Some("de")),
            ("en; q = 0.2 ,de ;Q=0.3", Some("de")),
            ("fr", None),
            ("", None),
            ("d", None),
            ("den", None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn nonsense_is_passed_over_and_its_size_does_not_matter() {
        for accept in
            [";;;", ",,,,", "de;q=2", "de;q=", "de;q=0.1234", "de;level=1", "é", "-", "--", "*-*", "de-", "\u{0}"]
        {
            let found = chosen(accept);
            assert!(found.is_none() || accept == "de-" && found == Some("de"), "{accept:?}: {found:?}");
        }
        let far = format!("{}de", "x,".repeat(100_000));
        assert_eq!(chosen(&far), None);
        assert_eq!(lookup(&[0xff, b',', b'd', b'e'], SPOKEN), Some(1));
    }

    proptest! {
        #[test]
        fn no_field_makes_the_choice_panic(accept in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = lookup(&accept, SPOKEN);
        }
    }
}
