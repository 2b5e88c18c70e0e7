//! The responder by cases: each refusal and each NAK, duplicates, replay, shared receives. Side 1
//! answers what is made up here.

use crate::common;
use common::craft::{Bench, KEY};
use common::link::Plan;
use reflex_rdma_engine::*;
use reflex_rdma_wire::*;

pub(crate) const ACK: Syndrome = Syndrome::Ack(Credits::UNLIMITED);
const GAP: Syndrome = Syndrome::Nak(Nak::SequenceError);
const INVALID: Syndrome = Syndrome::Nak(Nak::InvalidRequest);
const ACCESS: Syndrome = Syndrome::Nak(Nak::RemoteAccessError);
const OPERATIONAL: Syndrome = Syndrome::Nak(Nak::RemoteOperationalError);

/// The packet is refused with that NAK and name, the memory stays as it was, and the queue pair
/// goes to ERR.
fn is_fatal(bench: &mut Bench, craft: &common::craft::Craft, nak: Syndrome, refusal: Refusal) {
    let before = bench.memory(bench.region).to_vec();
    let psn = craft.bth.psn.since(bench.plan.psn[0]);
    assert_eq!(bench.answer(craft), Some((psn, nak)));
    assert_eq!(bench.refused(refusal), 1);
    assert_eq!(bench.state(), State::Err);
    assert!(bench.memory(bench.region) == before);
    assert_eq!(bench.answer(craft), None, "it says so once");
    assert_eq!(bench.refused(Refusal::State), 1);
}

/// The packet is dropped without a word, and counted so.
pub(crate) fn is_dropped(bench: &mut Bench, craft: &common::craft::Craft, refusal: Refusal) {
    let before = bench.memory(bench.region).to_vec();
    let (state, completions) = (bench.state(), bench.statuses().len());
    assert_eq!(bench.answer(craft), None);
    assert_eq!(bench.refused(refusal), 1, "{refusal}");
    assert_eq!((bench.state(), bench.statuses().len()), (state, completions));
    assert!(bench.memory(bench.region) == before);
}

#[test]
fn dropped_for_another_queue_pair() {
    let mut bench = Bench::reliable();
    let craft = bench.craft(Opcode::RcWriteOnly, 0);
    is_dropped(&mut bench, &craft.bth(|bth| bth.destination = Qpn::new(0x23)), Refusal::QueuePair);
}

#[test]
fn dropped_of_another_transport() {
    let mut bench = Bench::reliable();
    let craft = bench.craft(Opcode::UcWriteOnly, 0);
    is_dropped(&mut bench, &craft, Refusal::Transport);
}

#[test]
fn dropped_of_another_partition() {
    for key in [0x1234, 0] {
        let mut bench = Bench::reliable();
        let craft = bench.craft(Opcode::RcWriteOnly, 0).bth(|bth| bth.partition = PKey(key));
        is_dropped(&mut bench, &craft, Refusal::Partition);
    }
    // A limited member of the same partition.
    let mut bench = Bench::reliable();
    let craft = bench.craft(Opcode::RcWriteOnly, 0).bth(|bth| bth.partition = PKey(0x7fff));
    assert_eq!(bench.answer(&craft), Some((0, ACK)));
}

#[test]
fn dropped_from_another_address_or_to_one() {
    let mut bench = Bench::reliable();
    let mut craft = bench.craft(Opcode::RcWriteOnly, 0);
    craft.envelope.source = Gid::from_ipv4_bytes([10, 0, 0, 9]);
    is_dropped(&mut bench, &craft, Refusal::Address);
    let mut bench = Bench::reliable();
    let mut craft = bench.craft(Opcode::RcWriteOnly, 0);
    craft.envelope.destination = Gid::from_ipv4_bytes([10, 0, 0, 9]);
    is_dropped(&mut bench, &craft, Refusal::Address);
    // The port is not an address: Linux takes any.
    let mut bench = Bench::reliable();
    let mut craft = bench.craft(Opcode::RcWriteOnly, 0);
    craft.envelope.source_port = 1;
    assert_eq!(bench.answer(&craft), Some((0, ACK)));
}

#[test]
fn dropped_before_ready_to_receive() {
    let mut bench = Bench::reliable();
    let none = Attributes::default();
    let side = bench.side();
    side.pair.modify(State::Reset, &none, &mut side.log).expect("legal");
    let craft = bench.craft(Opcode::RcWriteOnly, 0);
    assert_eq!(bench.answer(&craft), None);
    assert_eq!(bench.refused(Refusal::State), 1);
}

#[test]
fn a_damaged_packet_is_not_even_seen() {
    let mut bench = Bench::reliable();
    let mut bytes = bench.craft(Opcode::RcWriteOnly, 0).bytes();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(bench.side().receive(&bytes, 0), Err(reflex_rdma_wire::Error::Icrc));
    assert_eq!(bench.link.sides[1].pair.counters().total(), 0);
}

#[test]
fn nak_sequence_error_once_a_gap() {
    let mut bench = Bench::reliable();
    let [ahead, further] = [1, 2].map(|psn| bench.craft(Opcode::RcWriteOnly, psn));
    assert_eq!(bench.answer(&ahead), Some((0, GAP)));
    assert_eq!(bench.answer(&further), None);
    assert_eq!(bench.refused(Refusal::Gap), 2);
    let expected = bench.craft(Opcode::RcWriteOnly, 0);
    assert_eq!(bench.answer(&expected), Some((0, ACK)));
    assert_eq!(bench.answer(&further), Some((1, GAP)), "another gap");
    assert_eq!(bench.answer(&ahead), Some((1, ACK)));
    assert_eq!(bench.state(), State::Rts);
}

#[test]
fn nak_invalid_request_for_what_does_not_follow() {
    for opcode in [
        Opcode::RcSendMiddle,
        Opcode::RcSendLast,
        Opcode::RcSendLastImmediate,
        Opcode::RcWriteMiddle,
        Opcode::RcWriteLast,
        Opcode::RcWriteLastImmediate,
    ] {
        let mut bench = Bench::reliable();
        bench.receive(4096);
        let craft = bench.craft(opcode, 0);
        is_fatal(&mut bench, &craft, INVALID, Refusal::Sequence);
        assert_eq!(bench.events(), [Event::InvalidRequest]);
    }
    // In a send, only the rest of it.
    for opcode in [
        Opcode::RcSendFirst,
        Opcode::RcSendOnly,
        Opcode::RcWriteFirst,
        Opcode::RcWriteOnly,
        Opcode::RcWriteMiddle,
        Opcode::RcWriteLast,
        Opcode::RcReadRequest,
        Opcode::RcFetchAdd,
    ] {
        let mut bench = Bench::reliable();
        bench.receive(4096);
        let first = bench.craft(Opcode::RcSendFirst, 0).bth(|bth| bth.acknowledge = false);
        assert_eq!(bench.answer(&first), None);
        let craft = bench.craft(opcode, 1);
        is_fatal(&mut bench, &craft, INVALID, Refusal::Sequence);
        assert_eq!(bench.statuses(), [Status::Flushed], "the receive in hand");
    }
}

#[test]
fn nak_invalid_request_for_lengths_that_lie() {
    let cases: [(Opcode, usize, u32); 10] = [
        (Opcode::RcSendFirst, 255, 0),
        (Opcode::RcSendFirst, 260, 0),
        (Opcode::RcSendOnly, 257, 0),
        (Opcode::RcWriteFirst, 255, 600),
        (Opcode::RcWriteFirst, 256, 256),
        (Opcode::RcWriteFirst, 256, 8),
        (Opcode::RcWriteOnly, 8, 9),
        (Opcode::RcWriteOnly, 9, 8),
        (Opcode::RcWriteOnly, 0, 8),
        (Opcode::RcWriteOnly, 260, 260),
    ];
    for (opcode, payload, length) in cases {
        let mut bench = Bench::reliable();
        bench.receive(4096);
        let mut craft = bench.craft(opcode, 0).payload(payload);
        if opcode.layout() == Layout::Reth {
            craft = craft.reth(|reth| reth.length = length);
        }
        is_fatal(&mut bench, &craft, INVALID, Refusal::Length);
    }
    // Later packets of a message.
    for (opcode, payload) in [
        (Opcode::RcWriteMiddle, 256),
        (Opcode::RcWriteMiddle, 200),
        (Opcode::RcWriteLast, 100),
        (Opcode::RcWriteLast, 45),
        (Opcode::RcWriteLast, 0),
    ] {
        let mut bench = Bench::reliable();
        let first = bench.craft(Opcode::RcWriteFirst, 0).reth(|reth| reth.length = 300);
        assert_eq!(bench.answer(&first), Some((0, ACK)));
        let craft = bench.craft(opcode, 1).payload(payload);
        is_fatal(&mut bench, &craft, INVALID, Refusal::Length);
    }
}

/// A region that long is not at hand here, so what is refused before any is looked up is all that
/// tells the two sides of the limit apart.
#[test]
fn nak_invalid_request_for_messages_beyond_the_longest() {
    for opcode in [
        Opcode::RcWriteFirst,
        Opcode::RcWriteOnly,
        Opcode::RcWriteOnlyImmediate,
        Opcode::RcReadRequest,
    ] {
        for length in [MAX_MESSAGE + 1, 1 << 31, u32::MAX] {
            let mut bench = Bench::reliable();
            bench.receive(64);
            let craft = bench.craft(opcode, 0).reth(|reth| reth.length = length);
            is_fatal(&mut bench, &craft, INVALID, Refusal::Length);
        }
        let mut bench = Bench::reliable();
        bench.receive(64);
        let craft = bench.craft(opcode, 0).reth(|reth| reth.length = MAX_MESSAGE);
        is_fatal(&mut bench, &craft, ACCESS, Refusal::Access);
    }
}

#[test]
fn nak_remote_access_error_for_key_bounds_and_permission() {
    type Change = (&'static str, fn(&mut Reth));
    let changes: [Change; 6] = [
        ("another key", |reth| reth.key = RKey(KEY.0 ^ 1)),
        ("before the region", |reth| reth.address -= 1),
        ("behind the region", |reth| reth.address += 1024),
        ("across its end", |reth| reth.address += 1017),
        ("across the end of all memory", |reth| reth.address = u64::MAX - 3),
        ("at zero", |reth| reth.address = 0),
    ];
    for (name, change) in changes {
        for opcode in [Opcode::RcWriteOnly, Opcode::RcWriteOnlyImmediate, Opcode::RcReadRequest] {
            println!("{name} {opcode:?}");
            let mut bench = Bench::reliable();
            bench.receive(64);
            let craft = bench.craft(opcode, 0).reth(change);
            is_fatal(&mut bench, &craft, ACCESS, Refusal::Access);
            assert_eq!(bench.events(), [Event::AccessRefused]);
        }
        let mut bench = Bench::reliable();
        let mut craft = bench.craft(Opcode::RcFetchAdd, 0);
        let Extension::Atomic(atomic) = &mut craft.extension else { panic!("an atomic") };
        let mut reth = Reth { address: atomic.address, key: atomic.key, length: 8 };
        change(&mut reth);
        (atomic.address, atomic.key) = (reth.address & !7, reth.key);
        if atomic.address != common::craft::ADDRESS + 1016 {
            is_fatal(&mut bench, &craft, ACCESS, Refusal::Access);
        }
    }
    // A long write that begins well and would end outside is refused at its beginning.
    let mut bench = Bench::reliable();
    let craft = bench.craft(Opcode::RcWriteFirst, 0).reth(|reth| reth.length = 1025);
    is_fatal(&mut bench, &craft, ACCESS, Refusal::Access);
    let mut bench = Bench::reliable();
    let craft = bench.craft(Opcode::RcWriteFirst, 0).reth(|reth| reth.length = MAX_MESSAGE);
    is_fatal(&mut bench, &craft, ACCESS, Refusal::Access);
    // The region permits less.
    for (opcode, access) in [
        (Opcode::RcWriteOnly, Access::REMOTE_READ | Access::REMOTE_ATOMIC),
        (Opcode::RcReadRequest, Access::REMOTE_WRITE | Access::REMOTE_ATOMIC),
        (Opcode::RcCompareSwap, Access::REMOTE_WRITE | Access::REMOTE_READ),
    ] {
        let mut bench = Bench::reliable();
        bench.side().memory.regions[0].access = access;
        let craft = bench.craft(opcode, 0);
        is_fatal(&mut bench, &craft, ACCESS, Refusal::Access);
    }
    // Another protection domain.
    let mut bench = Bench::reliable();
    bench.side().memory.regions[0].domain = Domain(2);
    let craft = bench.craft(Opcode::RcWriteOnly, 0);
    is_fatal(&mut bench, &craft, ACCESS, Refusal::Access);
}

#[test]
fn nothing_is_looked_up_for_nothing() {
    for opcode in [Opcode::RcWriteOnly, Opcode::RcReadRequest] {
        let mut bench = Bench::reliable();
        let craft = bench.craft(opcode, 0).payload(0).reth(|reth| {
            *reth = Reth { address: 1, key: RKey(0xdead), length: 0 };
        });
        assert_eq!(bench.answer(&craft), Some((0, ACK)));
    }
}

#[test]
fn nak_invalid_request_for_what_the_queue_pair_does_not_permit() {
    for (opcode, access) in [
        (Opcode::RcWriteOnly, Access::REMOTE_READ | Access::REMOTE_ATOMIC),
        (Opcode::RcReadRequest, Access::REMOTE_WRITE | Access::REMOTE_ATOMIC),
        (Opcode::RcCompareSwap, Access::REMOTE_WRITE | Access::REMOTE_READ),
        (Opcode::RcFetchAdd, Access::NONE),
    ] {
        let mut bench = Bench::reliable();
        let attributes = Attributes { access: Some(access), ..Attributes::default() };
        let side = bench.side();
        side.pair.modify(State::Rts, &attributes, &mut side.log).expect("legal");
        let craft = bench.craft(opcode, 0);
        is_fatal(&mut bench, &craft, INVALID, Refusal::Permission);
    }
}

#[test]
fn nak_invalid_request_for_an_unaligned_atomic() {
    let mut bench = Bench::reliable();
    let mut craft = bench.craft(Opcode::RcFetchAdd, 0);
    let Extension::Atomic(atomic) = &mut craft.extension else { panic!("an atomic") };
    atomic.address += 4;
    is_fatal(&mut bench, &craft, INVALID, Refusal::Alignment);
}

#[test]
fn nak_invalid_request_for_more_reads_than_agreed() {
    let mut bench = Bench::new(Plan { reads: 2, ..Plan::new(Transport::Reliable) });
    for psn in 0..3 {
        // Nothing is emitted meanwhile.
        let craft = bench.craft(Opcode::RcReadRequest, psn);
        bench.side().receive(&craft.bytes(), 0).expect("a packet");
    }
    assert_eq!(bench.refused(Refusal::TooManyReads), 1);
    assert_eq!(bench.state(), State::Err);
    let mut frames = Vec::new();
    bench.side().transmit(0, 100, &mut frames);
    let opcodes: Vec<_> =
        frames.iter().map(|it| Packet::parse(it).expect("a packet").bth().opcode).collect();
    let answer = Opcode::RcReadResponseOnly;
    assert_eq!(opcodes, [answer, answer, Opcode::RcAcknowledge], "those before it are answered");
    // None are agreed.
    let mut bench = Bench::new(Plan { reads: 0, ..Plan::new(Transport::Reliable) });
    let craft = bench.craft(Opcode::RcFetchAdd, 0);
    is_fatal(&mut bench, &craft, INVALID, Refusal::TooManyReads);
}

#[test]
fn rnr_nak_while_no_receive_is_posted() {
    for opcode in [Opcode::RcSendOnly, Opcode::RcSendFirst, Opcode::RcWriteOnlyImmediate] {
        let mut bench = Bench::reliable();
        let wait = Syndrome::ReceiverNotReady(RnrTimer::from_code(12));
        let craft = bench.craft(opcode, 0);
        assert_eq!(bench.answer(&craft), Some((0, wait)));
        let next = bench.craft(Opcode::RcSendOnly, 1);
        assert_eq!(bench.answer(&next), Some((0, GAP)), "as Linux does");
        assert_eq!(bench.answer(&craft), Some((0, wait)), "every time");
        assert!(bench.memory(bench.region).iter().all(|&byte| byte == 0), "nothing is written");
        bench.receive(4096);
        assert_eq!(bench.answer(&craft), Some((0, ACK)));
        assert_eq!(bench.refused(Refusal::NoReceive), 2);
    }
}

#[test]
fn nak_remote_operational_error_for_a_send_longer_than_the_receive() {
    let mut bench = Bench::reliable();
    let region = bench.receive(7);
    bench.receive(100);
    let craft = bench.craft(Opcode::RcSendOnly, 0);
    is_fatal(&mut bench, &craft, OPERATIONAL, Refusal::TooLong);
    assert_eq!(bench.statuses(), [Status::LocalLength, Status::Flushed]);
    assert_eq!(bench.memory(region), [0; 7], "nothing is written");
    // In its second packet.
    let mut bench = Bench::reliable();
    bench.receive(257);
    let first = bench.craft(Opcode::RcSendFirst, 0);
    assert_eq!(bench.answer(&first), Some((0, ACK)));
    let craft = bench.craft(Opcode::RcSendLast, 1).payload(2);
    is_fatal(&mut bench, &craft, OPERATIONAL, Refusal::TooLong);
    assert_eq!(bench.statuses(), [Status::LocalLength]);
}

#[test]
fn nak_remote_operational_error_when_the_receives_memory_is_gone() {
    let mut bench = Bench::reliable();
    let region = bench.receive(64);
    bench.side().memory.regions[region.0 as usize].is_gone = true;
    let craft = bench.craft(Opcode::RcSendOnly, 0);
    is_fatal(&mut bench, &craft, OPERATIONAL, Refusal::ReceiveMemory);
    assert_eq!(bench.statuses(), [Status::LocalProtection]);
    assert_eq!(bench.events(), [Event::Fatal]);
}

#[test]
fn nak_remote_access_error_when_memory_goes_away_during_a_write_or_read() {
    let mut bench = Bench::reliable();
    let first = bench.craft(Opcode::RcWriteFirst, 0).reth(|reth| reth.length = 300);
    assert_eq!(bench.answer(&first), Some((0, ACK)));
    bench.side().memory.regions[0].is_gone = true;
    let last = bench.craft(Opcode::RcWriteLast, 1).payload(44);
    is_fatal(&mut bench, &last, ACCESS, Refusal::Access);

    let mut bench = Bench::reliable();
    let read = bench.craft(Opcode::RcReadRequest, 0).reth(|reth| reth.length = 1000);
    bench.side().receive(&read.bytes(), 0).expect("a packet");
    let mut frames = Vec::new();
    assert_eq!(bench.side().transmit(0, 2, &mut frames), 2, "two of four");
    bench.side().memory.regions[0].is_gone = true;
    frames.clear();
    bench.side().transmit(0, 2, &mut frames);
    let packet = Packet::parse(&frames[0]).expect("a packet");
    let aeth = packet.extension().aeth().expect("an acknowledge");
    assert_eq!((packet.bth().psn, aeth.syndrome), (bench.plan.psn[0].plus(2), ACCESS));
    assert_eq!(bench.refused(Refusal::ReadMemory), 1);
    assert_eq!((bench.state(), frames.len()), (State::Err, 1));
}

#[test]
fn an_unknown_key_to_invalidate_is_not_answered() {
    let mut bench = Bench::reliable();
    bench.receive(64);
    bench.receive(64);
    let mut craft = bench.craft(Opcode::RcSendOnlyInvalidate, 0);
    craft.extension = Extension::Invalidate(Ieth(RKey(1)));
    assert_eq!(bench.answer(&craft), None);
    assert_eq!(bench.refused(Refusal::Invalidate), 1);
    assert_eq!(bench.statuses(), [Status::RemoteInvalidRequest, Status::Flushed]);
    assert_eq!(bench.state(), State::Err);
}

#[test]
fn an_invalidated_key_is_none() {
    let mut bench = Bench::reliable();
    bench.receive(64);
    let craft = bench.craft(Opcode::RcSendOnlyInvalidate, 0);
    assert_eq!(bench.answer(&craft), Some((0, ACK)));
    let completion = bench.link.sides[1].log.completions[0];
    assert_eq!(completion.attachment, Attachment::Invalidate(KEY));
    let craft = bench.craft(Opcode::RcWriteOnly, 1);
    is_fatal(&mut bench, &craft, ACCESS, Refusal::Access);
}

#[test]
fn acknowledges_coalesce_while_none_can_be_sent() {
    let mut bench = Bench::reliable();
    for psn in 0..100 {
        let craft = bench.craft(Opcode::RcWriteOnly, psn);
        bench.side().receive(&craft.bytes(), 0).expect("a packet");
    }
    let craft = bench.craft(Opcode::RcWriteOnly, 100);
    let frames = bench.answers(&craft);
    assert_eq!(frames.len(), 1);
    let packet = Packet::parse(&frames[0]).expect("a packet");
    assert_eq!(packet.bth().psn, bench.plan.psn[0].plus(100));
    assert_eq!(packet.extension().aeth().map(|aeth| aeth.msn), Some(101));
}

#[test]
fn nothing_is_said_where_nothing_is_asked() {
    let mut bench = Bench::reliable();
    let craft = bench.craft(Opcode::RcWriteOnly, 0).bth(|bth| bth.acknowledge = false);
    assert_eq!(bench.answer(&craft), None);
    let craft = bench.craft(Opcode::RcWriteOnly, 1);
    assert_eq!(bench.answer(&craft), Some((1, ACK)));
}

#[test]
fn the_first_packet_establishes_communication() {
    let mut bench = Bench::reliable();
    let none = Attributes::default();
    let plan = bench.plan;
    let side = bench.side();
    side.pair.modify(State::Reset, &none, &mut side.log).expect("legal");
    let [peer, own] = plan.addresses();
    let steps = [
        (
            State::Init,
            Attributes {
                partition: Some(PKey::DEFAULT),
                access: Some(Access::REMOTE_WRITE),
                ..none
            },
        ),
        (
            State::Rtr,
            Attributes {
                path: Some(Envelope::new(own, peer, 1)),
                mtu: Some(PathMtu::B256),
                destination: Some(Qpn::new(0x11)),
                receive_psn: Some(plan.psn[0]),
                max_reads_in: Some(1),
                rnr_timer: Some(RnrTimer::from_code(1)),
                ..none
            },
        ),
    ];
    for (state, step) in steps {
        side.pair.modify(state, &step, &mut side.log).expect("legal");
    }
    for psn in 0..2 {
        let craft = bench.craft(Opcode::RcWriteOnly, psn);
        assert_eq!(bench.answer(&craft), Some((psn, ACK)));
    }
    assert_eq!(bench.events(), [Event::CommunicationEstablished]);
}

#[test]
fn a_shared_queue_tells_of_its_limit_and_of_the_last() {
    let mut bench = Bench::new(Plan { is_shared: true, ..Plan::new(Transport::Reliable) });
    for _ in 0..3 {
        bench.receive(64);
    }
    let limit = |bench: &mut Bench| {
        bench.side().shared.as_mut().expect("a shared queue").arm_limit(2);
    };
    limit(&mut bench);
    let send = |bench: &mut Bench, psn| {
        let craft = bench.craft(Opcode::RcSendOnly, psn);
        bench.answer(&craft)
    };
    assert_eq!(send(&mut bench, 0), Some((0, ACK)));
    assert_eq!(bench.events(), []);
    assert_eq!(send(&mut bench, 1), Some((1, ACK)));
    assert_eq!(bench.events(), [Event::ReceiveLimitReached]);
    assert_eq!(send(&mut bench, 2), Some((2, ACK)));
    assert_eq!(bench.events(), [Event::ReceiveLimitReached], "once");
    // A receive in hand is flushed; those that nobody took stay.
    bench.receive(600);
    bench.receive(600);
    let first = bench.craft(Opcode::RcSendFirst, 3).payload(1024);
    bench.side().shared.as_mut().expect("a shared queue").arm_limit(0);
    assert_eq!(bench.answer(&first), Some((3, OPERATIONAL)), "longer than 600");
    assert_eq!(bench.statuses()[3..], [Status::LocalLength]);
    assert_eq!(bench.events()[1..], [Event::InvalidRequest, Event::LastReceiveReached]);
    assert_eq!(bench.side().shared.as_ref().map(ReceiveQueue::count), Some(1));
}

#[test]
fn a_solicited_message_says_so() {
    let mut bench = Bench::reliable();
    bench.receive(64);
    bench.receive(64);
    let craft = bench.craft(Opcode::RcSendOnly, 0).bth(|bth| bth.solicited = true);
    bench.answer(&craft);
    let craft = bench.craft(Opcode::RcWriteOnlyImmediate, 1);
    bench.answer(&craft);
    let completions = &bench.link.sides[1].log.completions;
    let seen: Vec<_> = completions.iter().map(|it| (it.solicited, it.kind, it.length)).collect();
    assert_eq!(seen, [(true, Kind::Receive, 8), (false, Kind::ReceiveWrite, 8)]);
}
