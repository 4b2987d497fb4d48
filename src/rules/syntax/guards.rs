//! `[guards]`: what happens to a source that suddenly takes from, or gives to, customers who have long been known.

use std::time::Duration;

use super::forms::{Many, Whole};
use super::table::{Said, table, words};

table! {
    /// Guards on the sources of readings. A group of signals that shifts the scores of customers who have long been known, further and faster than it may, is frozen: it gives no points, coverage falls, `when_unknown` is asked for, and nobody gets more than before, until it is calm again. Guards are on when this table is absent.
    GuardsFile("guards") {
        /// Whether groups are frozen.
        on: Said<bool> = default("true");
        /// How many points the median may move.
        shift: Whole<2, 40> = default("5");
        /// Within which time.
        over: Said<Duration> = default("\"10m\"");
        /// How long it must have been back before it is believed again.
        thaw_after: Said<Duration> = default("\"10m\"");
        /// Groups that are believed whatever they do: somebody has looked, and it is right.
        trust: Many<Said<GroupWord>> = optional;
    }
}

words! {
    /// Signals that are held together.
    GroupWord {
        /// The device cookie against the account's own past.
        "device" => Device,
        /// The client's software against itself.
        "client" => Client,
        /// The network against the account's own past, and what lists say of it.
        "network" => Network,
        /// Guessing: on the account, by the device, from where it comes, on the whole site.
        "pressure" => Pressure,
        /// How the customer goes about it.
        "journey" => Journey,
        /// The session against its own beginning.
        "session" => Session,
        /// How, how strongly and how recently the subject proved itself.
        "authentication" => Authentication,
        /// What is known to have leaked, and what others report.
        "exposure" => Exposure,
    }
}
