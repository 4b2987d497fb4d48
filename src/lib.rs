//! Weir is a reverse proxy that keeps customers served while the business is under attack. It scores how sure we are of who
//! is asking, on every request, and route by route lets the customer do as much as is safe at that moment: everything,
//! everything after one more proof, only looking, or the same thing through a person. Refusing is the last rung.
//!
//! This page is the map. Imports go down only; `tests/it/floors.rs` holds the house to it.
//!
//! | floor | rooms | what they may know |
//! | --- | --- | --- |
//! | 5 house | [`app`], [`cli`], [`demo`] | everything |
//! | 4 path, control | [`gate`]; beside it [`control`], [`settings`] | floors 0-3 |
//! | 3 edges | [`listen`], [`identity`], [`lists`], [`memory`], [`outcomes`], [`snapshots`], [`upstream`] | floors 0-2, not each other |
//! | 2 judgement, admission | [`judge`], [`admission`] | floors 0-1; pure: no socket, no clock, no waiting |
//! | 1 law | [`rules`] | floor 0; pure; one file reads files |
//! | 0 words | [`alarm`], [`clock`], [`confidence`], [`subject`], [`swap`], [`telemetry`] | nothing of ours |
//!
//! # A request's walk
//!
//! [`gate::pass()`] is this walk, on one screen.
//!
//! 1. [`listen`] accepts, finishes TLS and keeps the transport's facts for the connection.
//! 2. [`gate::context`] makes the target canonical or refuses it ([`rules::target`]), finds site and journey
//!    ([`rules::routes`]), works out the client's address, its session, subject and device ([`identity`]), and reads a small
//!    body whole. What is in force is pinned: one request sees one law.
//! 3. Histories are read from [`memory`]. Nothing is waited for.
//! 4. [`judge`] turns readings into evidence, evidence into confidence, and confidence with the journey's ladder into a verdict.
//!    It alone mints the [`judge::decision::Clearance`].
//! 5. [`gate::limits`] counts it, and [`admission`] has room and mints the [`admission::Slot`]; or one of them says when to come
//!    back.
//! 6. [`upstream::forward`] takes both and the request; or the gate answers itself: one more proof, looking only, a person, no.
//! 7. [`gate::learn`] turns the upstream's answer into observations. It never delays the answer.
//! 8. [`gate::record`] leaves one record, whatever happened.
//!
//! # A rule file's walk
//!
//! A directory becomes sources ([`rules::source`]), tables walked by hand with their spans kept ([`rules::syntax`]), and, once
//! every name is resolved and every problem of every file gathered (`rules::lower`), a [`rules::ruleset::RuleSet`]. Its own
//! cases are rehearsed ([`judge::rehearse`]), then [`control::law`] installs it as [`rules::in_force::InForce`]: one value,
//! swapped whole, the one before kept for a step back. While running, the last good law stands whatever the files say. Law is
//! swapped, memory is not.
//!
//! # A playbook's walk
//!
//! A prebuilt incident mode is law like the rest ([`rules::playbook`]), compiled and rehearsed before it is needed. Arming it
//! ([`control::arming`]) changes the posture ([`rules::posture`]), and with it what is in force: for the next request of every
//! worker. What it adds ([`rules::effects`]) is only ever more to ask for, and ends by itself on the request path. Then the change
//! is made safe on the disk, recorded ([`control::audit`]), and answered.
//!
//! # What must never happen
//!
//! A rule change drops a request. A customer meets a dead end. One customer sees another's data. Confidence stands in for a
//! factor. Unknown reads as fine, or as guilty. A customer is told the score. An attacker fills the memory. The path waits for
//! anything but the upstream. The off-switch fails with what it switches off. A secret lands in a log.
//!
//! # The words
//!
//! A *journey* is what a customer tries to do. A *signal* is one kind of observation; its *reading* is a value or the reason why
//! there is none; *evidence* is what a reading says, in points; *confidence* is 0 to 100. A *ladder* is a journey's ordered
//! *rungs*, each with an *action*. A *verdict* is the decision with its reasons; a *clearance* proves that the judge let a
//! request through, a *slot* that admission has room. A *notice* is what a customer reads, an *exit* the way forward in it, a
//! *handoff* the reference that a person continues with, *help* where people are reached. A *playbook* is a prebuilt incident mode
//! that is *armed* and *stood down*; the *posture* is what is armed; what is in *shadow* is logged and not enforced. A *snapshot* is a
//! customer's own last-known-good answer; a *continuity pass* shows it to its owner when signing in is not possible.

pub mod admission;
pub mod alarm;
pub mod app;
pub mod cli;
pub mod clock;
pub mod confidence;
pub mod control;
pub mod demo;
pub mod gate;
pub mod identity;
pub mod judge;
pub mod listen;
pub mod lists;
pub mod memory;
pub mod outcomes;
pub mod rules;
pub mod settings;
pub mod snapshots;
pub mod subject;
pub mod swap;
pub mod telemetry;
pub mod upstream;
