//! Received bytes in the hands of a handler.

use crate::ip::endpoint::Endpoint;
use crate::table::connection_record::request;
use crate::table::handle::Net;
use reflex_event::{Borrowed, Kernel};
use reflex_memory::Lent;

/// An endpoint with unread bytes that an application's handler looks at.
pub(crate) struct HeldEndpoint<K: Kernel> {
    pub(crate) net: Net<K>,
    pub(crate) index: u32,
    pub(crate) endpoint: Lent<Endpoint>,
}

impl<K: Kernel> HeldEndpoint<K> {
    /// The oldest unread bytes, as far as they are in one part.
    pub(crate) fn unread(&mut self) -> &[u8] {
        self.endpoint.unread_bytes()
    }

    /// The handler does not go on. Unless its bytes may be used again, the connection is reset, as no more
    /// can be received without writing over them.
    pub(crate) fn give_up(mut self, borrowed: Borrowed) {
        let retired = borrowed == Borrowed::Quarantined;
        if retired {
            self.endpoint.retired = true;
            let bytes = self.endpoint.buffers();
            self.net.kernel().quarantine(self.endpoint.pool(), bytes);
            if let Some(frame) = self.endpoint.lead.release() {
                self.net.retire_frame(frame);
            }
        }
        let event = self.net.with(|shared| {
            let record = &mut shared.records[self.index];
            record.endpoint = Some(self.endpoint);
            shared.held.count(&mut record.endpoint);
            record.requests |= if retired { request::ABORT } else { 0 };
            shared.make_ready(self.index)
        });
        // The stack may have come for it meanwhile.
        if let Some(event) = event {
            self.net.activate(event);
        }
    }
}
