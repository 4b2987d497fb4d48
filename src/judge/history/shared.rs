//! What many share: an address, a range, a provider, a program, a fingerprint, a device. Judged by contamination alone: how much
//! less often strangers' sign-ins work there than they should (Herley and Schechter, NDSS 2019), never by volume or fan-out.
//!
//! It must never count what came from a device that its account trusts: a customer's own typing errors say nothing about a place.

use std::time::Duration;

use super::decay::Tried;
use crate::clock::Moment;

/// What kind of shared thing a bucket is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shared {
    /// One IPv4 address, or one IPv6 /64.
    Address,
    /// An IPv4 /24 or an IPv6 /48.
    Range,
    /// A provider.
    Provider,
    /// A `User-Agent`, as written.
    Program,
    /// A TLS and HTTP/2 fingerprint.
    Fingerprint,
    /// A device.
    Device,
}

impl Shared {
    /// All that are judged by contamination; a device is judged by its failures.
    pub const CONTAMINATED: [Self; 5] = [Self::Address, Self::Range, Self::Provider, Self::Program, Self::Fingerprint];

    /// How fast it is forgotten.
    #[inline]
    pub const fn half_life(self) -> Duration {
        Duration::from_secs(match self {
            Self::Address | Self::Range => 24 * 3600,
            Self::Provider | Self::Program | Self::Fingerprint => 6 * 3600,
            Self::Device => 3600,
        })
    }

    /// As many sign-ins as it takes to believe a bucket more than what it is part of.
    #[inline]
    pub const fn pseudo_counts(self) -> f32 {
        match self {
            Self::Address | Self::Device => 4.0,
            Self::Range => 6.0,
            Self::Provider | Self::Program => 25.0,
            Self::Fingerprint => 40.0,
        }
    }
}

/// What a bucket is measured against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parent {
    /// The share of sign-ins from trusted devices that work: what would work if nobody guessed.
    pub clean: f32,
    /// The share of guesses in what the bucket is part of.
    pub contamination: f32,
}

/// The share of guesses among these tries, 0.01 to 0.99: `1 - (S + k s0 (1 - c)) / ((N + k) s0)`.
#[inline]
pub fn contamination(tried: (f32, f32), pseudo_counts: f32, parent: Parent) -> f32 {
    let (tries, worked) = tried;
    let good = worked.max(0.0) + pseudo_counts * parent.clean * (1.0 - parent.contamination);
    let share = 1.0 - good / ((tries.max(0.0) + pseudo_counts) * parent.clean);
    if share.is_nan() { parent.contamination } else { share.clamp(0.01, 0.99) }
}

impl Tried {
    /// The share of guesses in this bucket.
    #[inline]
    pub fn contamination(&self, shared: Shared, parent: Parent, now: Moment) -> f32 {
        contamination(self.now(shared.half_life(), now), shared.pseudo_counts(), parent)
    }
}
