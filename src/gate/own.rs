//! Why Weir answers a request itself instead of passing it on. `answer` makes the one response of each.

use http::Response;

use super::body::Body;
use super::fault::Fault;
use super::notice::Notice;
use crate::admission::Full;
use crate::rules::ruleset::Upstream;

/// Why Weir answers itself.
#[derive(Debug)]
pub enum Own {
    /// Something is wrong with the request, the upstream or our room.
    Fault(Fault),
    /// A `[[refuse]]` holds.
    Refused {
        /// Its name.
        name: Box<str>,
        /// The status that it asks for.
        status: u16,
    },
    /// A rung holds the request back; the notice was made where the context was known.
    Held(Box<Notice>),
    /// Back to where the customer was before a step-up.
    Return(String),
    /// Something that Weir itself serves, made.
    Ready(Box<Response<Body>>),
}

impl From<Fault> for Own {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Own {
    /// Admission has no room at this upstream.
    pub fn busy(upstream: &Upstream, full: Full) -> Self {
        let come_back = u32::try_from(full.come_back.as_secs().max(1)).unwrap_or(u32::MAX);
        Self::Fault(Fault::Busy { upstream: upstream.name.as_ref().into(), come_back })
    }
}
