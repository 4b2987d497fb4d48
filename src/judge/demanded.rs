//! What was asked of a request, and what asked it: told by the judge while it judges, to whoever listens.
//!
//! On the request path nobody listens. An explanation listens; so it can say nothing that the judge did not do.

use super::signals::authentication::Proof;
use crate::rules::ruleset::Action;

/// What asked for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `require`: a proof that is needed whatever the score.
    Require,
    /// The rung of the ladder that the confidence reached, from the top.
    Rung(usize),
    /// `when_unknown`: something could not be read.
    WhenUnknown,
    /// A source is frozen, and this customer gets by with a proof.
    Frozen,
    /// `contained`: what serves the journey is out of reach.
    Contained,
    /// The session was opened only as far as its step-up.
    HeldSession,
    /// The armed playbook at this place of the posture.
    Playbook(usize),
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// This. A proof that is asked for is a step-up.
    Action(Action),
    /// A proof that nothing in this law can give.
    Unprovable,
    /// Automation may not do this now.
    Narrowed,
}

/// One thing that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demanded {
    /// By what.
    pub origin: Origin,
    /// What.
    pub demand: Demand,
}

/// Everything that was heard while one request was judged.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// In the order in which it was asked.
    pub demanded: Vec<Demanded>,
    /// The proof that counted.
    pub proof: Option<Proof>,
}

impl Heard {
    /// Notes that something was asked.
    pub(super) fn note(&mut self, origin: Origin, demand: Demand) {
        self.demanded.push(Demanded { origin, demand });
    }
}
