//! A request's walk, on one screen. Each step is a file of its own; this one only says in which order they come.

use http::{Request, Response};

use super::body::Body;
use super::context::Context;
use super::continuity::Sight;
use super::continuity::feed;
use super::continuity::serve::{self, Asked};
use super::continuity::shown::Live;
use super::continuity::sign_in;
use super::notice::{Audience, Reader};
use super::own::Own;
use super::record::Record;
use super::said::Said;
use super::streams::Opening;
use super::{Gate, answer, context, continuity, cors, events, learn, limits, outcome, step_up, tunnel};
use crate::judge::decision::{Outcome, Question};
use crate::judge::judge;
use crate::listen::{Inflow, Peer};
use crate::upstream;
use crate::upstream::headers::response_headers;

/// Answers one request: forwards it, or says itself what the customer can do instead. Leaves one record, whatever happens.
pub async fn pass(gate: &Gate, peer: &Peer, request: Request<Inflow>) -> Response<Body> {
    let prepared = gate.prepared();
    let now = gate.shared.clock.now();
    let (mut head, mut inflow) = request.into_parts();
    let asked = tunnel::asked(&mut head, &mut inflow);
    let uri = head.uri.clone();
    let mut record = Record::begin(gate.lines.clone(), prepared.clone(), now, gate.request_id(), head.method.clone());
    if events::are_brought(&prepared, peer, &head) {
        // Boxed, so that requests which bring none do not carry its state.
        return Box::pin(events::take(gate, peer, head, inflow, prepared.clone(), record)).await;
    }
    let mut audience = Audience::of(prepared.rules(), peer, &head);

    let mut context = match Context::read(gate, &prepared, peer, &head, &uri, now, &mut record) {
        Ok(context) => context,
        Err(fault) => {
            let site = context::site(&prepared, peer, &head);
            return answer::own(&prepared, site, Own::Fault(fault), &audience, record);
        }
    };
    audience.address = context.client.address;
    let site = Some(context.site);
    match walk(gate, peer, &mut context, (head, inflow, asked), audience.reader, &mut record).await {
        Ok(mut response) => {
            // An app learns nothing from a preflight that failed, and never sends the request that would say more.
            if response.status().is_server_error()
                && let Some(answer) = audience.preflight(site)
            {
                response = answer;
                cors::allow(response.headers_mut(), audience.origin.as_ref(), context.site.cors.as_ref());
            }
            answer::passed(&mut response, &context, audience.reader, &record);
            record.status = Some(response.status());
            response
        }
        Err(own) => answer::own(&prepared, site, own, &audience, record),
    }
}

async fn walk(
    gate: &Gate,
    peer: &Peer,
    context: &mut Context<'_>,
    (mut head, mut inflow, asked): (http::request::Parts, Inflow, Option<tunnel::Asked>),
    reader: Reader,
    record: &mut Record,
) -> Result<Response<Body>, Own> {
    let prepared = context.prepared;
    let rules = prepared.rules();
    if let Some(refusal) = context.refusal(&head) {
        return Err(Own::Refused { name: refusal.name.clone(), status: refusal.status });
    }
    if let Some(target) = step_up::returning(gate, context, &head) {
        return Err(target);
    }
    if let Some(told) = feed::answer(gate, peer, context, &head, record) {
        return Err(told);
    }
    let asked = asked.map(|asked| asked.at(rules.upstream(context.upstream))).transpose()?.flatten();
    let opening = Opening::of(&head, &mut inflow);
    let body = context::body::take(inflow, context.reads_fields(&head), gate.shared.whole_body).await?;
    context.read_fields(gate, &head, &body, record)?;
    continuity::leaving(gate, context);
    if let Some(fault) = context.invalid.take() {
        // Boxed, as all that few requests come to.
        let shown = Box::pin(continuity::pass::instead(gate, context, (&head, &body), record)).await?;
        return shown.ok_or(Own::Fault(fault));
    }

    let readings = context.readings(gate);
    outcome::note(gate, context, &head, &readings, record);
    let away = gate.pools.away(rules.upstream(context.upstream));
    // What goes on in another protocol is more than looking.
    let question = context.question(gate, &readings, away);
    let verdict = judge(&Question { safe_method: question.safe_method && asked.is_none(), ..question });
    record.judged(&verdict, context.stage);
    verdict.toll.iter().for_each(|toll| gate.shared.memory.guards.count(gate.worker, toll));
    context.count_short(gate, &verdict);
    learn::fell(gate, context, &readings, &verdict.scored);
    let clearance = match verdict.outcome {
        Outcome::Cleared(clearance) => clearance,
        Outcome::Held(hold) => {
            if context.pass.is_some()
                && !context.vouched
                && asked.is_none()
                && let Some(shown) = Box::pin(continuity::pass::instead(gate, context, (&head, &body), record)).await?
            {
                return Ok(shown);
            }
            answer::hold(gate, context, (hold, verdict.speaker), reader, record)?
        }
    };
    let sight = match &asked {
        None => Sight::of(gate, context, (&head, &body), (&clearance, &readings, away), record),
        Some(_) => None,
    };
    let charged = limits::charge(gate, context, &head, record)?;
    if let Some(sight) = &sight
        && let Some(shown) = sight.before(gate, context, record).await
    {
        return Ok(shown);
    }
    let law = rules.upstream(context.upstream);
    let slot = prepared.lane(context.upstream).admit(law.max_in_flight, context.network.bits());
    let slot = match slot {
        Ok(slot) => slot,
        Err(full) => {
            charged.give_back(prepared);
            let shown = match &sight {
                Some(sight) => Box::pin(sight.show(gate, context, "busy", record)).await,
                None => None,
            };
            return shown.ok_or_else(|| Own::busy(law, full));
        }
    };

    if let Some(asked) = asked {
        let cleared = tunnel::Cleared { peer, head, clearance, slot, reader };
        // Boxed, so that requests which open none do not carry its state.
        let opened = Box::pin(tunnel::open(gate, context, asked, cleared, record)).await;
        charged.answered(prepared, opened.as_ref().ok().map(Response::status));
        return opened;
    }
    let live = Live::of(context, &clearance, reader, &mut head);
    let mut request = context.outgoing(peer, head, body, record);
    sight.iter().for_each(|sight| sight.ask_for_whole(request.headers_mut()));
    record.dispatched(context.upstream);
    let unheard = learn::Unheard::of(gate, context);
    let asking = upstream::forward(&gate.pools, clearance, slot, law, request);
    let answered = serve::ask(sight.as_deref(), gate, context, asking, record).await;
    unheard.into_iter().for_each(learn::Unheard::heard);
    sign_in::heard(context, &answered);
    record.answered();
    charged.answered(prepared, answered.status());
    let answer = match answered {
        Asked::Answered(answered) => answered.map_err(|failure| Own::Fault(failure.into()))?,
        Asked::Shown(shown) => return Ok(*shown),
    };
    let mut response = opening.pass_on(gate, context, answer)?;
    let mut said = Said::read(&response_headers(response.headers_mut()));
    let told = said.cache_control.take();
    let says = sight.as_ref().and_then(|sight| sight.doubt(gate, &said));
    learn::from(gate, context, &mut response, said, reader, record)?;
    let response = match sight {
        Some(sight) => sight.keep(gate, context, response, (told.as_deref(), says)),
        None => response,
    };
    Ok(match live {
        Some(live) => live.dress(gate, context, response),
        None => response,
    })
}
