//! A record of a byte stream that has come in parts.

use crate::record::{HEADER, Header, Malformed, Record, Records};
use reflex_memory::Lent;

/// A place for the parts of a record.
pub(crate) struct Stream {
    page: Lent<[u8]>,
    used: usize,
}

impl Stream {
    /// For records that fit in `page`.
    pub(crate) fn new(page: Lent<[u8]>) -> Self {
        Self { page, used: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Forgets the record.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }

    /// Takes what belongs to the record, and says how many bytes that was.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut taken = 0;
        // The header first, which says how long it is.
        for end in [Some(HEADER), None] {
            let end = match end {
                Some(end) => end,
                None => self.end()?,
            };
            let more = end.saturating_sub(self.used).min(bytes.len() - taken);
            self.page[self.used..self.used + more].copy_from_slice(&bytes[taken..taken + more]);
            (self.used, taken) = (self.used + more, taken + more);
            if self.used < end {
                break;
            }
        }
        Ok(taken)
    }

    /// Where the record ends, of which the header is there.
    fn end(&self) -> Result<usize, Malformed> {
        let header = self.page.first_chunk().ok_or(Malformed::Length)?;
        Ok(HEADER + Header::parse(header, self.page.len())?.length)
    }

    /// The record, if it is whole.
    pub(crate) fn record(&self) -> Option<Record<'_>> {
        Records::new(&self.page[..self.used], self.page.len()).next_whole().ok()?
    }
}
