//! How good probabilities are: Brier's score and what it is made of, ten reliability bins, the expected calibration error.
//!
//! Murphy's identity holds exactly: brier = reliability - resolution + uncertainty + within, where `within` is what ten bins
//! leave out (Stephenson, Coelho and Jolliffe 2008).

use serde::Serialize;

use super::fit::{Case, Fit};

/// How many bins there are.
pub const BINS: usize = 10;

/// Decisions with about the same probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// How many.
    pub n: usize,
    /// What was said of them, in the mean.
    pub said: f64,
    /// Which share was genuine.
    pub genuine: f64,
}

/// How good some probabilities are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// The mean square of what was said less what was.
    pub brier: f64,
    /// How far what was said lies from what was; 0 is best.
    pub reliability: f64,
    /// How far the bins lie from the mean; more is better.
    pub resolution: f64,
    /// What the base rate alone leaves open.
    pub uncertainty: f64,
    /// What differs inside the bins.
    pub within: f64,
    /// The mean distance of what was said from what was.
    pub calibration_error: f64,
    /// Tenths of probability, from 0 up.
    pub bins: [Bin; BINS],
}

/// Measures what these constants say of these outcomes. Nothing of none.
pub fn measure(cases: &[Case], fit: &Fit) -> Option<Measure> {
    if cases.is_empty() {
        return None;
    }
    let pairs: Vec<(f64, f64)> =
        cases.iter().map(|case| (fit.probability(case.evidence), f64::from(u8::from(case.genuine)))).collect();
    let all = pairs.len() as f64;
    let mut bins = [Bin::default(); BINS];
    for (said, was) in &pairs {
        if let Some(bin) = bins.get_mut(bin_of(*said)) {
            bin.n += 1;
            bin.said += said;
            bin.genuine += was;
        }
    }
    for bin in bins.iter_mut().filter(|bin| bin.n > 0) {
        bin.said /= bin.n as f64;
        bin.genuine /= bin.n as f64;
    }
    let base = pairs.iter().map(|(_, was)| was).sum::<f64>() / all;
    let mean = |what: &dyn Fn(&Bin) -> f64| bins.iter().map(|bin| bin.n as f64 / all * what(bin)).sum::<f64>();
    let within = pairs.iter().filter_map(|(said, was)| {
        let bin = bins.get(bin_of(*said))?;
        let (said, was) = (said - bin.said, was - bin.genuine);
        Some(said * said - 2.0 * said * was)
    });
    Some(Measure {
        brier: pairs.iter().map(|(said, was)| (said - was) * (said - was)).sum::<f64>() / all,
        reliability: mean(&|bin| (bin.said - bin.genuine).powi(2)),
        resolution: mean(&|bin| (bin.genuine - base).powi(2)),
        uncertainty: base * (1.0 - base),
        within: within.sum::<f64>() / all,
        calibration_error: mean(&|bin| (bin.said - bin.genuine).abs()),
        bins,
    })
}

/// The bin of a probability; 1 is in the last.
fn bin_of(said: f64) -> usize {
    // `as` saturates: nothing is outside.
    ((said * BINS as f64) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcomes of which a score that is taken as it comes says these probabilities.
    fn cases(table: &[(f64, usize, usize)]) -> Vec<Case> {
        let of = |&(said, n, genuine): &(f64, usize, usize)| {
            let evidence = 10.0 * (said / (1.0 - said)).log10();
            (0..n).map(move |at| Case { evidence, genuine: at < genuine, held_out: false })
        };
        table.iter().flat_map(of).collect()
    }

    #[test]
    fn a_known_table_has_its_known_figures() {
        // 100 said .25 of which 30 were, 100 said .75 of which 60 were.
        let measure = measure(&cases(&[(0.25, 100, 30), (0.75, 100, 60)]), &Fit::AS_IT_COMES).unwrap();
        let near = |one: f64, other: f64| (one - other).abs() < 1e-12;
        assert!(near(measure.calibration_error, 0.5 * 0.05 + 0.5 * 0.15));
        assert!(near(measure.reliability, 0.5 * 0.0025 + 0.5 * 0.0225));
        assert!(near(measure.resolution, 0.0225));
        assert!(near(measure.uncertainty, 0.45 * 0.55));
        assert!(near(measure.within, 0.0), "{measure:?}");
        assert!(near(measure.brier, measure.reliability - measure.resolution + measure.uncertainty));
        assert_eq!((measure.bins[2].n, measure.bins[7].n), (100, 100));
    }

    #[test]
    fn the_parts_of_briers_score_sum_to_it_whatever_lies_in_a_bin() {
        let table: Vec<(f64, usize, usize)> =
            (1..100).map(|n| (n as f64 / 100.0, 10 + n % 7, (n * 5 + 3) % (10 + n % 7))).collect();
        let measure = measure(&cases(&table), &Fit { a: 1.5, b: 0.7 }).unwrap();
        let parts = measure.reliability - measure.resolution + measure.uncertainty + measure.within;
        assert!((measure.brier - parts).abs() < 1e-12, "{measure:?}");
        assert!(measure.within.abs() > 1e-6);
        assert_eq!(measure.bins.iter().map(|bin| bin.n).sum::<usize>(), cases(&table).len());
    }

    #[test]
    fn a_score_that_is_right_errs_by_nothing() {
        let table: Vec<(f64, usize, usize)> = (1..10).map(|n| (n as f64 / 10.0 + 0.05, 1000, n * 100 + 50)).collect();
        let table = table.get(..8).unwrap();
        let measure = measure(&cases(table), &Fit::AS_IT_COMES).unwrap();
        assert!(measure.calibration_error < 1e-12 && measure.reliability < 1e-12);
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(measure(&[], &Fit::AS_IT_COMES), None);
    }
}
