//! The built-in English: calm and plain, no jargon, no blame, no fact that we do not know. Reading age 9 to 12.

use super::kinds::{Kind, Phrase};

/// The days of the week, Monday first.
pub const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The months.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Headline and detail of a kind.
pub const fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::StepUp => ("Please confirm that it is you", "Before we go on, we need one more sign that it is you."),
        Kind::ReadOnly => (
            "You can look, but not change anything right now",
            "Changes cannot be made at the moment. What you entered was not saved, and nothing about your account has changed.",
        ),
        Kind::Throttle => (
            "Please wait a moment",
            "This was tried often in a short time. Nothing is lost: please wait, then try once more.",
        ),
        Kind::Handoff => (
            "Let us finish this together",
            "To keep your account safe, a person will help you with this step. Nothing has been changed, and your account and orders are as they were.",
        ),
        Kind::Denied => (
            "This cannot be done here right now",
            "We cannot carry out this step online at the moment. Nothing has been changed. A person can help you.",
        ),
        Kind::AutomationNarrowed => (
            "Automated access is limited right now",
            "For the moment only some of this service may be used by automated clients, and this is not part of it. Nothing has been changed. If a person needs it, they can continue here.",
        ),
        Kind::Refused => (
            "This address is not available",
            "Nothing that you need is kept here. If a link on our own pages brought you here, please tell us.",
        ),
        Kind::Busy => (
            "Many people are here right now",
            "We could not take this just now. Nothing is lost: please try again in a moment.",
        ),
        Kind::Upstream => (
            "This part of the site is not answering",
            "We are looking into it. Your account and your orders are safe. If you were changing something, it may not have been saved: please check before you send it again.",
        ),
        Kind::InvalidToken => ("Please sign in again", "Your sign-in has ended or is not valid here."),
        Kind::Return => ("This link has expired", "Please go back to the page where you started."),
        Kind::TooLarge => ("This is too large", "We can take at most {most} here. Nothing was saved."),
        Kind::TooSlow => (
            "The connection was too slow",
            "What you sent did not arrive in time, and nothing was saved. Please try again.",
        ),
        Kind::Incomplete => ("What you sent did not arrive whole", "Nothing was saved. Please try again."),
        Kind::Method => {
            ("This cannot be done at this address", "The address exists, but not for this kind of request.")
        }
        Kind::MethodOverride => {
            ("This request asks to be read as another", "Please send the request with its own method.")
        }
        Kind::Target => (
            "This address is not written clearly",
            "The address can be read in more than one way. Please use the links of the site.",
        ),
        Kind::UnknownSite => ("This site is not served here", "Please check the address."),
        Kind::Host => ("This request does not name one site", "The request must name the same host everywhere, once."),
        Kind::Request => ("This request is not understood here", "Please use the links of the site."),
        Kind::Internal => (
            "Something went wrong on our side",
            "We could not finish this. Please try again; if it happens again, tell us the reference below.",
        ),
    }
}

/// A fixed phrase.
pub const fn phrase(phrase: Phrase) -> &'static str {
    match phrase {
        Phrase::Resend => "What you sent was not carried out: please send it again afterwards.",
        Phrase::Confirm => "Confirm it is you",
        Phrase::TryAgain => "Please try again in {wait}.",
        Phrase::Reach => "Reach a person",
        Phrase::HereNow => "We are here now.",
        Phrase::CallBack => {
            "We cannot take calls or chats right now. Leave a message and we will call you back on the number that you gave us."
        }
        Phrase::Elsewhere => "We cannot take calls or chats right now. Until then:",
        Phrase::HereAgain => "We are here again from {opens}.",
        Phrase::Phone => "Phone:",
        Phrase::Relay => "Text relay:",
        Phrase::Chat => "Chat:",
        Phrase::OpeningHours => "Opening hours:",
        Phrase::StartPage => "Go to the start page",
        Phrase::LookAt => "See what you can look at now",
        Phrase::YourReference => "Your reference",
        Phrase::Holds => "Please have it ready when you reach us. It holds for {span}.",
        Phrase::Reference => "Reference:",
        Phrase::NeverAsk => {
            "We never ask for your password or for a code that we sent you, neither by phone nor by e-mail."
        }
        Phrase::LookOnly => {
            "Changes cannot be made at the moment. Nothing about your account or your orders has changed."
        }
        Phrase::Away => "We are looking into it. Your account and your orders are safe.",
        Phrase::AsItWas => "This is how it looked on {time}. It may have changed since.",
        Phrase::MayUse => "Automated clients may use these now",
        Phrase::EveryDay => "every day",
        Phrase::AllHours => "at all hours",
        Phrase::DayTo => "to",
        Phrase::Times => "{times}",
        Phrase::Zone => "{city} time",
        Phrase::Moment => "{weekday} {day} {month}, {time}",
        Phrase::Second => "{n} second",
        Phrase::Seconds => "{n} seconds",
        Phrase::Minute => "{n} minute",
        Phrase::Minutes => "{n} minutes",
        Phrase::Hour => "{n} hour",
        Phrase::Hours => "{n} hours",
    }
}
