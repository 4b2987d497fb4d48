//! The words themselves: what happened, what it means, what became of what the customer entered. Calm, plain, no blame.

use http::header::{ALLOW, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use smallvec::{SmallVec, smallvec};

use super::{Exit, Notice};
use crate::clock::Moment;
use crate::gate::fault::Fault;
use crate::listen::host::HostFault;
use crate::upstream::Failure;

/// Seconds until a customer may look again whether changes are open.
const LOOK_AGAIN: u32 = 120;

impl Notice {
    fn plain(status: StatusCode, kind: &'static str, headline: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            headline,
            detail: detail.into(),
            exits: SmallVec::new(),
            reference: None,
            until: None,
            retryable: false,
            retry_after: None,
            fields: SmallVec::new(),
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
        let detail = match changes {
            true => {
                "Before this can be done, we need one more sign that it is you. \
                 What you sent was not carried out: please send it again afterwards."
            }
            false => "Before we show this, we need one more sign that it is you.",
        };
        let mut notice = Self::plain(status, "step-up", "Please confirm that it is you", detail);
        notice.exits = smallvec![exit];
        notice.field(WWW_AUTHENTICATE, challenge)
    }

    /// Looking is possible, changing is not.
    pub fn read_only(look_at: Option<String>) -> Self {
        let mut notice = Self::plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "read-only",
            "You can look, but not change anything right now",
            "We are being careful with changes at the moment. What you entered was not saved, and nothing about your account has changed.",
        );
        notice.retry_after = Some(LOOK_AGAIN);
        notice.exits.push(Exit::Wait { seconds: LOOK_AGAIN });
        if let Some(url) = look_at {
            notice.exits.push(Exit::Read { url });
        }
        notice
    }

    /// Too often in a short time.
    pub fn throttle(seconds: u32) -> Self {
        let mut notice = Self::plain(
            StatusCode::TOO_MANY_REQUESTS,
            "throttle",
            "Please wait a moment",
            "This was tried often in a short time. Nothing is lost: please wait, then try once more.",
        );
        notice.retryable = true;
        notice.retry_after = Some(seconds.max(1));
        notice.exits.push(Exit::Wait { seconds: seconds.max(1) });
        notice
    }

    /// A person continues.
    pub fn handoff(reference: Option<String>, until: Option<Moment>) -> Self {
        let mut notice = Self::plain(
            StatusCode::FORBIDDEN,
            "handoff",
            "Let us finish this together",
            "To keep your account safe, a person will help you with this step. Nothing has been changed, and your account and orders are as they were.",
        );
        notice.reference = reference;
        notice.until = until;
        notice
    }

    /// A rung refuses.
    pub fn denied() -> Self {
        Self::plain(
            StatusCode::FORBIDDEN,
            "denied",
            "This cannot be done here right now",
            "We cannot carry out this step online at the moment. Nothing has been changed. A person can help you.",
        )
    }

    /// Automation is kept to what people in need can spare.
    pub fn automation_narrowed() -> Self {
        let mut notice = Self::plain(
            StatusCode::FORBIDDEN,
            "automation-narrowed",
            "Automated access is limited right now",
            "For the moment only some of this service may be used by automated clients, and this is not part of it. \
             Nothing has been changed. If a person needs it, they can continue here.",
        );
        notice.retry_after = Some(LOOK_AGAIN);
        notice.exits.push(Exit::Wait { seconds: LOOK_AGAIN });
        notice
    }

    /// A `[[refuse]]` refuses.
    pub fn refused(status: StatusCode) -> Self {
        Self::plain(
            status,
            "refused",
            "This address is not available",
            "Nothing that you need is kept here. If a link on our own pages brought you here, please tell us.",
        )
    }

    /// Weir itself failed.
    pub fn broken() -> Self {
        Self::plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong on our side",
            "We could not finish this. Please try again; if it happens again, tell us the reference below.",
        )
    }

    /// A fault.
    pub fn fault(fault: &Fault) -> Self {
        match fault {
            Fault::Host(fault @ (HostFault::Tunnel | HostFault::Coding | HostFault::Target)) => Self::plain(
                fault.status(),
                "request",
                "This request is not understood here",
                "Please use the links of the site.",
            ),
            Fault::Host(fault) => Self::plain(
                fault.status(),
                "host",
                "This request does not name one site",
                "The request must name the same host everywhere, once.",
            ),
            Fault::AmbiguousTarget => Self::plain(
                StatusCode::BAD_REQUEST,
                "target",
                "This address is not written clearly",
                "The address can be read in more than one way. Please use the links of the site.",
            ),
            Fault::UnknownSite(_) => Self::plain(
                StatusCode::MISDIRECTED_REQUEST,
                "unknown-site",
                "This site is not served here",
                "Please check the address.",
            ),
            Fault::MethodNotAllowed { allow } => Self::plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "This cannot be done at this address",
                "The address exists, but not for this kind of request.",
            )
            .field(ALLOW, allow),
            Fault::MethodOverride => Self::plain(
                StatusCode::BAD_REQUEST,
                "method-override",
                "This request asks to be read as another",
                "Please send the request with its own method.",
            ),
            Fault::BodyTooLarge(most) => Self::plain(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "This is too large",
                format!("At most {most} bytes are taken here. Nothing was saved."),
            ),
            Fault::BodyTooSlow => {
                let mut notice = Self::plain(
                    StatusCode::REQUEST_TIMEOUT,
                    "too-slow",
                    "The connection was too slow",
                    "What you sent did not arrive in time, and nothing was saved. Please try again.",
                );
                notice.retryable = true;
                notice
            }
            Fault::BodyBroken(_) => Self::plain(
                StatusCode::BAD_REQUEST,
                "incomplete",
                "What you sent did not arrive whole",
                "Nothing was saved. Please try again.",
            ),
            Fault::InvalidToken(_) => Self::plain(
                StatusCode::UNAUTHORIZED,
                "invalid-token",
                "Please sign in again",
                "Your sign-in has ended or is not valid here.",
            )
            .field(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""),
            Fault::ReturnTarget => Self::plain(
                StatusCode::BAD_REQUEST,
                "return",
                "This link has expired",
                "Please go back to the page where you started.",
            ),
            Fault::Busy { come_back, .. } => {
                let mut notice = Self::plain(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "busy",
                    "Many people are here right now",
                    "We could not take this just now. Nothing is lost: please try again in a moment.",
                );
                notice.retryable = true;
                notice.retry_after = Some(*come_back);
                notice.exits.push(Exit::Wait { seconds: *come_back });
                notice
            }
            Fault::Upstream(failure) => Self::upstream(failure),
        }
    }

    fn upstream(failure: &Failure) -> Self {
        let mut notice = Self::plain(
            failure.status(),
            "upstream",
            "This part of the site is not answering",
            "We are looking into it. Your account and your orders are safe. \
             If you were changing something, it may not have been saved: please check before you send it again.",
        );
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
