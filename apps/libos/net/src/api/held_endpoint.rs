//! Received bytes in the hands of a handler.

use crate::ip::endpoint::Endpoint;
use crate::table::connection_record::request;
use crate::table::handle::Net;
use reflex_event::{Borrowed, Kernel};
use reflex_memory::Lent;
use smoltcp::socket::tcp::Socket;

/// An endpoint with unread bytes that an application's handler looks at.
pub(crate) struct HeldEndpoint<K: Kernel> {
    pub(crate) net: Net<K>,
    pub(crate) index: u32,
    pub(crate) endpoint: Lent<Endpoint>,
}

impl<K: Kernel> HeldEndpoint<K> {
    /// The oldest unread bytes, as far as they are in one part.
    pub(crate) fn unread(&mut self) -> &[u8] {
        let socket = self.endpoint.socket();
        let unread = socket.recv_queue();
        // Refused only without unread bytes.
        socket.peek(unread).unwrap_or(&[])
    }

    /// The handler does not go on. Unless its bytes may be used again, the connection is reset, as no more
    /// can be received without writing over them.
    pub(crate) fn give_up(mut self, borrowed: Borrowed) {
        let retired = borrowed == Borrowed::Quarantined;
        if retired {
            self.endpoint.retired = true;
            let bytes = self.endpoint.buffers();
            self.net.kernel().quarantine(self.endpoint.pool(), bytes);
        }
        let event = self.net.with(|shared| {
            let record = &mut shared.records[self.index];
            record.endpoint = Some(self.endpoint);
            record.requests |= if retired { request::ABORT } else { 0 };
            shared.make_ready(self.index)
        });
        // The stack may have come for it meanwhile.
        if let Some(event) = event {
            self.net.activate(event);
        }
    }
}

/// Forgets bytes that have been read: at most those that were handed out. Says how many that are, how many
/// there still are, and whether the peer is to be told at once.
#[inline]
pub(crate) fn consume(socket: &mut Socket<'_>, bytes: usize) -> (usize, usize, bool) {
    let unread = socket.recv_queue();
    let consume = |part: &mut [u8]| {
        let consumed = bytes.min(part.len());
        (consumed, consumed)
    };
    // Refused only without unread bytes.
    let consumed = socket.recv(consume).unwrap_or(0);
    // A window that was half closed or more is worth telling of at once; otherwise it travels
    // with the next segment.
    (consumed, unread - consumed, consumed > 0 && unread * 2 >= socket.recv_capacity())
}
