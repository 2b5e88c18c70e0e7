//! The requester: which packets of which requests are due.
//!
//! ```text
//!                            assign: numbers, unless a fence, the number of
//!                            reads or SQD forbid
//!       [ tail reached ] <------------------------> [ at a packet of a request ]
//!                                                     |  ^            |
//!      the window is full, the port is full:          |  | packet     | its memory is gone:
//!      stays where it is until there is room  <-------'  `--emitted   v
//!                                                                 [ stalled ]
//!      go_back (completer): to the oldest packet that is not acknowledged,
//!      from anywhere
//! ```
//! Reads count as many numbers as their answers have packets. For UC and UD a request is complete
//! when its last packet is emitted; for RC the completer says when.

use crate::send_queue::{SendQueue, SendWqe};
use crate::settings::Settings;
use crate::{
    Attachment, Flags, Gather, Outgoing, Report, State, Status, Transmit, TransmitError, Work,
};
use reflex_rdma_wire::{
    AtomicEth, Deth, Extension, Ieth, ImmDt, Notice, Opcode, Position, Psn, Reth, Transport,
};

/// The responder is asked for an acknowledge after so many packets at the latest, so that long
/// messages keep flowing: what Linux does.
const LONGEST_SILENCE: u32 = 64;

#[derive(Debug)]
pub(crate) struct Requester {
    /// Behind the last number that was assigned.
    fresh: Psn,
    /// The next packet.
    cursor: Psn,
    /// Behind the highest that was ever emitted: nothing from there on can be acknowledged.
    pub(crate) sent: Psn,
    /// Reads and atomics that have numbers and are not complete.
    pub(crate) reads: u32,
    /// Packets since the last that asked for an acknowledge.
    silence: u32,
    /// The request at `next` cannot be sent. It fails once those before it are complete.
    pub(crate) stalled: Option<Status>,
}

/// How far the peer's answers have come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answers {
    /// The oldest number that is not acknowledged.
    pub(crate) oldest: Psn,
    /// The peer has asked for a pause, since it has no receive posted.
    pub(crate) receiver_not_ready: bool,
}

/// What the requester works with.
pub(crate) struct RequesterParts<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) state: State,
    pub(crate) queue: &'a mut SendQueue,
    pub(crate) answers: Answers,
}

/// Why the requester stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pause {
    Window,
    Port,
    Stalled,
}

impl Requester {
    /// Will begin with `first`.
    pub(crate) fn new(first: Psn) -> Self {
        Self { fresh: first, cursor: first, sent: first, reads: 0, silence: 0, stalled: None }
    }

    /// Emits what is due, at most `budget` packets. Returns how many.
    #[inline]
    pub(crate) fn transmit<T: Transmit, R: Report>(
        &mut self,
        parts: RequesterParts<'_>,
        budget: u32,
        port: &mut T,
        report: &mut R,
    ) -> u32 {
        let RequesterParts { settings, state, queue, answers } = parts;
        let mut left = budget;
        while left != 0 && self.is_due(settings, state, queue, answers) {
            if queue.next == queue.assigned {
                self.assign(settings, queue);
            }
            match self.message(settings, queue, answers.oldest, &mut left, port) {
                Ok(true) => {
                    queue.next = queue.next.wrapping_add(1);
                    if settings.transport != Transport::Reliable {
                        queue.finish(settings.number, report, Status::Success, 0);
                    }
                }
                Ok(false) | Err(Pause::Window | Pause::Port) => break,
                Err(Pause::Stalled) => {
                    self.stalled = Some(Status::LocalProtection);
                    break;
                }
            }
        }
        budget - left
    }

    /// Whether a packet could be emitted now.
    #[inline]
    pub(crate) fn is_due(
        &self,
        settings: &Settings,
        state: State,
        queue: &SendQueue,
        answers: Answers,
    ) -> bool {
        if queue.next == queue.tail
            || self.stalled.is_some()
            || !state.sends()
            || answers.receiver_not_ready
        {
            return false;
        }
        if settings.transport == Transport::Reliable
            && self.cursor.since(answers.oldest) >= settings.window
        {
            return false;
        }
        queue.next != queue.assigned || self.may_begin(settings, state, queue)
    }

    /// Whether the next request may have numbers.
    #[inline]
    fn may_begin(&self, settings: &Settings, state: State, queue: &SendQueue) -> bool {
        let wqe = queue.wqe(queue.next);
        if state == State::Sqd {
            return false;
        }
        let fenced = wqe.flags.contains(Flags::FENCE) && self.reads != 0;
        let full = wqe.work.has_response() && self.reads >= u32::from(settings.max_reads_out);
        !fenced && !full
    }

    #[inline]
    fn assign(&mut self, settings: &Settings, queue: &mut SendQueue) {
        let fresh = self.fresh;
        let wqe = queue.wqe_mut(queue.next);
        wqe.first = fresh;
        wqe.packets = match wqe.work {
            Work::CompareSwap { .. } | Work::FetchAdd { .. } => 1,
            _ => settings.mtu.packets(wqe.length),
        };
        self.reads += u32::from(wqe.work.has_response());
        self.fresh = wqe.end();
        queue.assigned = queue.assigned.wrapping_add(1);
    }

    /// Emits the packets of the request at `next`, from the cursor on. True when it is through,
    /// false when the budget is used up.
    #[inline]
    fn message<T: Transmit>(
        &mut self,
        settings: &Settings,
        queue: &SendQueue,
        oldest: Psn,
        left: &mut u32,
        port: &mut T,
    ) -> Result<bool, Pause> {
        let wqe = queue.wqe(queue.next);
        let segments = queue.segments(queue.next);
        let reliable = settings.transport == Transport::Reliable;
        let shift = settings.mtu.shift();
        loop {
            if *left == 0 {
                return Ok(false);
            }
            if reliable && self.cursor.since(oldest) >= settings.window {
                return Err(Pause::Window);
            }
            let index = self.cursor.since(wqe.first);
            let skip = index << shift;
            let (step, length) = if wqe.work.has_response() {
                (wqe.packets - index, 0)
            } else {
                (1, (wqe.length - skip).min(settings.mtu.bytes() as u32))
            };
            let ends = index + step == wqe.packets;
            let position = match (index == 0, ends) {
                (true, true) => Position::Only,
                (true, false) => Position::First,
                (false, false) => Position::Middle,
                (false, true) => Position::Last,
            };
            let payload =
                if length == 0 { Gather::EMPTY } else { Gather::new(segments, skip, length) };
            let packet = self.packet(settings, queue, wqe, position, skip, oldest, payload);
            let packet = packet.ok_or(Pause::Stalled)?;
            port.transmit(&packet).map_err(|error| match error {
                TransmitError::Full => Pause::Port,
                TransmitError::Memory => Pause::Stalled,
            })?;
            let asks = packet.bth.acknowledge;
            *left -= 1;
            self.silence = if asks { 0 } else { self.silence + 1 };
            self.cursor = self.cursor.plus(step);
            if self.cursor.is_after(self.sent) {
                self.sent = self.cursor;
            }
            if ends {
                return Ok(true);
            }
        }
    }

    /// The packet at the cursor; `None` for what the transport does not have, which was refused
    /// when it was posted.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "one caller, a part of its loop")]
    fn packet<'q>(
        &self,
        settings: &'q Settings,
        queue: &'q SendQueue,
        wqe: &SendWqe,
        position: Position,
        skip: u32,
        oldest: Psn,
        payload: Gather<'q>,
    ) -> Option<Outgoing<'q>> {
        let (opcode, extension) = request(settings, wqe, position, skip)?;
        let mut bth = settings.bth(opcode, self.cursor);
        bth.solicited =
            position.ends() && wqe.flags.contains(Flags::SOLICITED) && opcode.consumes_receive();
        if settings.transport != Transport::Datagram {
            // The packet that fills the window has to ask, or there would be no end to waiting.
            bth.acknowledge = settings.transport == Transport::Reliable
                && (position.ends()
                    || self.silence >= LONGEST_SILENCE
                    || self.cursor.since(oldest) + 1 >= settings.window);
            return Some(Outgoing { envelope: &settings.envelope, bth, extension, payload });
        }
        let destination = queue.destination(queue.next)?;
        bth.destination = destination.queue_pair;
        let own = destination.key.0 >> 31 != 0;
        let key = if own { settings.key } else { destination.key };
        let deth = Deth { key, source: settings.number };
        let extension = match extension {
            Extension::Immediate(immediate) => Extension::DethImmediate(deth, immediate),
            _ => Extension::Deth(deth),
        };
        Some(Outgoing { envelope: &destination.envelope, bth, extension, payload })
    }

    /// Begins again with `oldest`, which is in the request at the queue's head.
    pub(crate) fn go_back(&mut self, queue: &mut SendQueue, oldest: Psn) {
        queue.next = queue.head;
        self.cursor = oldest;
        self.silence = 0;
        // What could not be sent is tried again when its turn comes.
        self.stalled = None;
    }

    /// Forgets what was posted. The numbers go on: what is still under way is known as such.
    pub(crate) fn flush(&mut self) {
        (self.cursor, self.sent) = (self.fresh, self.fresh);
        (self.reads, self.silence, self.stalled) = (0, 0, None);
    }

    /// Does not emit again what was acknowledged meanwhile.
    #[inline]
    pub(crate) fn skip_to(&mut self, queue: &mut SendQueue, oldest: Psn) {
        if self.cursor.is_before(oldest) {
            self.cursor = oldest;
            queue.next = queue.head;
        }
    }
}

/// Opcode and extension headers of a request's packet, for UD without the DETH.
#[inline(always)]
fn request(
    settings: &Settings,
    wqe: &SendWqe,
    position: Position,
    skip: u32,
) -> Option<(Opcode, Extension)> {
    let transport = settings.transport;
    let ends = position.ends();
    Some(match wqe.work {
        Work::Send(attachment) => {
            let notice = if ends { attachment.notice() } else { Notice::None };
            let extension = match attachment {
                Attachment::Immediate(immediate) if ends => Extension::Immediate(immediate),
                Attachment::Invalidate(key) if ends => Extension::Invalidate(Ieth(key)),
                _ => Extension::None,
            };
            (Opcode::send(transport, position, notice)?, extension)
        }
        Work::Write { address, key, immediate } => {
            let immediate = if ends { immediate } else { None };
            let notice = if immediate.is_some() { Notice::Immediate } else { Notice::None };
            let reth = Reth { address, key, length: wqe.length };
            let opcode = Opcode::write(transport, position, notice)?;
            (opcode, write_extension(position, reth, immediate))
        }
        Work::Read { address, key } => {
            // What was answered already is not asked for again.
            let address = address.wrapping_add(u64::from(skip));
            let reth = Reth { address, key, length: wqe.length - skip };
            (Opcode::RcReadRequest, Extension::Reth(reth))
        }
        Work::CompareSwap { address, key, compare, swap } => {
            let operands = AtomicEth { address, key, swap_or_add: swap, compare };
            (Opcode::RcCompareSwap, Extension::Atomic(operands))
        }
        Work::FetchAdd { address, key, add } => {
            let operands = AtomicEth { address, key, swap_or_add: add, compare: 0 };
            (Opcode::RcFetchAdd, Extension::Atomic(operands))
        }
    })
}

#[inline]
fn write_extension(position: Position, reth: Reth, immediate: Option<ImmDt>) -> Extension {
    match (position.begins(), immediate) {
        (true, Some(immediate)) => Extension::RethImmediate(reth, immediate),
        (true, None) => Extension::Reth(reth),
        (false, Some(immediate)) => Extension::Immediate(immediate),
        (false, None) => Extension::None,
    }
}
