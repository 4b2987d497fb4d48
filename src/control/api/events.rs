//! The event stream: what happened, as it happens, for as long as somebody listens.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Line, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::sync::watch;

use super::Control;
use crate::control::events::{Event, Events};

/// How often a silent stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

struct Reading {
    events: Events,
    bell: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    last: u64,
    waiting: std::collections::VecDeque<Line>,
}

/// `GET /v1/events`. `Last-Event-ID` goes on after that event; without one it begins with what happens next.
pub(super) async fn stream(
    State(control): State<Control>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Line, Infallible>>> {
    let events = control.law.events().clone();
    let said = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    // A number of another process, from before a restart, is behind everything of this one.
    let last = said.map_or(events.last(), |said| if said > events.last() { 0 } else { said });
    let bell = events.bell();
    let reading = Reading { events, bell, stopping: control.stopping.clone(), last, waiting: Default::default() };
    let stream = unfold(reading, |mut reading| async move {
        let line = next(&mut reading).await?;
        Some((Ok(line), reading))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE))
}

async fn next(reading: &mut Reading) -> Option<Line> {
    loop {
        if let Some(line) = reading.waiting.pop_front() {
            return Some(line);
        }
        reading.bell.borrow_and_update();
        let (missed, events) = reading.events.after(reading.last);
        if missed > 0 {
            let said = json!({ "missed": missed, "help": "GET /v1/status shows how things are" });
            reading.waiting.push_back(Line::default().event("missed").data(said.to_string()));
        }
        if let Some(newest) = events.last() {
            reading.last = newest.number;
            reading.waiting.extend(events.into_iter().map(line));
            continue;
        }
        tokio::select! {
            rung = reading.bell.changed() => rung.ok()?,
            _ = reading.stopping.wait_for(|stop| *stop) => return None,
        }
    }
}

fn line(event: Event) -> Line {
    Line::default().id(event.number.to_string()).event(event.kind).data(event.said.to_string())
}
