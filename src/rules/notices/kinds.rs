//! Every kind of notice, and every fixed phrase around them, declared once: what an operator may reword, what each may hold,
//! and what a language must have words for.
//!
//! A kind's last part of the problem's `type` is stable: apps compare it.

/// A place in words that is filled in when they are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `{wait}`: how long to wait, "20 seconds".
    Wait,
    /// `{until}`: until when, "Monday 2 November, 14:00 (London time)".
    Until,
    /// `{most}`: how much is taken, "10 MB".
    Most,
}

impl Place {
    /// Every place.
    pub const ALL: [Self; 3] = [Self::Wait, Self::Until, Self::Most];

    /// As it is written between braces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Until => "until",
            Self::Most => "most",
        }
    }
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident $key:literal $problem:literal [$($place:ident),*];)*) => {
        /// A kind of notice: why a customer reads something of Weir's own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The key in `[notice.LANGUAGE]`.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* }
            }

            /// When a customer reads it.
            pub const fn when(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)* }
            }

            /// The last part of the problem's `type`; it never changes.
            pub const fn problem(self) -> &'static str {
                match self { $(Self::$name => $problem,)* }
            }

            /// What its words may hold. It is always known when a notice of this kind is made.
            pub const fn places(self) -> &'static [Place] {
                match self { $(Self::$name => &[$(Place::$place),*],)* }
            }
        }
    };
}

kinds! {
    /// One more proof is needed.
    StepUp "step_up" "step-up" [];
    /// Looking is possible, changing is not.
    ReadOnly "read_only" "read-only" [Wait];
    /// This was tried too often in a short time.
    Throttle "throttle" "throttle" [Wait];
    /// A person continues.
    Handoff "handoff" "handoff" [];
    /// A rung refuses.
    Denied "denied" "denied" [];
    /// Automation is kept to what people in need can spare.
    AutomationNarrowed "automation_narrowed" "automation-narrowed" [Wait];
    /// A `[[refuse]]` refuses.
    Refused "refused" "refused" [];
    /// There is no room at this moment.
    Busy "busy" "busy" [Wait];
    /// The application does not answer.
    Upstream "upstream" "upstream" [Wait];
    /// A sign-in that has ended or was never valid here.
    InvalidToken "invalid_token" "invalid-token" [];
    /// A way back that has expired.
    Return "return" "return" [];
    /// More was sent than is taken.
    TooLarge "too_large" "too-large" [Most];
    /// What was sent did not arrive in time.
    TooSlow "too_slow" "too-slow" [];
    /// What was sent did not arrive whole.
    Incomplete "incomplete" "incomplete" [];
    /// The address exists, but not for this kind of request.
    Method "method" "method" [];
    /// A request that asks to be read as another.
    MethodOverride "method_override" "method-override" [];
    /// An address that can be read in more than one way.
    Target "target" "target" [];
    /// A host that no site answers for.
    UnknownSite "unknown_site" "unknown-site" [];
    /// A request that does not name one host.
    Host "host" "host" [];
    /// A request of a form that is not understood.
    Request "request" "request" [];
    /// Weir itself failed.
    Internal "internal" "internal" [];
}

macro_rules! phrases {
    ($($(#[doc = $doc:literal])+ $name:ident $key:literal [$($place:literal),*];)*) => {
        /// A fixed phrase around the words of a notice.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Phrase {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Phrase {
            /// Every phrase.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The key in `[notice.LANGUAGE.phrases]`.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* }
            }

            /// What it is for.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)* }
            }

            /// What it must hold, between braces.
            pub const fn places(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($place),*],)* }
            }
        }
    };
}

phrases! {
    /// After a change that was held back.
    Resend "resend" [];
    /// The link to the step-up page.
    Confirm "confirm" [];
    /// When to come back.
    TryAgain "try_again" ["wait"];
    /// Above the ways to reach somebody.
    Reach "reach" [];
    /// Help is open.
    HereNow "here_now" [];
    /// Help is closed or full, and calls back.
    CallBack "call_back" [];
    /// Help is closed or full; an address follows.
    Elsewhere "elsewhere" [];
    /// When help opens.
    HereAgain "here_again" ["opens"];
    /// Before a number for voice calls.
    Phone "phone" [];
    /// Before the number of a text relay.
    Relay "relay" [];
    /// Before the address of a chat.
    Chat "chat" [];
    /// Before the opening hours.
    OpeningHours "opening_hours" [];
    /// The link to the start page.
    StartPage "start_page" [];
    /// The link to what can be looked at.
    LookAt "look_at" [];
    /// Above the reference of a handoff.
    YourReference "your_reference" [];
    /// How long the reference of a handoff holds.
    Holds "holds" ["span"];
    /// Before the reference of any other notice.
    Reference "reference" [];
    /// What the company never asks for, in the words of its status page.
    NeverAsk "never_ask" [];
    /// Beside what can only be looked at now, before anybody has tried to change it: in the journeys feed.
    LookOnly "look_only" [];
    /// Beside what does not answer now, before anybody has tried it: in the journeys feed.
    Away "away" [];
    /// Above a page that shows how things were.
    AsItWas "as_it_was" ["time"];
    /// Above what automation may still use.
    MayUse "may_use" [];
    /// All seven days.
    EveryDay "every_day" [];
    /// All hours of all days.
    AllHours "all_hours" [];
    /// Between the first and the last of several days.
    DayTo "day_to" [];
    /// Times of the day.
    Times "times" ["times"];
    /// Whose clock: the city of a time zone.
    Zone "zone" ["city"];
    /// A moment.
    Moment "moment" ["weekday", "day", "month", "time"];
    /// One second.
    Second "second" ["n"];
    /// Several seconds.
    Seconds "seconds" ["n"];
    /// One minute.
    Minute "minute" ["n"];
    /// Several minutes.
    Minutes "minutes" ["n"];
    /// One hour.
    Hour "hour" ["n"];
    /// Several hours.
    Hours "hours" ["n"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_kinds_and_phrases_apart() {
        let mut keys: Vec<_> = Kind::ALL.iter().map(|kind| kind.key()).collect();
        keys.extend(Phrase::ALL.iter().map(|phrase| phrase.key()));
        let problems: std::collections::HashSet<_> = Kind::ALL.iter().map(|kind| kind.problem()).collect();
        assert_eq!(problems.len(), Kind::ALL.len());
        for (at, key) in Kind::ALL.iter().map(|kind| kind.key()).enumerate() {
            assert!(!keys[at + 1..Kind::ALL.len()].contains(&key), "{key} stands twice");
        }
        for (at, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, at);
        }
        for (at, phrase) in Phrase::ALL.iter().enumerate() {
            assert_eq!(*phrase as usize, at);
        }
    }
}
