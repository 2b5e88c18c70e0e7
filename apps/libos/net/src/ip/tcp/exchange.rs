//! What an application reads and writes: of the socket, or of what went by it.

use crate::ip::endpoint::Endpoint;
use crate::ip::tcp::lead::{Lead, Text};
use smoltcp::socket::tcp::State;

impl Endpoint {
    /// Bytes that were received and not read.
    #[inline]
    pub(crate) fn unread(&mut self) -> usize {
        match &self.lead.text {
            Some(text) => text.to - text.from,
            None if self.lead.ahead => 0,
            None => self.socket().recv_queue(),
        }
    }

    /// The oldest of these, as far as they are in one part.
    #[inline]
    pub(crate) fn unread_bytes(&mut self) -> &[u8] {
        if self.lead.text.is_none() {
            let socket = self.socket();
            let unread = socket.recv_queue();
            // Refused only without unread bytes.
            return socket.peek(unread).unwrap_or(&[]);
        }
        self.lead.text.as_ref().and_then(Text::bytes).unwrap_or_default()
    }

    /// Forgets bytes that have been read: at most those that were handed out. Says how many that are, how many
    /// there still are, and whether the peer is to be told at once.
    #[inline]
    pub(crate) fn consume(&mut self, bytes: usize) -> (usize, usize, bool) {
        if let Some(text) = &mut self.lead.text {
            let consumed = bytes.min(text.to - text.from);
            text.from += consumed;
            let left = text.to - text.from;
            if left == 0 {
                // Its buffer goes back to the device.
                self.lead.text = None;
            }
            return (consumed, left, false);
        }
        let socket = self.socket();
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

    /// Bytes that were queued to be sent and are not acknowledged.
    #[inline]
    pub(crate) fn unsent(&mut self) -> usize {
        match self.lead.ahead {
            true => self.lead.flying + self.lead.queued,
            false => self.socket().send_queue(),
        }
    }

    /// The state of the connection.
    #[inline]
    pub(crate) fn state(&mut self) -> State {
        match self.lead.ahead {
            true => State::Established,
            false => self.socket().state(),
        }
    }

    /// Queues as many of `bytes` as there is room for: how many these are. `None` when nothing can be sent any more.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Option<usize> {
        let Lead { ahead, flying, queued, .. } = self.lead;
        let socket = self.socket();
        if !ahead {
            return socket.send_slice(bytes).ok();
        }
        // The socket's buffer is empty, and all of it one part: nothing is taken of it yet.
        let put = |free: &mut [u8]| {
            let free = free.get_mut(flying + queued..).unwrap_or_default();
            let length = bytes.len().min(free.len());
            free[..length].copy_from_slice(&bytes[..length]);
            (0, length)
        };
        let taken = socket.send(put).ok()?;
        self.lead.queued += taken;
        Some(taken)
    }
}
