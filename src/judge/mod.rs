//! Judgement: readings become evidence, evidence becomes confidence, and confidence with the law becomes a verdict.
//!
//! Everything here is pure: the moment and the histories are arguments. It must never read a clock, a socket, a file or a
//! table, never wait, and never forget a contribution: whatever moved the score is in the verdict.

mod armed;
pub mod decision;
pub mod demanded;
pub mod explain;
pub mod floating;
pub mod guard;
pub mod history;
mod lost;
pub mod matrix;
pub mod outlook;
pub mod registers;
pub mod rehearse;
pub mod score;
pub mod seen;
pub mod signals;
pub mod stage;
pub mod way;

pub use decision::judge;
