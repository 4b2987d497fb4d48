//! One list in memory: whether something is in it. It answers yes to everything that is, and to a few things that are not: one
//! password in 256, one pair or account in 65,536.
//!
//! It is read whole and held to its digest before anybody asks it; every place that it will look at lies inside it. It must never
//! panic on what a file says.

use std::fmt;
use std::io::{BufReader, Read};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use xorf::{BinaryFuse8, BinaryFuse16, Descriptor, Filter as _};

use super::file::{self, Flaw, Header, SHARD_HEADER, SHARDS};
use super::key::Entry;
use crate::rules::breach::Kind;

/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// The filters of a list: one for each first byte, none where nothing begins so.
enum Shards {
    Narrow(Vec<Option<BinaryFuse8>>),
    Wide(Vec<Option<BinaryFuse16>>),
}

/// A list in memory.
pub struct Filter {
    header: Header,
    shards: Shards,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Filter {
    /// Reads a list and checks all of it.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn read(path: &Path) -> Result<Self, Flaw> {
        let (file, header, expected) = file::open(path)?;
        let mut body =
            Body { from: BufReader::with_capacity(PIECE, file), left: header.body, sum: Context::new(&SHA256) };
        let mut entries = 0_u64;
        let mut shards = match header.kind {
            Kind::Passwords => Shards::Narrow(Vec::new()),
            Kind::Pairs | Kind::Accounts => Shards::Wide(Vec::new()),
        };
        for _ in 0..SHARDS {
            let shape = Shape::read(&mut body)?;
            entries += u64::from(shape.entries);
            let descriptor = shape.descriptor();
            match &mut shards {
                Shards::Narrow(all) => all.push(match shape.is_empty() {
                    true => None,
                    false => {
                        let fingerprints = body.bytes(u64::from(shape.fingerprints))?.into_boxed_slice();
                        Some(BinaryFuse8 { descriptor, fingerprints })
                    }
                }),
                Shards::Wide(all) => all.push(match shape.is_empty() {
                    true => None,
                    false => {
                        let fingerprints = body.pairs(u64::from(shape.fingerprints))?.into_boxed_slice();
                        Some(BinaryFuse16 { descriptor, fingerprints })
                    }
                }),
            }
        }
        if body.left != 0 {
            return Err(Flaw::Damaged("there is something after its filters"));
        }
        if entries != header.entries {
            return Err(Flaw::Damaged("its filters hold another number of entries than it says"));
        }
        body.sum.update(&header.bytes());
        if body.sum.finish().as_ref() != expected {
            return Err(Flaw::Damaged("its digest is another"));
        }
        Ok(Self { header, shards })
    }

    /// What it says of itself.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Whether it has this entry; seldom, also where it has not.
    pub fn has(&self, entry: Entry) -> bool {
        let Entry(bits) = entry;
        let shard = usize::from(bits.to_be_bytes()[0]);
        match &self.shards {
            Shards::Narrow(all) => all.get(shard).and_then(Option::as_ref).is_some_and(|filter| filter.contains(&bits)),
            Shards::Wide(all) => all.get(shard).and_then(Option::as_ref).is_some_and(|filter| filter.contains(&bits)),
        }
    }
}

/// How one filter is laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub entries: u32,
    pub seed: u64,
    pub segment: u32,
    pub segments: u32,
    pub fingerprints: u32,
}

impl Shape {
    /// A filter that nothing is in.
    pub(super) const EMPTY: Self = Self { entries: 0, seed: 0, segment: 0, segments: 0, fingerprints: 0 };

    pub(super) fn of(entries: u32, descriptor: &Descriptor, fingerprints: u32) -> Self {
        Self {
            entries,
            seed: descriptor.seed,
            segment: descriptor.segment_length,
            segments: descriptor.segment_count_length,
            fingerprints,
        }
    }

    const fn is_empty(self) -> bool {
        self.entries == 0
    }

    const fn descriptor(self) -> Descriptor {
        Descriptor {
            seed: self.seed,
            segment_length: self.segment,
            segment_length_mask: self.segment.wrapping_sub(1),
            segment_count_length: self.segments,
        }
    }

    pub(super) fn bytes(self) -> [u8; SHARD_HEADER] {
        let mut bytes = [0; SHARD_HEADER];
        bytes[..4].copy_from_slice(&self.entries.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.seed.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.segments.to_le_bytes());
        bytes[20..].copy_from_slice(&self.fingerprints.to_le_bytes());
        bytes
    }

    /// A filter looks at three places, each within its segment; the last of them lies two segments after the first.
    fn read(body: &mut Body<impl Read>) -> Result<Self, Flaw> {
        let mut bytes = [0; SHARD_HEADER];
        body.fill(&mut bytes)?;
        let short = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let seed = u64::from(short(8)) << 32 | u64::from(short(4));
        let shape = Self { entries: short(0), seed, segment: short(12), segments: short(16), fingerprints: short(20) };
        if shape.is_empty() {
            return match shape.fingerprints {
                0 => Ok(Self::EMPTY),
                _ => Err(Flaw::Damaged("a filter without entries has fingerprints")),
            };
        }
        let (segment, segments) = (u64::from(shape.segment), u64::from(shape.segments));
        let laid_out = segment.is_power_of_two()
            && segments > 0
            && segments % segment == 0
            && segments + 2 * segment == u64::from(shape.fingerprints);
        if laid_out { Ok(shape) } else { Err(Flaw::Damaged("a filter is not laid out as one")) }
    }
}

/// What follows the header, summed up as it is read.
struct Body<R> {
    from: R,
    left: u64,
    sum: Context,
}

impl<R: Read> Body<R> {
    fn fill(&mut self, into: &mut [u8]) -> Result<(), Flaw> {
        self.left = self.left.checked_sub(into.len() as u64).ok_or(Flaw::Damaged("a filter goes on after the end"))?;
        self.from.read_exact(into)?;
        self.sum.update(into);
        Ok(())
    }

    /// Room for so many, once it is known that the file has them.
    fn room<T>(&self, count: u64, bytes: u64) -> Result<(Vec<T>, usize), Flaw> {
        if bytes > self.left {
            return Err(Flaw::Damaged("a filter goes on after the end"));
        }
        let count = usize::try_from(count).map_err(|_| Flaw::Memory)?;
        let mut room = Vec::new();
        room.try_reserve_exact(count).map_err(|_| Flaw::Memory)?;
        Ok((room, count))
    }

    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, Flaw> {
        let (mut bytes, count) = self.room(count, count)?;
        bytes.resize(count, 0);
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn pairs(&mut self, count: u64) -> Result<Vec<u16>, Flaw> {
        let (mut all, mut left) = self.room(count, count.saturating_mul(2))?;
        let mut piece = [0; PIECE];
        while left > 0 {
            let now = left.min(PIECE / 2);
            self.fill(&mut piece[..now * 2])?;
            all.extend(piece[..now * 2].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])));
            left -= now;
        }
        Ok(all)
    }
}
