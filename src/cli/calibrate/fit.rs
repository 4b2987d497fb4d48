//! The constants of a journey: P(genuine) = 1 / (1 + 10^(-(a + b E) / 10)), fitted to outcomes by Newton's method.
//!
//! Deterministic: the same outcomes give the same constants to the last digit. It must never give constants that the outcomes do
//! not bear: too few of them, or a slope that says that the points mean something else.

use serde::Serialize;

use crate::rules::calibration::{self, SLOPES};

/// Fewer labelled outcomes than this say nothing.
pub const ENOUGH: usize = calibration::ENOUGH as usize;
/// One deciban in natural units.
const DECIBAN: f64 = std::f64::consts::LN_10 / 10.0;
/// More steps than Newton's method takes where there is an answer.
const STEPS: usize = 100;

/// One decision of which it is known how it turned out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// Its evidence, in points.
    pub evidence: f64,
    /// Whether it was the account's owner.
    pub genuine: bool,
    /// In which half it is, for measuring on what was not fitted.
    pub held_out: bool,
}

/// Two constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// What is added, in points.
    pub a: f64,
    /// What a point is worth.
    pub b: f64,
}

/// Why there are no constants.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Too few outcomes.
    #[error(
        "{0} outcomes are known, and fewer than {ENOUGH} say nothing; keep more, or calibrate journeys of one kind together"
    )]
    TooFew(usize),
    /// All of one kind.
    #[error("every known outcome is genuine; report fraud with `weir outcome REFERENCE fraud` when you learn of it")]
    NoFraud,
    /// All of the other kind.
    #[error("every known outcome is fraud; nothing can be told apart")]
    NothingGenuine,
    /// The score tells them apart better or worse than points should.
    #[error("a point would be worth {0:.2} points, outside {min} to {max}; look at the outcomes before you believe either", min = SLOPES.0, max = SLOPES.1)]
    Slope(f64),
    /// No best constants.
    #[error(
        "the score tells these outcomes apart without one mistake, so no constants are best; wait for more outcomes"
    )]
    Endless,
}

impl Fit {
    /// The score as it comes: a point is a deciban, and nothing is added.
    pub const AS_IT_COMES: Self = Self { a: 0.0, b: 1.0 };

    /// How likely it is the account's owner, with this much evidence.
    pub fn probability(&self, evidence: f64) -> f64 {
        calibration::probability(self.a, self.b, evidence)
    }

    /// The constants of these outcomes.
    ///
    /// # Errors
    /// Why they are not to be believed.
    pub fn of(cases: &[Case]) -> Result<Self, Refused> {
        if cases.len() < ENOUGH {
            return Err(Refused::TooFew(cases.len()));
        }
        let fit = Self::best(cases)?;
        match fit.b >= SLOPES.0 && fit.b <= SLOPES.1 {
            true => Ok(fit),
            false => Err(Refused::Slope(fit.b)),
        }
    }

    /// The most likely constants, whatever they are.
    ///
    /// # Errors
    /// When there are none.
    pub fn best(cases: &[Case]) -> Result<Self, Refused> {
        let genuine = cases.iter().filter(|case| case.genuine).count();
        if genuine == cases.len() {
            return Err(Refused::NoFraud);
        }
        if genuine == 0 {
            return Err(Refused::NothingGenuine);
        }
        let mut fit = Self::AS_IT_COMES;
        let mut cost = fit.cost(cases);
        for _ in 0..STEPS {
            let Some(step) = fit.step(cases) else { return Err(Refused::Endless) };
            // Halved until it helps: far from the best, Newton's step can be too long.
            let mut share = 1.0;
            let (next, reached) = loop {
                let next = Self { a: fit.a + share * step.a, b: fit.b + share * step.b };
                let reached = next.cost(cases);
                if reached <= cost || share < 1e-12 {
                    break (next, reached);
                }
                share /= 2.0;
            };
            if next.b.abs() > 50.0 || !reached.is_finite() {
                return Err(Refused::Endless);
            }
            (fit, cost) = (next, reached.min(cost));
            if (share * step.a).abs() < 1e-9 && (share * step.b).abs() < 1e-9 {
                return Ok(fit);
            }
        }
        Err(Refused::Endless)
    }

    /// How unlikely these outcomes are: minus the logarithm of their likelihood.
    fn cost(&self, cases: &[Case]) -> f64 {
        let unlikely = |case: &Case| {
            let towards = DECIBAN * (self.a + self.b * case.evidence);
            let towards = if case.genuine { towards } else { -towards };
            // ln(1 + e^-x), without overflow.
            if towards > 0.0 { (-towards).exp().ln_1p() } else { towards.exp().ln_1p() - towards }
        };
        cases.iter().map(unlikely).sum()
    }

    /// Newton's step; none where the outcomes lie so that no direction is best.
    fn step(&self, cases: &[Case]) -> Option<Self> {
        let (mut toward_a, mut toward_b) = (0.0, 0.0);
        let (mut aa, mut ab, mut bb) = (0.0, 0.0, 0.0);
        for case in cases {
            let p = self.probability(case.evidence);
            let off = f64::from(u8::from(case.genuine)) - p;
            let weight = p * (1.0 - p);
            toward_a += off;
            toward_b += off * case.evidence;
            aa += weight;
            ab += weight * case.evidence;
            bb += weight * case.evidence * case.evidence;
        }
        let determinant = aa * bb - ab * ab;
        if !determinant.is_finite() || determinant <= 1e-12 * aa.max(1e-300) * bb.max(1e-300) {
            return None;
        }
        Some(Self {
            a: (toward_a * bb - toward_b * ab) / determinant / DECIBAN,
            b: (toward_b * aa - toward_a * ab) / determinant / DECIBAN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcomes as a perfectly calibrated score has them: of 1000 with the same evidence, as many are genuine as it says.
    fn perfect(a: f64, b: f64) -> Vec<Case> {
        let truth = Fit { a, b };
        (-30..=30)
            .flat_map(|evidence| {
                let evidence = f64::from(evidence);
                let genuine = (truth.probability(evidence) * 100_000.0).round() as usize;
                (0..100_000).step_by(100).map(move |n| Case { evidence, genuine: n < genuine, held_out: n % 200 == 0 })
            })
            .collect()
    }

    #[test]
    fn outcomes_as_the_score_says_need_no_constants() {
        let fit = Fit::of(&perfect(0.0, 1.0)).unwrap();
        assert!(fit.a.abs() < 0.05 && (fit.b - 1.0).abs() < 0.01, "{fit:?}");
    }

    #[test]
    fn constants_that_made_the_outcomes_are_found_again() {
        for (a, b) in [(-8.0, 0.5), (12.0, 1.7), (3.0, 1.0)] {
            let fit = Fit::of(&perfect(a, b)).unwrap();
            assert!((fit.a - a).abs() < 0.1 && (fit.b - b).abs() < 0.02, "{a} {b}: {fit:?}");
        }
    }

    #[test]
    fn the_same_outcomes_give_the_same_constants_to_the_last_digit() {
        let cases = perfect(2.0, 0.8);
        let (one, two) = (Fit::of(&cases).unwrap(), Fit::of(&cases).unwrap());
        assert_eq!((one.a.to_bits(), one.b.to_bits()), (two.a.to_bits(), two.b.to_bits()));
    }

    #[test]
    fn what_outcomes_do_not_bear_is_refused_with_its_reason() {
        let some = |n: u32, genuine: fn(u32) -> bool| -> Vec<Case> {
            (0..n).map(|n| Case { evidence: f64::from(n % 40) - 20.0, genuine: genuine(n), held_out: false }).collect()
        };
        assert_eq!(Fit::of(&some(199, |n| n % 2 == 0)), Err(Refused::TooFew(199)));
        assert_eq!(Fit::of(&some(400, |_| true)), Err(Refused::NoFraud));
        assert_eq!(Fit::of(&some(400, |_| false)), Err(Refused::NothingGenuine));
        assert_eq!(Fit::of(&some(400, |n| n % 40 >= 20)), Err(Refused::Endless));
        assert!(matches!(Fit::of(&some(4000, |n| n % 3 == 0)), Err(Refused::Slope(b)) if b.abs() < 0.1));
        assert!(matches!(Fit::of(&perfect(0.0, 3.0)), Err(Refused::Slope(b)) if b > 2.0));
        assert!(matches!(Fit::of(&perfect(0.0, -1.0)), Err(Refused::Slope(b)) if b < 0.0));
        assert!(Refused::Slope(2.5).to_string().starts_with("a point would be worth 2.50 points, outside 0.3 to 2"));
    }
}
