//! A page that is being filled.

use crate::record::{HEADER, Header, Kind};
use reflex_memory::Lent;

/// A page with whole records in its first bytes.
pub(crate) struct Page {
    pub(crate) bytes: Lent<[u8]>,
    pub(crate) used: usize,
    /// Messages among the records.
    pub(crate) messages: u32,
}

impl Page {
    pub(crate) fn empty(bytes: Lent<[u8]>) -> Self {
        Self { bytes, used: 0, messages: 0 }
    }

    /// Appends a record, for which there is room.
    #[inline]
    pub(crate) fn append(&mut self, kind: Kind, tag: u64, payload: &[u8]) {
        let end = self.used + HEADER + payload.len();
        let (header, body) = self.bytes[self.used..end].split_at_mut(HEADER);
        Header { kind, tag, length: payload.len() }.emit(header);
        body.copy_from_slice(payload);
        self.used = end;
        self.messages += u32::from(kind == Kind::Message);
    }
}
