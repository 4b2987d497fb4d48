//! What goes wrong with a request, sorted by whose fault it is. The customer gets a calm sentence; the log gets the cause.

use crate::identity::dpop::Unbound;
use crate::listen::InflowFault;
use crate::listen::host::HostFault;
use crate::upstream::Failure;

/// Why a request could not be served, when no rule decided so.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No one host is named.
    #[error("host: {0}")]
    Host(#[from] HostFault),
    /// The target can be read in two ways that lead to different journeys, or in no way.
    #[error("the target can be read in more than one way")]
    AmbiguousTarget,
    /// No site answers for this host.
    #[error("no site answers for host {0:?}")]
    UnknownSite(Box<str>),
    /// The path belongs to a journey that this method is not part of.
    #[error("this method is not part of the journey on this path")]
    MethodNotAllowed {
        /// The methods that are, for `Allow`.
        allow: String,
    },
    /// A header or field asks that the method be read as another.
    #[error("a method override on a journey's path")]
    MethodOverride,
    /// The body is larger than its bound.
    #[error("the body is larger than {0} bytes")]
    BodyTooLarge(u64),
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    BodyTooSlow,
    /// The body broke off or was malformed.
    #[error("the body broke off: {0}")]
    BodyBroken(Box<str>),
    /// A bearer token was sent that is not valid (RFC 6750, section 3.1).
    #[error("the bearer token is not valid: {0}")]
    InvalidToken(&'static str),
    /// A token that is bound to a key or certificate which this request does not show (RFC 9449, RFC 8705).
    #[error("the token is worth nothing here: {0}")]
    Unbound(Unbound),
    /// A return target that was not signed here, or has expired.
    #[error("the return target was not signed here or has expired")]
    ReturnTarget,
    /// No room for another request to this upstream.
    #[error("the upstream {upstream} has its most requests in flight")]
    Busy {
        /// Which.
        upstream: Box<str>,
        /// Seconds until the client may come back.
        come_back: u32,
    },
    /// The upstream did not answer well.
    #[error("upstream: {0}")]
    Upstream(#[source] Failure),
}

impl From<Failure> for Fault {
    /// A request's body that failed on its way to the upstream is the client's doing.
    fn from(failure: Failure) -> Self {
        let Failure::RequestBody(cause) = &failure else { return Self::Upstream(failure) };
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&**cause);
        while let Some(error) = cause {
            match error.downcast_ref::<InflowFault>() {
                Some(fault) => return Self::body(fault),
                None => cause = error.source(),
            }
        }
        Self::BodyBroken(failure.to_string().into())
    }
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The request was wrong.
    Client,
    /// The upstream failed.
    Upstream,
    /// Weir has no room.
    Ours,
}

impl Fault {
    /// A body that did not arrive whole.
    pub fn body(fault: &InflowFault) -> Self {
        match fault {
            InflowFault::TooSlow => Self::BodyTooSlow,
            InflowFault::TooLarge(most) => Self::BodyTooLarge(*most),
            InflowFault::Broken(cause) => Self::BodyBroken(cause.to_string().into()),
        }
    }

    /// Whose fault it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Host(_)
            | Self::AmbiguousTarget
            | Self::UnknownSite(_)
            | Self::MethodNotAllowed { .. }
            | Self::MethodOverride
            | Self::BodyTooLarge(_)
            | Self::BodyTooSlow
            | Self::BodyBroken(_)
            | Self::InvalidToken(_)
            | Self::Unbound(_)
            | Self::ReturnTarget => Blame::Client,
            Self::Busy { .. } => Blame::Ours,
            Self::Upstream(_) => Blame::Upstream,
        }
    }

    /// Whether it is in doubt where the request ends, so that nothing more may be read from an HTTP/1.1 connection.
    pub const fn ends_connection(&self) -> bool {
        match self {
            Self::Host(_) | Self::BodyTooLarge(_) | Self::BodyTooSlow | Self::BodyBroken(_) => true,
            Self::AmbiguousTarget
            | Self::UnknownSite(_)
            | Self::MethodNotAllowed { .. }
            | Self::MethodOverride
            | Self::InvalidToken(_)
            | Self::Unbound(_)
            | Self::ReturnTarget
            | Self::Busy { .. }
            | Self::Upstream(_) => false,
        }
    }

    /// The word in logs.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Host(_) => "host",
            Self::AmbiguousTarget => "ambiguous_target",
            Self::UnknownSite(_) => "unknown_site",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::MethodOverride => "method_override",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::BodyBroken(_) => "body_broken",
            Self::InvalidToken(_) => "invalid_token",
            Self::Unbound(Unbound::Proof(_)) => "invalid_proof",
            Self::Unbound(_) => "unbound_token",
            Self::ReturnTarget => "return_target",
            Self::Busy { .. } => "busy",
            Self::Upstream(_) => "upstream_failed",
        }
    }
}
