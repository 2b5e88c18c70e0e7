//! The body of a request, as it comes.

use crate::route::chunked::{Chunked, Malformed, Next};

/// How the end of a body is told (RFC 9112, section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// It comes in chunks.
    Chunks(Chunked),
}

/// What has become of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Filled {
    /// Bytes that were taken, framing included.
    pub(crate) taken: usize,
    /// Bytes of the body among them, which are in their place.
    pub(crate) data: usize,
    /// The body is complete.
    pub(crate) complete: bool,
}

impl Framing {
    /// Whether all of it is there.
    pub(crate) fn is_complete(&self) -> bool {
        *self == Self::Length(0)
    }

    /// Moves what `bytes` have of the body to `place`, as far as there is room.
    pub(crate) fn fill(&mut self, bytes: &[u8], place: &mut [u8]) -> Result<Filled, Malformed> {
        let mut filled = Filled::default();
        loop {
            let rest = &bytes[filled.taken..];
            let (before, left) = match self {
                Self::Length(left) => (0, *left),
                Self::Chunks(chunked) => match chunked.next(rest)? {
                    Next::Framing(count) => {
                        filled.taken += count;
                        return Ok(filled);
                    }
                    Next::Data(before, left) => (before, left),
                    Next::End(count) => {
                        filled.taken += count;
                        return Ok(Filled { complete: true, ..filled });
                    }
                },
            };
            filled.taken += before;
            let data = &rest[before..];
            let room = &mut place[filled.data..];
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            let count = data.len().min(room.len()).min(left);
            room[..count].copy_from_slice(&data[..count]);
            filled.taken += count;
            filled.data += count;
            match self {
                Self::Length(left) => {
                    *left -= count as u64;
                    return Ok(Filled { complete: *left == 0, ..filled });
                }
                Self::Chunks(_) if count == 0 => return Ok(filled),
                Self::Chunks(chunked) => chunked.took(count as u64),
            }
        }
    }
}
