//! The situations in which Weir answers itself: for each its kind, status and ways out. The words are the law's.

use std::net::IpAddr;

use http::header::{ALLOW, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use smallvec::{SmallVec, smallvec};

use super::{Exit, Notice};
use crate::clock::Moment;
use crate::gate::fault::Fault;
use crate::identity::dpop::{ALGORITHMS, Unbound};
use crate::listen::host::HostFault;
use crate::rules::notices::Kind;
use crate::upstream::Failure;

/// Seconds until a customer may look again whether changes are open, at most.
const LOOK_AGAIN: u32 = 120;
/// So many fewer are told to some. In words all of them are two minutes.
const SPREAD: u128 = 30;

/// What one client is told less than others: addresses beside each other far apart.
fn share(client: IpAddr) -> u32 {
    let bits = match client {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() >> 64,
    };
    u32::try_from((bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % SPREAD).unwrap_or_default()
}

impl Notice {
    fn plain(status: StatusCode, kind: Kind) -> Self {
        Self {
            status,
            kind,
            resend: false,
            most: 0,
            exits: SmallVec::new(),
            reference: None,
            until: None,
            retryable: false,
            retry_after: None,
            fields: SmallVec::new(),
            only: Vec::new(),
            playbook: None,
        }
    }

    fn field(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Self {
        if let Ok(value) = HeaderValue::from_bytes(value.as_ref()) {
            self.fields.push((name, value));
        }
        self
    }

    /// One more proof is needed. The status is 401 or 403; a browser's 303 is made by the step-up itself.
    pub fn step_up(status: StatusCode, challenge: &str, exit: Exit, changes: bool) -> Self {
        let mut notice = Self::plain(status, Kind::StepUp);
        notice.resend = changes;
        notice.exits = smallvec![exit];
        notice.field(WWW_AUTHENTICATE, challenge)
    }

    /// Looking is possible, changing is not.
    pub fn read_only(look_at: Option<String>) -> Self {
        let mut notice = Self::plain(StatusCode::SERVICE_UNAVAILABLE, Kind::ReadOnly);
        notice.retry_after = Some(LOOK_AGAIN);
        notice.exits.push(Exit::Wait { seconds: LOOK_AGAIN });
        if let Some(url) = look_at {
            notice.exits.push(Exit::Read { url });
        }
        notice
    }

    /// Where the time that is told is a guess, it is the same for one client however often it asks, and another for others: those who
    /// are held back at once do not come back at once.
    #[must_use]
    pub fn spread(mut self, client: IpAddr) -> Self {
        let is_guess = matches!(self.kind, Kind::ReadOnly | Kind::AutomationNarrowed | Kind::Upstream);
        if is_guess && self.retry_after == Some(LOOK_AGAIN) {
            let seconds = LOOK_AGAIN - share(client);
            self.retry_after = Some(seconds);
            for exit in &mut self.exits {
                if let Exit::Wait { seconds: told } = exit {
                    *told = seconds;
                }
            }
        }
        self
    }

    /// Too often in a short time.
    pub fn throttle(seconds: u32) -> Self {
        let mut notice = Self::plain(StatusCode::TOO_MANY_REQUESTS, Kind::Throttle);
        notice.retryable = true;
        notice.retry_after = Some(seconds.max(1));
        notice.exits.push(Exit::Wait { seconds: seconds.max(1) });
        notice
    }

    /// A person continues.
    pub fn handoff(reference: Option<String>, until: Option<Moment>) -> Self {
        let mut notice = Self::plain(StatusCode::FORBIDDEN, Kind::Handoff);
        notice.reference = reference;
        notice.until = until;
        notice
    }

    /// A rung refuses.
    pub fn denied() -> Self {
        Self::plain(StatusCode::FORBIDDEN, Kind::Denied)
    }

    /// Automation is kept to what people in need can spare.
    pub fn automation_narrowed() -> Self {
        let mut notice = Self::plain(StatusCode::FORBIDDEN, Kind::AutomationNarrowed);
        notice.retry_after = Some(LOOK_AGAIN);
        notice.exits.push(Exit::Wait { seconds: LOOK_AGAIN });
        notice
    }

    /// A `[[refuse]]` refuses.
    pub fn refused(status: StatusCode) -> Self {
        Self::plain(status, Kind::Refused)
    }

    /// Weir itself failed.
    pub fn broken() -> Self {
        Self::plain(StatusCode::INTERNAL_SERVER_ERROR, Kind::Internal)
    }

    /// A fault.
    pub fn fault(fault: &Fault) -> Self {
        match fault {
            Fault::Host(fault @ (HostFault::Tunnel | HostFault::Coding | HostFault::Target)) => {
                Self::plain(fault.status(), Kind::Request)
            }
            Fault::Host(fault) => Self::plain(fault.status(), Kind::Host),
            Fault::AmbiguousTarget => Self::plain(StatusCode::BAD_REQUEST, Kind::Target),
            Fault::UnknownSite(_) => Self::plain(StatusCode::MISDIRECTED_REQUEST, Kind::UnknownSite),
            Fault::MethodNotAllowed { allow } => {
                Self::plain(StatusCode::METHOD_NOT_ALLOWED, Kind::Method).field(ALLOW, allow)
            }
            Fault::MethodOverride => Self::plain(StatusCode::BAD_REQUEST, Kind::MethodOverride),
            Fault::BodyTooLarge(most) => {
                let mut notice = Self::plain(StatusCode::PAYLOAD_TOO_LARGE, Kind::TooLarge);
                notice.most = *most;
                notice
            }
            Fault::BodyTooSlow => {
                let mut notice = Self::plain(StatusCode::REQUEST_TIMEOUT, Kind::TooSlow);
                notice.retryable = true;
                notice
            }
            Fault::BodyBroken(_) => Self::plain(StatusCode::BAD_REQUEST, Kind::Incomplete),
            Fault::InvalidToken(_) => Self::plain(StatusCode::UNAUTHORIZED, Kind::InvalidToken)
                .field(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""),
            Fault::Unbound(unbound) => {
                let challenge = match unbound {
                    Unbound::Proof(_) => format!("DPoP error=\"invalid_dpop_proof\", algs=\"{ALGORITHMS}\""),
                    Unbound::Key(_) => format!("DPoP error=\"invalid_token\", algs=\"{ALGORITHMS}\""),
                    Unbound::Certificate(_) => "Bearer error=\"invalid_token\"".to_owned(),
                };
                Self::plain(StatusCode::UNAUTHORIZED, Kind::InvalidToken).field(WWW_AUTHENTICATE, challenge)
            }
            Fault::ReturnTarget => Self::plain(StatusCode::BAD_REQUEST, Kind::Return),
            Fault::Busy { come_back, .. } => {
                let mut notice = Self::plain(StatusCode::SERVICE_UNAVAILABLE, Kind::Busy);
                notice.retryable = true;
                notice.retry_after = Some(*come_back);
                notice.exits.push(Exit::Wait { seconds: *come_back });
                notice
            }
            Fault::Upstream(failure) => Self::upstream(failure),
        }
    }

    /// What serves a journey does not answer.
    pub fn away() -> Self {
        let mut notice = Self::plain(StatusCode::SERVICE_UNAVAILABLE, Kind::Upstream);
        notice.retry_after = Some(LOOK_AGAIN);
        notice.exits.push(Exit::Wait { seconds: LOOK_AGAIN });
        notice
    }

    fn upstream(failure: &Failure) -> Self {
        let mut notice = Self::plain(failure.status(), Kind::Upstream);
        notice.retryable = matches!(
            failure,
            Failure::Unresolved(_)
                | Failure::ResolveTimeout
                | Failure::Refused(_)
                | Failure::Unreachable(_)
                | Failure::ConnectTimeout
                | Failure::Full
        );
        notice.retry_after = Some(5);
        notice.exits.push(Exit::Wait { seconds: 5 });
        notice.field(HeaderName::from_static("proxy-status"), format!("weir; error={}", failure.token()))
    }

    /// Whether a client with this method loses nothing by asking again.
    pub fn safe(method: &Method) -> bool {
        matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_guessed_time_is_the_same_for_one_client_and_spread_between_clients() {
        let told = |client: IpAddr| {
            let notice = Notice::read_only(None).spread(client);
            let [Exit::Wait { seconds }] = notice.exits[..] else { panic!("{notice:?}") };
            assert_eq!(notice.retry_after, Some(seconds));
            seconds
        };
        for at in
            [|n: u8| IpAddr::from([192, 0, 2, n]), |n: u8| IpAddr::from([0x2001, 0xdb8, 0, u16::from(n), 0, 0, 0, 1])]
        {
            let all: Vec<u32> = (0..=255).map(|n| told(at(n))).collect();
            assert!(all.iter().all(|seconds| (91..=120).contains(seconds)));
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 30);
            assert!((0..=255).all(|n| told(at(n)) == all[usize::from(n)]));
        }
        let wait = Notice::throttle(120).spread(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(wait.retry_after, Some(120), "what is no guess stays");
    }
}
