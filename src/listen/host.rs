//! Which host a request is for, when it says so in several places; and what no request may say about its framing.
//!
//! hyper does not compare the absolute form, `:authority` and `Host`, nor does it refuse a missing or second `Host` (RFC 9112
//! section 3.2, RFC 9113 section 8.3.1). Two readings of one request are how policy is walked around, so where they differ
//! the request is refused. Pure: no socket, no rule.

use std::cell::RefCell;
use std::rc::Rc;

use http::header::{HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Method, StatusCode, Version, request};

use super::peer::Scheme;

/// The host and port that a request is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// Lower case, without port and trailing dot; an IPv6 address keeps its brackets.
    pub host: Box<str>,
    /// The port, unless it is the scheme's own.
    pub port: Option<u16>,
    /// Both, as the `Host` field of a request that is sent on.
    pub field: HeaderValue,
}

impl std::fmt::Display for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// What is wrong with a request's head before any rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostFault {
    /// No host at all (RFC 9112 section 3.2).
    #[error("the request names no host")]
    Missing,
    /// Several `Host` fields.
    #[error("the request has several Host fields")]
    Several,
    /// Not a host and a port.
    #[error("the host is not a name or address with an optional port")]
    Malformed,
    /// `user:password@host`.
    #[error("the host carries user information")]
    UserInfo,
    /// The target and `Host` name different hosts.
    #[error("the request target and the Host field name different hosts")]
    Disagree,
    /// CONNECT: this is no tunnel.
    #[error("CONNECT is not served here")]
    Tunnel,
    /// A transfer coding other than a single `chunked` (RFC 9112 section 6.1).
    #[error("only the transfer coding \"chunked\" is understood")]
    Coding,
    /// A target that is neither a path nor a whole address, other than `OPTIONS *`.
    #[error("the request target is neither a path nor an address")]
    Target,
}

impl HostFault {
    /// The status that answers it. The answer must carry `Connection: close`: where this request ends is in doubt.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::Several | Self::Malformed | Self::UserInfo | Self::Disagree | Self::Target => {
                StatusCode::BAD_REQUEST
            }
            Self::Tunnel => StatusCode::METHOD_NOT_ALLOWED,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
        }
    }
}

/// The host last read on a connection, so that the next request with the same field costs a comparison.
#[derive(Debug, Default)]
pub struct Memo(RefCell<Option<(HeaderValue, Rc<Authority>)>>);

impl Memo {
    /// As [`agree`], remembered.
    pub fn agree(&self, head: &request::Parts, scheme: Scheme) -> Result<Rc<Authority>, HostFault> {
        let field = head.headers.get(HOST);
        let plain = head.uri.authority().is_none()
            && head.uri.path().starts_with('/')
            && head.method != Method::CONNECT
            && !head.headers.contains_key(TRANSFER_ENCODING);
        if plain
            && let Some((known, authority)) = &*self.0.borrow()
            && field == Some(known)
            && head.headers.get_all(HOST).iter().nth(1).is_none()
        {
            return Ok(authority.clone());
        }
        let authority = Rc::new(agree(head, scheme)?);
        if let Some(field) = field.filter(|_| plain) {
            self.0.replace(Some((field.clone(), authority.clone())));
        }
        Ok(authority)
    }
}

/// The one host that all parts of the head agree on.
pub fn agree(head: &request::Parts, scheme: Scheme) -> Result<Authority, HostFault> {
    if head.method == Method::CONNECT {
        return Err(HostFault::Tunnel);
    }
    coding(head)?;
    let mut fields = head.headers.get_all(HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(HostFault::Several);
    }
    let field = field.map(|field| read(field.as_bytes(), scheme)).transpose()?;
    let target = match head.uri.authority() {
        Some(authority) => {
            let spoken = head.uri.scheme_str().map_or(Some(scheme), named);
            if head.uri.path_and_query().is_none() {
                return Err(HostFault::Target);
            }
            Some(read(authority.as_str().as_bytes(), spoken.ok_or(HostFault::Target)?)?)
        }
        None => {
            let path = head.uri.path();
            match path.starts_with('/') || (path == "*" && head.method == Method::OPTIONS) {
                true => None,
                false => return Err(HostFault::Target),
            }
        }
    };
    match (target, field) {
        (Some(target), Some(field)) if target.host != field.host || target.port != field.port => {
            Err(HostFault::Disagree)
        }
        // RFC 9112 section 3.2: a 1.1 request without Host is refused even if its target is absolute.
        (Some(_), None) if head.version < Version::HTTP_2 => Err(HostFault::Missing),
        (Some(target), _) => Ok(target),
        (None, Some(field)) => Ok(field),
        (None, None) => Err(HostFault::Missing),
    }
}

fn coding(head: &request::Parts) -> Result<(), HostFault> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(_), _) => Err(HostFault::Coding),
    }
}

fn named(scheme: &str) -> Option<Scheme> {
    if scheme.eq_ignore_ascii_case("http") {
        Some(Scheme::Http)
    } else if scheme.eq_ignore_ascii_case("https") {
        Some(Scheme::Https)
    } else {
        None
    }
}

fn read(bytes: &[u8], scheme: Scheme) -> Result<Authority, HostFault> {
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() {
        return Err(HostFault::Missing);
    }
    if bytes.contains(&b'@') {
        return Err(HostFault::UserInfo);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| HostFault::Malformed)?;
    // What follows the last colon is a port, unless the colon stands inside the brackets of an IPv6 address.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, ""),
    };
    let port = match port {
        "" => None,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse::<u16>().map_err(|_| HostFault::Malformed)?)
        }
        _ => return Err(HostFault::Malformed),
    };
    let host = if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').ok_or(HostFault::Malformed)?;
        let address: std::net::Ipv6Addr = address.parse().map_err(|_| HostFault::Malformed)?;
        format!("[{address}]")
    } else {
        let name = host.strip_suffix('.').unwrap_or(host);
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if name.is_empty()
            || name.len() > 253
            || !name.bytes().all(letter)
            || name.contains("..")
            || name.starts_with('.')
        {
            return Err(HostFault::Malformed);
        }
        name.to_ascii_lowercase()
    };
    let port = port.filter(|port| *port != scheme.default_port());
    let field = match port {
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")),
        None => HeaderValue::from_str(&host),
    };
    Ok(Authority { host: host.into(), port, field: field.map_err(|_| HostFault::Malformed)? })
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn ask(method: &str, target: &str, version: Version, fields: &[(&str, &str)]) -> Result<String, HostFault> {
        let mut request = Request::builder().method(method).uri(target).version(version);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        agree(&head, Scheme::Http).map(|authority| authority.to_string())
    }

    fn h1(target: &str, host: &str) -> Result<String, HostFault> {
        ask("GET", target, Version::HTTP_11, &[("host", host)])
    }

    #[test]
    fn a_host_is_read_in_one_way() {
        for (given, read) in [
            ("shop.example", "shop.example"),
            ("Shop.EXAMPLE", "shop.example"),
            ("shop.example.", "shop.example"),
            ("shop.example:80", "shop.example"),
            ("shop.example:", "shop.example"),
            ("shop.example.:8080", "shop.example:8080"),
            ("127.0.0.1:3000", "127.0.0.1:3000"),
            ("[::1]", "[::1]"),
            ("[0:0::1]:80", "[::1]"),
            ("[2001:DB8::1]:444", "[2001:db8::1]:444"),
        ] {
            assert_eq!(h1("/", given), Ok(read.to_owned()), "{given}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for given in [
            "a b",
            "a/b",
            "a,b",
            "shop.example:x",
            "shop.example:99999",
            "shop.example:+80",
            "[::1",
            "::1",
            "[zz]",
            "a..b",
            ".",
            "shop.example#",
            "shop.example?x",
            "shop.example\\evil",
            "a%2eb",
            ".shop.example",
            "a:b:80",
        ] {
            assert_eq!(h1("/", given), Err(HostFault::Malformed), "{given}");
        }
        assert_eq!(h1("/", "user@shop.example"), Err(HostFault::UserInfo));
        assert_eq!(h1("/", ""), Err(HostFault::Missing));
        assert_eq!(h1("/", "h\u{f6}st.example"), Err(HostFault::Malformed));
    }

    #[test]
    fn two_places_that_differ_are_refused() {
        assert_eq!(h1("http://shop.example/", "shop.example:80"), Ok("shop.example".to_owned()));
        assert_eq!(h1("http://shop.example/", "evil.example"), Err(HostFault::Disagree));
        assert_eq!(h1("http://shop.example:81/", "shop.example"), Err(HostFault::Disagree));
        assert_eq!(h1("http://u:p@shop.example/", "shop.example"), Err(HostFault::UserInfo));
        assert_eq!(h1("ftp://shop.example/", "shop.example"), Err(HostFault::Target));
        let h2 = |target, fields: &[_]| ask("GET", target, Version::HTTP_2, fields);
        assert_eq!(h2("http://shop.example/", &[]), Ok("shop.example".to_owned()));
        assert_eq!(h2("http://shop.example/", &[("host", "evil.example")]), Err(HostFault::Disagree));
        assert_eq!(h2("/", &[("host", "shop.example")]), Ok("shop.example".to_owned()));
    }

    #[test]
    fn one_host_field_and_no_more() {
        assert_eq!(ask("GET", "/", Version::HTTP_11, &[]), Err(HostFault::Missing));
        assert_eq!(ask("GET", "http://shop.example/", Version::HTTP_11, &[]), Err(HostFault::Missing));
        let twice = [("host", "shop.example"), ("host", "shop.example")];
        assert_eq!(ask("GET", "/", Version::HTTP_11, &twice), Err(HostFault::Several));
    }

    #[test]
    fn tunnels_and_unknown_codings_are_refused() {
        assert_eq!(ask("CONNECT", "shop.example:443", Version::HTTP_11, &[]), Err(HostFault::Tunnel));
        for coding in ["gzip, chunked", "identity", "chunked, chunked", "xchunked", "chunked;a=b"] {
            let fields = [("host", "shop.example"), ("transfer-encoding", coding)];
            assert_eq!(ask("POST", "/", Version::HTTP_11, &fields), Err(HostFault::Coding), "{coding}");
        }
        let twice = [("host", "a"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        assert_eq!(ask("POST", "/", Version::HTTP_11, &twice), Err(HostFault::Coding));
        assert!(ask("POST", "/", Version::HTTP_11, &[("host", "a"), ("transfer-encoding", "Chunked")]).is_ok());
        assert!(ask("OPTIONS", "*", Version::HTTP_11, &[("host", "a")]).is_ok());
        assert_eq!(ask("GET", "*", Version::HTTP_11, &[("host", "a")]), Err(HostFault::Target));
    }

    proptest! {
        #[test]
        fn reading_a_host_never_panics_and_is_stable(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(first) = read(&bytes, Scheme::Http) {
                let again = read(first.to_string().as_bytes(), Scheme::Http);
                prop_assert_eq!(again, Ok(first));
            }
        }
    }
}
