//! A connection, as the machine's peer has it.

use super::world::World;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use reflex_testkit::{Stream, TcpHandle};

/// The peer's end of a TCP connection with the machine. What is asked of it happens when the simulation runs.
#[derive(Clone)]
pub struct Client {
    world: Rc<RefCell<World>>,
    handle: TcpHandle,
}

impl Client {
    pub(super) fn new(world: Rc<RefCell<World>>, handle: TcpHandle) -> Self {
        Self { world, handle }
    }

    fn with<R>(&self, work: impl FnOnce(&mut Stream) -> R) -> R {
        work(self.world.borrow_mut().peer.stream(self.handle))
    }

    /// Sends bytes, as soon as the connection is there and the machine takes them.
    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        self.with(|stream| stream.send(bytes.as_ref()));
    }

    /// All that has been received and not been [taken](Self::take).
    pub fn received(&self) -> Vec<u8> {
        self.with(|stream| stream.received().clone())
    }

    /// Takes what has been received.
    pub fn take(&self) -> Vec<u8> {
        self.with(|stream| core::mem::take(stream.received()))
    }

    /// Reads no more: what the machine sends fills the window of 64 KiB, and then waits there.
    pub fn stop_reading(&self) {
        self.with(|stream| stream.set_reading(false));
    }

    /// Reads again.
    pub fn read_on(&self) {
        self.with(|stream| stream.set_reading(true));
    }

    /// Says that nothing more will be sent, once all has been. What the machine sends is still read.
    pub fn half_close(&self) {
        self.with(Stream::half_close);
    }

    /// Resets the connection.
    pub fn abort(&self) {
        self.with(Stream::abort);
    }

    /// Whether the connection is established, and neither side has closed.
    pub fn is_open(&self) -> bool {
        self.with(|stream| stream.is_established())
    }

    /// Whether the machine has closed its side, other than by a reset.
    pub fn is_finished(&self) -> bool {
        self.with(|stream| stream.is_finished())
    }

    /// Whether the machine has refused the connection.
    pub fn is_refused(&self) -> bool {
        self.with(|stream| stream.is_over() && !stream.was_established())
    }

    /// Whether there was a connection and it has been reset, by either side.
    pub fn is_reset(&self) -> bool {
        self.with(|stream| stream.is_over() && stream.was_established() && !stream.is_finished())
    }

    /// Whether nothing is left of the connection, for whatever reason.
    pub fn is_over(&self) -> bool {
        self.with(|stream| stream.is_over())
    }
}
