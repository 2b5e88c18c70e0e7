//! A received Ethernet frame.

use core::ops::Deref;
use core::ops::Range;
use reflex_memory::Lent;

/// A received Ethernet frame, still in the buffer the device wrote it to. Dropping it gives the
/// buffer back to its pool.
pub struct Frame {
    buffer: Lent<[u8]>,
    frame: Range<u16>,
}

impl Frame {
    /// The frame that lies at `frame` in `buffer`; `None` when it does not fit there, which is
    /// what a device that lies about lengths brings about.
    pub fn new(buffer: Lent<[u8]>, frame: Range<u16>) -> Option<Self> {
        let fits = frame.start <= frame.end && usize::from(frame.end) <= buffer.len();
        fits.then_some(Self { buffer, frame })
    }

    /// Takes `part`, of which the offsets are in the frame, out: what is in front of it moves up to
    /// what is behind. False when there is no such part.
    pub fn cut(&mut self, part: Range<u16>) -> bool {
        let length = part.end.saturating_sub(part.start);
        let (start, end) = (usize::from(self.frame.start), usize::from(self.frame.end));
        let kept = start..start + usize::from(part.start);
        let is_part = part.start <= part.end && start + usize::from(part.end) <= end;
        // In bounds by construction, as in `deref`; so is what is copied to.
        let frame = self.buffer.get_mut(..end).filter(|_| is_part);
        let cut = frame.map(|frame| frame.copy_within(kept, start + usize::from(length)));
        self.frame.start += if is_part { length } else { 0 };
        cut.is_some()
    }

    /// Gives the whole buffer back, to be lent to the device again.
    pub fn into_buffer(self) -> Lent<[u8]> {
        self.buffer
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // In bounds by construction; `get` keeps a slip from being a panic in a job.
        self.buffer.get(usize::from(self.frame.start)..usize::from(self.frame.end)).unwrap_or(&[])
    }
}
