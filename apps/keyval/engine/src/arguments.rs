//! The arguments of a command, as they are found among its bytes.

use crate::blobs::BlobId;
use crate::bytes::push;
use reflex_collections::{Memory, Vec};

/// Longest key, and longest argument that is no value, in bytes.
pub const LONGEST_KEY: usize = 4_000;
/// Longest argument that is looked at as one piece. A longer one goes to its place as it comes, unless all of it is
/// there.
pub(crate) const LARGE: usize = 4 << 10;
/// Longest value, and so argument.
pub(crate) const LONGEST_VALUE: usize = 8 << 20;

/// An argument.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Argument {
    /// A range of the command's bytes.
    Text {
        /// Its first byte.
        begin: u32,
        /// Its length.
        length: u32,
    },
    /// Bytes that were streamed to a place of their own.
    Blob(BlobId),
}

/// The arguments of a command.
pub(crate) struct Arguments {
    pub(crate) list: Vec<Argument>,
    /// The bytes that the arguments are ranges of, unless they are the command's own.
    pub(crate) decoded: Vec<u8>,
}

impl Arguments {
    pub(crate) fn new(memory: Memory) -> Self {
        Self { list: memory.vec(), decoded: memory.vec() }
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.decoded.clear();
    }

    /// The bytes that the arguments are ranges of, of a command with these.
    pub(crate) fn base<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        if self.decoded.is_empty() { bytes } else { &self.decoded }
    }

    /// A range of the bytes as an argument. False when there is no memory for it.
    pub(crate) fn push(&mut self, begin: usize, length: usize) -> bool {
        let (Ok(begin), Ok(length)) = (u32::try_from(begin), u32::try_from(length)) else {
            return false;
        };
        push(&mut self.list, Argument::Text { begin, length }).is_ok()
    }
}
