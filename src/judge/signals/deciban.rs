//! From ratios to points, quickly, and the same on every machine: a logarithm from a short table instead of the system's library,
//! and rounding without a call.
//!
//! It must never panic or wrap, whatever number comes, and never be off by as much as a tenth of a point.

use crate::confidence::Points;

/// Where the first of sixteen pieces of a power of two begins: so that one piece has 1 within it, and none crosses a power.
const FIRST: u32 = 0x3f33_0000;
/// Bits of a number within one piece.
const PIECE: u32 = 19;

/// For each piece, one over a number in its middle, and that number's logarithm.
static PIECES: [(f64, f64); 16] = pieces();

const fn pieces() -> [(f64, f64); 16] {
    let mut pieces = [(1.0, 0.0); 16];
    let mut at = 0;
    while at < 16 {
        let from = FIRST + ((at as u32) << PIECE);
        let one = 1.0_f32.to_bits();
        // Around 1 the logarithm is next to nothing, and must be right all the same.
        if !(from <= one && one < from + (1 << PIECE)) {
            let middle = f32::from_bits(from + (1 << (PIECE - 1))) as f64;
            pieces[at] = (1.0 / middle, logarithm(middle));
        }
        at += 1;
    }
    pieces
}

/// The decadic logarithm of a number near 1, by the series of the inverse hyperbolic tangent.
const fn logarithm(of: f64) -> f64 {
    let ratio = (of - 1.0) / (of + 1.0);
    let (mut sum, mut power, mut odd) = (0.0, ratio, 1.0);
    while odd < 40.0 {
        sum += power / odd;
        power *= ratio * ratio;
        odd += 2.0;
    }
    2.0 * sum * std::f64::consts::LOG10_E
}

/// The decadic logarithm. What is no positive number has the one that the standard library gives it.
#[inline]
fn log10(number: f32) -> f32 {
    let bits = number.to_bits();
    if !number.is_normal() || number < 0.0 {
        return number.log10();
    }
    let beyond = bits.wrapping_sub(FIRST);
    let twos = beyond as i32 >> 23;
    let within = f32::from_bits(bits.wrapping_sub((twos as u32) << 23));
    let (inverse, logarithm) = PIECES[(beyond >> PIECE & 15) as usize];
    let rest = f64::from(within) * inverse - 1.0;
    let series = 1.0 + rest * (-1.0 / 2.0 + rest * (1.0 / 3.0 + rest * (-1.0 / 4.0 + rest * (1.0 / 5.0 - rest / 6.0))));
    let (two, e) = (std::f64::consts::LOG10_2, std::f64::consts::LOG10_E);
    (f64::from(twos) * two + logarithm + e * rest * series) as f32
}

/// Ten times the logarithm of a ratio, in points.
#[inline]
pub(super) fn db(ratio: f32) -> f32 {
    10.0 * log10(ratio)
}

/// The same, as evidence; 0 for what is no ratio.
pub(super) fn decibans(ratio: f32) -> Points {
    // `as` saturates and reads NaN as 0: no ratio can panic or wrap.
    Points::tenths(if ratio > 0.0 { tenths(db(ratio)) } else { 0 })
}

/// Points as tenths.
#[inline]
fn tenths(points: f32) -> i32 {
    let tenths = 10.0 * points;
    // Rounded half away from zero: the largest number below one half, so that what is just short of it is not rounded up.
    (tenths + 0.499_999_97_f32.copysign(tenths)) as i32
}

/// Points as evidence.
#[inline]
pub(super) fn points(points: f32) -> Points {
    Points::tenths(tenths(points))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_of_ten_is_ten_points_and_nonsense_is_none() {
        assert_eq!(decibans(10.0), Points::whole(10));
        assert_eq!(decibans(0.1), Points::whole(-10));
        for nonsense in [0.0, -1.0, f32::NAN] {
            assert_eq!(decibans(nonsense), Points::ZERO);
        }
    }

    #[test]
    fn a_logarithm_is_right_over_the_whole_range_to_the_last_bit_but_one() {
        let mut bits = f32::MIN_POSITIVE.to_bits();
        let near_one = 0x3f7f_0000..0x3f81_0000;
        while bits < f32::INFINITY.to_bits() {
            let ratio = f32::from_bits(bits);
            let (is, exact) = (log10(ratio), f64::from(ratio).log10());
            let apart = is.to_bits().abs_diff((exact as f32).to_bits());
            assert!(apart <= 1, "the logarithm of {ratio:e} is {exact}, not {is}");
            // To a tenth of a point: no further from the exact number than rounding is.
            let tenths = f64::from(decibans(ratio).as_tenths());
            assert!((tenths - 100.0 * exact).abs() < 0.5 + 1e-3, "{ratio:e} is {exact} and {tenths} tenths");
            bits += if near_one.contains(&bits) { 3 } else { 2_503 };
        }
        assert_eq!(log10(1.0), 0.0);
        assert_eq!((log10(f32::INFINITY), log10(0.0)), (f32::INFINITY, f32::NEG_INFINITY));
        assert!(log10(f32::NAN).is_nan() && log10(-3.0).is_nan());
        let smallest = f32::from_bits(1);
        assert_eq!(log10(smallest), smallest.log10());
    }

    #[test]
    fn points_are_rounded_to_tenths_half_away_from_zero() {
        let mut bits = 0_u32;
        while bits < 100_000.0_f32.to_bits() {
            for points in [f32::from_bits(bits), -f32::from_bits(bits)] {
                assert_eq!(tenths(points), (10.0 * points).round() as i32, "{points:e}");
            }
            bits += 1_801;
        }
        for half in 0..4_000 {
            let (on, short) = (half as f32 + 0.5, (half as f32 + 0.5).next_down());
            let rounded = |tenths: f32| (tenths + 0.499_999_97_f32.copysign(tenths)) as i32;
            assert_eq!((rounded(on), rounded(short)), (half + 1, short.round() as i32));
            assert_eq!((rounded(-on), rounded(-short)), (-half - 1, -short.round() as i32));
        }
        assert_eq!((tenths(f32::INFINITY), tenths(f32::NEG_INFINITY), tenths(f32::NAN)), (i32::MAX, i32::MIN, 0));
    }
}
