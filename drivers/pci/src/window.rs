//! Addresses for the BARs firmware left unassigned.

use crate::Error;
use alloc::vec::Vec;
use core::ops::Range;

/// A range of physical addresses nothing else decodes, but for the BARs firmware did assign.
pub struct Window {
    free: Range<u64>,
    taken: Vec<Range<u64>>,
}

impl Window {
    /// The window `range`.
    pub fn new(range: Range<u64>) -> Self {
        Self { free: range, taken: Vec::new() }
    }

    /// Says that a device already decodes `range`.
    pub fn avoid(&mut self, range: Range<u64>) {
        self.taken.push(range);
    }

    /// A range of `size` bytes, a power of two, aligned to its size and at least to a page, so
    /// that two devices never share one.
    ///
    /// # Errors
    /// [`Error::WindowFull`].
    pub fn take(&mut self, size: u64) -> Result<u64, Error> {
        let size = size.max(4096);
        let mut start = self.free.start;
        loop {
            start = start.checked_next_multiple_of(size).ok_or(Error::WindowFull)?;
            let end = start.checked_add(size).ok_or(Error::WindowFull)?;
            if end > self.free.end {
                return Err(Error::WindowFull);
            }
            // Past the end of whatever is in the way, which is strictly further each time.
            match self.taken.iter().find(|taken| taken.start < end && start < taken.end) {
                Some(taken) => start = taken.end,
                None => {
                    self.free.start = end;
                    return Ok(start);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_taken_is_aligned_inside_and_disjoint(
            sizes in proptest::collection::vec(4u32..20, 1..20),
            taken in proptest::collection::vec((0u64..0x100_0000, 1u64..0x8000), 0..8),
        ) {
            let range = 0xc000_0000u64..0xc100_0000;
            let mut window = Window::new(range.clone());
            let mut all: Vec<Range<u64>> = Vec::new();
            for (offset, length) in taken {
                let start = range.start + offset;
                window.avoid(start..start + length);
                all.push(start..start + length);
            }
            let assigned = all.len();
            for size in sizes {
                let size = 1u64 << size;
                match window.take(size) {
                    Ok(start) => {
                        let got = start..start + size.max(4096);
                        prop_assert!(start.is_multiple_of(size.max(4096)));
                        prop_assert!(got.start >= range.start && got.end <= range.end);
                        prop_assert!(all.iter().all(|o| o.end <= got.start || got.end <= o.start));
                        all.push(got);
                    }
                    Err(error) => prop_assert_eq!(error, Error::WindowFull),
                }
            }
            prop_assert!(all.len() > assigned, "an empty window of 16 MiB gave nothing");
        }
    }

    #[test]
    fn a_full_window_says_so() {
        let mut window = Window::new(0x1000..0x3000);
        assert_eq!(window.take(16), Ok(0x1000));
        assert_eq!(window.take(0x2000), Err(Error::WindowFull));
        assert_eq!(window.take(0x1000), Ok(0x2000));
        assert_eq!(window.take(1), Err(Error::WindowFull));
        assert_eq!(Window::new(u64::MAX - 1..u64::MAX).take(1 << 63), Err(Error::WindowFull));
    }
}
