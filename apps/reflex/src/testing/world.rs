//! What is outside of the machine: the wire, and a host at its other end.

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use reflex_boot::hosted::Devices;
use reflex_event::Instant;
use reflex_testkit::{Faults, Flight, Medium, Peer};

/// The address of the host at the other end.
pub(super) const PEER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The machine's own, unless the command line says another.
pub(super) const MACHINE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

const PEER_MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x70, 0x65, 0x72];

pub(super) struct World {
    pub(super) peer: Peer,
    devices: Devices,
    /// Frames from the machine.
    outgoing: Flight<Vec<u8>>,
    /// Frames for it.
    incoming: Flight<Vec<u8>>,
    disks: Vec<Medium>,
}

impl World {
    pub(super) fn new(devices: Devices, seed: u64, disks: Vec<Medium>) -> Self {
        let (outgoing, incoming) = (Flight::new(seed ^ 1), Flight::new(seed ^ 2));
        Self { peer: Peer::new(PEER_MAC, PEER, seed), devices, outgoing, incoming, disks }
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.outgoing.set_faults(faults);
        self.incoming.set_faults(faults);
    }

    /// Moves on what can move at `now`; false when nothing could.
    pub(super) fn exchange(&mut self, now: Instant) -> bool {
        let mut busy = false;
        while let Some((when, frame)) = self.devices.take_sent() {
            self.outgoing.put(Instant::from_nanos(when), frame, |frame| Some(frame.clone()));
            busy = true;
        }
        while let Some(frame) = self.outgoing.arrived(now) {
            self.peer.receive(&frame);
            busy = true;
        }
        let incoming = &mut self.incoming;
        busy |= self.peer.poll(now, |frame| incoming.put(now, frame, |frame| Some(frame.clone())));
        while let Some(frame) = self.incoming.arrived(now) {
            // What a full ring has no room for is lost, as on a real wire.
            let _ = self.devices.receive(&frame);
            busy = true;
        }
        for disk in self.disks.iter().filter(|disk| disk.pending() > 0) {
            disk.perform_all();
            busy = true;
        }
        busy
    }

    /// When the next frame arrives that is on its way.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        [self.outgoing.next_due(), self.incoming.next_due()].into_iter().flatten().min()
    }

    /// When something is to be done next out here, if nothing comes.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<Instant> {
        [self.next_arrival(), self.peer.next_due(now)].into_iter().flatten().min()
    }
}
