//! Shows a customer what is kept, in place of the notice that there is no service: 200 with its age, the moment at which it was true,
//! and nothing by which anybody could keep it further.
//!
//! What was kept before the account's credentials changed hands, its sessions were revoked or it was shut is not shown. Nothing of the
//! origin's that would let a part of it, or another moment of it, be asked for is passed on.

use std::future::Future;
use std::sync::Arc;

use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, HeaderName, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Response, StatusCode};

use super::shown::Kept;
use super::{By, Sight, pass, shown, sign_in};
use crate::clock::Moment;
use crate::gate::body::Body;
use crate::gate::context::Context;
use crate::gate::record::Record;
use crate::gate::{Gate, cors};
use crate::listen::Inflow;
use crate::rules::snapshots::SnapshotLaw;
use crate::snapshots::Snapshot;
use crate::upstream::{Answer, Failure};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// As of when what is shown was true (RFC 3339).
pub const AS_OF: HeaderName = HeaderName::from_static("weir-as-of");

#[allow(clippy::large_enum_variant, reason = "an answer is what almost always comes: no request pays for a box")]
/// What came of asking the upstream.
#[derive(Debug)]
pub enum Asked {
    /// Its answer, or that there is none.
    Answered(Result<Response<Answer<Inflow>>, Failure>),
    /// What is shown instead.
    Shown(Box<Response<Body>>),
}

impl Asked {
    /// The status of the upstream's answer.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answered(answered) => answered.as_ref().ok().map(Response::status),
            Self::Shown(_) => None,
        }
    }
}

/// Asks the upstream; shows what is kept where it fails or is too slow.
pub async fn ask(
    sight: Option<&Sight>,
    gate: &Gate,
    context: &Context<'_>,
    asking: impl Future<Output = Result<Response<Answer<Inflow>>, Failure>>,
    record: &mut Record,
) -> Asked {
    match sight {
        None => Asked::Answered(asking.await),
        // Boxed, so that requests that can be shown nothing do not carry its state.
        Some(sight) => Box::pin(sight.ask(gate, context, asking, record)).await,
    }
}

impl Sight {
    /// What is shown without asking the upstream: it is away, contained, or somebody has just found that it fails.
    pub async fn before(&self, gate: &Gate, context: &Context<'_>, record: &mut Record) -> Option<Response<Body>> {
        let circuit = self.circuit(context);
        let why = match (self.contained, &self.by) {
            (Some(why), _) => why,
            // One failure of somebody else's is no outage that opens a pass.
            (None, By::Pass(_)) if !circuit.is_failing(context.now) => return None,
            (None, _) if circuit.may_ask(context.now) => return None,
            (None, _) => "failing",
        };
        Box::pin(self.show(gate, context, why, record)).await
    }

    async fn ask(
        &self,
        gate: &Gate,
        context: &Context<'_>,
        asking: impl Future<Output = Result<Response<Answer<Inflow>>, Failure>>,
        record: &mut Record,
    ) -> Asked {
        let Some(law) = self.law(context) else { return Asked::Answered(asking.await) };
        let mut asking = std::pin::pin!(asking);
        let answered = match law.slow {
            None => asking.await,
            Some(slow) => match tokio::time::timeout(slow, &mut asking).await {
                Ok(answered) => answered,
                Err(_) => {
                    self.circuit(context).failed(context.now);
                    if let Some(shown) = self.show(gate, context, "slow", record).await {
                        record.upstream_failed = true;
                        return Asked::Shown(Box::new(shown));
                    }
                    asking.await
                }
            },
        };
        let why = match &answered {
            Ok(answer) if law.instead_of.contains(answer.status().as_u16()) => "status",
            Ok(answer) => {
                self.circuit(context).answered();
                if sign_in::is_asked_for(context, answer)
                    && let Some(shown) = pass::signed_out(gate, context, &self.look, record).await
                {
                    self.shut(gate, context);
                    return Asked::Shown(Box::new(shown));
                }
                return Asked::Answered(answered);
            }
            Err(Failure::RequestBody(_)) => return Asked::Answered(answered),
            Err(failure) => failure.token(),
        };
        self.circuit(context).failed(context.now);
        record.upstream_failed = true;
        match self.show(gate, context, why, record).await {
            Some(shown) => Asked::Shown(Box::new(shown)),
            None => Asked::Answered(answered),
        }
    }

    /// The application does not know the session any more: nothing is shown in it until it is answered as before.
    pub(super) fn shut(&self, gate: &Gate, context: &Context<'_>) {
        if let By::Session { session, .. } = &self.by {
            gate.shared.memory.shut(*session, context.now);
        }
    }

    fn circuit<'c>(&self, context: &'c Context<'_>) -> &'c super::circuit::Circuit {
        context.prepared.circuit(context.upstream)
    }

    /// What is kept for this request, if it may be shown.
    pub async fn show(
        &self,
        gate: &Gate,
        context: &Context<'_>,
        why: &'static str,
        record: &mut Record,
    ) -> Option<Response<Body>> {
        let law = self.law(context)?;
        let outlives_revocation = match &self.by {
            // What the device was left may show what the session does not.
            By::Session { shut: true, .. } => {
                let sight = pass::sight(gate, context, self.look.clone())?;
                return Box::pin(sight.show(gate, context, why, record)).await;
            }
            By::Session { shut: false, .. } => false,
            By::Pass(holder) => holder.outlives_revocation,
        };
        let snapshots = &gate.shared.snapshots;
        let page = snapshots.page(&self.key).await?;
        let snapshot = page.choose(&self.look.host, &self.look.target, &self.look.asked)?;
        let name = &context.prepared.rules().journey(self.look.journey).name;
        let now = gate.shared.clock.now();
        let reports = gate.shared.memory.reports(self.key.owner().account());
        if snapshot.is_over(law.keep, snapshots.paused(name, now), now)
            || reports.is_some_and(|reports| match outlives_revocation {
                true => reports.voids_though_revoked(snapshot.about.as_of),
                false => reports.voids(snapshot.about.as_of),
            })
        {
            return None;
        }
        match &self.by {
            By::Session { .. } => record.why = Some("snapshot".into()),
            By::Pass(holder) => {
                record.judged(&holder.verdict, context.stage);
                record.account = Some(self.key.owner().account());
                record.why = Some("continuity_pass".into());
                context.prepared.meters().pass("shown");
            }
        }
        record.cause = Some(why.into());
        context.prepared.meters().snapshot(name);
        Some(self.answer(gate, context, &Showing { law, snapshot, now }))
    }

    fn answer(&self, gate: &Gate, context: &Context<'_>, showing: &Showing<'_>) -> Response<Body> {
        let Showing { snapshot, now, .. } = showing;
        let mut headers = HeaderMap::with_capacity(16);
        for (name, value) in &snapshot.about.fields {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
                headers.append(name, value);
            }
        }
        let age = snapshot.age(*now).as_secs();
        headers.insert(AGE, HeaderValue::from(age));
        let status = format!("weir; hit; ttl={}; detail=lkg", 0 - i128::from(age));
        headers.insert(CACHE_STATUS, HeaderValue::from_str(&status).unwrap_or(HeaderValue::from_static("weir; hit")));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        headers.insert(AS_OF, written(snapshot.about.as_of));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let who = match &self.by {
            By::Session { token: Some(_), .. } => AUTHORIZATION.as_str(),
            By::Session { token: None, .. } => "cookie",
            By::Pass(_) => "cookie, authorization, weir-device, weir-pass",
        };
        let vary = format!("accept, accept-language, {who}");
        headers.insert(VARY, HeaderValue::from_str(&vary).unwrap_or(HeaderValue::from_static("*")));
        cors::allow(&mut headers, self.look.origin.as_ref(), context.site.cors.as_ref());
        let mut body = showing.body(self, gate, context, &mut headers);
        if self.look.head {
            let length = http_body::Body::size_hint(&body).exact();
            length.map(|length| headers.insert(CONTENT_LENGTH, HeaderValue::from(length)));
            body = Body::empty();
        }
        let mut response = Response::new(body);
        *response.headers_mut() = headers;
        response
    }
}

/// A kept answer that is shown now.
#[derive(Debug)]
pub struct Showing<'a> {
    /// How its journey shows it.
    pub law: &'a SnapshotLaw,
    /// What is shown.
    pub snapshot: Arc<Snapshot>,
    /// When.
    pub now: Moment,
}

impl Showing<'_> {
    /// Its body as it is sent. The one place where what is kept is made to say that it is: a banner, members, marks.
    fn body(&self, sight: &Sight, gate: &Gate, context: &Context<'_>, headers: &mut HeaderMap) -> Body {
        let kept = Kept { law: self.law, as_of: self.snapshot.about.as_of, body: &self.snapshot.body };
        Body::own(shown::kept(gate, context, sight.look.languages.as_ref(), kept, headers))
    }
}

fn written(moment: Moment) -> HeaderValue {
    let seconds = i64::try_from(moment.unix_seconds()).unwrap_or(0);
    let text = jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string();
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("1970-01-01T00:00:00Z"))
}
