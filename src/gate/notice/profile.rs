//! How apps in the field are answered: the profile's status where it has one, and a body in the app's own format.
//!
//! It never makes an answer look like a success, and never sends a 401 to an app in a version that nobody vouched for.

use http::{HeaderValue, StatusCode};

use super::voice::Said;
use super::{Notice, Reader, Voice};
use crate::rules::notices::{Failed, Kind};

/// The status for this reader. Pages and gRPC keep theirs; what was wrong with a request is told as it is.
pub(super) fn status(notice: &Notice, voice: &Voice<'_>) -> StatusCode {
    if voice.reader != Reader::Program {
        return notice.status;
    }
    let profile = voice.profile;
    let wanted = match notice.kind {
        // A loop that was noticed, and a journey that asks with 403, are stricter than a profile that asks with 401.
        Kind::StepUp if notice.status == StatusCode::FORBIDDEN => {
            profile.and_then(|profile| profile.step_up).filter(|status| *status != 401)
        }
        Kind::StepUp | Kind::InvalidToken => profile.and_then(|profile| profile.step_up),
        Kind::Handoff | Kind::Denied | Kind::Refused | Kind::AutomationNarrowed => {
            profile.and_then(|profile| profile.refused)
        }
        Kind::Throttle => profile.and_then(|profile| profile.throttle),
        Kind::ReadOnly | Kind::Busy | Kind::Upstream => profile.and_then(|profile| profile.unavailable),
        Kind::Return
        | Kind::TooLarge
        | Kind::TooSlow
        | Kind::Incomplete
        | Kind::Method
        | Kind::MethodOverride
        | Kind::Target
        | Kind::UnknownSite
        | Kind::Host
        | Kind::Request
        | Kind::Internal => None,
    };
    let status = wanted.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(notice.status);
    if status == StatusCode::UNAUTHORIZED && voice.unknown_version { StatusCode::FORBIDDEN } else { status }
}

/// The body in the app's own format, if its profile has one.
pub(super) fn body(notice: &Notice, said: &Said, voice: &Voice<'_>) -> Option<Result<(HeaderValue, String), Failed>> {
    let (template, kind) = voice.profile?.body.as_ref()?;
    let text = voice.notices.templates.body(*template, &said.view(notice, voice));
    Some(text.map(|text| (kind.clone(), text)))
}
