//! The receive path's first step, called by the job that serves the network interface.

use crate::Net;
use reflex_driver_api::Frame;
use reflex_event::Kernel;

/// Finds each received frame's owner, queues the frame there and activates the owner.
pub struct Demultiplexer<K: Kernel> {
    net: Net<K>,
}

impl<K: Kernel> Demultiplexer<K> {
    pub(crate) fn new(net: Net<K>) -> Self {
        Self { net }
    }

    /// Takes one received frame. Constant time, without a heap.
    #[inline]
    pub fn frame(&self, frame: Frame) {
        match self.net.with(|shared| shared.receive(frame)) {
            Ok(event) => self.net.activate(event),
            // Outside of the section: its buffer goes back to the device's pool.
            Err(frame) => drop(frame),
        }
    }

    /// To be called when the interface has said that a transmit buffer has become free.
    pub fn transmit_ready(&self) {
        if let Some(events) = self.net.events() {
            self.net.activate(events.transmit_ready);
        }
    }
}
