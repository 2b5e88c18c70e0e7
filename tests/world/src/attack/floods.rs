//! Every attack on an image that serves a thousand connections.

use super::siege::{Siege, frames};
use super::victim::ECHO;
use super::{blind, exhaustion};
use rand::RngExt;
use rand::rngs::StdRng;
use reflex_wire::{Fragment, Segment, flags};
use std::net::Ipv4Addr;

/// An address beyond the router, such as anybody may write into a packet.
fn anybody(random: &mut StdRng) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, random.random(), random.random())
}

/// A segment of nobody's.
fn segment(random: &mut StdRng, to: u16, flags: u8) -> Segment<'static> {
    let (sequence, acknowledgement) = (random.random(), random.random());
    Segment { from: random.random(), to, sequence, acknowledgement, flags, text: b"" }
}

#[test]
fn a_thousand_connections_work_on_through_every_attack() {
    let Some(mut siege) = Siege::lay() else { return };
    // The first takes every place there is.
    exhaustion::every_port(&mut siege);
    openings(&mut siege);
    segments_of_nobody(&mut siege);
    fragments(&mut siege);
    stations(&mut siege);
    blind::segments(&mut siege);
    let Siege { victim, crowd, .. } = siege;
    crowd.end();
    victim.end(&[]);
}

/// Openings from everywhere, none of which is ever completed.
fn openings(siege: &mut Siege) {
    let name = "openings";
    let before = siege.suffers(name, frames(), &["backlog_full", "cookies_sent"], |siege| {
        let from = anybody(&mut siege.random);
        siege.from(from).tcp(&segment(&mut siege.random, ECHO, flags::SYN))
    });
    // One that means it is served at once, by a cookie as long as no place is left for those that may not.
    siege.victim.echoes();
    let counted = ["backlog_full", "cookies_sent", "half_open_failed"];
    siege.is_over(name, &before, &counted);
}

/// Segments of connections that there are not, for the open port and for closed ones.
fn segments_of_nobody(siege: &mut Siege) {
    let kinds = [flags::ACK, flags::ACK | flags::FIN, flags::SYN | flags::ACK, flags::RESET, 0];
    siege.endures("segments of nobody", frames(), &["closed_port", "rate_limited"], |siege| {
        let random = &mut siege.random;
        let to = if random.random_bool(0.5) { ECHO } else { random.random() };
        let kind = kinds[random.random_range(0..kinds.len())];
        let segment = segment(random, to, kind);
        let from = anybody(random);
        siege.from(from).tcp(&segment)
    });
}

/// Fragments: tiny ones, of packets that never come whole; some that overlap, and some of packets that would be too long.
fn fragments(siege: &mut Siege) {
    let counted = ["fragments", "reassembly_failed"];
    siege.endures("fragments", frames(), &counted, |siege| {
        let random = &mut siege.random;
        let (offset, length) = match random.random_range(0..4) {
            0 => (0, 8),
            1 => (1, 8),
            2 => (random.random_range(0..4), 24),
            _ => (0x1fff, 1400),
        };
        let more = random.random_bool(0.7);
        // Few identifications, so that many meet.
        let part = Fragment { identification: random.random_range(0..100), offset, more };
        let text: Vec<u8> = (0..length).map(|_| random.random()).collect();
        let from = anybody(random);
        let protocol = [1, 6, 17][random.random_range(0..3)];
        siege.from(Ipv4Addr::from_bits(from.to_bits() & !0xff)).fragment(protocol, part, &text)
    });
}

/// ARP: questions of stations that are not there, answers that nobody asked for, and claims of the clients' own
/// address.
fn stations(siege: &mut Siege) {
    let counted = ["arp_ignored", "neighbours_moved", "moves_disputed"];
    let clients = siege.clients();
    siege.endures("stations", frames(), &counted, |siege| {
        let random = &mut siege.random;
        let station = [2, 0, 0x5e, random.random(), random.random(), random.random()];
        let from = match random.random_range(0..10) {
            0 => clients,
            _ => Ipv4Addr::from_bits(clients.to_bits() & !0xff | random.random_range(3..255)),
        };
        let operation = random.random_range(1..3);
        siege.from(from).arp_of(operation, station)
    });
}
