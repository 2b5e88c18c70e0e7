//! Connections as the HTTP service sees them.

use crate::http::Stream;
use crate::net::Connection;

/// A connection. Whatever is asked of one that is over does nothing.
#[derive(Clone)]
pub(super) struct Port(pub(super) Connection);

impl Stream for Port {
    #[inline]
    fn exchange(
        &mut self,
        buffer: &mut [u8],
        serve: impl FnOnce(&[u8], &mut [u8]) -> (usize, usize),
    ) -> (usize, usize) {
        let exchanged = self.0.exchange(buffer, serve).unwrap_or_default();
        (exchanged.consumed, exchanged.unread)
    }

    #[inline]
    fn send(&mut self, bytes: &[u8]) -> usize {
        self.0.send(bytes).unwrap_or(0)
    }

    fn room(&mut self) -> usize {
        self.0.sendable().unwrap_or(0)
    }

    fn untaken(&mut self) -> Option<usize> {
        self.0.unacknowledged().unwrap_or(Some(0))
    }

    fn close(&mut self) {
        self.0.finish();
    }

    fn abort(&mut self) {
        self.0.abort();
    }
}
