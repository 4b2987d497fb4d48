//! One worker: a thread with a runtime, accept sockets, upstream connections and a gate of its own.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use super::random;
use crate::alarm::Alarms;
use crate::control::law::Law;
use crate::gate::{Gate, Shared, pass};
use crate::listen::{self, Doors, Entrance};
use crate::settings::Settings;
use crate::telemetry::lines::Office;
use crate::upstream::{Pools, Reach};

/// How often a worker hands its decision lines to their writer, and a deadline may be late.
const PULSE: Duration = Duration::from_millis(25);

/// In how many of these it looks through what stays open: once a second.
const LOOKS: u32 = 40;

/// The settings as the front edge takes them.
const fn bounds(settings: &Settings) -> listen::Bounds {
    let (bounds, times) = (&settings.bounds, &settings.times);
    listen::Bounds {
        connections: bounds.connections,
        connections_per_address: bounds.connections_per_address,
        headers: bounds.headers,
        head_bytes: bounds.head_bytes,
        h2_streams: bounds.h2_streams,
        h2_resets: bounds.h2_resets,
        body_bytes: bounds.body_bytes,
        handshake: times.handshake,
        head: times.head,
        idle: times.idle,
        rest: listen::Bounds::REST,
        body_idle: times.body_idle,
        body_rate: times.body_rate_bytes_per_second,
        body_grace: times.body_grace,
        connection_age: times.connection_age,
        drain: times.drain,
    }
}

/// What one worker thread is given.
pub(super) struct Worker {
    pub number: usize,
    pub entrances: Vec<Entrance>,
    pub settings: Settings,
    pub shared: Shared,
    pub reach: Arc<Reach>,
    pub law: Arc<Law>,
    pub doors: Doors,
    pub office: Office,
    pub outcomes: Office,
    pub stopping: watch::Receiver<bool>,
}

impl Worker {
    /// Serves until told to stop; gives how many connections had to be cut.
    pub fn run(self) -> usize {
        match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime.block_on(self.serve()),
            Err(error) => {
                tracing::error!(%error, "a worker cannot start");
                0
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a network deadline's beginning, not law time")]
    async fn serve(self) -> usize {
        let alarms = Alarms::new(Instant::now(), PULSE);
        let mut seed = [0; 16];
        if random(&mut seed).is_err() {
            seed[0] = u8::try_from(self.number).unwrap_or(u8::MAX);
        }
        let seed = u128::from_le_bytes(seed);
        let pools = Pools::new(self.reach, alarms.clone());
        let gate = Rc::new(Gate::new(
            self.shared,
            self.number,
            self.law.in_force().reader(),
            pools,
            (self.office.lines(), self.outcomes.lines()),
            self.settings.decisions.allowed_one_in,
            [seed as u64, (seed >> 64) as u64],
        ));
        let ticking = tokio::task::spawn_local(tick(gate.clone(), self.stopping.clone()));
        // Boxed, so that a request's state is not copied on its way through the connection's layers.
        let answer = move |peer: Rc<listen::Peer>, request| {
            let gate = gate.clone();
            Box::pin(async move { pass(&gate, &peer, request).await })
        };
        let bounds = bounds(&self.settings);
        let drained = listen::serve(self.entrances, bounds, self.doors, alarms, self.stopping, answer).await;
        ticking.abort();
        match drained {
            Ok(drained) => drained.cut,
            Err(error) => {
                tracing::error!(%error, "a worker ended");
                0
            }
        }
    }
}

async fn tick(gate: Rc<Gate>, stopping: watch::Receiver<bool>) {
    let mut beats = tokio::time::interval(PULSE);
    loop {
        beats.tick().await;
        gate.tick(LOOKS);
        if *stopping.borrow() {
            gate.close();
        }
    }
}
