//! Every way in which forwarding fails, with the status that the client sees, the token that RFC 9209 gives it, and the cause for the log.

use std::io;

use http::StatusCode;

/// Any error, as hyper gives it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server's name has no address.
    #[error("the server's name cannot be resolved: {0}")]
    Unresolved(#[source] io::Error),
    /// Asking for the server's address took too long.
    #[error("resolving the server's name took too long")]
    ResolveTimeout,
    /// The server refused the connection.
    #[error("the server refuses connections: {0}")]
    Refused(#[source] io::Error),
    /// There is no way to the server.
    #[error("the server cannot be reached: {0}")]
    Unreachable(#[source] io::Error),
    /// Connecting, TLS included, took too long.
    #[error("connecting took too long")]
    ConnectTimeout,
    /// The server's certificate is not trusted, or is for another name.
    #[error("the server's certificate is not accepted: {0}")]
    Certificate(#[source] io::Error),
    /// TLS failed otherwise.
    #[error("TLS with the server failed: {0}")]
    Tls(#[source] io::Error),
    /// There are as many connections to this server as there may be.
    #[error("there are no more connections to the server")]
    Full,
    /// No answer in time.
    #[error("the server did not answer in time")]
    AnswerTimeout,
    /// The connection ended before the answer's head was complete.
    #[error("the server closed the connection before it answered")]
    Closed(#[source] Option<hyper::Error>),
    /// What came is not HTTP.
    #[error("the server's answer is not HTTP: {0}")]
    Garbage(#[source] hyper::Error),
    /// The answer's head is larger than is read.
    #[error("the head of the server's answer is too large")]
    HeadTooLarge,
    /// The server switched protocols without being asked.
    #[error("the server switched protocols without being asked")]
    Switched,
    /// The answer's transfer coding is not understood.
    #[error("the server's answer has a transfer coding that is not understood")]
    Coding,
    /// The request's own body broke off, came too slowly or is too large: the client's doing.
    #[error("the request's body failed: {0}")]
    RequestBody(#[source] BoxError),
}

impl Failure {
    /// What the client sees.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::ResolveTimeout | Self::ConnectTimeout | Self::AnswerTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::RequestBody(_) => StatusCode::BAD_REQUEST,
            Self::Unresolved(_)
            | Self::Refused(_)
            | Self::Unreachable(_)
            | Self::Certificate(_)
            | Self::Tls(_)
            | Self::Closed(_)
            | Self::Garbage(_)
            | Self::HeadTooLarge
            | Self::Switched
            | Self::Coding => StatusCode::BAD_GATEWAY,
        }
    }

    /// The error type for `Proxy-Status` (RFC 9209 section 2.3).
    pub const fn token(&self) -> &'static str {
        match self {
            Self::Unresolved(_) => "dns_error",
            Self::ResolveTimeout => "dns_timeout",
            Self::Refused(_) => "connection_refused",
            Self::Unreachable(_) => "destination_ip_unroutable",
            Self::ConnectTimeout => "connection_timeout",
            Self::Certificate(_) => "tls_certificate_error",
            Self::Tls(_) => "tls_protocol_error",
            Self::Full => "connection_limit_reached",
            Self::AnswerTimeout => "http_response_timeout",
            Self::Closed(_) => "connection_terminated",
            Self::Garbage(_) => "http_protocol_error",
            Self::HeadTooLarge => "http_response_header_section_size",
            Self::Switched => "http_upgrade_failed",
            Self::Coding => "http_response_transfer_coding",
            Self::RequestBody(_) => "http_request_error",
        }
    }

    /// Whether it says that the server itself is not well.
    pub(super) const fn marks(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Unreachable(_) | Self::ConnectTimeout | Self::Tls(_) | Self::Certificate(_) => {
                true
            }
            Self::Unresolved(_)
            | Self::ResolveTimeout
            | Self::Full
            | Self::AnswerTimeout
            | Self::Closed(_)
            | Self::Garbage(_)
            | Self::HeadTooLarge
            | Self::Switched
            | Self::Coding
            | Self::RequestBody(_) => false,
        }
    }

    /// What went wrong with the request's body, when that was it: the listener's own error can be found by downcasting.
    pub fn request_body(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        match self {
            Self::RequestBody(cause) => Some(&**cause),
            _ => None,
        }
    }

    /// Sorts an error of the client connection.
    pub(super) fn of(error: hyper::Error) -> Self {
        if error.is_parse_too_large() {
            Self::HeadTooLarge
        } else if error.is_parse() {
            Self::Garbage(error)
        } else if error.is_timeout() {
            Self::AnswerTimeout
        } else {
            Self::Closed(Some(error))
        }
    }
}
