//! A UDP socket of the machine's peer.

use super::world::World;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::SocketAddrV4;
use reflex_testkit::DatagramSocket;

/// A UDP socket of the peer's. What is asked of it happens when the simulation runs.
#[derive(Clone)]
pub struct Datagrams {
    world: Rc<RefCell<World>>,
    socket: DatagramSocket,
    /// The machine.
    machine: core::net::Ipv4Addr,
}

impl Datagrams {
    pub(super) fn new(
        world: Rc<RefCell<World>>,
        socket: DatagramSocket,
        machine: core::net::Ipv4Addr,
    ) -> Self {
        Self { world, socket, machine }
    }

    /// Sends a datagram to a port of the machine's.
    pub fn send(&self, port: u16, bytes: impl AsRef<[u8]>) {
        let to = SocketAddrV4::new(self.machine, port);
        self.world.borrow_mut().peer.datagrams(self.socket).send(to, bytes.as_ref());
    }

    /// Takes the datagrams that have been received, with the ports that they are from.
    pub fn take(&self) -> Vec<(u16, Vec<u8>)> {
        let mut world = self.world.borrow_mut();
        let received = world.peer.datagrams(self.socket).received();
        received.drain(..).map(|(from, bytes)| (from.port(), bytes)).collect()
    }
}
