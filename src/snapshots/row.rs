//! One answer as it lies in the file: a head that tells its age and journey, and the rest, sealed.
//!
//! The head is part of what the seal is bound to. It must never name the page or its owner: those are hashes in the key.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

use super::disk::{Fault, Limit};
use super::page::{About, PageKey, Snapshot};
use super::seal::Sealer;
use crate::clock::Moment;

/// The form of a row.
const FORM: u8 = 1;
const HEAD: usize = 1 + 5 * 8 + 1;

/// The head of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// When it was kept, and a number that no other has.
    pub stamp: (u64, u64),
    pub as_of: Moment,
    /// As the law was then.
    pub keep: Duration,
    pub paused: Duration,
    pub journey: Box<str>,
}

/// The key of an answer: its page, and a digest of what it differs by.
pub(super) fn row_key(key: &PageKey, about: &About) -> Vec<u8> {
    let differs = postcard::to_stdvec(&(&about.language, about.kind, &about.others)).unwrap_or_default();
    let mut bytes = key.bytes().to_vec();
    bytes.extend(digest(&SHA256, &differs).as_ref().iter().take(8));
    bytes
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Row {
    fn head(&self) -> Vec<u8> {
        let mut head = vec![FORM];
        let numbers = [self.stamp.0, self.stamp.1, self.as_of.unix_millis(), millis(self.keep), millis(self.paused)];
        numbers.iter().for_each(|number| head.extend(number.to_le_bytes()));
        let journey = &self.journey.as_bytes()[..self.journey.len().min(255)];
        head.push(u8::try_from(journey.len()).unwrap_or(0));
        head.extend(journey);
        head
    }

    fn split(row: &[u8]) -> Option<(Self, usize)> {
        let (&[form, ref numbers @ .., length], rest) = row.split_first_chunk::<HEAD>()?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let [kept, number, as_of, keep, paused] = numbers else { return None };
        let [kept, number, as_of, keep, paused] =
            [kept, number, as_of, keep, paused].map(|one| u64::from_le_bytes(*one));
        let journey = rest.get(..usize::from(length))?;
        let row = Self {
            stamp: (kept, number),
            as_of: Moment::from_unix_millis(as_of),
            keep: Duration::from_millis(keep),
            paused: Duration::from_millis(paused),
            journey: std::str::from_utf8(journey).ok()?.into(),
        };
        (form == FORM).then_some((row, HEAD + usize::from(length)))
    }

    /// The head of this row; nothing when it is none.
    pub fn read(row: &[u8]) -> Option<Self> {
        Self::split(row).map(|(row, _)| row)
    }

    /// The row of an answer.
    pub fn seal(&self, sealer: &Sealer, salt: &[u8], at: &[u8], snapshot: &Snapshot) -> Result<Vec<u8>, Fault> {
        let about = postcard::to_stdvec(&snapshot.about).map_err(|error| Fault::System(error.to_string()))?;
        let mut text = u32::try_from(about.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        text.reserve(about.len() + snapshot.body.len() + 64);
        text.extend(about);
        text.extend_from_slice(&snapshot.body);
        let mut row = self.head();
        let place = [at, &row].concat();
        row.extend(sealer.seal(salt, &place, text)?);
        Ok(row)
    }

    /// The answer in this row; nothing when it is not what was sealed here for this owner.
    pub fn open(sealer: &Sealer, salt: &[u8], at: &[u8], row: &[u8]) -> Option<Snapshot> {
        let (_, head) = Self::split(row)?;
        let place = [at, row.get(..head)?].concat();
        let text = Bytes::from(sealer.open(salt, &place, row.get(head..)?)?);
        let (length, rest) = text.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let about: About = postcard::from_bytes(rest.get(..length)?).ok()?;
        let body = text.slice(text.len() - rest.len() + length..);
        Some(Snapshot { about, body })
    }

    /// Whether it has been kept for too long. A journey that keeps none any more has what it kept for as long as it said then.
    pub fn is_over(&self, limit: Option<&Limit>, now: Moment) -> bool {
        let (keep, paused) = limit.map_or((self.keep, self.paused), |limit| (limit.keep, limit.paused));
        now.since(self.as_of).saturating_sub(paused.saturating_sub(self.paused)) > keep
    }
}
