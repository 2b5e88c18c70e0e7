//! A key and its value.

use crate::blobs::{BlobId, CHUNK};
use crate::bytes::append;
use crate::failure::Failure;
use reflex_collections::Vec;

/// The deadline of a key that has none.
pub(crate) const NEVER: u64 = u64::MAX;

/// A value that is looked at.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Inline(&'a [u8]),
    Blob(BlobId),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Inline,
    Blob,
}

/// A key and its value: in one block if they are short, else with the value in a blob.
pub(crate) struct Entry {
    /// The key, and behind it the value, or the number of its blob.
    block: Vec<u8>,
    pub(crate) hash: u64,
    /// In milliseconds since 1970.
    pub(crate) deadline: u64,
    /// The store's clock when it was used last.
    pub(crate) used: u32,
    key: u16,
    form: Form,
}

/// Whether a key and a value of these lengths lie in one block.
#[inline]
pub(crate) const fn is_inline(key: usize, value: usize) -> bool {
    key + value <= CHUNK
}

impl Entry {
    /// One that is yet to be given its value, in a block that is empty and has room for it.
    pub(crate) fn new(mut block: Vec<u8>, key: &[u8], hash: u64) -> Result<Self, Failure> {
        append(&mut block, key)?;
        Ok(Self {
            block,
            hash,
            deadline: NEVER,
            used: 0,
            key: key.len() as u16,
            form: Form::Inline,
        })
    }

    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        &self.block[..self.key as usize]
    }

    #[inline]
    pub(crate) fn value(&self) -> Value<'_> {
        let behind = &self.block[self.key as usize..];
        match self.form {
            Form::Inline => Value::Inline(behind),
            Form::Blob => Value::Blob(id(behind)),
        }
    }

    pub(crate) fn blob(&self) -> Option<BlobId> {
        match self.value() {
            Value::Inline(_) => None,
            Value::Blob(id) => Some(id),
        }
    }

    /// Whether its block holds an inline value of so many bytes without being exchanged.
    #[inline]
    pub(crate) fn holds(&self, value: usize) -> bool {
        let needed = self.key as usize + value;
        // A block that is much too large is exchanged for one that fits.
        needed <= self.block.capacity() && needed * 4 >= self.block.capacity()
    }

    /// Sets an inline value that it [holds](Self::holds).
    #[inline]
    pub(crate) fn set_inline(&mut self, value: &[u8]) -> Result<(), Failure> {
        let (begin, end) = (self.key as usize, self.key as usize + value.len());
        self.form = Form::Inline;
        if self.block.len() != end {
            self.block.truncate(begin);
            return append(&mut self.block, value);
        }
        self.block[begin..].copy_from_slice(value);
        Ok(())
    }

    /// Puts bytes behind an inline value.
    pub(crate) fn append_inline(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        append(&mut self.block, bytes)
    }

    /// Sets a blob as its value; the reference to it is now the entry's.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`]; it is as before.
    pub(crate) fn set_blob(&mut self, id: BlobId) -> Result<(), Failure> {
        self.block.try_reserve(size_of::<BlobId>()).map_err(|_| Failure::OutOfMemory)?;
        self.block.truncate(self.key as usize);
        append(&mut self.block, &id.0.to_le_bytes())?;
        self.form = Form::Blob;
        Ok(())
    }
}

/// The number of a blob, as it is written in a block.
fn id(bytes: &[u8]) -> BlobId {
    let mut number = [0; 4];
    number.copy_from_slice(bytes);
    BlobId(u32::from_le_bytes(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of 256 of them, the usual size, so fits a block of 16 KiB.
    #[test]
    fn an_entry_takes_56_bytes() {
        assert_eq!(size_of::<Entry>(), 56);
    }
}
