//! The responder and what comes again: acknowledged or answered as before, and not done again.

use crate::common;
use crate::responder::{ACK, is_dropped};
use common::craft::Bench;
use common::link::Plan;
use reflex_rdma_engine::*;
use reflex_rdma_wire::*;

#[test]
fn a_duplicate_is_acknowledged_and_not_done_again() {
    let mut bench = Bench::reliable();
    bench.receive(64);
    bench.receive(64);
    let send = bench.craft(Opcode::RcSendOnly, 0);
    let write = bench.craft(Opcode::RcWriteOnly, 1);
    assert_eq!(bench.answer(&send), Some((0, ACK)));
    assert_eq!(bench.answer(&write), Some((1, ACK)));
    let mut other = write.clone();
    other.payload = vec![9; 8];
    assert_eq!(bench.answer(&other), Some((1, ACK)));
    assert_eq!(bench.answer(&send), Some((1, ACK)), "of the latest");
    assert_eq!(bench.memory(bench.region)[..8], [7; 8]);
    assert_eq!(bench.statuses(), [Status::Success]);
    assert_eq!(bench.refused(Refusal::Duplicate), 2);
}

#[test]
fn a_duplicate_atomic_is_answered_with_what_was_there_first() {
    let mut bench = Bench::reliable();
    let [one, two] = [0, 1].map(|psn| bench.craft(Opcode::RcFetchAdd, psn));
    let original = |frames: Vec<Vec<u8>>| {
        let packet = Packet::parse(&frames[0]).expect("a packet");
        let Extension::AethAtomicAck(_, ack) = *packet.extension() else { panic!("an answer") };
        (frames.len(), ack.original)
    };
    assert_eq!(original(bench.answers(&one)), (1, 0));
    assert_eq!(original(bench.answers(&two)), (1, 1));
    assert_eq!(original(bench.answers(&one)), (1, 0));
    assert_eq!(original(bench.answers(&two)), (1, 1));
    assert_eq!(bench.memory(bench.region)[..8], 2_u64.to_ne_bytes());
}

#[test]
fn a_duplicate_of_a_forgotten_read_or_atomic_is_dropped() {
    let mut bench = Bench::new(Plan { reads: 1, ..Plan::new(Transport::Reliable) });
    let [one, two] = [0, 1].map(|psn| bench.craft(Opcode::RcFetchAdd, psn));
    assert_eq!(bench.answers(&one).len(), 1);
    assert_eq!(bench.answers(&two).len(), 1);
    is_dropped(&mut bench, &one, Refusal::StaleDuplicate);
    // One that asks for more than it did.
    let mut bench = Bench::reliable();
    let read = bench.craft(Opcode::RcReadRequest, 0);
    assert_eq!(bench.answers(&read).len(), 1);
    is_dropped(&mut bench, &read.clone().reth(|reth| reth.length = 9), Refusal::StaleDuplicate);
    assert_eq!(bench.answers(&read).len(), 1);
    // One with a key that was taken back.
    bench.side().memory.regions[0].is_invalid = true;
    assert_eq!(bench.answers(&read).len(), 0);
    // One that was an atomic.
    let atomic = bench.craft(Opcode::RcFetchAdd, 0);
    assert_eq!(bench.answers(&atomic).len(), 0);
}

#[test]
fn a_duplicate_read_is_answered_from_where_it_asks() {
    let mut bench = Bench::reliable();
    let read = bench.craft(Opcode::RcReadRequest, 0).reth(|reth| reth.length = 1000);
    let shape = |frames: &[Vec<u8>]| -> Vec<(u32, Position, usize)> {
        let packets = frames.iter().map(|frame| Packet::parse(frame).expect("a packet"));
        packets
            .map(|it| (it.bth().psn.get() & 0xf, it.bth().opcode.position(), it.payload().len()))
            .collect()
    };
    use Position::{First, Last, Middle};
    let whole = [(1, First, 256), (2, Middle, 256), (3, Middle, 256), (4, Last, 232)];
    assert_eq!(shape(&bench.answers(&read)), whole);
    assert_eq!(shape(&bench.answers(&read)), whole);
    let tail = bench.craft(Opcode::RcReadRequest, 2).reth(|reth| {
        (reth.address, reth.length) = (reth.address + 512, 488);
    });
    assert_eq!(shape(&bench.answers(&tail)), whole[2..]);
    // While it is still on its way, it begins again where it has to.
    bench.side().receive(&read.bytes(), 0).expect("a packet");
    let mut frames = Vec::new();
    bench.side().transmit(0, 3, &mut frames);
    bench.side().receive(&tail.bytes(), 0).expect("a packet");
    bench.side().transmit(0, 100, &mut frames);
    assert_eq!(shape(&frames), [&whole[..3], &whole[2..]].concat());
}
