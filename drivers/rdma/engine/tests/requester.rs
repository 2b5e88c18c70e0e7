//! The requester and the completer by cases: what is sent when, and what answers, and their
//! absence, do. Side 1 asks, and is answered what is made up here.

use crate::common;
use common::Random;
use common::craft::{Bench, Craft};
use common::link::{Plan, Weather};
use reflex_rdma_engine::*;
use reflex_rdma_wire::*;

/// A queue pair that asks.
struct Asking {
    bench: Bench,
    next: u64,
    frames: Vec<Vec<u8>>,
    now: u64,
}

impl Asking {
    fn new(plan: Plan) -> Self {
        Self { bench: Bench::new(plan), next: 0, frames: Vec::new(), now: 0 }
    }

    fn reliable() -> Self {
        Self::new(Plan { mtu: PathMtu::B256, ..Plan::new(Transport::Reliable) })
    }

    fn post(&mut self, work: Work, length: u32, flags: Flags) -> Region {
        let side = self.bench.side();
        let region = side.memory.register(0, 0, Access::LOCAL_WRITE, vec![3; length as usize]);
        let segments = [Segment { region, offset: 0, length }];
        let id = self.next;
        self.next += 1;
        side.post_send(&SendRequest { id, work, segments: &segments, flags, destination: None });
        region
    }

    fn send(&mut self, length: u32) -> Region {
        self.post(Work::Send(Attachment::None), length, Flags::SIGNALLED)
    }

    fn read(&mut self, length: u32) -> Region {
        self.post(Work::Read { address: 0x100, key: RKey(5) }, length, Flags::SIGNALLED)
    }

    /// Numbers, from the first on, and opcodes of what is sent now.
    fn sent(&mut self, room: u32) -> Vec<(u32, Opcode)> {
        self.frames.clear();
        let (now, first) = (self.now, self.bench.plan.psn[1]);
        let mut frames = std::mem::take(&mut self.frames);
        self.bench.side().transmit(now, room, &mut frames);
        self.frames = frames;
        let packets = self.frames.iter().map(|frame| Packet::parse(frame).expect("a packet"));
        packets.map(|it| (it.bth().psn.since(first), it.bth().opcode)).collect()
    }

    fn numbers(&mut self) -> Vec<u32> {
        self.sent(u32::MAX).into_iter().map(|(psn, _)| psn).collect()
    }

    fn craft(&self, opcode: Opcode, psn: u32) -> Craft {
        let mut craft = self.bench.craft(opcode, 0);
        craft.bth.psn = self.bench.plan.psn[1].plus(psn);
        craft
    }

    fn take(&mut self, craft: &Craft) {
        let now = self.now;
        self.bench.side().receive(&craft.bytes(), now).expect("a packet");
    }

    fn acknowledge(&mut self, psn: u32, syndrome: Syndrome) {
        let mut craft = self.craft(Opcode::RcAcknowledge, psn);
        craft.extension = Extension::Aeth(Aeth { syndrome, msn: 0 });
        self.take(&craft);
    }

    fn ack(&mut self, psn: u32) {
        self.acknowledge(psn, Syndrome::Ack(Credits::UNLIMITED));
    }

    /// Lets time pass until the deadline.
    fn expire(&mut self) {
        let deadline = self.bench.side().pair.deadline().expect("something is waited for");
        self.now = deadline.as_nanos();
        let side = self.bench.side();
        side.pair.expire(deadline, &mut side.log);
    }

    fn done(&self) -> Vec<(u64, Status)> {
        let completions = &self.bench.link.sides[1].log.completions;
        completions.iter().map(|it| (it.id, it.status)).collect()
    }

    fn waits(&self) -> bool {
        self.bench.link.sides[1].pair.deadline().is_some()
    }
}

const OK: Status = Status::Success;

#[test]
fn one_acknowledge_completes_all_before_it() {
    let mut asking = Asking::reliable();
    for length in [1, 300, 0] {
        asking.send(length);
    }
    assert_eq!(asking.numbers(), [0, 1, 2, 3]);
    assert!(asking.waits());
    asking.ack(1);
    assert_eq!(asking.done(), [(0, OK)], "half a message is none");
    asking.ack(3);
    assert_eq!(asking.done(), [(0, OK), (1, OK), (2, OK)]);
    assert!(!asking.waits());
}

#[test]
fn only_those_that_ask_are_told_of_success() {
    let mut asking = Asking::reliable();
    for flags in [Flags::NONE, Flags::SIGNALLED, Flags::NONE] {
        asking.post(Work::Send(Attachment::None), 8, flags);
    }
    asking.numbers();
    asking.ack(1);
    assert_eq!(asking.done(), [(1, OK)]);
    asking.bench.side().down();
    assert_eq!(asking.done(), [(1, OK), (2, Status::Flushed)], "failure is always told");
}

#[test]
fn the_window_closes_and_the_packet_that_fills_it_asks() {
    let plan = Plan { mtu: PathMtu::B256, window: 4, ..Plan::new(Transport::Reliable) };
    let mut asking = Asking::new(plan);
    asking.send(256 * 10);
    let asks = |asking: &Asking| -> Vec<bool> {
        let packets = asking.frames.iter().map(|frame| Packet::parse(frame).expect("a packet"));
        packets.map(|packet| packet.bth().acknowledge).collect()
    };
    assert_eq!(asking.numbers(), [0, 1, 2, 3]);
    assert_eq!(asks(&asking), [false, false, false, true]);
    assert_eq!(asking.numbers(), []);
    asking.ack(1);
    assert_eq!(asking.numbers(), [4, 5]);
    asking.ack(5);
    assert_eq!(asking.numbers(), [6, 7, 8, 9]);
    assert_eq!(asks(&asking), [false, false, false, true]);
}

#[test]
fn a_long_message_asks_now_and_then() {
    let mut asking = Asking::reliable();
    asking.send(256 * 100);
    assert_eq!(asking.numbers().len(), 100);
    let asks = asking
        .frames
        .iter()
        .enumerate()
        .filter(|(_, frame)| Packet::parse(frame).expect("a packet").bth().acknowledge);
    assert_eq!(asks.map(|(number, _)| number).collect::<Vec<_>>(), [64, 99]);
}

#[test]
fn what_finds_no_buffer_stays_due() {
    let mut asking = Asking::reliable();
    asking.send(256 * 3);
    asking.send(0);
    assert_eq!(asking.sent(2).len(), 2);
    assert!(asking.bench.side().pair.is_due());
    assert_eq!(asking.sent(0), []);
    assert_eq!(asking.sent(9), [(2, Opcode::RcSendLast), (3, Opcode::RcSendOnly)]);
    assert!(!asking.bench.side().pair.is_due());
    // The budget does the same.
    let side = asking.bench.side();
    let mut frames = Vec::new();
    let mut port = common::Port { memory: &side.memory, frames: &mut frames, room: 9 };
    assert_eq!(side.pair.transmit(Instant::default(), 0, &mut port, &mut side.log), 0);
}

#[test]
fn a_fence_waits_for_reads_and_for_nothing_else() {
    let mut asking = Asking::reliable();
    asking.send(8);
    asking.read(8);
    asking.post(Work::Send(Attachment::None), 8, Flags::FENCE);
    asking.send(8);
    assert_eq!(asking.numbers(), [0, 1]);
    asking.ack(0);
    assert_eq!(asking.numbers(), []);
    let answer = asking.craft(Opcode::RcReadResponseOnly, 1);
    asking.take(&answer);
    assert_eq!(asking.numbers(), [2, 3]);
}

#[test]
fn no_more_reads_are_outstanding_than_agreed() {
    let plan = Plan { mtu: PathMtu::B256, reads: 2, ..Plan::new(Transport::Reliable) };
    let mut asking = Asking::new(plan);
    for _ in 0..3 {
        asking.read(300);
    }
    assert_eq!(asking.numbers(), [0, 2], "each takes two numbers");
    let first = asking.craft(Opcode::RcReadResponseFirst, 0);
    asking.take(&first);
    assert_eq!(asking.numbers(), []);
    let last = asking.craft(Opcode::RcReadResponseLast, 1).payload(44);
    asking.take(&last);
    assert_eq!(asking.done(), [(0, OK)]);
    assert_eq!(asking.numbers(), [4]);
}

#[test]
fn a_nak_sequence_error_is_answered_by_going_back() {
    let mut asking = Asking::reliable();
    asking.send(600);
    asking.send(600);
    assert_eq!(asking.numbers(), [0, 1, 2, 3, 4, 5]);
    asking.acknowledge(4, Syndrome::Nak(Nak::SequenceError));
    assert_eq!(asking.done(), [(0, OK)]);
    assert_eq!(asking.sent(9), [(4, Opcode::RcSendMiddle), (5, Opcode::RcSendLast)]);
    asking.acknowledge(4, Syndrome::Nak(Nak::SequenceError));
    assert_eq!(asking.numbers(), [], "once: the timer does the rest");
    assert!(asking.waits());
    asking.ack(5);
    assert_eq!(asking.done(), [(0, OK), (1, OK)]);
}

#[test]
fn an_unanswered_request_is_tried_again_so_many_times() {
    let mut asking = Asking::new(Plan { retries: 2, ..Plan::new(Transport::Reliable) });
    asking.send(8);
    asking.send(8);
    assert_eq!(asking.numbers(), [0, 1]);
    let timeout = AckTimeout::from_code(14).duration().expect("a time").as_nanos() as u64;
    for round in 1..=2 {
        asking.expire();
        // Each is waited for twice as long as the one before.
        assert_eq!(asking.now, ((1 << round) - 1) * timeout);
        assert_eq!(asking.numbers(), [0, 1]);
    }
    asking.expire();
    assert_eq!(asking.done(), [(0, Status::RetryExceeded), (1, Status::Flushed)]);
    assert_eq!(asking.bench.state(), State::Err);
    assert!(!asking.waits());
    assert_eq!(asking.bench.link.sides[1].pair.counters().timeouts, 3);
}

/// A count of 7 is no count, as for Linux; but a peer that is silent for half a minute is gone.
#[test]
fn seven_retries_end_when_the_peer_has_been_silent_for_long() {
    let mut asking = Asking::new(Plan { retries: 7, ..Plan::new(Transport::Reliable) });
    asking.send(8);
    assert_eq!(asking.numbers(), [0]);
    let (mut tries, mut before) = (0, 0);
    loop {
        asking.expire();
        let waited = std::mem::replace(&mut before, asking.now);
        assert!(asking.now - waited <= 1_000_000_000, "the wait does not grow for ever");
        if asking.numbers() != [0] {
            break;
        }
        tries += 1;
        assert!(asking.now < 30_000_000_000);
    }
    assert!(tries > 30, "{tries}");
    assert!((30..32).contains(&(asking.now / 1_000_000_000)), "{}", asking.now);
    assert_eq!(asking.done(), [(0, Status::RetryExceeded)]);
}

#[test]
fn seven_retries_of_a_long_time_out_are_seven_at_least() {
    let mut asking = Asking::new(Plan { retries: 7, ..Plan::new(Transport::Reliable) });
    let none = Attributes::default();
    let side = asking.bench.side();
    side.pair.modify(State::Sqd, &none, &mut side.log).expect("legal");
    // 17.6 seconds.
    let timeout = Attributes { timeout: Some(AckTimeout::from_code(22)), ..none };
    side.pair.modify(State::Sqd, &timeout, &mut side.log).expect("legal");
    side.pair.modify(State::Rts, &none, &mut side.log).expect("legal");
    asking.send(8);
    assert_eq!(asking.numbers(), [0]);
    for _ in 0..7 {
        asking.expire();
        assert_eq!(asking.numbers(), [0]);
    }
    asking.expire();
    assert_eq!(asking.done(), [(0, Status::RetryExceeded)]);
}

/// A peer is not silent that has not been asked yet.
#[test]
fn what_has_not_left_is_waited_for_anew() {
    let mut asking = Asking::new(Plan { retries: 0, ..Plan::new(Transport::Reliable) });
    asking.send(8);
    assert_eq!(asking.numbers(), [0]);
    let timeout = AckTimeout::from_code(14).duration().expect("a time").as_nanos() as u64;
    for round in 1..=50 {
        asking.now = round * timeout;
        let now = Instant::from_nanos(asking.now);
        let pair = &mut asking.bench.side().pair;
        assert!(pair.is_overdue(now));
        pair.postpone(now);
        assert!(!pair.is_overdue(now));
        assert_eq!(asking.numbers(), [], "no second copy");
    }
    asking.ack(0);
    assert_eq!(asking.done(), [(0, OK)]);
}

#[test]
fn progress_renews_the_retries() {
    let mut asking = Asking::new(Plan { retries: 1, ..Plan::new(Transport::Reliable) });
    for psn in 0..10 {
        asking.send(8);
        assert_eq!(asking.numbers(), [psn]);
        asking.expire();
        assert_eq!(asking.numbers(), [psn]);
        asking.ack(psn);
    }
    assert_eq!(asking.done().len(), 10);
}

#[test]
fn no_time_limit_is_no_timer() {
    let mut asking = Asking::reliable();
    let none = Attributes::default();
    let side = asking.bench.side();
    side.pair.modify(State::Sqd, &none, &mut side.log).expect("legal");
    let timeout = Attributes { timeout: Some(AckTimeout::from_code(0)), ..none };
    side.pair.modify(State::Sqd, &timeout, &mut side.log).expect("legal");
    side.pair.modify(State::Rts, &none, &mut side.log).expect("legal");
    asking.send(8);
    assert_eq!(asking.numbers(), [0]);
    assert!(!asking.waits());
}

#[test]
fn a_receiver_that_is_not_ready_is_waited_for_so_many_times() {
    let mut asking = Asking::new(Plan { rnr_retries: 2, ..Plan::new(Transport::Reliable) });
    for _ in 0..3 {
        asking.send(8);
    }
    assert_eq!(asking.numbers(), [0, 1, 2]);
    let wait = Syndrome::ReceiverNotReady(RnrTimer::from_code(20));
    for round in 1..=2 {
        asking.acknowledge(1, wait);
        asking.acknowledge(1, wait);
        asking.acknowledge(1, Syndrome::Nak(Nak::SequenceError));
        assert_eq!(asking.numbers(), [], "it waits");
        asking.expire();
        assert_eq!(asking.now, round * 10_240_000);
        assert_eq!(asking.numbers(), [1, 2]);
    }
    asking.acknowledge(1, wait);
    let failed = [(0, OK), (1, Status::ReceiverNotReady), (2, Status::Flushed)];
    assert_eq!(asking.done(), failed);
    let completion = asking.bench.link.sides[1].log.completions[1];
    assert_eq!(completion.vendor_error, 0x34);
}

#[test]
fn seven_rnr_retries_are_endless() {
    let mut asking = Asking::reliable();
    asking.send(8);
    for _ in 0..100 {
        assert_eq!(asking.numbers(), [0]);
        asking.acknowledge(0, Syndrome::ReceiverNotReady(RnrTimer::from_code(1)));
        asking.expire();
    }
    assert_eq!(asking.numbers(), [0]);
    asking.ack(0);
    assert_eq!(asking.done(), [(0, OK)]);
}

#[test]
fn each_nak_is_a_status() {
    for (nak, status) in [
        (Nak::InvalidRequest, Status::RemoteInvalidRequest),
        (Nak::RemoteAccessError, Status::RemoteAccess),
        (Nak::RemoteOperationalError, Status::RemoteOperation),
        (Nak::InvalidRdRequest, Status::RemoteInvalidRequest),
    ] {
        let mut asking = Asking::reliable();
        for _ in 0..3 {
            asking.send(8);
        }
        asking.numbers();
        asking.acknowledge(1, Syndrome::Nak(nak));
        assert_eq!(asking.done(), [(0, OK), (1, status), (2, Status::Flushed)]);
        assert_eq!(asking.bench.state(), State::Err);
        let completion = asking.bench.link.sides[1].log.completions[1];
        assert_eq!(completion.vendor_error, Syndrome::Nak(nak).bits());
    }
}

#[test]
fn a_read_is_ended_by_its_answer_alone() {
    let mut asking = Asking::reliable();
    let region = asking.read(600);
    asking.send(8);
    assert_eq!(asking.numbers(), [0, 3]);
    let first = asking.craft(Opcode::RcReadResponseFirst, 0);
    asking.take(&first);
    // The rest was lost: the acknowledge of what is behind says so.
    asking.ack(3);
    assert_eq!(asking.done(), []);
    assert_eq!(asking.bench.refused(Refusal::AnswerGap), 1);
    assert_eq!(asking.sent(9), [(1, Opcode::RcReadRequest), (3, Opcode::RcSendOnly)]);
    let packet = Packet::parse(&asking.frames[0]).expect("a packet");
    let rest = Reth { address: 0x200, key: RKey(5), length: 344 };
    assert_eq!(*packet.extension(), Extension::Reth(rest), "what is missing");
    // Linux goes on with a middle, others begin anew.
    for opcode in [Opcode::RcReadResponseMiddle, Opcode::RcReadResponseFirst] {
        let mut again = Asking { bench: Bench::reliable(), next: 0, frames: Vec::new(), now: 0 };
        again.read(600);
        again.numbers();
        let answer = again.craft(opcode, 0).payload(256);
        again.take(&answer);
        assert_eq!(again.bench.refused(Refusal::AnswerMismatch), 0);
    }
    let middle = asking.craft(Opcode::RcReadResponseMiddle, 1);
    asking.take(&middle);
    let last = asking.craft(Opcode::RcReadResponseLast, 2).payload(88);
    asking.take(&last);
    assert_eq!(asking.done(), [(0, OK)]);
    asking.ack(3);
    assert_eq!(asking.done(), [(0, OK), (1, OK)]);
    assert_eq!(asking.bench.memory(region), [7; 600]);
}

#[test]
fn an_answer_acknowledges_what_is_before_it() {
    let mut asking = Asking::reliable();
    asking.send(8);
    asking.read(8);
    asking.numbers();
    let answer = asking.craft(Opcode::RcReadResponseOnly, 1);
    asking.take(&answer);
    assert_eq!(asking.done(), [(0, OK), (1, OK)]);
}

#[test]
fn an_atomic_brings_the_original_in_the_machines_order() {
    let mut asking = Asking::reliable();
    let work = Work::FetchAdd { address: 0x100, key: RKey(5), add: 3 };
    let region = asking.post(work, 8, Flags::SIGNALLED);
    assert_eq!(asking.sent(9), [(0, Opcode::RcFetchAdd)]);
    let mut answer = asking.craft(Opcode::RcAtomicAcknowledge, 0);
    let aeth = Aeth { syndrome: Syndrome::Ack(Credits::UNLIMITED), msn: 1 };
    answer.extension = Extension::AethAtomicAck(aeth, AtomicAckEth { original: 0x0102 });
    asking.take(&answer);
    assert_eq!(asking.done(), [(0, OK)]);
    assert_eq!(asking.bench.memory(region), 0x0102_u64.to_ne_bytes());
}

#[test]
fn answers_to_nothing_are_dropped() {
    let mut asking = Asking::reliable();
    asking.send(8);
    asking.numbers();
    asking.ack(1);
    assert_eq!(asking.bench.refused(Refusal::Ghost), 1, "it was not sent yet");
    asking.acknowledge(1, Syndrome::Nak(Nak::RemoteAccessError));
    assert_eq!(asking.bench.refused(Refusal::Ghost), 2);
    asking.ack(0);
    asking.ack(0);
    asking.acknowledge(0, Syndrome::Nak(Nak::RemoteAccessError));
    assert_eq!(asking.bench.refused(Refusal::DuplicateAnswer), 2);
    assert_eq!(asking.done(), [(0, OK)]);
    assert_eq!(asking.bench.state(), State::Rts);
}

#[test]
fn answers_of_another_kind_or_length_are_dropped() {
    let lies = [
        (Opcode::RcReadResponseOnly, 0, 256),
        (Opcode::RcReadResponseLast, 0, 256),
        (Opcode::RcReadResponseFirst, 0, 255),
        (Opcode::RcReadResponseFirst, 0, 1000),
        (Opcode::RcReadResponseMiddle, 0, 0),
        (Opcode::RcAtomicAcknowledge, 0, 0),
    ];
    for (opcode, psn, length) in lies {
        let mut asking = Asking::reliable();
        let region = asking.read(300);
        asking.numbers();
        let answer = asking.craft(opcode, psn).payload(length);
        asking.take(&answer);
        assert_eq!(asking.bench.refused(Refusal::AnswerMismatch), 1, "{opcode:?}");
        assert_eq!(asking.bench.memory(region), [3; 300]);
        assert_eq!(asking.done(), []);
    }
    // To a send.
    let mut asking = Asking::reliable();
    asking.send(8);
    asking.numbers();
    let answer = asking.craft(Opcode::RcReadResponseOnly, 0);
    asking.take(&answer);
    assert_eq!(asking.bench.refused(Refusal::AnswerMismatch), 1);
    assert_eq!(asking.done(), []);
}

#[test]
fn a_request_without_its_memory_fails_in_its_turn() {
    let mut asking = Asking::reliable();
    asking.send(8);
    let region = asking.send(8);
    asking.send(8);
    asking.bench.side().memory.regions[region.0 as usize].is_gone = true;
    assert_eq!(asking.numbers(), [0]);
    assert_eq!(asking.done(), [], "the one before is under way");
    assert!(!asking.bench.side().pair.is_due());
    asking.ack(0);
    let failed = [(0, OK), (1, Status::LocalProtection), (2, Status::Flushed)];
    assert_eq!(asking.done(), failed);
    assert_eq!(asking.bench.state(), State::Err);
    // At once, when nothing is.
    let mut asking = Asking::reliable();
    let region = asking.send(8);
    asking.bench.side().memory.regions[region.0 as usize].is_gone = true;
    assert_eq!(asking.numbers(), []);
    assert_eq!(asking.done(), [(0, Status::LocalProtection)]);
}

#[test]
fn a_read_without_its_memory_fails_when_it_is_answered() {
    let mut asking = Asking::reliable();
    let region = asking.read(8);
    asking.send(8);
    asking.numbers();
    asking.bench.side().memory.regions[region.0 as usize].is_gone = true;
    let answer = asking.craft(Opcode::RcReadResponseOnly, 0);
    asking.take(&answer);
    assert_eq!(asking.done(), [(0, Status::LocalProtection), (1, Status::Flushed)]);
}

#[test]
fn each_byte_is_copied_once_on_either_side() {
    let mut link = Plan::new(Transport::Reliable).link(Weather::default(), Random(1));
    let source = link.sides[0].memory.register(0, 0, Access::NONE, vec![1; 5000]);
    let sink = link.sides[1].memory.register(0, 0, Access::LOCAL_WRITE, vec![0; 5000]);
    let receive = [Segment { region: sink, offset: 0, length: 5000 }];
    link.sides[1].post_receive(&ReceiveRequest { id: 0, segments: &receive });
    let segments = [Segment { region: source, offset: 0, length: 5000 }];
    let work = Work::Send(Attachment::None);
    let flags = Flags::NONE;
    link.sides[0].post_send(&SendRequest {
        id: 0,
        work,
        segments: &segments,
        flags,
        destination: None,
    });
    link.pump(0);
    while link.step() {}
    assert_eq!(link.sides[1].memory.bytes(sink), [1; 5000]);
    assert_eq!(link.sides[1].memory.written, 5000);
}
