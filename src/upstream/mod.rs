//! The back edge: connections to upstreams, one request forwarded over one of them, and what its answer's failure means.
//!
//! Nothing is forwarded without a clearance and a slot. What was sent is never sent twice unless nothing of it can have had an effect. A
//! body that breaks off is never passed on as complete. This room knows nothing of clients or journeys.

mod answer;
mod dial;
mod failure;
mod forward;
pub mod headers;
pub mod health;
mod line;
mod outgoing;
mod pool;
mod reach;
mod tap;
mod tunnel;

pub use answer::{Answer, AnswerFault, Flow, UntilClose};
pub use dial::connect_to;
pub use failure::{BoxError, Failure};
pub use forward::forward;
pub use outgoing::{Outgoing, Streamed};
pub use pool::Pools;
pub use reach::{Reach, TrustFault};
pub use tunnel::{Opened, Tunnel, can_switch, open};
