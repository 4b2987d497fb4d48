//! The banner on pages that show how things were, as law.

/// The law of the banner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BannerLaw {
    /// Pages that come live carry it too, while their journey is contained.
    pub live: bool,
    /// The time zone that times are said in, by its IANA name; UTC when absent.
    pub zone: Option<Box<str>>,
}
