//! Numbers that scripts do not say: initial sequence numbers, ports, transactions, and the bytes of
//! streams.

use super::packet::Packet;
use std::collections::HashMap;

/// The port that the host listens on, and the peer's, unless a script says otherwise.
pub(super) const LISTENING: u16 = 80;
pub(super) const PEERS: u16 = 4000;

/// One of the two that exchange packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Us,
    Peer,
}

/// The byte of a stream at an offset, so that one that is missing or out of place shows.
pub(super) fn stream(side: Side, offset: i64) -> u8 {
    let mixed = (offset as u32).wrapping_mul(2_654_435_761).rotate_left(7);
    mixed as u8 ^ (mixed >> 11) as u8 ^ side as u8
}

/// The local and the remote port of a connection.
pub(super) type Ports = (u16, u16);

/// What has been learnt from packets so far, and drawn.
pub(super) struct Numbers {
    /// The peer's initial sequence number, for all connections.
    peer: u32,
    /// Ours, by connection.
    ours: HashMap<Ports, u32>,
    usual: Ports,
    /// Of the DHCP client's last message.
    pub(super) transaction: [u8; 4],
}

impl Numbers {
    /// With the peer's initial sequence number.
    pub(super) fn new(peer: u32) -> Self {
        let usual = (LISTENING, PEERS);
        Self { peer, ours: HashMap::new(), usual, transaction: [0; 4] }
    }

    pub(super) fn theirs(&self) -> u32 {
        self.peer
    }

    /// Our initial sequence number in a connection; 0 while none is known.
    pub(super) fn ours(&self, ports: Ports) -> u32 {
        self.known(ports).unwrap_or(0)
    }

    pub(super) fn known(&self, ports: Ports) -> Option<u32> {
        self.ours.get(&ports).copied()
    }

    /// The ports of a packet: those that it names, else those of the script's connection.
    pub(super) fn ports(&self, packet: &Packet) -> Ports {
        let port = |name, usual| packet.number(name).map_or(usual, |port| port as u16);
        (port("on", self.usual.0), port("at", self.usual.1))
    }

    /// A SYN of ours has left. Without ACK it is of a connection that we open, which is the script's
    /// from then on.
    pub(super) fn opened(&mut self, ports: Ports, sequence: u32, actively: bool) {
        self.ours.insert(ports, sequence);
        if actively {
            self.usual = ports;
        }
    }
}
