//! `[calibration.JOURNEY]` as law: what a score has meant on a journey, from outcomes that are known. Made by `weir calibrate`.
//!
//! It only says how likely something is, to operators. No line and no decision leans on it: those stand in points.

use crate::confidence::Points;

/// Fewer known outcomes than this say nothing.
pub const ENOUGH: u32 = 200;
/// The slopes that are believed: a point is worth about a point.
pub const SLOPES: (f64, f64) = (0.3, 2.0);
/// The offsets that are believed, to either side.
pub const FURTHEST: f64 = 100.0;
/// One deciban in natural units.
const DECIBAN: f64 = std::f64::consts::LN_10 / 10.0;

/// What a score means on one journey.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// What is added, in points.
    pub offset: f64,
    /// What a point is worth.
    pub slope: f64,
    /// How many known outcomes it was made from.
    pub outcomes: u32,
    /// The day of the last of them, as it was written: `2026-11-23`.
    pub made: Box<str>,
}

impl Calibration {
    /// How likely it is the account's owner, with this much evidence.
    pub fn probability(&self, evidence: Points) -> f64 {
        probability(self.offset, self.slope, f64::from(evidence.as_tenths()) / 10.0)
    }
}

/// `1 / (1 + 10^(-(offset + slope * evidence) / 10))` (`CONFIDENCE.md`, section 3).
pub fn probability(offset: f64, slope: f64, evidence: f64) -> f64 {
    1.0 / (1.0 + (-DECIBAN * (offset + slope * evidence)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_points_are_odds_of_ten_to_one_until_outcomes_say_otherwise() {
        let near = |one: f64, other: f64| (one - other).abs() < 1e-9;
        assert!(near(probability(0.0, 1.0, 0.0), 0.5));
        assert!(near(probability(0.0, 1.0, 10.0), 10.0 / 11.0));
        let less = Calibration { offset: -10.0, slope: 0.5, outcomes: 200, made: "2026-11-23".into() };
        assert!(near(less.probability(Points::whole(20)), 0.5));
        assert!(less.probability(Points::whole(1000)) <= 1.0 && less.probability(Points::whole(-1000)) >= 0.0);
    }
}
