//! Buffers of received frames that do not come back, since code that never goes on may have left pointers
//! to them, and those that the interface is given in their place.
//!
//! Pools never end, so there are to be few: each has room for twice as many buffers as the one before, and
//! the next is made when as many have been lost as all of them have.

use crate::path::stack::Stack;
use crate::table::handle::Net;
use reflex_event::Kernel;
use reflex_hil::Frame;
use reflex_memory::Content;

impl<K: Kernel> Net<K> {
    /// Leaves the buffer of a frame as it is for ever. Short, wherever this is called: the interface is
    /// given another where the stack works.
    pub(crate) fn retire_frame(&self, frame: Frame) {
        let buffer = frame.into_buffer();
        let (pool, bytes) = (buffer.pool(), buffer.len());
        buffer.leak();
        self.kernel().quarantine(pool, bytes);
        let received = self.with(|shared| {
            // That of a packet that came in fragments is none of the interface's.
            let received = shared.fragments.is_none_or(|other| !core::ptr::eq(other, pool));
            if received {
                shared.lost_buffers.lose(pool, bytes);
            }
            received
        });
        if !received {
            return;
        }
        if let Some(events) = self.events() {
            self.activate(events.replace_buffers);
        }
    }
}

impl<K: Kernel> Stack<K> {
    /// Gives the interface buffers in the place of lost ones, if it lacks any. Without memory for that it
    /// lacks them until one more is lost.
    pub(crate) fn replace_buffers(&mut self) {
        while let Some((count, bytes, of)) = self.net.with(|shared| shared.lost_buffers.wanted()) {
            // With room for what a pool needs itself: 5 bytes a granule.
            let room = count * bytes.next_power_of_two() * 5 / 4;
            let Ok(more) = self.net.kernel().replacement(of, room, Content::Bytes) else { return };
            self.receiver.add_buffers(more);
            self.net.with(|shared| shared.lost_buffers.replaced += count);
        }
    }
}
