//! Sets of the sources of readings that can be lost. What each is called is declared in the language.
//!
//! It must never say what the loss of one means: that is the judge's.

pub(crate) use super::syntax::feeds::Feed;

/// Some sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feeds(u16);

impl Feeds {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// With this one.
    #[must_use]
    pub(crate) const fn with(self, feed: Feed) -> Self {
        Self(self.0 | 1 << feed as u16)
    }

    /// Whether the set has this one.
    pub(crate) const fn contain(self, feed: Feed) -> bool {
        self.0 & (1 << feed as u16) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Feed> for Feeds {
    fn from_iter<I: IntoIterator<Item = Feed>>(feeds: I) -> Self {
        feeds.into_iter().fold(Self::NONE, Self::with)
    }
}
