//! Parts of a message in memory: which pieces of which segments.

use crate::{Gone, Memory, Place, Segment};

/// A run of bytes in a list of segments: the payload of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gather<'a> {
    segments: &'a [Segment],
    /// Bytes of the segments that come before.
    skip: u32,
    length: u32,
}

impl<'a> Gather<'a> {
    /// `length` bytes of `segments` behind the first `skip`.
    #[inline]
    pub(crate) const fn new(segments: &'a [Segment], skip: u32, length: u32) -> Self {
        Self { segments, skip, length }
    }

    /// Nothing.
    pub(crate) const EMPTY: Self = Self { segments: &[], skip: 0, length: 0 };

    /// Bytes.
    #[inline]
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// The pieces, in order; none is empty.
    #[inline]
    pub fn pieces(&self) -> Pieces<'a> {
        Pieces { segments: self.segments.iter(), skip: self.skip, left: self.length }
    }
}

/// The pieces of a [`Gather`].
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    segments: core::slice::Iter<'a, Segment>,
    skip: u32,
    left: u32,
}

impl Iterator for Pieces<'_> {
    type Item = Segment;

    #[inline]
    fn next(&mut self) -> Option<Segment> {
        if self.left == 0 {
            return None;
        }
        loop {
            let segment = self.segments.next()?;
            if self.skip >= segment.length {
                self.skip -= segment.length;
                continue;
            }
            let length = (segment.length - self.skip).min(self.left);
            let offset = segment.offset.wrapping_add(u64::from(self.skip));
            self.skip = 0;
            self.left -= length;
            return Some(Segment { region: segment.region, offset, length });
        }
    }
}

/// Writes `bytes` where they belong in a message that lies in `segments`, `skip` bytes in.
///
/// # Errors
/// [`Gone`], also when the segments are too short.
#[inline]
pub(crate) fn scatter<M: Memory>(
    memory: &mut M,
    segments: &[Segment],
    skip: u32,
    bytes: &[u8],
) -> Result<(), Gone> {
    let mut rest = bytes;
    for piece in Gather::new(segments, skip, bytes.len() as u32).pieces() {
        let (now, later) = rest.split_at_checked(piece.length as usize).ok_or(Gone)?;
        memory.write(Place { region: piece.region, offset: piece.offset }, now)?;
        rest = later;
    }
    if rest.is_empty() { Ok(()) } else { Err(Gone) }
}

/// The bytes of all segments together; `None` when they are more than a message may have.
#[inline]
pub(crate) fn total(segments: &[Segment]) -> Option<u32> {
    let mut sum = 0_u32;
    for segment in segments {
        sum = sum.checked_add(segment.length)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Region;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_the_bytes_of_the_run(
            lengths in proptest::collection::vec(0_u32..20, 0..6),
            from in 0_usize..60,
            length in 0_usize..60,
        ) {
            let segments: Vec<Segment> = lengths.iter().enumerate().map(|(index, &length)| Segment {
                region: Region(index as u64),
                offset: 100 * index as u64,
                length,
            }).collect();
            let bytes = |segment: &Segment| {
                let Segment { region, offset, length } = *segment;
                (offset..offset + u64::from(length)).map(move |byte| (region, byte)).collect::<Vec<_>>()
            };
            let all: Vec<_> = segments.iter().flat_map(bytes).collect();
            let from = from.min(all.len());
            let length = length.min(all.len() - from);
            let gather = Gather::new(&segments, from as u32, length as u32);
            let pieces: Vec<Segment> = gather.pieces().collect();
            prop_assert!(pieces.iter().all(|piece| piece.length > 0));
            let run: Vec<_> = pieces.iter().flat_map(bytes).collect();
            prop_assert_eq!(&run[..], &all[from..from + length]);
        }
    }
}
