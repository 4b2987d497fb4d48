//! `[memory]`: how many subjects are remembered, for how long, and how often that is written to the data directory.

use std::time::Duration;

use super::{Lift, number};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::syntax::forms::Whole;
use crate::rules::syntax::table::{Field, Said, table};

/// What is remembered, and for how long. Strangers are forgotten first, known customers last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBounds {
    /// Accounts.
    pub accounts: usize,
    /// Devices.
    pub devices: usize,
    /// Networks.
    pub networks: usize,
    /// Sessions.
    pub sessions: usize,
    /// Handoffs that an agent can still look up. The oldest loses.
    pub handoffs: usize,
    /// Keys of each kind that limits count.
    pub limits: usize,
    /// How often what has changed is written to the data directory.
    pub checkpoint: Duration,
    /// After how long without use an entry is forgotten.
    pub retention: RetentionBounds,
}

/// After how long without use an entry is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionBounds {
    /// Accounts, since their last sign-in.
    pub accounts: Duration,
    /// Devices.
    pub devices: Duration,
    /// Networks.
    pub networks: Duration,
    /// Sessions.
    pub sessions: Duration,
}

table! {
    /// How many subjects are remembered, and for how long. Strangers are forgotten first, known customers last.
    MemoryFile("memory") {
        /// Accounts.
        accounts: Whole<64, 100_000_000> = default("100000");
        /// Devices.
        devices: Whole<64, 100_000_000> = default("200000");
        /// Networks.
        networks: Whole<64, 100_000_000> = default("200000");
        /// Sessions.
        sessions: Whole<64, 100_000_000> = default("200000");
        /// Handoffs that an agent can still look up; the oldest loses.
        handoffs: Whole<64, 10_000_000> = default("20000");
        /// Keys of each kind that limits count; one that has its allowance back is forgotten first.
        limits: Whole<64, 100_000_000> = default("131072");
        /// How often what has changed is written to the data directory: what a killed process loses at most.
        checkpoint: Said<Duration> = default("\"60s\"");
        /// After how long without use an entry is forgotten.
        retention: RetentionFile = default("{}");
    }
}

table! {
    /// After how long without use an entry is forgotten, whatever room there is.
    RetentionFile("retention") {
        /// Accounts, since their last sign-in; 396 days (13 months) at most.
        accounts: Said<Duration> = default("\"396d\"");
        /// Devices, since anybody signed in on them.
        devices: Said<Duration> = default("\"7d\"");
        /// Networks, since a stranger signed in from them.
        networks: Said<Duration> = default("\"7d\"");
        /// Sessions, since their last request.
        sessions: Said<Duration> = default("\"30d\"");
    }
}

/// Nothing about a person is remembered for longer than this without use: thirteen months.
const LONGEST: Duration = Duration::from_secs(396 * 24 * 3600);

impl Lift<'_> {
    pub(super) fn memory(&mut self, file: &MemoryFile) -> Option<MemoryBounds> {
        let checkpoint = self.some_time(&file.checkpoint);
        let retention = file.retention.given().and_then(|retention| self.retention(retention));
        Some(MemoryBounds {
            accounts: number(&file.accounts)?,
            devices: number(&file.devices)?,
            networks: number(&file.networks)?,
            sessions: number(&file.sessions)?,
            handoffs: number(&file.handoffs)?,
            limits: number(&file.limits)?,
            checkpoint: checkpoint?,
            retention: retention?,
        })
    }

    fn retention(&mut self, file: &RetentionFile) -> Option<RetentionBounds> {
        let [accounts, devices, networks, sessions] =
            [&file.accounts, &file.devices, &file.networks, &file.sessions].map(|field| self.kept_for(field));
        Some(RetentionBounds { accounts: accounts?, devices: devices?, networks: networks?, sessions: sessions? })
    }

    fn kept_for(&mut self, field: &Field<Said<Duration>>) -> Option<Duration> {
        let kept = self.some_time(field)?;
        if kept > LONGEST
            && let Some(said) = field.given()
        {
            let problem = Diagnostic::of(&codes::KEPT_TOO_LONG, "nobody is remembered for longer than 13 months");
            self.problems.push(problem.at(said.span, "longer than 396 days").help("write at most \"396d\""));
        }
        Some(kept)
    }
}
