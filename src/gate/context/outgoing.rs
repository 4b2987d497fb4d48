//! The request as it goes to the upstream: what is for one hop is gone, what only Weir may say is Weir's.

use http::header::HeaderName;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri, request};

use super::body::Taken;
use super::once::Once;
use super::{Context, cookie};
use crate::gate::record::Record;
use crate::listen::{Inflow, Peer};
use crate::upstream::Outgoing;
use crate::upstream::headers::request_headers;

const CONFIDENCE: HeaderName = HeaderName::from_static("weir-confidence");
const JOURNEY: HeaderName = HeaderName::from_static("weir-journey");
const POSTURE: HeaderName = HeaderName::from_static("weir-posture");
const REQUEST_ID: HeaderName = HeaderName::from_static("weir-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl Context<'_> {
    /// Makes the request that is forwarded out of the one that came in.
    pub fn outgoing(
        &self,
        peer: &Peer,
        mut head: request::Parts,
        body: Taken,
        record: &Record,
    ) -> Request<Outgoing<Inflow>> {
        let headers = &mut head.headers;
        let own;
        let proof = match peer.keep(|| Once::of(peer)) {
            Some(once) => &once.proof,
            None => {
                own = Once::of(peer);
                &own.proof
            }
        };
        request_headers(headers, proof, &self.authority.field, self.client.proxied);
        cookie::keep_pass(headers);
        if self.detached || self.over {
            match self.session_cookie() {
                Some(name) => cookie::drop_sent(headers, name),
                None if self.over => {
                    headers.remove(http::header::AUTHORIZATION);
                }
                None => {}
            }
        }
        if let Some(scored) = &record.scored {
            headers.insert(CONFIDENCE, self.prepared.score_header(scored.confidence()).clone());
        }
        if let Some(journey) = self.journey {
            headers.insert(JOURNEY, self.prepared.journey_header(journey).clone());
        }
        if let Some(posture) = self.prepared.posture_header(self.now) {
            headers.insert(POSTURE, posture);
        }
        headers.insert(REQUEST_ID, record.id.clone());
        if !headers.get(TRACEPARENT).is_some_and(is_traceparent)
            && let Ok(trace) = HeaderValue::from_bytes(&new_traceparent(record.id.as_bytes()))
        {
            headers.insert(TRACEPARENT, trace);
        }
        head.uri = Uri::from(self.forwarded_path());
        let body = match body {
            Taken::Nothing => Outgoing::Empty,
            Taken::Whole(bytes) => Outgoing::Whole(bytes),
            Taken::Streamed(inflow) => Outgoing::Stream(inflow),
        };
        Request::from_parts(head, body)
    }

    /// The canonical path with the query as it was sent; or the bytes as they were sent, where no journey guards.
    pub fn forwarded_path(&self) -> PathAndQuery {
        let sent = self.uri.path_and_query();
        if let Some(canonical) = &self.canonical {
            let query = self.uri.query();
            let text = query.map_or_else(|| canonical.clone(), |query| format!("{canonical}?{query}"));
            if let Ok(path) = PathAndQuery::from_maybe_shared(bytes::Bytes::from(text)) {
                return path;
            }
        }
        sent.cloned().unwrap_or(PathAndQuery::from_static("/"))
    }
}

/// W3C Trace Context, version 00: `00-<32 hex>-<16 hex>-<2 hex>`, neither id all zeros.
fn is_traceparent(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    let hex = |range: std::ops::Range<usize>| {
        let digits = &bytes[range];
        digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
            && digits.iter().any(|digit| *digit != b'0')
    };
    bytes.len() == 55
        && bytes.starts_with(b"00-")
        && bytes[35] == b'-'
        && bytes[52] == b'-'
        && hex(3..35)
        && hex(36..52)
        && bytes[53..].iter().all(u8::is_ascii_hexdigit)
}

fn new_traceparent(id: &[u8]) -> [u8; 55] {
    let mut trace = *b"00-00000000000000000000000000000000-0000000000000000-00";
    let places = trace[3..35].iter_mut().zip(id);
    places.for_each(|(place, digit)| *place = *digit);
    trace.copy_within(19..35, 36);
    trace
}
