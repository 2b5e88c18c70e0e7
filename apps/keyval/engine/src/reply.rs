//! Writing replies: to the room there is to send, and what does not fit to the connection's backlog.

use crate::backlog::Backlog;
use crate::blobs::{BlobId, Blobs};
use crate::number::Decimal;
use core::fmt::{self, Write as _};

/// The replies to what came at once.
pub(crate) struct Reply<'a> {
    room: &'a mut [u8],
    written: usize,
    backlog: &'a mut Backlog,
    /// There was no memory for a part of the present one.
    failed: bool,
    /// The connection ends with the present one.
    last: bool,
}

impl<'a> Reply<'a> {
    pub(crate) fn new(room: &'a mut [u8], backlog: &'a mut Backlog) -> Self {
        Self { room, written: 0, backlog, failed: false, last: false }
    }

    /// Whether there is room for something more.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        !self.last && self.written < self.room.len() && self.backlog.is_empty()
    }

    pub(crate) fn written(&self) -> usize {
        self.written
    }

    pub(crate) fn is_last(&self) -> bool {
        self.last
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// The connection is to be closed behind this reply.
    pub(crate) fn close(&mut self) {
        self.last = true;
    }

    /// Takes back what was written behind the first `written` bytes: there was no backlog then.
    pub(crate) fn rewind(&mut self, written: usize, blobs: &mut Blobs) {
        self.written = written;
        self.backlog.clear(blobs);
        self.failed = false;
    }

    /// Bytes as they are.
    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let end = self.written + bytes.len();
        if self.backlog.is_empty() && end <= self.room.len() {
            self.room[self.written..end].copy_from_slice(bytes);
            self.written = end;
        } else {
            self.overflow(bytes);
        }
    }

    #[cold]
    fn overflow(&mut self, bytes: &[u8]) {
        let fits = if self.backlog.is_empty() { self.room.len() - self.written } else { 0 };
        let (now, later) = bytes.split_at(fits.min(bytes.len()));
        self.room[self.written..self.written + now.len()].copy_from_slice(now);
        self.written += now.len();
        self.failed |= self.backlog.text(later).is_err();
    }

    /// A simple string.
    pub(crate) fn simple(&mut self, text: &str) {
        self.raw(b"+");
        self.raw(text.as_bytes());
        self.raw(b"\r\n");
    }

    /// `+OK`.
    #[inline]
    pub(crate) fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// An error: a word for its kind, and a sentence.
    #[cold]
    pub(crate) fn error(&mut self, error: &dyn fmt::Display) {
        self.raw(b"-");
        // What cannot be written is noted.
        let _ = write!(self, "{error}");
        self.raw(b"\r\n");
    }

    /// A type, and a number.
    #[inline]
    fn header(&mut self, kind: u8, number: i64) {
        if let 0..=9 = number {
            return self.raw(&[kind, b'0' + number as u8, b'\r', b'\n']);
        }
        self.raw(&[kind]);
        self.raw(Decimal::new(number).text());
        self.raw(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub(crate) fn integer(&mut self, number: i64) {
        self.header(b':', number);
    }

    /// The head of an array of so many replies.
    pub(crate) fn array(&mut self, length: usize) {
        self.header(b'*', length as i64);
    }

    /// A bulk string.
    #[inline]
    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len() as i64);
        self.raw(bytes);
        self.raw(b"\r\n");
    }

    /// A blob as a bulk string.
    pub(crate) fn blob(&mut self, id: BlobId, blobs: &mut Blobs) {
        self.header(b'$', blobs.length(id) as i64);
        self.failed |= self.backlog.blob(id, blobs).is_err();
        self.raw(b"\r\n");
    }

    /// Nothing in the place of a bulk string.
    pub(crate) fn null(&mut self) {
        self.raw(b"$-1\r\n");
    }
}

impl fmt::Write for Reply<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.raw(text.as_bytes());
        Ok(())
    }
}
