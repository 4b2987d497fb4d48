//! Lines by budget: at which score as many genuine customers are asked for more as the business can bear, and what that catches.
//!
//! It must never set a line by who is caught: the customers who are held up are what it costs.

use serde::Serialize;

use super::fit::Case;

/// A line, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Which share of the genuine may be below it.
    pub budget: f64,
    /// The score: who is below it is asked for more.
    pub at: u8,
    /// Which share of the genuine is below it.
    pub challenged: f64,
    /// Which share of the fraud is below it.
    pub caught: f64,
}

/// Whether a decision is below a line, as the judge sees it: the score is rounded down and kept between 0 and 100.
pub fn is_below(evidence: f64, at: u8) -> bool {
    (50.0 + evidence).floor().clamp(0.0, 100.0) < f64::from(at)
}

/// The highest line that holds the budget.
pub fn line(cases: &[Case], budget: f64) -> Line {
    let share = |genuine: bool, at: u8| {
        let all = cases.iter().filter(|case| case.genuine == genuine);
        let (mut n, mut below) = (0_usize, 0_usize);
        for case in all {
            n += 1;
            below += usize::from(is_below(case.evidence, at));
        }
        if n == 0 { 0.0 } else { below as f64 / n as f64 }
    };
    // The share grows with the line, so the first that is over ends it.
    let (mut least, mut most) = (0_u8, 100_u8);
    while least < most {
        let middle = least + (most - least).div_ceil(2);
        match share(true, middle) <= budget {
            true => least = middle,
            false => most = middle - 1,
        }
    }
    Line { budget, at: least, challenged: share(true, least), caught: share(false, least) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(evidence: f64, genuine: bool) -> Case {
        Case { evidence, genuine, held_out: false }
    }

    #[test]
    fn the_line_is_the_highest_that_holds_the_budget() {
        // Genuine at scores 1 to 100, one each; fraud at 10.
        let mut cases: Vec<Case> = (1..=100).map(|score| case(f64::from(score) - 50.0, true)).collect();
        cases.extend([case(-40.0, false), case(30.0, false)]);
        assert_eq!(line(&cases, 0.05), Line { budget: 0.05, at: 6, challenged: 0.05, caught: 0.0 });
        assert_eq!(line(&cases, 0.10), Line { budget: 0.10, at: 11, challenged: 0.10, caught: 0.5 });
        assert_eq!(line(&cases, 0.0).at, 1);
        assert_eq!(line(&cases, 1.0).at, 100);
    }

    #[test]
    fn a_score_is_rounded_down_as_the_judge_does() {
        assert!(is_below(2.9, 53));
        assert!(!is_below(3.0, 53));
        assert!(is_below(-90.0, 1));
        assert!(!is_below(-90.0, 0));
        assert!(!is_below(90.0, 100));
    }

    #[test]
    fn nobody_genuine_is_no_division_by_nothing() {
        assert_eq!(line(&[], 0.01).challenged, 0.0);
    }
}
