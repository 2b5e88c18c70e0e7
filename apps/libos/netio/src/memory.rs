//! Memory that unbuffered messages are sent from.

use crate::error::Error;
use crate::link::{Registered, Source};
use alloc::sync::Arc;
use core::fmt;
use core::ops::Range;

/// Registered memory, of which messages are sent without having been copied to a page. It is written to between
/// messages: what is changed while one is being sent may be sent so. Copies are of the same; it stays until no
/// message of it is under way.
#[derive(Clone)]
pub struct Memory {
    registered: Arc<dyn Registered>,
    length: usize,
    /// Of which endpoint.
    of: usize,
}

impl Memory {
    pub(crate) fn new(registered: Arc<dyn Registered>, length: usize, of: usize) -> Self {
        Self { registered, length, of }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`].
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.registered.write(offset, bytes)
    }

    /// Copies the bytes from `offset` on.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`].
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Error> {
        self.registered.read(offset, into)
    }

    /// What is to be kept of it while a message of it is under way.
    pub(crate) fn registered(&self, of: usize) -> Result<Arc<dyn Registered>, Error> {
        if of == self.of { Ok(self.registered.clone()) } else { Err(Error::BadParameter) }
    }

    pub(crate) fn source(&self, range: Range<usize>) -> Result<Source, Error> {
        self.registered.clone().source(range)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({})", self.length)
    }
}
