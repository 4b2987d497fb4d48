//! The body of a request: small ones are read whole before anything is judged, so that fields can be read from them, a slow
//! poster holds no slot, and they can be sent again on another connection. Larger ones stream.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

use crate::gate::fault::Fault;
use crate::listen::Inflow;

/// A body, as far as it was read.
#[derive(Debug)]
pub enum Taken {
    /// There is none.
    Nothing,
    /// All of it.
    Whole(Bytes),
    /// It comes as the upstream takes it.
    Streamed(Inflow),
}

impl Taken {
    /// The bytes, if they are all here.
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Nothing | Self::Streamed(_) => None,
        }
    }
}

/// Takes a body of at most `most` bytes whole. A longer one, or one of unknown length, streams; where its fields have to be read
/// (`needed`), it is read as far as `most` and refused beyond.
///
/// # Errors
/// When it is too slow, too large or broken.
pub async fn take(mut inflow: Inflow, needed: bool, most: usize) -> Result<Taken, Fault> {
    let bound = u64::try_from(most).unwrap_or(u64::MAX);
    match inflow.announced() {
        Some(0) => return Ok(Taken::Nothing),
        Some(length) if length > bound && needed => return Err(Fault::BodyTooLarge(bound)),
        Some(length) if length > bound => return Ok(Taken::Streamed(inflow)),
        None if !needed => return Ok(Taken::Streamed(inflow)),
        Some(_) | None => {}
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = inflow.frame().await {
        let Ok(data) = frame.map_err(|fault| Fault::body(&fault))?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > most {
            return Err(Fault::BodyTooLarge(bound));
        }
        match first.is_empty() {
            true => first = data,
            false => rest.extend_from_slice(&data),
        }
    }
    if rest.is_empty() {
        return Ok(Taken::Whole(first));
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(Taken::Whole(whole.freeze()))
}
