//! Everything that Weir promises, tested from outside: real sockets, real TLS, a real upstream. One binary.
#![allow(clippy::disallowed_methods, reason = "tests start their own threads and tasks, and join them")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what must hold by panicking")]

mod actions;
mod armed;
mod arming;
mod audit;
mod breach;
mod classes;
mod cli;
mod commands;
mod control;
mod edge;
mod explain;
mod floors;
mod framing;
mod grpc;
mod guard;
mod hostile;
mod hostile_control;
mod hostile_rules;
mod hostile_sessions;
mod identity;
mod judge;
mod law;
mod limits;
mod listen;
mod listen_h2;
mod memory;
mod metrics;
mod notices;
mod operator;
mod playbooks;
mod profiles;
mod readme;
mod rules;
mod shop;
mod sign_in;
mod streams;
mod support;
mod swaps;
mod templates;
mod tokens;
mod tour;
mod upgrades;
mod upstream;
mod words;
