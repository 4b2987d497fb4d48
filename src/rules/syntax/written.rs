//! The kinds of text that a rule file holds, each read once into a type that cannot be wrong: durations, rates, networks, hosts,
//! servers, routes, paths, patterns, hours.
//!
//! Nothing here knows whether what a text names exists.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::table::{Written, Wrong};
use crate::rules::diagnostic::{Code, codes};
use crate::rules::help::Hours;
use crate::rules::ruleset::Server;

/// Text that is not empty and holds no control characters.
impl Written for Box<str> {
    const WHAT: &'static str = "text";
    const EXAMPLE: &'static str = "some words";
    const CODE: &'static Code = &codes::EMPTY;

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.trim().is_empty() {
            return Err(Wrong::help("this text is empty", "write something, or leave the key out"));
        }
        if text.chars().any(char::is_control) {
            return Err(Wrong::help("this text holds control characters", "write it on one line, without tabs"));
        }
        Ok(text.into())
    }
}

/// A name that the operator chooses.
#[derive(Debug, Clone)]
pub(crate) struct Name;

impl Written for Name {
    const WHAT: &'static str = "a name";
    const EXAMPLE: &'static str = "password_reset";
    const CODE: &'static Code = &codes::BAD_NAME;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(fits) {
            let help = "use 1 to 64 lower-case letters, digits, `_` and `-`: names become metric labels";
            return Err(Wrong::help(format!("`{}` cannot be a name", text.escape_debug()), help));
        }
        Ok(Self)
    }
}

impl Written for Duration {
    const WHAT: &'static str = "a duration";
    const EXAMPLE: &'static str = "90s";
    const CODE: &'static Code = &codes::BAD_DURATION;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => {
                let help =
                    "write a whole number and one of ms, s, m, h, d: \"250ms\", \"90s\", \"15m\", \"24h\", \"30d\"";
                return Err(Wrong::help(format!("`{}` is not a duration", short(text)), help));
            }
        };
        const TEN_YEARS: u64 = 3_660 * 86_400_000;
        let all = number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds));
        match all.filter(|all| *all <= TEN_YEARS) {
            Some(all) => Ok(Self::from_millis(all)),
            None => Err(Wrong::help(format!("`{}` is out of range", short(text)), "a duration is at most 3660d")),
        }
    }
}

/// A rate, as how many in an hour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PerHour(pub(crate) u32);

impl Written for PerHour {
    const WHAT: &'static str = "a rate";
    const EXAMPLE: &'static str = "400/h";
    const CODE: &'static Code = &codes::BAD_RATE;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let help = "write a whole number, a slash and one of s, min, h: \"20/min\", \"400/h\"";
        let wrong = || Wrong::help(format!("`{}` is not a rate", short(text)), help);
        let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
        let hourly = match unit {
            "s" => 3_600,
            "min" => 60,
            "h" => 1,
            _ => return Err(wrong()),
        };
        let number = if number.bytes().all(|byte| byte.is_ascii_digit()) { number.parse::<u32>().ok() } else { None };
        match number.filter(|number| *number > 0).and_then(|number| number.checked_mul(hourly)) {
            Some(rate) => Ok(Self(rate)),
            None => Err(wrong()),
        }
    }
}

impl Written for IpNet {
    const WHAT: &'static str = "a network";
    const EXAMPLE: &'static str = "10.0.0.0/8";
    const CODE: &'static Code = &codes::BAD_NETWORK;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let net = text.parse::<Self>().ok().or_else(|| text.parse::<IpAddr>().ok().map(Self::from));
        let net = net.ok_or_else(|| Wrong::from(format!("`{}` is neither an address nor a network", short(text))))?;
        if net.trunc() != net {
            let help = format!("write \"{}\" for the network, or \"{}\" for the one address", net.trunc(), net.addr());
            return Err(Wrong::help(format!("`{net}` has bits set beyond its prefix"), help));
        }
        Ok(net)
    }
}

/// A host, lower case: a name, an address, or `*.` and a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Host(pub(crate) Box<str>);

impl Written for Host {
    const WHAT: &'static str = "a host";
    const EXAMPLE: &'static str = "shop.example";
    const CODE: &'static Code = &codes::BAD_HOST;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let lower = text.to_ascii_lowercase();
        let bare = lower.strip_prefix("*.").unwrap_or(&lower);
        let inner = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(inner) = inner {
            return match inner.parse::<std::net::Ipv6Addr>() {
                Ok(address) => Ok(Self(format!("[{address}]").into())),
                Err(_) => Err(format!("`{}` is not an IPv6 address", short(text)).into()),
            };
        }
        if lower.parse::<std::net::Ipv6Addr>().is_ok() {
            return Err(Wrong::help(format!("`{lower}` lacks its brackets"), format!("write \"[{lower}]\"")));
        }
        if bare.contains(':') {
            return Err(Wrong::help(
                format!("`{}` holds a port or a scheme", short(text)),
                "write the name alone: one site answers on every port",
            ));
        }
        if !is_name(bare) {
            return Err(format!("`{}` is not a host", short(text)).into());
        }
        Ok(Self(lower.into()))
    }
}

/// Whether a text can be a host's name (RFC 1123, and `_` for private names).
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// What stands between `://` and the path of a URL: host without brackets, and port.
fn authority(text: &str) -> Option<(Box<str>, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inner, after) = rest.split_once(']')?;
            inner.parse::<std::net::Ipv6Addr>().ok()?;
            (inner, after)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            (Some(&text[..end]).filter(|name| is_name(name))?, &text[end..])
        }
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port > 0)?)
        }
        None if port.is_empty() => None,
        _ => return None,
    };
    Some((host.to_ascii_lowercase().into(), port))
}

impl Written for Server {
    const WHAT: &'static str = "a server";
    const EXAMPLE: &'static str = "http://10.0.0.11:3000";
    const CODE: &'static Code = &codes::BAD_URL;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (tls, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(format!("`{}` begins with neither http:// nor https://", short(text)).into()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            let help = "write scheme, host and port alone: the path of each request is sent on as it is";
            return Err(Wrong::help(format!("`{}` has a path", short(text)), help));
        }
        if rest.contains('@') {
            return Err(Wrong::help(
                "a server's address must hold no user or password",
                "secrets never stand in a rule file",
            ));
        }
        let (host, port) =
            authority(rest).ok_or_else(|| Wrong::from(format!("`{}` has no host that can be read", short(text))))?;
        Ok(Self { tls, host: host.into(), port: port.unwrap_or(if tls { 443 } else { 80 }) })
    }
}

/// An `http` or `https` address with any path, for people or for background work.
#[derive(Debug, Clone)]
pub(crate) struct Address(pub(crate) Box<str>);

impl Written for Address {
    const WHAT: &'static str = "an address";
    const EXAMPLE: &'static str = "https://help.example/chat";
    const CODE: &'static Code = &codes::BAD_URL;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or(""));
        match host.and_then(authority) {
            Some(_) if text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) => {
                Ok(Self(text.into()))
            }
            _ => Err(format!("`{}` is not an http or https address", short(text)).into()),
        }
    }
}

/// Where keys are: an address, or `file:` and a path.
#[derive(Debug, Clone)]
pub(crate) enum KeysAt {
    /// An address.
    Url(Box<str>),
    /// A path, relative to the rules.
    File(Box<str>),
}

impl Written for KeysAt {
    const WHAT: &'static str = "where keys are";
    const EXAMPLE: &'static str = "https://id.example/jwks.json";
    const CODE: &'static Code = &codes::BAD_URL;

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text.strip_prefix("file:") {
            Some("") => Err("`file:` names no file".to_owned().into()),
            Some(path) if path.chars().any(char::is_control) => {
                Err("the path holds control characters".to_owned().into())
            }
            Some(path) => Ok(Self::File(path.into())),
            None => Address::parse(text).map(|Address(url)| Self::Url(url)).map_err(|wrong| {
                Wrong::help(wrong.says, "write \"https://...\", or \"file:jwks.json\" for a file beside the rules")
            }),
        }
    }
}

/// An origin (RFC 6454): scheme, host and port, exact.
#[derive(Debug, Clone)]
pub(crate) struct Origin(pub(crate) Box<str>);

impl Written for Origin {
    const WHAT: &'static str = "an origin";
    const EXAMPLE: &'static str = "https://app.example";
    const CODE: &'static Code = &codes::BAD_URL;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let known = matches!(scheme, "https" | "http" | "capacitor" | "ionic" | "app");
        match authority(rest) {
            Some(_) if known && text.to_ascii_lowercase() == text => Ok(Self(text.into())),
            _ => Err(Wrong::help(
                format!("`{}` is not an origin", short(text)),
                "write each as scheme, host and port, in lower case and without a path: \"https://app.example\"; \"*\" would let every site read",
            )),
        }
    }
}

/// A page of the application: an absolute path of the same origin.
#[derive(Debug, Clone)]
pub(crate) struct Page(pub(crate) Box<str>);

impl Written for Page {
    const WHAT: &'static str = "a path";
    const EXAMPLE: &'static str = "/verify";
    const CODE: &'static Code = &codes::BAD_PATH;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let graphic = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte));
        if !text.starts_with('/') || text.starts_with("//") || !graphic {
            return Err(format!("`{}` is not a path of this site", short(text)).into());
        }
        Ok(Self(text.into()))
    }
}

/// The beginning of a path, or a whole one, canonical, for sites and conditions.
#[derive(Debug, Clone)]
pub(crate) struct PlainPath(pub(crate) Box<str>);

impl Written for PlainPath {
    const WHAT: &'static str = "a path";
    const EXAMPLE: &'static str = "/api/";
    const CODE: &'static Code = &codes::BAD_PATH;

    fn parse(text: &str) -> Result<Self, Wrong> {
        if !text.starts_with('/') {
            return Err(Wrong::help(
                format!("`{}` does not begin with a slash", short(text)),
                format!("write \"/{}\"", short(text)),
            ));
        }
        if text.contains(['?', '#', '\\', ';', '%'])
            || text.contains("//")
            || !text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            let help = "write it decoded, without //, ;, ?, # and %: requests are brought into that form before they are compared";
            return Err(Wrong::help(format!("`{}` is not a canonical path", short(text)), help));
        }
        if text.split('/').any(|segment| segment == "." || segment == "..") {
            return Err(Wrong::help(format!("`{}` has dot segments", short(text)), "write the path that they lead to"));
        }
        Ok(Self(text.into()))
    }
}

/// The end of a path.
#[derive(Debug, Clone)]
pub(crate) struct PathEnd(pub(crate) Box<str>);

impl Written for PathEnd {
    const WHAT: &'static str = "the end of a path";
    const EXAMPLE: &'static str = ".env";
    const CODE: &'static Code = &codes::BAD_PATH;

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.is_empty()
            || text.contains(['?', '#', '\\', ';', '%'])
            || !text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            let help = "write it decoded, without ;, ?, # and %";
            return Err(Wrong::help(format!("`{}` cannot be the end of a canonical path", short(text)), help));
        }
        Ok(Self(text.into()))
    }
}

/// A regular expression that compiles within its bound.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(pub(crate) Box<str>);

/// Bytes that one compiled expression may take.
const PATTERN_BYTES: usize = 256 << 10;
/// Bytes that one expression may be written with: reading it takes time before its size is known.
const PATTERN_TEXT: usize = 8 << 10;

impl Written for Pattern {
    const WHAT: &'static str = "a regular expression";
    const EXAMPLE: &'static str = "(?i)sqlmap";
    const CODE: &'static Code = &codes::BAD_REGEX;

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.len() > PATTERN_TEXT {
            let said = format!("this regular expression is longer than {PATTERN_TEXT} bytes");
            return Err(Wrong::help(said, "write several conditions in `any`"));
        }
        match regex::bytes::RegexBuilder::new(text).size_limit(PATTERN_BYTES).nest_limit(50).build() {
            Ok(_) => Ok(Self(text.into())),
            Err(regex::Error::CompiledTooBig(_)) => Err(Wrong::help(
                "this regular expression is too large",
                "use smaller repetitions, or several conditions in `any`",
            )),
            Err(error) => {
                let said = error.to_string();
                let reason = said.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
                let help =
                    "in TOML write it in single quotes, so that backslashes stay: '\\.php$'; look-around is not known";
                Err(Wrong::help(format!("this regular expression does not compile: {reason}"), help))
            }
        }
    }
}

impl Written for Hours {
    const WHAT: &'static str = "opening hours";
    const EXAMPLE: &'static str = "Mo-Su 08:00-20:00 Europe/London";
    const CODE: &'static Code = &codes::BAD_HOURS;

    fn parse(text: &str) -> Result<Self, Wrong> {
        Self::parse(text).map_err(|says| Wrong { says, help: None })
    }
}

/// A method, upper case.
#[derive(Debug, Clone)]
pub(crate) struct Method(pub(crate) Box<str>);

impl Written for Method {
    const WHAT: &'static str = "a method";
    const EXAMPLE: &'static str = "POST";
    const CODE: &'static Code = &codes::BAD_ROUTE;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let fits = |byte: u8| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_';
        if text.is_empty() || text.len() > 32 || !text.bytes().all(fits) {
            let help = format!(
                "write \"{}\"",
                if text.is_empty() { "GET".to_owned() } else { short(text).to_ascii_uppercase() }
            );
            return Err(Wrong::help(format!("`{}` is not a method in upper case", short(text)), help));
        }
        Ok(Self(text.into()))
    }
}

/// The name of a header, lower case.
#[derive(Debug, Clone)]
pub(crate) struct HeaderKey(pub(crate) http::HeaderName);

impl Written for HeaderKey {
    const WHAT: &'static str = "a header name";
    const EXAMPLE: &'static str = "user-agent";
    const CODE: &'static Code = &codes::BAD_HEADER;

    fn parse(text: &str) -> Result<Self, Wrong> {
        http::HeaderName::from_bytes(text.as_bytes())
            .map(Self)
            .map_err(|_| format!("`{}` is not a header name", short(text)).into())
    }
}

/// The name of a cookie (RFC 6265, a token).
#[derive(Debug, Clone)]
pub(crate) struct CookieName(pub(crate) Box<str>);

impl Written for CookieName {
    const WHAT: &'static str = "a cookie name";
    const EXAMPLE: &'static str = "sid";
    const CODE: &'static Code = &codes::BAD_NAME;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if text.is_empty() || text.len() > 256 || !text.bytes().all(token) {
            return Err(format!("`{}` is not a cookie name", short(text)).into());
        }
        Ok(Self(text.into()))
    }
}

impl Written for SocketAddr {
    const WHAT: &'static str = "an address and port";
    const EXAMPLE: &'static str = "127.0.0.1:8443";
    const CODE: &'static Code = &codes::BAD_LISTENER;

    fn parse(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(|_| {
            Wrong::help(
                format!("`{}` is not an address and port", short(text)),
                "write an address, not a name: \"0.0.0.0:443\", \"[::]:443\", \"127.0.0.1:8443\"",
            )
        })
    }
}

/// At most sixty characters of a text, printable, for a message.
pub(crate) fn short(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok<T: Written>(text: &str) -> bool {
        T::parse(text).is_ok()
    }

    #[test]
    fn durations_have_one_unit_and_a_bound() {
        assert_eq!(Duration::parse("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(Duration::parse("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(Duration::parse("30d").unwrap(), Duration::from_secs(2_592_000));
        for bad in ["", "s", "10", "10 s", "-1s", "1.5h", "99999999999999999999s", "4000d", "1m30s", "१s"] {
            assert!(!ok::<Duration>(bad), "{bad}");
        }
    }

    #[test]
    fn rates_are_counted_by_the_hour() {
        assert_eq!(PerHour::parse("20/min").unwrap().0, 1_200);
        for bad in ["20", "0/h", "20/week", "/h", "-1/h", "+1/h", "5000000000/s"] {
            assert!(!ok::<PerHour>(bad), "{bad}");
        }
    }

    #[test]
    fn servers_are_scheme_host_and_port() {
        let server = |text| Server::parse(text).unwrap().to_string();
        assert_eq!(server("http://10.0.0.1:3000"), "http://10.0.0.1:3000");
        assert_eq!(server("https://Up.Example/"), "https://up.example:443");
        assert_eq!(server("http://[::1]:80"), "http://[::1]:80");
        for bad in [
            "ftp://x",
            "http://",
            "http://x/y",
            "http://u:p@x",
            "http://x:0",
            "http://x:70000",
            "http://x:",
            "x:80",
            "http://[::1",
        ] {
            assert!(!ok::<Server>(bad), "{bad}");
        }
    }

    #[test]
    fn hosts_are_names_without_ports() {
        for good in ["shop.example", "*.shop.example", "127.0.0.1", "[::1]", "localhost", "SHOP.example"] {
            assert!(ok::<Host>(good), "{good}");
        }
        for bad in
            ["", "*", "*.", "shop.example:443", "https://shop.example", "::1", "a..b", "-a", "a b", "shop.example."]
        {
            assert!(!ok::<Host>(bad), "{bad}");
        }
    }

    #[test]
    fn a_network_says_what_it_means() {
        assert!(ok::<IpNet>("10.0.0.0/8") && ok::<IpNet>("10.1.2.3") && ok::<IpNet>("2001:db8::/32"));
        assert!(!ok::<IpNet>("10.0.0.1/8") && !ok::<IpNet>("10.0.0.0/33") && !ok::<IpNet>("ten"));
    }
}
