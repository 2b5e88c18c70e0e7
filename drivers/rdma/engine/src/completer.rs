//! The completer: what the peer's answers, and their absence, mean for the requests.
//!
//! ```text
//!            emitted (armed)             answered: more is outstanding
//!   [ idle ] -------------> [ waiting for an acknowledge ] <--.
//!      ^                      |    |        |      |   `------'
//!      `--- all is answered --'    |        |      `-- expire, NAK sequence error, an answer is
//!                                  |        |          missing: go back; idle until emitted
//!                   RNR NAK:       |        `-- NAK of another kind, retries used up: fail
//!                   go back        v
//!                            [ waiting for the receiver ] -- expire --> idle, and emit
//! ```
//! Requests complete in order. A read or atomic is ended by its answer alone: an acknowledge of
//! something behind it says that the answer was lost.

use crate::requester::{Answers, Requester};
use crate::send_queue::SendQueue;
use crate::settings::{ENDLESS, Settings};
use crate::{Counters, Instant, Memory, Refusal, Report, Status, Work};
use reflex_rdma_wire::{
    Aeth, Extension, Nak, Operation, Packet, Psn, RnrTimer, Syndrome, Transport,
};

/// Nanoseconds after which a peer is gone that is silent, when there is no end of retries.
const GONE: u64 = 30_000_000_000;
/// Nanoseconds up to which the wait for an acknowledge grows, from time-out to time-out.
const LONGEST: u64 = 1_000_000_000;

/// How long an acknowledge is waited for after so many time-outs: twice as long each time, so that what
/// is slow is not made slower by copies.
#[inline]
fn backed_off(timeout: u64, timeouts: u8) -> u64 {
    let longer = timeout.saturating_mul(1 << u64::from(timeouts.min(32)));
    longer.min(LONGEST.max(timeout))
}

/// What the queue pair is to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Outcome {
    Continue,
    /// The oldest request ends so, and the send queue with it.
    Fail {
        status: Status,
        vendor: u8,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wait {
    Idle,
    Acknowledge(Instant),
    Receiver(Instant),
}

#[derive(Debug)]
pub(crate) struct Completer {
    /// The oldest number that is not acknowledged; in the request at the queue's head.
    pub(crate) oldest: Psn,
    wait: Wait,
    /// Time-outs since the peer was last heard of.
    timeouts: u8,
    /// When that was, or when the first packet was emitted that is still unanswered.
    heard: Instant,
    rnr_retries: u8,
    /// It went back, and nothing was acknowledged since: to do so again is the timer's business.
    recovering: bool,
}

/// The queue pair's other parts that the completer works with.
pub(crate) struct CompleterParts<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) queue: &'a mut SendQueue,
    pub(crate) requester: &'a mut Requester,
    pub(crate) counters: &'a mut Counters,
}

impl Completer {
    /// Will expect answers from `first` on.
    pub(crate) fn new(first: Psn, settings: &Settings) -> Self {
        Self {
            oldest: first,
            wait: Wait::Idle,
            timeouts: 0,
            heard: Instant::default(),
            rnr_retries: settings.rnr_retries,
            recovering: false,
        }
    }

    /// What the requester has to know of it.
    #[inline]
    pub(crate) fn answers(&self) -> Answers {
        Answers { oldest: self.oldest, receiver_not_ready: self.is_waiting_for_receiver() }
    }

    #[inline]
    fn is_waiting_for_receiver(&self) -> bool {
        matches!(self.wait, Wait::Receiver(_))
    }

    /// When [`Completer::expire`] is to be called.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.wait {
            Wait::Idle => None,
            Wait::Acknowledge(at) | Wait::Receiver(at) => Some(at),
        }
    }

    /// Waits for an acknowledge from now on, if one is due and is not waited for.
    #[inline]
    pub(crate) fn emitted(&mut self, settings: &Settings, requester: &Requester, now: Instant) {
        if self.wait == Wait::Idle && requester.sent != self.oldest {
            if self.timeouts == 0 && !self.recovering {
                self.heard = now;
            }
            self.rearm(settings, now);
        }
    }

    #[inline]
    fn rearm(&mut self, settings: &Settings, now: Instant) {
        self.wait = match settings.timeout {
            Some(timeout) if settings.transport == Transport::Reliable => {
                Wait::Acknowledge(now.plus_nanos(backed_off(timeout, self.timeouts)))
            }
            _ => Wait::Idle,
        };
    }

    /// Whether the peer should have acknowledged by now.
    #[inline]
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        matches!(self.wait, Wait::Acknowledge(at) if at <= now)
    }

    /// What the peer is to acknowledge has not left this machine: it is waited for anew.
    #[cold]
    pub(crate) fn postpone(&mut self, settings: &Settings, now: Instant) {
        if matches!(self.wait, Wait::Acknowledge(_)) {
            self.heard = now;
            self.rearm(settings, now);
        }
    }

    /// Whether there is no use in trying again. For the highest count there is no end as long as the
    /// peer may come back; but all ends some time.
    fn is_hopeless(&self, settings: &Settings, now: Instant) -> bool {
        self.timeouts >= settings.retries
            && (settings.retries != ENDLESS || self.heard.plus_nanos(GONE) <= now)
    }

    /// The peer has been heard of.
    #[inline]
    fn hear(&mut self, now: Instant) {
        (self.timeouts, self.heard) = (0, now);
    }

    /// Takes an answer.
    #[inline]
    pub(crate) fn receive<M: Memory, R: Report>(
        &mut self,
        packet: &Packet<'_>,
        now: Instant,
        mut parts: CompleterParts<'_>,
        memory: &mut M,
        report: &mut R,
    ) -> Outcome {
        let psn = packet.bth().psn;
        let is_known = psn.is_before(parts.requester.sent);
        if psn.is_before(self.oldest) || !is_known {
            let before = psn.is_before(self.oldest);
            let why = if before { Refusal::DuplicateAnswer } else { Refusal::Ghost };
            parts.counters.count(why);
            return Outcome::Continue;
        }
        match (packet.bth().opcode.operation(), packet.extension()) {
            (Operation::Acknowledge, Extension::Aeth(aeth)) => {
                self.acknowledge(psn, aeth, now, &mut parts, report)
            }
            _ => self.answer(packet, now, &mut parts, memory, report),
        }
    }

    #[inline]
    fn acknowledge<R: Report>(
        &mut self,
        psn: Psn,
        aeth: &Aeth,
        now: Instant,
        parts: &mut CompleterParts<'_>,
        report: &mut R,
    ) -> Outcome {
        match aeth.syndrome {
            Syndrome::Ack(_) => {
                self.advance(psn.next(), now, parts, report);
                self.stalled(parts)
            }
            // All of the refusals acknowledge what is before the packet they are about.
            Syndrome::ReceiverNotReady(timer) => {
                if self.advance(psn, now, parts, report) {
                    self.not_ready(timer, now, parts)
                } else {
                    Outcome::Continue
                }
            }
            Syndrome::Nak(Nak::SequenceError) => {
                if self.advance(psn, now, parts, report) && !self.is_waiting_for_receiver() {
                    self.go_back(parts);
                }
                Outcome::Continue
            }
            Syndrome::Nak(nak) => {
                if !self.advance(psn, now, parts, report) {
                    return Outcome::Continue;
                }
                let status = match nak {
                    Nak::RemoteAccessError => Status::RemoteAccess,
                    Nak::RemoteOperationalError => Status::RemoteOperation,
                    _ => Status::RemoteInvalidRequest,
                };
                Outcome::Fail { status, vendor: aeth.syndrome.bits() }
            }
        }
    }

    /// The answer to a read or an atomic.
    #[inline]
    fn answer<M: Memory, R: Report>(
        &mut self,
        packet: &Packet<'_>,
        now: Instant,
        parts: &mut CompleterParts<'_>,
        memory: &mut M,
        report: &mut R,
    ) -> Outcome {
        let psn = packet.bth().psn;
        // It acknowledges what is before it.
        if !self.advance(psn, now, parts, report) {
            return Outcome::Continue;
        }
        match self.take(packet, parts, memory) {
            Ok(ends) => {
                self.oldest = psn.next();
                if ends {
                    parts.requester.reads -= 1;
                    parts.queue.finish(parts.settings.number, report, Status::Success, 0);
                }
                self.progress(now, parts);
                self.stalled(parts)
            }
            Err(Some(refusal)) => {
                parts.counters.count(refusal);
                Outcome::Continue
            }
            Err(None) => Outcome::Fail { status: Status::LocalProtection, vendor: 0 },
        }
    }

    /// Puts an answer where it belongs; true when the request at the head is then done. `None`
    /// when its memory is gone.
    #[inline]
    fn take<M: Memory>(
        &mut self,
        packet: &Packet<'_>,
        parts: &mut CompleterParts<'_>,
        memory: &mut M,
    ) -> Result<bool, Option<Refusal>> {
        let mismatch = Err(Some(Refusal::AnswerMismatch));
        let queue = &parts.queue;
        if queue.head == queue.assigned {
            return mismatch;
        }
        let wqe = queue.wqe(queue.head);
        let psn = packet.bth().psn;
        let index = psn.since(wqe.first);
        if psn != self.oldest || index >= wqe.packets {
            return mismatch;
        }
        let ends = index + 1 == wqe.packets;
        let segments = queue.segments(queue.head);
        match (packet.extension(), &wqe.work) {
            (Extension::AethAtomicAck(_, original), work) if work.is_atomic() => {
                let bytes = original.original.to_ne_bytes();
                crate::gather::scatter(memory, segments, 0, &bytes).map_err(|_| None)?;
            }
            (Extension::Aeth(_) | Extension::None, Work::Read { .. }) => {
                // The end says so; the beginning may look like a middle when it was asked for
                // again.
                let shift = parts.settings.mtu.shift();
                let skip = index << shift;
                let expected = (wqe.length - skip).min(1 << shift);
                let payload = packet.payload();
                if packet.bth().opcode.position().ends() != ends
                    || payload.len() != expected as usize
                {
                    return mismatch;
                }
                crate::gather::scatter(memory, segments, skip, payload).map_err(|_| None)?;
            }
            _ => return mismatch,
        }
        Ok(ends)
    }

    /// Everything before `target` is acknowledged. False when an answer before it is missing: the
    /// requester then goes back.
    #[inline]
    fn advance<R: Report>(
        &mut self,
        target: Psn,
        now: Instant,
        parts: &mut CompleterParts<'_>,
        report: &mut R,
    ) -> bool {
        let before = self.oldest;
        let mut is_whole = true;
        while self.oldest != target && parts.queue.head != parts.queue.assigned {
            let wqe = parts.queue.wqe(parts.queue.head);
            if wqe.work.has_response() {
                is_whole = false;
                break;
            }
            let end = wqe.end();
            if end.is_after(target) {
                self.oldest = target;
                break;
            }
            self.oldest = end;
            parts.queue.finish(parts.settings.number, report, Status::Success, 0);
        }
        if self.oldest != before {
            self.progress(now, parts);
        }
        if !is_whole {
            parts.counters.count(Refusal::AnswerGap);
            self.go_back(parts);
        }
        is_whole
    }

    /// Something was acknowledged.
    #[inline]
    fn progress(&mut self, now: Instant, parts: &mut CompleterParts<'_>) {
        self.recovering = false;
        self.hear(now);
        self.rnr_retries = parts.settings.rnr_retries;
        parts.requester.skip_to(parts.queue, self.oldest);
        if parts.requester.sent == self.oldest {
            self.wait = Wait::Idle;
        } else {
            self.rearm(parts.settings, now);
        }
    }

    /// A request that could not be sent fails when its turn has come.
    #[inline]
    pub(crate) fn stalled(&self, parts: &CompleterParts<'_>) -> Outcome {
        match parts.requester.stalled {
            Some(status) if parts.queue.head == parts.queue.next => {
                Outcome::Fail { status, vendor: 0 }
            }
            _ => Outcome::Continue,
        }
    }

    /// Sends again from the oldest on, unless that is being done.
    fn go_back(&mut self, parts: &mut CompleterParts<'_>) {
        if !self.recovering {
            self.recovering = true;
            // It is waited for from when the first is sent again.
            self.wait = Wait::Idle;
            parts.counters.retries = parts.counters.retries.saturating_add(1);
            parts.requester.go_back(parts.queue, self.oldest);
        }
    }

    fn not_ready(
        &mut self,
        timer: RnrTimer,
        now: Instant,
        parts: &mut CompleterParts<'_>,
    ) -> Outcome {
        if self.is_waiting_for_receiver() {
            return Outcome::Continue;
        }
        parts.counters.not_ready = parts.counters.not_ready.saturating_add(1);
        if parts.settings.rnr_retries != ENDLESS {
            match self.rnr_retries.checked_sub(1) {
                Some(left) => self.rnr_retries = left,
                None => {
                    let vendor = Syndrome::ReceiverNotReady(timer).bits();
                    return Outcome::Fail { status: Status::ReceiverNotReady, vendor };
                }
            }
        }
        // The peer is there.
        self.hear(now);
        self.recovering = false;
        self.wait = Wait::Receiver(now.plus(timer.duration()));
        parts.requester.go_back(parts.queue, self.oldest);
        Outcome::Continue
    }

    /// Time has passed.
    pub(crate) fn expire(&mut self, now: Instant, parts: &mut CompleterParts<'_>) -> Outcome {
        match self.wait {
            Wait::Receiver(at) if at <= now => {
                self.wait = Wait::Idle;
                Outcome::Continue
            }
            Wait::Acknowledge(at) if at <= now => {
                parts.counters.timeouts = parts.counters.timeouts.saturating_add(1);
                self.wait = Wait::Idle;
                if self.is_hopeless(parts.settings, now) {
                    return Outcome::Fail { status: Status::RetryExceeded, vendor: 0 };
                }
                self.timeouts = self.timeouts.saturating_add(1);
                self.recovering = false;
                self.go_back(parts);
                Outcome::Continue
            }
            _ => Outcome::Continue,
        }
    }
}
