//! What crosses the gateway in a head and what does not: hop-by-hop fields, forged trust, and the facts that the transport proved.
//!
//! Both directions work in place on the map that came in, with one look at each name. The order matters: what `Connection` names goes
//! first and our own fields are added last, so that no client can have them removed (RFC 9110 section 7.6.1).

use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::{BufMut, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, FORWARDED, HOST, TE, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What the transport proved of one connection, ready to be written. Made once for the connection.
#[derive(Debug)]
pub struct Proof {
    address: HeaderValue,
    node: Box<str>,
    https: bool,
    h2: bool,
    /// The host last written and the `Forwarded` made of it: a connection rarely changes its host.
    last: RefCell<Option<(HeaderValue, HeaderValue)>>,
}

impl Proof {
    /// The connection's other end, whether it came over TLS, and whether it speaks HTTP/2.
    pub fn new(address: IpAddr, https: bool, h2: bool) -> Self {
        let address = address.to_canonical();
        let node = match address {
            IpAddr::V4(address) => format!("for={address}"),
            // RFC 7239 section 6: brackets, and therefore quotes.
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        };
        let address = HeaderValue::from_str(&address.to_string()).unwrap_or(HeaderValue::from_static("unknown"));
        Self { address, node: node.into(), https, h2, last: RefCell::new(None) }
    }

    const fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    fn forwarded(&self, host: &HeaderValue) -> HeaderValue {
        if let Some((known, made)) = &*self.last.borrow()
            && known == host
        {
            return made.clone();
        }
        let mut made = BytesMut::with_capacity(64);
        let _ = write!(made, "{};host=\"", self.node);
        made.put_slice(host.as_bytes());
        let _ = write!(made, "\";proto={}", self.scheme());
        let made = HeaderValue::from_maybe_shared(made.freeze()).unwrap_or(HeaderValue::from_static("for=unknown"));
        self.last.replace(Some((host.clone(), made.clone())));
        made
    }

    fn via(&self) -> HeaderValue {
        HeaderValue::from_static(if self.h2 { "2.0 weir" } else { "1.1 weir" })
    }
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Passed on.
    Keep,
    /// Passed on, and no `Connection` may name it away.
    Guarded,
    /// For one hop only.
    Hop,
    /// Says something that only we may say, or looks like a field that does.
    Forged,
    /// Believed from a trusted proxy, ours to write otherwise.
    Trail,
    /// Several become one.
    Crumbs,
}

fn fate(name: &str) -> Fate {
    match name {
        "connection"
        | "keep-alive"
        | "proxy-connection"
        | "te"
        | "transfer-encoding"
        | "upgrade"
        | "expect"
        | "proxy-authenticate"
        | "proxy-authorization"
        | "http2-settings" => Fate::Hop,
        "cookie" => Fate::Crumbs,
        "forwarded" | "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" => Fate::Trail,
        // Addresses and paths that some servers believe from anyone; `proxy` becomes HTTP_PROXY in a CGI (httpoxy).
        "x-real-ip"
        | "x-client-ip"
        | "client-ip"
        | "true-client-ip"
        | "x-cluster-client-ip"
        | "x-original-url"
        | "x-rewrite-url"
        | "x-original-host"
        | "x-host"
        | "proxy" => Fate::Forged,
        "host"
        | "authorization"
        | "content-length"
        | "content-type"
        | "content-encoding"
        | "content-range"
        | "set-cookie"
        | "cache-control"
        | "date"
        | "via"
        | "origin"
        | "referer"
        | "range"
        | "location"
        | "www-authenticate"
        | "vary"
        | "etag"
        | "age"
        | "expires"
        | "last-modified"
        | "trailer"
        | "user-agent"
        | "accept"
        | "accept-encoding"
        | "accept-language"
        | "idempotency-key"
        | "traceparent"
        | "tracestate"
        | "strict-transport-security"
        | "content-security-policy" => Fate::Guarded,
        _ if name.starts_with("weir-") || name.starts_with("x-forwarded-") => Fate::Forged,
        _ if name.starts_with("sec-") || name.starts_with("if-") || name.starts_with("access-control-") => {
            Fate::Guarded
        }
        _ if memchr::memchr(b'_', name.as_bytes()).is_some() => twin(name),
        _ => Fate::Keep,
    }
}

/// A name with underscores reads like one with hyphens to CGI, WSGI and their kin.
#[cold]
fn twin(name: &str) -> Fate {
    match fate(&name.replace('_', "-")) {
        Fate::Keep => Fate::Keep,
        Fate::Guarded | Fate::Hop | Fate::Forged | Fate::Trail | Fate::Crumbs => Fate::Forged,
    }
}

type Names = SmallVec<[HeaderName; 8]>;

/// Makes a client's head fit to be forwarded: strips what is for one hop and what is forged, joins cookie crumbs, and writes what the
/// transport proved. `host` is what the upstream sees as `Host`. Behind a trusted proxy its trail is kept and added to.
pub fn request_headers(headers: &mut HeaderMap, proof: &Proof, host: &HeaderValue, trusted_proxy: bool) {
    let mut gone = Names::new();
    let (mut trailers, mut crumbs, mut named) = (false, false, false);
    for name in headers.keys() {
        match fate(name.as_str()) {
            Fate::Keep | Fate::Guarded => {}
            Fate::Hop => {
                named |= *name == CONNECTION;
                trailers |= *name == TE;
                gone.push(name.clone());
            }
            Fate::Forged => gone.push(name.clone()),
            Fate::Trail => {
                if !trusted_proxy {
                    gone.push(name.clone());
                }
            }
            Fate::Crumbs => crumbs = true,
        }
    }
    if named {
        options(headers, &mut gone);
    }
    trailers = trailers && takes_trailers(headers);
    for name in &gone {
        headers.remove(name);
    }
    if crumbs {
        join_crumbs(headers);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if headers.get(HOST) != Some(host) || headers.get_all(HOST).iter().nth(1).is_some() {
        headers.insert(HOST, host.clone());
    }
    trail(headers, proof, host, trusted_proxy);
    headers.append(VIA, proof.via());
}

fn trail(headers: &mut HeaderMap, proof: &Proof, host: &HeaderValue, trusted_proxy: bool) {
    let forwarded = proof.forwarded(host);
    if !trusted_proxy {
        headers.insert(FORWARDED, forwarded);
        headers.insert(X_FORWARDED_FOR, proof.address.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proof.scheme()));
        headers.insert(X_FORWARDED_HOST, host.clone());
        return;
    }
    add_to(headers, FORWARDED, &forwarded);
    add_to(headers, X_FORWARDED_FOR, &proof.address);
    keep_if(headers, X_FORWARDED_PROTO, is_scheme, || HeaderValue::from_static(proof.scheme()));
    keep_if(headers, X_FORWARDED_HOST, is_host, || host.clone());
}

/// Keeps what a proxy said, as one line, if every item of it is well formed; otherwise ours takes its place.
fn keep_if(headers: &mut HeaderMap, name: HeaderName, good: fn(&[u8]) -> bool, ours: impl FnOnce() -> HeaderValue) {
    let mut items = headers.get_all(&name).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let good = headers.contains_key(&name) && items.all(|item| good(item.trim_ascii()));
    if !good {
        headers.insert(name, ours());
    } else if headers.get_all(&name).iter().nth(1).is_some()
        && let Some(joined) = join(headers.get_all(&name).iter(), b", ")
    {
        headers.insert(name, joined);
    }
}

fn is_scheme(item: &[u8]) -> bool {
    item.eq_ignore_ascii_case(b"http") || item.eq_ignore_ascii_case(b"https")
}

/// A name or address with an optional port, and nothing that another reader could take for more.
fn is_host(item: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
    item.iter().all(plain) && http::uri::Authority::try_from(item).is_ok()
}

/// Adds to a list field, as one line: many readers look at the first line only.
fn add_to(headers: &mut HeaderMap, name: HeaderName, value: &HeaderValue) {
    let joined = join(headers.get_all(&name).iter().chain([value]), b", ");
    headers.insert(name, joined.unwrap_or_else(|| value.clone()));
}

fn join<'a>(values: impl Iterator<Item = &'a HeaderValue>, with: &[u8]) -> Option<HeaderValue> {
    let mut joined = BytesMut::new();
    for value in values {
        if !joined.is_empty() {
            joined.put_slice(with);
        }
        joined.put_slice(value.as_bytes());
    }
    HeaderValue::from_maybe_shared(joined.freeze()).ok()
}

/// RFC 9113 section 8.2.3: HTTP/2 may split a cookie field; everybody else expects one.
fn join_crumbs(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_some()
        && let Some(joined) = join(headers.get_all(COOKIE).iter(), b"; ")
    {
        headers.insert(COOKIE, joined);
    }
}

/// Fields that `Connection` names are for one hop too, except those that a sender must never name (RFC 9110 section 7.6.1) and that
/// removing would change what the request means.
fn options(headers: &HeaderMap, gone: &mut Names) {
    for line in headers.get_all(CONNECTION) {
        if line.as_bytes() == b"keep-alive" || line.as_bytes() == b"close" {
            continue;
        }
        for option in line.as_bytes().split(|byte| *byte == b',') {
            let Ok(name) = HeaderName::from_bytes(option.trim_ascii()) else { continue };
            match fate(name.as_str()) {
                Fate::Keep => gone.push(name),
                Fate::Guarded | Fate::Crumbs | Fate::Trail | Fate::Hop | Fate::Forged => {}
            }
        }
    }
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(TE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let name = |coding: &[u8]| coding.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_owned();
    codings.map(name).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// What an upstream said to us alone.
pub type Told = SmallVec<[(HeaderName, HeaderValue); 2]>;

/// Makes an upstream's head fit for the client: strips what is for one hop, and every `Weir-*` field, which is given back to be learned
/// from. Those with underscores are stripped and not believed.
pub fn response_headers(headers: &mut HeaderMap) -> Told {
    let mut told = Told::new();
    let mut gone = Names::new();
    let mut named = false;
    for name in headers.keys() {
        let text = name.as_str();
        match fate(text) {
            Fate::Hop => {
                named |= *name == CONNECTION;
                // Without it a 407 or an offer to upgrade to HTTP/2 would reach a client that it is not for.
                gone.push(name.clone());
            }
            Fate::Forged if text.starts_with("weir-") => {
                told.extend(headers.get_all(name).iter().map(|value| (name.clone(), value.clone())));
                gone.push(name.clone());
            }
            Fate::Forged if text.starts_with("weir") => gone.push(name.clone()),
            Fate::Keep | Fate::Guarded | Fate::Forged | Fate::Trail | Fate::Crumbs => {}
        }
    }
    if named {
        options(headers, &mut gone);
    }
    for name in &gone {
        headers.remove(name);
    }
    headers.append(VIA, HeaderValue::from_static("1.1 weir"));
    told
}

/// Trailers may add nothing that a head would have been checked for (RFC 9110 section 6.5.1).
pub(super) fn trailers(trailers: &mut HeaderMap) {
    let keep = |name: &HeaderName| fate(name.as_str()) == Fate::Keep && *name != CONTENT_LENGTH;
    let gone: Names = trailers.keys().filter(|name| !keep(name)).cloned().collect();
    for name in &gone {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).expect("a name"), HeaderValue::from_str(value).expect("a value"))
        };
        let mut map = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            map.append(name, value);
        }
        map
    }

    fn text(map: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<_> =
            map.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
        lines.sort();
        lines
    }

    fn sent(fields: &[(&str, &str)], trusted_proxy: bool) -> Vec<String> {
        let mut headers = map(fields);
        let proof = Proof::new(IpAddr::from([192, 0, 2, 7]), true, false);
        request_headers(&mut headers, &proof, &HeaderValue::from_static("shop.example"), trusted_proxy);
        text(&headers)
    }

    const OURS: [&str; 6] = [
        "forwarded: for=192.0.2.7;host=\"shop.example\";proto=https",
        "host: shop.example",
        "via: 1.1 weir",
        "x-forwarded-for: 192.0.2.7",
        "x-forwarded-host: shop.example",
        "x-forwarded-proto: https",
    ];

    #[test]
    fn a_client_cannot_say_what_only_we_may_say() {
        let forged = [
            ("Forwarded", "for=10.0.0.1"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Prefix", "/admin"),
            ("X-Real-IP", "10.0.0.1"),
            ("Weir-Confidence", "100"),
            ("wEiR-subject", "root"),
            ("Weir_Subject", "root"),
            ("X_Forwarded_For", "10.0.0.1"),
            ("X-Forwarded_For", "10.0.0.1"),
            ("Content_Length", "3"),
            ("Transfer_Encoding", "chunked"),
            ("X-Original-URL", "/admin"),
            ("Proxy", "http://evil.example"),
            ("Host", "shop.example:443"),
        ];
        assert_eq!(sent(&forged, false), OURS);
    }

    #[test]
    fn what_connection_names_goes_but_never_what_the_request_means() {
        let fields = [
            ("Connection", "close, X-Hop, Host, Cookie"),
            ("Connection", "X-Forwarded-For,Authorization, Content-Length , ,\u{7f}"),
            ("X-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Upgrade", "websocket"),
            ("Expect", "100-continue"),
            ("TE", "gzip"),
            ("Cookie", "a=1"),
            ("Authorization", "Bearer x"),
            ("Content-Length", "3"),
        ];
        let fields: Vec<_> = fields.into_iter().filter(|(_, value)| !value.contains('\u{7f}')).collect();
        let sent = sent(&fields, false);
        for kept in ["authorization: Bearer x", "content-length: 3", "cookie: a=1"] {
            assert!(sent.iter().any(|line| line == kept), "{kept} in {sent:?}");
        }
        assert_eq!(sent.len(), OURS.len() + 3, "{sent:?}");
    }

    #[test]
    fn a_trusted_proxys_trail_is_kept_and_added_to() {
        let sent = sent(
            &[
                ("X-Forwarded-For", "198.51.100.1"),
                ("X-Forwarded-For", "10.0.0.9"),
                ("X-Forwarded-Proto", "https"),
                ("X-Real-IP", "198.51.100.1"),
            ],
            true,
        );
        assert!(sent.contains(&"x-forwarded-for: 198.51.100.1, 10.0.0.9, 192.0.2.7".to_owned()), "{sent:?}");
        assert!(!sent.iter().any(|line| line.starts_with("x-real-ip")));
    }

    #[test]
    fn what_a_trusted_proxy_says_is_kept_only_if_it_is_well_formed() {
        for (proto, host, kept_proto, kept_host) in [
            ("http", "www.shop.example:8443", "http", "www.shop.example:8443"),
            ("HTTPS", "[2001:db8::1]", "HTTPS", "[2001:db8::1]"),
            ("https, http", "a.example, b.example", "https, http", "a.example, b.example"),
            ("javascript", "a.example/evil", "https", "shop.example"),
            ("https;x", "a@b.example", "https", "shop.example"),
            ("", "", "https", "shop.example"),
            ("http,", "a.example\t<script>", "https", "shop.example"),
        ] {
            let sent = sent(&[("X-Forwarded-Proto", proto), ("X-Forwarded-Host", host)], true);
            for kept in [format!("x-forwarded-proto: {kept_proto}"), format!("x-forwarded-host: {kept_host}")] {
                assert!(sent.contains(&kept), "{kept} in {sent:?}");
            }
        }
        let several = sent(&[("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")], true);
        assert!(several.contains(&"x-forwarded-proto: https, http".to_owned()), "{several:?}");
    }

    #[test]
    fn cookie_crumbs_become_one_cookie() {
        let sent = sent(&[("cookie", "a=1"), ("cookie", "b=2")], false);
        assert!(sent.contains(&"cookie: a=1; b=2".to_owned()), "{sent:?}");
    }

    #[test]
    fn trailers_are_asked_for_only_if_the_client_takes_them() {
        let takes = sent(&[("te", "gzip;q=0.5, Trailers")], false);
        assert!(
            takes.contains(&"te: trailers".to_owned()) && takes.contains(&"connection: te".to_owned()),
            "{takes:?}"
        );
        assert_eq!(sent(&[("te", "gzip")], false), OURS);
    }

    #[test]
    fn an_ipv6_address_is_written_as_the_rfc_wants_it() {
        let proof = Proof::new("2001:db8::1".parse().expect("address"), false, true);
        let mut headers = HeaderMap::new();
        request_headers(&mut headers, &proof, &HeaderValue::from_static("shop.example"), false);
        assert_eq!(headers["forwarded"], "for=\"[2001:db8::1]\";host=\"shop.example\";proto=http");
        assert_eq!(headers["via"], "2.0 weir");
    }

    #[test]
    fn what_an_upstream_tells_us_is_learned_and_not_passed_on() {
        let mut headers = map(&[
            ("Weir-Outcome", "success"),
            ("weir_subject", "a"),
            ("Connection", "x-hop, set-cookie"),
            ("X-Hop", "1"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("Upgrade", "h2c"),
            ("Content-Type", "text/html"),
        ]);
        let told = response_headers(&mut headers);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].0.as_str(), told[0].1.as_bytes()), ("weir-outcome", &b"success"[..]));
        assert_eq!(text(&headers), ["content-type: text/html", "set-cookie: a=1", "set-cookie: b=2", "via: 1.1 weir"]);
    }

    #[test]
    fn trailers_carry_no_trust_and_no_framing() {
        let mut found = map(&[
            ("grpc-status", "0"),
            ("content-length", "1"),
            ("weir-subject", "a"),
            ("x-forwarded-for", "a"),
            ("set-cookie", "a=1"),
            ("transfer-encoding", "chunked"),
            ("authorization", "x"),
            ("host", "x"),
            ("cookie", "x"),
        ]);
        trailers(&mut found);
        assert_eq!(text(&found), ["grpc-status: 0"]);
    }

    proptest! {
        #[test]
        fn no_head_makes_a_trusted_field_survive(names in proptest::collection::vec("[a-zA-Z_-]{1,20}", 0..12), value in "[ -~]{0,20}") {
            let mut headers = HeaderMap::new();
            for name in &names {
                for name in [name.clone(), format!("weir-{name}"), format!("X_FORWARDED_{name}")] {
                    headers.append(HeaderName::from_bytes(name.as_bytes()).expect("a name"), HeaderValue::from_str(&value).expect("a value"));
                }
            }
            headers.insert(CONNECTION, HeaderValue::from_str(&names.join(",")).expect("a value"));
            let proof = Proof::new(IpAddr::from([192, 0, 2, 7]), true, false);
            request_headers(&mut headers, &proof, &HeaderValue::from_static("shop.example"), false);
            for name in headers.keys() {
                let name = name.as_str().replace('_', "-");
                prop_assert!(!name.starts_with("weir-"), "{}", name);
            }
            prop_assert_eq!(&headers["x-forwarded-for"], "192.0.2.7");
            prop_assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
        }
    }
}
