//! The engine in the place of one of a capture's machines.

use super::story::{Frame, Story};
use crate::common::{Log, Port, Ram};
use reflex_rdma_engine::*;
use reflex_rdma_wire::*;
use std::collections::VecDeque;

/// What is lost of what arrives, or before it is captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Loss {
    None,
    /// Every so manieth frame that arrives, connection management included, is dropped.
    Every(usize),
    /// All arrive; of those that were sent, some are not in the capture.
    BeforeCapture,
    /// Nothing can be compared but that it goes on.
    Unknown,
}

/// Bytes of the machine's memory that the peer reads and writes.
struct Window {
    region: Region,
    address: u64,
    /// Which bytes the peer has written, so that what they are is not up to the application.
    is_known: Vec<bool>,
}

pub(crate) struct Replay<'a> {
    story: &'a Story,
    name: &'a str,
    pair: QueuePair,
    memory: Ram,
    windows: Vec<(RKey, Window)>,
    log: Log,
    /// Requests and replies that the engine has sent and that were not compared yet.
    sent: [VecDeque<Vec<u8>>; 2],
    /// Frames that the capture does not have.
    pub(crate) missing: usize,
    now: u64,
    /// The next request that the machine has not made yet begins with this number.
    next: Option<Psn>,
    posted: u64,
    receives: u64,
    /// No receive is posted before this packet comes again.
    blocked: Option<Psn>,
    /// Of which request, where the answer lands, and what it should be.
    answers: Vec<(u64, Region, Vec<u8>)>,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(story: &'a Story, name: &'a str) -> Self {
        let config =
            Config { mtu: PathMtu::B4096, ..Config::new(story.transport, story.own, Domain(1)) };
        let mut replay = Self {
            story,
            name,
            pair: QueuePair::new(&config),
            memory: Ram::default(),
            windows: Vec::new(),
            log: Log::default(),
            sent: Default::default(),
            missing: 0,
            now: 0,
            next: story.own_psn,
            posted: 0,
            receives: 0,
            blocked: None,
            answers: Vec::new(),
        };
        replay.bring_up(7, 7);
        replay.offer();
        replay
    }

    /// The numbers of retries that two captures were made with, so as to see their end.
    pub(crate) fn retries(&mut self, name: &str) {
        match name {
            "deadpeer" => self.bring_up(3, 7),
            "rnr_exceeded" => self.bring_up(7, 2),
            _ => {}
        }
    }

    fn bring_up(&mut self, retries: u8, rnr_retries: u8) {
        let story = self.story;
        let reliable = story.transport == Transport::Reliable;
        let access = Access::REMOTE_WRITE | Access::REMOTE_READ | Access::REMOTE_ATOMIC;
        let none = Attributes::default();
        let own = |frame: &&Frame| frame.is_own;
        let timer = story.frames.iter().filter(own).find_map(|frame| {
            match frame.packet().extension().aeth()?.syndrome {
                Syndrome::ReceiverNotReady(timer) => Some(timer),
                _ => None,
            }
        });
        let key =
            story.frames.iter().find_map(|frame| Some(frame.packet().extension().deth()?.key));
        let partition = Some(PKey::DEFAULT);
        let steps = match story.transport {
            Transport::Datagram => [
                Attributes { partition, key, ..none },
                none,
                Attributes { send_psn: Some(story.own_psn.unwrap_or_default()), ..none },
            ],
            _ => [
                Attributes { partition, access: Some(access), ..none },
                Attributes {
                    path: Some(story.envelope),
                    mtu: Some(story.mtu),
                    destination: Some(story.peer),
                    receive_psn: Some(story.peer_psn.unwrap_or_default()),
                    max_reads_in: reliable.then_some(16),
                    rnr_timer: reliable.then_some(timer.unwrap_or(RnrTimer::from_code(12))),
                    ..none
                },
                Attributes {
                    send_psn: Some(story.own_psn.unwrap_or_default()),
                    timeout: reliable.then_some(AckTimeout::from_code(20)),
                    retries: reliable.then_some(retries),
                    rnr_retries: reliable.then_some(rnr_retries),
                    max_reads_out: reliable.then_some(16),
                    ..none
                },
            ],
        };
        self.pair.modify(State::Reset, &none, &mut self.log).expect("always legal");
        for (state, step) in [State::Init, State::Rtr, State::Rts].into_iter().zip(steps) {
            self.pair.modify(state, &step, &mut self.log).expect("a legal transition");
        }
    }

    /// Registers what the peer asks for and the machine did not refuse.
    fn offer(&mut self) {
        let mut spans: Vec<(RKey, u64, u64)> = Vec::new();
        for frame in self.story.frames.iter().filter(|frame| !frame.is_own) {
            let packet = frame.packet();
            let (key, from, length) = match *packet.extension() {
                Extension::Atomic(atomic) => (atomic.key, atomic.address, 8),
                _ => match packet.extension().reth() {
                    Some(reth) => (reth.key, reth.address, u64::from(reth.length)),
                    None => continue,
                },
            };
            if self.is_refused(packet.bth().psn, Nak::RemoteAccessError) {
                continue;
            }
            let to = from + length;
            match spans.iter_mut().find(|span| span.0 == key) {
                Some(span) => (span.1, span.2) = (span.1.min(from), span.2.max(to)),
                None => spans.push((key, from, to)),
            }
        }
        for (key, from, to) in spans {
            let access = Access::REMOTE_WRITE | Access::REMOTE_READ | Access::REMOTE_ATOMIC;
            let length = (to - from) as usize;
            let region = self.memory.register(key.0, from, access, vec![0; length]);
            let is_known = vec![false; length];
            self.windows.push((key, Window { region, address: from, is_known }));
        }
    }

    fn is_refused(&self, psn: Psn, nak: Nak) -> bool {
        self.story.frames.iter().any(|frame| {
            let packet = frame.packet();
            let refusal = Some(Syndrome::Nak(nak));
            frame.is_own
                && packet.bth().psn == psn
                && packet.extension().aeth().map(|aeth| aeth.syndrome) == refusal
        })
    }

    /// Lives through the capture. Returns how many frames were compared.
    pub(crate) fn run(&mut self, loss: Loss) -> usize {
        let story = self.story;
        let mut count = 0;
        for (index, frame) in story.frames.iter().enumerate() {
            if frame.is_own {
                let is_whole = self.post(index);
                if !is_whole {
                    // The capture ends within this message.
                    return count;
                }
                self.compare(frame, loss, index);
                count += usize::from(loss != Loss::Unknown);
                continue;
            }
            self.prepare(index);
            if self.is_crossed(index) {
                self.expire();
            }
            let is_lost = matches!(loss, Loss::Every(every) if (frame.rank + 1) % every == 0);
            if !is_lost {
                let packet = frame.packet();
                let now = Instant::from_nanos(self.now);
                let Self { pair, memory, log, .. } = self;
                pair.receive(&packet, now, memory, None, log);
                self.transmit();
            }
        }
        if self.name == "deadpeer" {
            self.expire();
        }
        if matches!(loss, Loss::None | Loss::Every(_)) {
            for queue in &self.sent {
                assert!(queue.is_empty(), "{}: {} more than captured", self.name, queue.len());
            }
        }
        count
    }

    /// The engine has to have sent this frame, and no other before it.
    fn compare(&mut self, captured: &Frame, loss: Loss, index: usize) {
        let is_reply = captured.packet().bth().opcode.is_response();
        loop {
            let queue = &mut self.sent[usize::from(is_reply)];
            let Some(sent) = queue.pop_front() else {
                // Only time can have made the machine send it.
                let waits = self.pair.deadline().is_some();
                if loss == Loss::Unknown {
                    return;
                }
                let (name, bth) = (self.name, captured.packet());
                assert!(waits, "{name}: frame {index} was not sent: {:?}", bth.bth());
                self.expire();
                let queue = &self.sent[usize::from(is_reply)];
                assert!(!queue.is_empty(), "{name}: frame {index} was not sent: {:?}", bth.bth());
                continue;
            };
            let sent = with_free_fields_of(&sent, &captured.packet());
            match loss {
                Loss::Unknown => return,
                // One of those that were lost before.
                Loss::BeforeCapture if sent != captured.bytes => self.missing += 1,
                _ => {
                    assert!(
                        sent == captured.bytes,
                        "{}: frame {index}: sent {:?}\ncaptured {:?}",
                        self.name,
                        Packet::parse(&sent).map(|packet| (*packet.bth(), *packet.extension())),
                        (captured.packet().bth(), captured.packet().extension()),
                    );
                    return;
                }
            }
        }
    }

    /// Whether the machine sent again what this acknowledge acknowledges, so that its timer must
    /// have run out before it took the acknowledge.
    fn is_crossed(&self, index: usize) -> bool {
        let packet = self.story.frames[index].packet();
        let aeth = packet.extension().aeth();
        if !aeth.is_some_and(|aeth| matches!(aeth.syndrome, Syndrome::Ack(_))) {
            return false;
        }
        let mut later = self.story.frames[index..].iter().filter(|frame| frame.is_own);
        let request = later.find(|frame| frame.packet().bth().opcode.is_request());
        request.is_some_and(|frame| {
            let bth = *frame.packet().bth();
            // A read is asked for again when a part of its answer was lost.
            let is_read = bth.opcode.has_response();
            !is_read && !bth.psn.is_after(packet.bth().psn) && self.is_outstanding(bth.psn)
        })
    }

    fn is_outstanding(&self, psn: Psn) -> bool {
        self.pair.deadline().is_some() && self.next.is_some_and(|next| psn.is_before(next))
    }

    fn expire(&mut self) {
        let Some(deadline) = self.pair.deadline() else { return };
        self.now = self.now.max(deadline.as_nanos());
        self.pair.expire(Instant::from_nanos(self.now), &mut self.log);
        self.transmit();
    }

    fn transmit(&mut self) {
        let mut frames = Vec::new();
        let mut port = Port { memory: &self.memory, frames: &mut frames, room: 10_000 };
        let now = Instant::from_nanos(self.now);
        self.pair.transmit(now, u32::MAX, &mut port, &mut self.log);
        for frame in frames {
            let packet = Packet::parse(&frame).expect("the engine's own");
            let is_reply = packet.bth().opcode.is_response();
            self.sent[usize::from(is_reply)].push_back(frame);
        }
    }

    /// Makes the request that this frame begins, if it begins one. False when the capture does
    /// not have all of it.
    fn post(&mut self, index: usize) -> bool {
        let story = self.story;
        let first = story.frames[index].packet();
        if first.bth().opcode.is_response() || Some(first.bth().psn) != self.next {
            return true;
        }
        // Its packets, the last of which has all that is not in the first.
        let mut payload = Vec::new();
        let mut psn = first.bth().psn;
        let mut last = None;
        for frame in story.frames[index..].iter().filter(|frame| frame.is_own) {
            let packet = frame.packet();
            if packet.bth().opcode.is_response() || packet.bth().psn != psn {
                continue;
            }
            payload.extend_from_slice(packet.payload());
            psn = psn.next();
            if packet.bth().opcode.position().ends() {
                last = Some(packet);
                break;
            }
        }
        let Some(last) = last else { return false };
        let immediate = last.extension().immediate();
        let mut answer = None;
        let work = match (first.bth().opcode.operation(), *first.extension()) {
            (Operation::Send, _) => Work::Send(match (*last.extension(), immediate) {
                (Extension::Invalidate(ieth), _) => Attachment::Invalidate(ieth.0),
                (_, Some(immediate)) => Attachment::Immediate(immediate),
                _ => Attachment::None,
            }),
            (Operation::Write, _) => {
                let reth = first.extension().reth().expect("a write begins with it");
                Work::Write { address: reth.address, key: reth.key, immediate }
            }
            (Operation::ReadRequest, Extension::Reth(reth)) => {
                psn = first.bth().psn.plus(story.mtu.packets(reth.length));
                answer = Some(self.answer(index, first.bth().psn, reth.length));
                payload = vec![0; reth.length as usize];
                Work::Read { address: reth.address, key: reth.key }
            }
            (operation, Extension::Atomic(atomic)) => {
                payload = vec![0; 8];
                let AtomicEth { address, key, swap_or_add, compare } = atomic;
                answer = self
                    .original(index, first.bth().psn, false)
                    .map(|it| it.to_ne_bytes().to_vec());
                match operation {
                    Operation::CompareSwap => {
                        Work::CompareSwap { address, key, compare, swap: swap_or_add }
                    }
                    _ => Work::FetchAdd { address, key, add: swap_or_add },
                }
            }
            _ => panic!("{}: a request without its header", self.name),
        };
        self.next = Some(psn);
        let length = payload.len() as u32;
        let region = self.memory.register(0, 0, Access::LOCAL_WRITE, payload);
        if let Some(answer) = answer {
            self.answers.push((self.posted, region, answer));
        }
        let segments = [Segment { region, offset: 0, length }];
        let solicited = if last.bth().solicited { Flags::SOLICITED } else { Flags::NONE };
        let flags = Flags::SIGNALLED | solicited;
        let deth = first.extension().deth();
        let destination = deth.map(|deth| Destination {
            envelope: story.envelope,
            queue_pair: first.bth().destination,
            key: deth.key,
        });
        let destination = destination.as_ref();
        let request =
            SendRequest { id: self.posted, work, segments: &segments, flags, destination };
        self.pair.post_send(&request, &mut self.log).expect("a request that was made");
        self.posted += 1;
        self.transmit();
        true
    }

    /// The bytes that answer a read, as far as the capture has them.
    fn answer(&self, index: usize, psn: Psn, length: u32) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        let is_own = self.story.frames[index].is_own;
        // The last word is the first answer.
        for frame in self.story.frames[index..].iter().rev() {
            let packet = frame.packet();
            let offset = packet.bth().psn.since(psn) as usize * self.story.mtu.bytes();
            let is_answer = frame.is_own != is_own
                && packet.bth().opcode.operation() == Operation::ReadResponse;
            if is_answer && offset < bytes.len() {
                bytes[offset..offset + packet.payload().len()].copy_from_slice(packet.payload());
            }
        }
        bytes
    }

    /// The original value of an atomic.
    fn original(&self, index: usize, psn: Psn, own: bool) -> Option<u64> {
        self.story.frames[index..].iter().find_map(|frame| match *frame.packet().extension() {
            Extension::AethAtomicAck(_, ack)
                if frame.is_own == own && frame.packet().bth().psn == psn =>
            {
                Some(ack.original)
            }
            _ => None,
        })
    }

    /// What the machine's application did before this frame came: it posted a receive, or put
    /// something where it is to be read.
    fn prepare(&mut self, index: usize) {
        let packet = self.story.frames[index].packet();
        let opcode = packet.bth().opcode;
        let psn = packet.bth().psn;
        let begins_send = opcode.operation() == Operation::Send && opcode.position().begins();
        let ends_write = opcode.operation() == Operation::Write && opcode.consumes_receive();
        if begins_send || ends_write {
            if self.finds_no_receive(index, psn) {
                self.blocked = Some(psn);
            } else if self.blocked == Some(psn) {
                self.blocked = None;
            }
        }
        if (begins_send || ends_write) && self.blocked.is_none() {
            let is_too_long = self.is_refused(psn, Nak::RemoteOperationalError);
            let length = if is_too_long { 64 } else { 1 << 20 };
            let region = self.memory.register(0, 0, Access::LOCAL_WRITE, vec![0; length as usize]);
            let segments = [Segment { region, offset: 0, length }];
            let request = ReceiveRequest { id: self.receives, segments: &segments };
            // Duplicates of a message find what is left over.
            if self.pair.post_receive(&request, &mut self.log).is_ok() {
                self.receives += 1;
            }
        }
        match (opcode.operation(), *packet.extension()) {
            (Operation::ReadRequest, Extension::Reth(reth)) => {
                let bytes = self.answer(index, psn, reth.length);
                self.fill(reth.key, reth.address, &bytes, false);
            }
            (_, Extension::Atomic(atomic)) => {
                if let Some(original) = self.original(index, psn, true) {
                    self.fill(atomic.key, atomic.address, &original.to_ne_bytes(), true);
                }
            }
            _ => {
                if let Some(reth) = packet.extension().reth() {
                    let bytes = vec![0; reth.length as usize];
                    self.fill(reth.key, reth.address, &bytes, true);
                }
            }
        }
    }

    /// Whether this message is answered that there is no receive, before it comes again.
    fn finds_no_receive(&self, index: usize, psn: Psn) -> bool {
        for frame in &self.story.frames[index + 1..] {
            let packet = frame.packet();
            if packet.bth().psn != psn {
                continue;
            }
            let aeth = packet.extension().aeth();
            let not_ready = |aeth: Aeth| matches!(aeth.syndrome, Syndrome::ReceiverNotReady(_));
            if frame.is_own && aeth.is_some_and(not_ready) {
                return true;
            }
            if !frame.is_own && packet.bth().opcode.is_request() {
                return false;
            }
        }
        false
    }

    /// The application puts bytes where the peer has not written.
    fn fill(&mut self, key: RKey, address: u64, bytes: &[u8], is_known: bool) {
        let Some((_, window)) = self.windows.iter_mut().find(|(other, _)| *other == key) else {
            return;
        };
        let start = address.wrapping_sub(window.address) as usize;
        let memory = &mut self.memory.regions[window.region.0 as usize].bytes;
        for (offset, byte) in bytes.iter().enumerate() {
            let Some(known) = window.is_known.get_mut(start + offset) else { return };
            if !*known {
                memory[start + offset] = *byte;
                *known = is_known;
            }
        }
    }

    /// Requests completed once and in order, those before the last successfully, the last with
    /// `ending`, and what was read is what was sent.
    pub(crate) fn check_completions(&self, ending: Status, loss: Loss) {
        let name = self.name;
        let completions = self.log.completions.iter().filter(|it| !it.kind.is_receive());
        let sends: Vec<_> =
            completions.map(|completion| (completion.id, completion.status)).collect();
        let failed = sends.iter().position(|&(_, status)| status != Status::Success);
        for (number, &(id, status)) in sends.iter().enumerate() {
            assert_eq!(id, number as u64, "{name}");
            let is_flushed = failed.is_some_and(|failed| failed < number);
            assert_eq!(status == Status::Flushed, is_flushed, "{name}: {status:?}");
        }
        let status = failed.map_or(Status::Success, |failed| sends[failed].1);
        assert!(self.posted == 0 || status == ending, "{name}: {status:?}");
        let done = failed.unwrap_or(sends.len());
        // What was still under way when the capture ended is all that may be missing: where it was
        // cut, or the last acknowledge was lost.
        let is_cut = self.story.frames.len() > 160 || matches!(loss, Loss::Every(_));
        assert!(
            sends.len() as u64 == self.posted || is_cut,
            "{name}: {} of {}",
            sends.len(),
            self.posted
        );
        for (id, region, answer) in self.answers.iter().filter(|(id, ..)| *id < done as u64) {
            assert!(self.memory.bytes(*region) == answer, "{name}: another answer to {id}");
        }
    }
}

/// A frame with what is free in another one set as there.
fn with_free_fields_of(sent: &[u8], captured: &Packet<'_>) -> Vec<u8> {
    let packet = Packet::parse(sent).expect("the engine's own");
    let free = captured.datagram().envelope();
    let mut envelope = packet.datagram().envelope();
    envelope.identification = free.identification;
    envelope.flow_label = free.flow_label;
    let payload = packet.payload();
    let mut buffer = vec![0; packet_length(&envelope, packet.extension(), payload.len())];
    let (bth, extension) = (packet.bth(), packet.extension());
    let mut emitter =
        Emitter::new(&mut buffer, &envelope, bth, extension, payload.len()).expect("it was parsed");
    emitter.append(payload).expect("room");
    emitter.finish().expect("whole");
    buffer
}
