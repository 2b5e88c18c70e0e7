//! One client that opens a connection from one port after the other, for as long as there are places.

use super::siege::{ANSWERS, BATCH, CLIENTS, PLACES, Siege};
use super::victim::{ECHO, PATIENCE};
use crate::seed::times;
use reflex_wire::{Ends, Seen, Segment, Wire, flags};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Instant;

/// The client, beyond the router.
const GREEDY: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 7);
/// Ports of these that it uses.
const PORTS: u64 = PLACES as u64 + 600;
/// The first number of each of its connections.
const FIRST: u32 = 0x7000_0000;

/// Frames that are looked at for each that is sent.
const LOOK: usize = 20;

/// What the client has opened, by its port: the number that the image goes on from.
#[derive(Default)]
struct Opened(BTreeMap<u16, u32>);

impl Opened {
    /// Completes the handshakes that the image has answered by now.
    fn complete(&mut self, wire: &mut Wire, ends: &Ends) {
        for frame in wire.received(LOOK).expect("there is a wire") {
            let Some(seen) = Seen::of(&frame).filter(|seen| *seen.to.ip() == GREEDY) else {
                continue;
            };
            if seen.flags == flags::SYN | flags::ACK {
                let theirs = seen.sequence.wrapping_add(1);
                self.0.insert(seen.to.port(), theirs);
                wire.send(&ends.tcp(&segment(seen.to.port(), 1, theirs, flags::ACK)));
            }
        }
    }
}

impl Opened {
    /// Sends a segment on all there are, again and again, until there are so many connections.
    fn tell(&self, siege: &mut Siege, ends: &Ends, flags: u8, connections: u32) {
        let begun = Instant::now();
        let all: Vec<(&u16, &u32)> = self.0.iter().collect();
        while siege.victim.report().connections() != u64::from(connections) {
            assert!(begun.elapsed() < PATIENCE, "there are not {connections} connections");
            for some in all.chunks(BATCH) {
                for &(&port, &theirs) in some {
                    siege.wire.send(&ends.tcp(&segment(port, 1, theirs, flags)));
                }
                // As many as there are clients: by then all of these were heard, if they were not lost.
                siege.crowd.has_answers(CLIENTS.into());
            }
        }
    }
}

fn segment(from: u16, ahead: u32, acknowledgement: u32, flags: u8) -> Segment<'static> {
    Segment { from, to: ECHO, sequence: FIRST + ahead, acknowledgement, flags, text: b"" }
}

/// All places are taken, and every other attempt is refused; when the client is gone they are there again.
pub(crate) fn every_port(siege: &mut Siege) {
    let name = "every port";
    let before = siege.victim.report();
    let (begun, start) = (Instant::now(), siege.crowd.progress());
    let ends = siege.from(GREEDY);
    let mut opened = Opened::default();
    let ports: Vec<u16> = (1..=times(PORTS, u16::MAX.into()) as u16).collect();
    // Of some handshakes the image's answer is not seen: the wire is busy.
    while opened.0.len() < (PLACES - CLIENTS) as usize {
        assert!(begun.elapsed() < PATIENCE, "{} are open", opened.0.len());
        let rest: Vec<u16> =
            ports.iter().copied().filter(|port| !opened.0.contains_key(port)).collect();
        for ports in rest.chunks(BATCH) {
            for &port in ports {
                siege.wire.send(&ends.tcp(&segment(port, 0, 0, flags::SYN)));
                opened.complete(&mut siege.wire, &ends);
            }
            siege.crowd.has_answers(ANSWERS);
        }
    }
    // What was lost of a handshake is said again.
    opened.tell(siege, &ends, flags::ACK, PLACES);
    assert_eq!(siege.crowd.waiting_since(&start), 0, "{name}: some client waits");
    siege.crowd.moves_on();
    println!("{name}: {} of {} in {:?}", opened.0.len(), ports.len(), begun.elapsed());
    opened.tell(siege, &ends, flags::RESET | flags::ACK, CLIENTS);
    siege.is_over(name, &before, &["limit_reached"]);
}
