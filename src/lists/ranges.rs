//! Ranges of addresses, each with a number, found by halving: sorted arrays without pointers, so that a file's own structure is
//! left behind when it has been read.
//!
//! It must never be built from ranges that overlap and say different things without a defined winner: the later one loses.

use std::net::IpAddr;

/// What was read for every address. 0 stands for nothing.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    v4: Steps<u32>,
    v6: Steps<u128>,
}

/// Where each range begins, and its number, up to where the next one begins.
#[derive(Debug, Default)]
struct Steps<A> {
    begins: Box<[A]>,
    values: Box<[u32]>,
}

/// First and last address, and a number.
pub(super) type Range<A> = (A, A, u32);

impl Ranges {
    /// These ranges, in any order.
    pub(super) fn new(v4: Vec<Range<u32>>, v6: Vec<Range<u128>>) -> Self {
        Self { v4: Steps::new(v4), v6: Steps::new(v6) }
    }

    /// The number of this address; 0 when there is none.
    pub(super) fn find(&self, address: IpAddr) -> u32 {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.v4.find(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.find(v6.to_bits()),
        }
    }

    /// Which share of all IPv4 addresses has a number, in percent.
    pub(super) fn covers(&self) -> u64 {
        let ends = self.v4.begins.iter().skip(1).map(|begin| u64::from(*begin)).chain([1 << 32]);
        let each = self.v4.begins.iter().zip(ends).zip(&self.v4.values);
        let covered = each.filter(|(_, value)| **value != 0).map(|((begin, end), _)| end - u64::from(*begin));
        (covered.sum::<u64>() * 100) >> 32
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.v4.begins.len() * 8 + self.v6.begins.len() * 20
    }
}

impl<A: Copy + Ord + Next> Steps<A> {
    fn new(mut all: Vec<Range<A>>) -> Self {
        all.sort_by_key(|(first, _, _)| *first);
        let (mut begins, mut values) = (Vec::with_capacity(all.len()), Vec::<u32>::with_capacity(all.len()));
        let mut step = |at: A, value: u32| {
            if values.last().copied().unwrap_or(0) != value {
                begins.push(at);
                values.push(value);
            }
        };
        // The first address that no range so far has covered; none at the end of all.
        let mut free: Option<(A, bool)> = None;
        for (first, last, value) in all {
            let begin = match free {
                Some((_, true)) => break,
                Some((free, false)) if free >= first => free,
                Some((free, false)) => {
                    step(free, 0);
                    first
                }
                None => first,
            };
            if last < begin {
                continue;
            }
            step(begin, value);
            free = Some(last.next().map_or((last, true), |next| (next, false)));
        }
        if let Some((free, false)) = free {
            step(free, 0);
        }
        Self { begins: begins.into(), values: values.into() }
    }

    fn find(&self, address: A) -> u32 {
        let at = self.begins.partition_point(|begin| *begin <= address).checked_sub(1);
        at.and_then(|at| self.values.get(at)).copied().unwrap_or(0)
    }
}

/// The address after this one.
trait Next: Sized {
    fn next(self) -> Option<Self>;
}

impl Next for u32 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Next for u128 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_ends_of_the_address_space_are_found() {
        let ranges = Ranges::new(vec![(0, 9, 1), (u32::MAX - 1, u32::MAX, 2)], vec![(0, u128::MAX, 3)]);
        let v4 = |bits: u32| ranges.find(IpAddr::V4(bits.into()));
        assert_eq!([v4(0), v4(9), v4(10), v4(u32::MAX - 2), v4(u32::MAX)], [1, 1, 0, 0, 2]);
        assert_eq!(ranges.find("2001:db8::1".parse().unwrap()), 3);
        assert_eq!(ranges.find("::ffff:0.0.0.9".parse().unwrap()), 1);
        assert_eq!(Ranges::new(vec![(0, u32::MAX >> 1, 1)], Vec::new()).covers(), 50);
    }

    proptest! {
        #[test]
        fn it_finds_what_looking_at_each_would(
            all in proptest::collection::vec((0..60_u32, 0..20_u32, 1..4_u32), 0..20),
            asked in 0..90_u32,
        ) {
            let all: Vec<Range<u32>> = all.into_iter().map(|(first, more, value)| (first, first + more, value)).collect();
            // The one that begins first wins; of several that begin alike the one that was given first, as long as it lasts.
            let mut sorted = all.clone();
            sorted.sort_by_key(|(first, _, _)| *first);
            let mut expected = [0; 100];
            let mut free = 0;
            for (first, last, value) in sorted {
                for place in first.max(free)..=last {
                    expected[place as usize] = value;
                }
                free = free.max(last + 1);
            }
            prop_assert_eq!(Steps::new(all).find(asked), expected[asked as usize]);
        }
    }
}
