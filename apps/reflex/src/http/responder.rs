//! Replies that come later.

use crate::http::calls::{Gone, Key};
use crate::http::{Answered, Reply};
use core::fmt;
use core::mem::ManuallyDrop;

/// The right to reply to one request, from any handler of any context. When it is dropped the client is told 500; when
/// its context is given up with it, or it stays unused for [`Limits::reply`](crate::http::Limits::reply), 503.
#[must_use = "when it is dropped the client is told 500"]
pub struct Responder(Key);

impl Responder {
    pub(super) fn new(key: Key) -> Self {
        Self(key)
    }

    /// Replies.
    ///
    /// # Errors
    /// [`Gone`] when nobody waits for it any more; the reply is dropped.
    pub fn reply(self, reply: impl Into<Reply>) -> Result<(), Gone> {
        let key = ManuallyDrop::new(self).0;
        key.answer(Answered::Reply(reply.into()))
    }

    /// Whether the client is waiting.
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // When nobody waits, nobody is to be told.
        let _ = self.0.answer(Answered::Failed);
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Responder({}.{})", self.0.slot, self.0.generation)
    }
}
