//! One line of text, put together without the heap.

use core::fmt;

/// A line of at most 256 bytes; what is too much for it is left out.
pub(crate) struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Line {
    /// The formatted text, and an end of line.
    pub(crate) fn new(text: fmt::Arguments<'_>) -> Self {
        let mut line = Self { bytes: [0; 256], length: 0 };
        // Never refused: what does not fit is cut off.
        let _ = fmt::Write::write_fmt(&mut line, format_args!("{text}\n"));
        line
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let length = text.len().min(room.len());
        room[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length += length;
        Ok(())
    }
}
