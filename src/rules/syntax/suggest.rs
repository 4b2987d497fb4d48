//! The word that was probably meant.

/// The closest of `known`, if it is close enough to be meant.
pub(crate) fn closest<'a>(said: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let said: Vec<char> = said.chars().take(64).collect();
    let far = (said.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|word| (distance(&said, &word.chars().take(64).collect::<Vec<_>>()), word))
        .filter(|(apart, _)| *apart <= far)
        .min_by_key(|(apart, _)| *apart)
        .map(|(_, word)| word)
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(from != to)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *to && *from == b[j - 1] {
                best = best.min(before.get(j - 1).map_or(best, |swap| swap + 1));
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_offered_and_far_ones_are_not() {
        assert_eq!(closest("upstrem", ["upstream", "paths"]), Some("upstream"));
        assert_eq!(closest("leval", ["ladder", "level"]), Some("level"));
        assert_eq!(closest("otp", ["phr", "mfa"]), None);
        assert_eq!(closest("journey", ["journeys"]), Some("journeys"));
        assert_eq!(closest("hsots", ["hosts"]), Some("hosts"));
    }
}
