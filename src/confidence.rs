//! The words of the score: readings, points, evidence, confidence. One point is one deciban (ten points are odds of ten to
//! one); a score of 50 means even odds (`CONFIDENCE.md`, section 3).
//!
//! A reading that is not known says why. Unknown is never zero and never good.

use std::fmt;

/// A signal's value for one request, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading<T> {
    /// The value.
    Known(T),
    /// No value, and the reason.
    Unknown(Why),
}

impl<T> Reading<T> {
    /// The value, if it is known.
    #[inline]
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// The value by reference, keeping the reason when there is none.
    #[inline]
    pub const fn as_ref(&self) -> Reading<&T> {
        match self {
            Self::Known(value) => Reading::Known(value),
            Self::Unknown(why) => Reading::Unknown(*why),
        }
    }

    /// Another reading made from the value, keeping the reason when there is none.
    #[inline]
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Known(value) => Reading::Known(make(value)),
            Self::Unknown(why) => Reading::Unknown(why),
        }
    }
}

/// Why a reading is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The client sent nothing to read. Its own doing, not a fault of ours.
    Missing,
    /// Nothing on this request asks for it (no account is named, no journey needs it).
    NotAsked,
    /// What was sent cannot be read in one way only.
    Ambiguous,
    /// The source is older than it may be.
    Stale,
    /// The source cannot be reached.
    Down,
    /// A playbook or a guard has switched the source off.
    Distrusted,
    /// The transport's facts belong to a proxy before us.
    Proxied,
}

impl Why {
    /// The word used in logs, `explain` and rule files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NotAsked => "not_asked",
            Self::Ambiguous => "ambiguous",
            Self::Stale => "stale",
            Self::Down => "down",
            Self::Distrusted => "distrusted",
            Self::Proxied => "proxied",
        }
    }

    /// Whether this is a fault of a source of ours, which `when_unknown` answers. A missing cookie is not.
    #[inline]
    pub const fn is_fault(self) -> bool {
        match self {
            Self::Stale | Self::Down | Self::Distrusted => true,
            Self::Missing | Self::NotAsked | Self::Ambiguous | Self::Proxied => false,
        }
    }
}

/// Evidence in tenths of a point (a point is a deciban). Sums are exact, so the explanation is the arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Points(i32);

impl Points {
    /// No evidence either way.
    pub const ZERO: Self = Self(0);

    /// Whole points.
    pub const fn whole(points: i32) -> Self {
        Self(points * 10)
    }

    /// Tenths of a point.
    #[inline]
    pub const fn tenths(tenths: i32) -> Self {
        Self(tenths)
    }

    /// This many tenths of a point.
    #[inline]
    pub const fn as_tenths(self) -> i32 {
        self.0
    }

    /// Half of it, cut towards zero to whole tenths.
    #[must_use]
    pub const fn half(self) -> Self {
        Self(self.0 / 2)
    }

    /// Kept between a floor and a cap.
    #[inline]
    pub fn clip(self, floor: Self, cap: Self) -> Self {
        Self(self.0.clamp(floor.0, cap.0))
    }
}

impl std::ops::Add for Points {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Points {
    fn sum<I: Iterator<Item = Self>>(points: I) -> Self {
        points.fold(Self::ZERO, |sum, more| sum + more)
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let tenths = self.0.unsigned_abs();
        match tenths % 10 {
            0 => write!(f, "{sign}{}", tenths / 10),
            part => write!(f, "{sign}{}.{part}", tenths / 10),
        }
    }
}

/// The four families of signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// The device cookie and the client software.
    Device,
    /// Network against own history, shared buckets, account pressure, journey, session.
    Behaviour,
    /// How, how strongly and how recently the subject proved itself.
    Authentication,
    /// What is known to have leaked.
    Exposure,
}

impl Family {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Device, Self::Behaviour, Self::Authentication, Self::Exposure];

    /// The word used in rules, logs and `explain`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Behaviour => "behaviour",
            Self::Authentication => "authentication",
            Self::Exposure => "exposure",
        }
    }
}

/// How sure we are that this is the account's owner: 0 to 100, 50 is even odds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence(u8);

impl Confidence {
    /// No confidence at all.
    pub const NONE: Self = Self(0);

    /// The score of this much evidence: 50 and the sum, kept between 0 and 100, rounded down.
    pub fn from_evidence(sum: Points) -> Self {
        let score = 50 + sum.as_tenths().div_euclid(10);
        Self(u8::try_from(score.clamp(0, 100)).unwrap_or(0))
    }

    /// A line drawn in a rule file. `None` above 100.
    pub const fn line(at: u8) -> Option<Self> {
        if at <= 100 { Some(Self(at)) } else { None }
    }

    /// So many points lower, at least 0.
    #[must_use]
    pub const fn lowered(self, by: u8) -> Self {
        Self(self.0.saturating_sub(by))
    }

    /// The number, 0 to 100.
    pub const fn score(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How much of the evidence that could have been read stood behind the score, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coverage(u8);

impl Coverage {
    /// `read` of `possible` families' weight was known.
    pub fn of(read: u32, possible: u32) -> Self {
        match possible {
            0 => Self(0),
            all => Self(u8::try_from((read.min(all) * 100) / all).unwrap_or(100)),
        }
    }

    /// Percent, 0 to 100.
    pub const fn percent(self) -> u8 {
        self.0
    }
}
