//! What is kept of a connection.

use crate::backlog::Backlog;
use crate::failure::Failure;
use crate::request::Request;
use reflex_collections::Memory;

/// A connection: the command that has come in part, and the replies that wait for room. It is to be
/// [closed](crate::Engine::close).
pub struct Session {
    pub(crate) request: Request,
    pub(crate) backlog: Backlog,
    pub(crate) closing: bool,
}

impl Session {
    /// A new one, with what it needs to answer at all.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`].
    pub(crate) fn new(memory: Memory) -> Result<Self, Failure> {
        let (request, backlog) = (Request::new(memory)?, Backlog::new(memory)?);
        Ok(Self { request, backlog, closing: false })
    }

    /// Whether the connection is to be closed when all has been sent.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether nothing waits to be sent.
    #[inline]
    pub fn is_sent(&self) -> bool {
        self.backlog.is_empty()
    }
}
