//! A request, as an application's handler has it.

use crate::http::Responder;
use crate::http::calls::Key;
use core::cell::Cell;
use core::ops::Deref;

/// A request for a route: see [`reflex_http::Request`] for what can be asked of it.
pub struct Request<'a> {
    request: reflex_http::Request<'a>,
    key: Key,
    is_taken: &'a Cell<bool>,
}

impl<'a> Request<'a> {
    pub(super) fn new(
        request: reflex_http::Request<'a>,
        key: Key,
        is_taken: &'a Cell<bool>,
    ) -> Self {
        Self { request, key, is_taken }
    }

    /// The right to reply, for a handler that returns [`Answer::Later`](crate::http::Answer::Later): to be kept in
    /// its state, or sent to another context. None the second time.
    pub fn responder(&self) -> Option<Responder> {
        let taken = self.is_taken.replace(true);
        (!taken).then(|| Responder::new(self.key))
    }
}

impl<'a> Deref for Request<'a> {
    type Target = reflex_http::Request<'a>;

    fn deref(&self) -> &Self::Target {
        &self.request
    }
}
