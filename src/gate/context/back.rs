//! The way back from a step-up: where a change was made from, and the address at which Weir takes a customer back.

use http::header::REFERER;
use http::request;

/// Where a step-up page sends the customer when the proof was given: Weir checks the return target and goes on.
pub const RETURN: &str = "/.well-known/weir/return";

/// The path of a `Referer` on the same site: where a change was made from.
pub fn referer(head: &request::Parts, host: &str) -> Option<String> {
    let sent = head.headers.get(REFERER)?.to_str().ok()?.parse::<http::Uri>().ok()?;
    let same = sent.host()?.eq_ignore_ascii_case(host);
    same.then(|| sent.path_and_query().map_or("/", |path| path.as_str()).to_owned())
}
