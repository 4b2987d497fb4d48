//! What on a page leads to a journey that is constrained now: a link or a form, by where it goes and how.
//!
//! It reads references as a browser does (the URL standard, for `http` and `https`) and looks them up as the gate does. Whatever it
//! cannot read, or leads to another site, it leaves alone: what is held is held by the gate, a mark only says so beforehand.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::works::Constraint;
use crate::gate::context::Context;
use crate::rules::routes::Found;
use crate::rules::ruleset::RuleSet;
use crate::rules::target;

/// A longer reference is left alone.
const LONGEST: usize = 8 * 1024;

/// The constraints that hold now, seen from one page.
#[derive(Debug)]
pub struct Marks {
    rules: Arc<RuleSet>,
    /// The host that the page is for, and the same with its port.
    host: Box<str>,
    authority: Box<str>,
    /// What references are relative to; none when that is another site.
    base: Option<String>,
    /// The page's own path.
    page: Box<str>,
    constraints: Vec<Constraint>,
}

impl Marks {
    /// Seen from the page of this request.
    pub fn of(context: &Context<'_>, constraints: Vec<Constraint>) -> Self {
        Self::seen_from(
            context.prepared.law.rules.clone(),
            (&context.authority.host, &context.authority.to_string()),
            context.uri.path(),
            constraints,
        )
    }

    /// Seen from the page at this path of a host.
    pub fn seen_from(
        rules: Arc<RuleSet>,
        (host, authority): (&str, &str),
        page: &str,
        constraints: Vec<Constraint>,
    ) -> Self {
        Self {
            rules,
            host: host.into(),
            authority: authority.into(),
            base: Some(page.to_owned()),
            page: page.into(),
            constraints,
        }
    }

    /// Whether anything could be marked at all.
    pub const fn is_empty(&self) -> bool {
        self.constraints.is_empty()
    }

    /// The page says what its references are relative to.
    pub fn rebase(&mut self, reference: &str) {
        self.base = self.path(reference).filter(|path| !path.is_empty());
    }

    /// Why what a reference leads to with this method cannot be done now; nothing where it can, or nobody knows.
    pub fn reason(&self, method: &str, reference: &str) -> Option<Rc<str>> {
        if self.constraints.is_empty() {
            return None;
        }
        let path = self.path(reference)?;
        let target = target::read(&path).ok()?;
        let Found::Listed { journey: Some(journey), .. } = self.rules.routes.find(method, &target) else { return None };
        let looks = matches!(method, "GET" | "HEAD");
        let holds = |one: &&Constraint| one.journey == journey && (one.looking || !looks);
        self.constraints.iter().find(holds).map(|one| one.reason.clone())
    }

    /// The path that a reference leads to, when it leads to this site.
    fn path(&self, reference: &str) -> Option<String> {
        if reference.len() > LONGEST {
            return None;
        }
        let decoded = decoded(reference);
        let clean: String = decoded.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
        let clean = clean.trim_matches(|c: char| c <= ' ');
        if clean.starts_with('#') {
            return None;
        }
        let end = clean.find(['#', '?']).unwrap_or(clean.len());
        let rest = clean[..end].replace('\\', "/");
        let rest = match scheme(&rest) {
            Some(("http" | "https", after)) if after.starts_with("//") => after.to_owned(),
            Some(_) => return None,
            None => rest,
        };
        if let Some(after) = rest.strip_prefix("//") {
            let (authority, path) = after.split_once('/').map_or((after, ""), |(host, path)| (host, path));
            return self.is_here(authority).then(|| without_dots(path));
        }
        let base = self.base.as_deref()?;
        if let Some(path) = rest.strip_prefix('/') {
            return Some(without_dots(path));
        }
        if rest.is_empty() {
            return Some(self.page.clone().into_string());
        }
        let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
        Some(without_dots(&format!("{folder}/{rest}")))
    }

    /// Whether an authority is this page's, or another host of its site.
    fn is_here(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        let sites = &self.rules.sites;
        *authority == *self.authority
            || sites.find(&authority).zip(sites.find(&self.host)).is_some_and(|(one, own)| std::ptr::eq(one, own))
    }
}

/// The scheme of a reference, in small letters, and what follows its colon (RFC 3986, section 3.1).
fn scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, after) = reference.split_once(':')?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_scheme = scheme.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && scheme.bytes().all(fits);
    if !is_scheme {
        return None;
    }
    let known = ["http", "https"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known));
    Some((known.unwrap_or("other"), after))
}

/// A path without `.` and `..` (RFC 3986, section 5.2.4), with its leading slash.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.trim_start_matches('/').split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | "%2e" | "%2E" => {}
            ".." | "%2e%2e" | "%2E%2E" | ".%2e" | ".%2E" | "%2e." | "%2E." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// An attribute's value with its character references replaced: those that may stand in a path.
fn decoded(value: &str) -> Cow<'_, str> {
    if !value.contains('&') {
        return value.into();
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let found = after.char_indices().take(12).find(|(_, c)| *c == ';').and_then(|(end, _)| {
            let name = &after[..end];
            let c = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "sol" => '/',
                "colon" => ':',
                "period" => '.',
                _ => match name.strip_prefix('#')? {
                    hex if hex.starts_with(['x', 'X']) => char::from_u32(u32::from_str_radix(&hex[1..], 16).ok()?)?,
                    decimal => char::from_u32(decimal.parse().ok()?)?,
                },
            };
            Some((c, end))
        });
        match found {
            Some((c, end)) => {
                out.push(c);
                rest = &after[end + 1..];
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::compile;
    use crate::rules::source::Sources;

    const LAW: &str = r#"
[[site]]
hosts = ["shop.example", "www.shop.example"]
upstream = "shop"
[[site]]
hosts = ["other.example"]
upstream = "shop"
[upstreams.shop]
servers = ["http://127.0.0.1:1"]
[journeys.checkout]
routes = ["GET /checkout", "POST /checkout", "POST /orders/{id}/pay"]
ladder = [{ at = 0, do = "allow" }]
[journeys.faq]
routes = ["GET /faq"]
ladder = [{ at = 0, do = "allow" }]
"#;

    fn marks(looking: bool, page: &str) -> Marks {
        let compiled = compile(&Sources::from_texts(vec![("law.toml".to_owned(), LAW.to_owned())]));
        let rules = Arc::new(compiled.rules.unwrap());
        let journey = rules.journey_named("checkout").unwrap();
        let constraint = Constraint { journey, looking, reason: "not now".into() };
        Marks::seen_from(rules, ("shop.example", "shop.example:8443"), page, vec![constraint])
    }

    #[test]
    fn every_way_to_write_a_way_to_a_constrained_journey_is_found() {
        let marks = marks(true, "/account/orders");
        for reference in [
            "/checkout",
            " /check\nout\t",
            "../checkout",
            "/x/../checkout",
            "/./checkout?step=1#pay",
            "/%63heckout",
            "/checkout/",
            "/Checkout",
            "\\checkout",
            "//shop.example/checkout",
            "//SHOP.example:8443/checkout",
            "https://www.shop.example/checkout",
            "HTTP:\\\\shop.example\\checkout",
            "&#47;checkout",
            "&#x2f;check&#111;ut",
            "/orders/7/pay",
            "/orders/7&amp;8/pay",
        ] {
            let method = if reference.contains("pay") && !reference.contains('#') { "POST" } else { "GET" };
            assert!(marks.reason(method, reference).is_some(), "{reference:?}");
        }
        for reference in [
            "",
            "#checkout",
            "checkout",
            "/faq",
            "/checkouts",
            "//other.example/checkout",
            "https://evil.example/checkout",
            "https://shop.example@evil.example/checkout",
            "https://shop.example:99/checkout",
            "mailto:checkout@shop.example",
            "javascript:location='/checkout'",
            "tel:+44",
            "&#xd800;/checkout",
            "&#99999999999;",
            "http:checkout",
        ] {
            assert!(marks.reason("GET", reference).is_none(), "{reference:?}");
        }
        assert!(marks.reason("GET", &"/a".repeat(100_000)).is_none());
        assert!(marks.reason("GET", &format!("/x/{}checkout", "../".repeat(2000))).is_some());
    }

    #[test]
    fn looking_goes_on_where_looking_works_and_a_page_may_say_what_it_is_relative_to() {
        let mut changes = marks(false, "/account/orders");
        assert!(changes.reason("GET", "/checkout").is_none() && changes.reason("POST", "/checkout").is_some());
        changes.rebase("/shop/x");
        assert!(changes.reason("POST", "../checkout").is_some() && changes.reason("POST", "checkout").is_none());
        changes.rebase("/");
        assert!(changes.reason("POST", "checkout").is_some());
        changes.rebase("https://cdn.example/x/");
        assert!(changes.reason("POST", "checkout").is_none(), "relative to another site");
        assert!(changes.reason("POST", "/checkout").is_none(), "what begins with a slash is too");
        assert!(marks(true, "/checkout").reason("POST", "").is_some(), "a form without an action goes to its own page");
    }
}
