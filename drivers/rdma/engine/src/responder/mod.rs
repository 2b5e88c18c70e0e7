//! The responder: what the peer's requests do here, and what they are answered.
//!
//! ```text
//!                     begins (First)               ends (Last)
//!   [ between messages ] ----------> [ in a message ] ---------> [ between messages ]
//!      |   ^   |                       |  ^
//!      |   `---' a whole message       `--' Middle
//!      |         (Only, read, atomic)
//!      `--> refused: RC, for good: the queue pair goes to ERR; for want of a receive, or of a
//!           packet before: stays, and the packet comes again. UC: [ dropping ] up to the next
//!           that begins.
//! ```
//! RC is in this file, UC and UD are in `unreliable.rs`; both let `execute.rs` do what is asked.

mod execute;
mod replies;
mod resources;
mod transmit;
mod unreliable;

use crate::receive_queue::CurrentReceive;
use crate::settings::Settings;
use crate::{
    Access, Completion, Counters, Event, Memory, Place, ReceiveQueue, Refusal, Report, State,
    Status,
};
use execute::Fault;
use reflex_rdma_wire::{Aeth, Credits, Extension, Nak, Operation, Packet, Psn, RnrTimer, Syndrome};
use replies::Replies;
use resources::Resources;

/// Message sequence numbers have 24 bits.
const MSN: u32 = 0x00ff_ffff;

/// What the queue pair is to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Verdict {
    Continue,
    /// To ERR, where what is due of the replies is still sent.
    Fail(Event),
}

/// The message that is arriving.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Message {
    None,
    /// So many bytes are in the receive.
    Send {
        filled: u32,
    },
    /// So many bytes are still to come, and go there.
    Write {
        place: Place,
        left: u32,
        length: u32,
    },
    /// UC: it has a hole, and is thrown away.
    Dropping,
}

#[derive(Debug)]
pub(crate) struct Responder {
    /// The number of the next new request.
    expected: Psn,
    /// That of the last send, write or atomic that was carried out: what Linux acknowledges
    /// duplicates with. An acknowledge beyond a read would say that its answer has arrived.
    executed: Psn,
    /// Messages that were carried out.
    msn: u32,
    message: Message,
    /// The gap before the expected number was told.
    is_gap_told: bool,
    current: CurrentReceive,
    resources: Resources,
    replies: Replies,
}

/// The queue pair's other parts that the responder works with.
pub(crate) struct ResponderParts<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) receives: &'a mut ReceiveQueue,
    pub(crate) counters: &'a mut Counters,
}

impl Responder {
    /// For receives of up to `width` segments, and that many reads and atomics at once.
    pub(crate) fn new(width: u32, resources: u8) -> Self {
        Self {
            expected: Psn::default(),
            executed: Psn::default(),
            msn: 0,
            message: Message::None,
            is_gap_told: false,
            current: CurrentReceive::new(width),
            resources: Resources::new(resources),
            replies: Replies::new(resources),
        }
    }

    /// Will expect `first`, and keep so many resources.
    pub(crate) fn begin(&mut self, first: Psn, resources: u8) {
        self.expected = first;
        self.executed = first.previous();
        self.msn = 0;
        self.resources.reset(resources);
        self.abandon();
    }

    /// Forgets what has come, and what is due.
    pub(crate) fn abandon(&mut self) {
        self.message = Message::None;
        self.is_gap_told = false;
        self.replies.clear();
    }

    /// Whether a reply could be emitted now.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        !self.replies.is_empty()
    }

    /// Tells that the receive in hand, if there is one, was flushed.
    pub(crate) fn flush<R: Report>(&mut self, settings: &Settings, report: &mut R) {
        if self.current.is_taken {
            self.complete(settings, report, Status::Flushed);
        }
    }

    /// Ends the receive in hand with a failure.
    fn complete<R: Report>(&mut self, settings: &Settings, report: &mut R, status: Status) {
        self.current.is_taken = false;
        let kind = crate::Kind::Receive;
        report.complete(Completion::new(self.current.id, settings.number, kind, status));
    }

    /// Takes a request on a reliable connection.
    #[inline]
    pub(crate) fn receive<M: Memory, R: Report>(
        &mut self,
        packet: &Packet<'_>,
        mut parts: ResponderParts<'_>,
        memory: &mut M,
        report: &mut R,
    ) -> Verdict {
        let psn = packet.bth().psn;
        if psn != self.expected {
            return if psn.is_before(self.expected) {
                self.duplicate(packet, &mut parts, memory)
            } else {
                self.gap(&mut parts)
            };
        }
        self.is_gap_told = false;
        match self.execute(packet, &mut parts, memory, report) {
            Ok(()) => Verdict::Continue,
            Err(fault) => self.refuse(fault, &mut parts, report),
        }
    }

    /// A packet before this one is missing, which is told once.
    #[cold]
    fn gap(&mut self, parts: &mut ResponderParts<'_>) -> Verdict {
        parts.counters.count(Refusal::Gap);
        if !self.is_gap_told {
            self.is_gap_told = true;
            self.nak(Syndrome::Nak(Nak::SequenceError), parts);
        }
        Verdict::Continue
    }

    /// It came before. What it did is not done again.
    #[cold]
    fn duplicate<M: Memory>(
        &mut self,
        packet: &Packet<'_>,
        parts: &mut ResponderParts<'_>,
        memory: &M,
    ) -> Verdict {
        parts.counters.count(Refusal::Duplicate);
        let psn = packet.bth().psn;
        if !packet.bth().opcode.has_response() {
            self.acknowledge(self.executed, Syndrome::Ack(Credits::UNLIMITED));
            return Verdict::Continue;
        }
        if self.replay(packet, psn, parts, memory).is_none() {
            parts.counters.count(Refusal::StaleDuplicate);
        }
        Verdict::Continue
    }

    /// Answers a read or atomic again; `None` when it is not the one that came before.
    fn replay<M: Memory>(
        &mut self,
        packet: &Packet<'_>,
        psn: Psn,
        parts: &ResponderParts<'_>,
        memory: &M,
    ) -> Option<()> {
        let index = self.resources.find(psn)?;
        let resource = self.resources.get_mut(index)?;
        let (from, to) = match (packet.bth().opcode.operation(), packet.extension()) {
            (Operation::ReadRequest, Extension::Reth(reth)) => {
                // The key may have been taken back since.
                execute::find(reth, Access::REMOTE_READ, parts, memory, reth.length).ok()?;
                resource.part(psn, reth, parts.settings.mtu.shift())?
            }
            (Operation::CompareSwap | Operation::FetchAdd, _) => match resource.asked {
                resources::Asked::Atomic { .. } => (0, 1),
                resources::Asked::Read { .. } => return None,
            },
            _ => return None,
        };
        if resource.is_due {
            // Still on its way: from the earlier of both, to the later.
            resource.cursor = resource.cursor.min(from);
            resource.end = resource.end.max(to);
        } else {
            (resource.cursor, resource.end, resource.is_due) = (from, to, true);
            self.replies.answer(index, self.msn);
        }
        Some(())
    }

    #[inline]
    fn acknowledge(&mut self, psn: Psn, syndrome: Syndrome) {
        self.replies.acknowledge(psn, Aeth { syndrome, msn: self.msn });
    }

    /// Refuses the expected packet.
    fn nak(&mut self, syndrome: Syndrome, parts: &mut ResponderParts<'_>) {
        parts.counters.naks = parts.counters.naks.saturating_add(1);
        self.acknowledge(self.expected, syndrome);
    }

    /// What a request that cannot be carried out is answered, and does to the queue pair (IBA
    /// volume 1, 9.9; the codes are those that Linux sends).
    #[cold]
    fn refuse<R: Report>(
        &mut self,
        fault: Fault,
        parts: &mut ResponderParts<'_>,
        report: &mut R,
    ) -> Verdict {
        parts.counters.count(fault.refusal());
        let (nak, receive, event) = match fault {
            Fault::NotReady => {
                let timer: RnrTimer = parts.settings.rnr_timer;
                self.nak(Syndrome::ReceiverNotReady(timer), parts);
                return Verdict::Continue;
            }
            Fault::Invalid(_) => {
                (Some(Nak::InvalidRequest), Status::Flushed, Event::InvalidRequest)
            }
            Fault::Access(_) => {
                (Some(Nak::RemoteAccessError), Status::Flushed, Event::AccessRefused)
            }
            Fault::TooLong => {
                (Some(Nak::RemoteOperationalError), Status::LocalLength, Event::InvalidRequest)
            }
            Fault::ReceiveMemory => {
                (Some(Nak::RemoteOperationalError), Status::LocalProtection, Event::Fatal)
            }
            // The peer is not answered (IBA volume 1, 9.9: class J).
            Fault::Invalidate => (None, Status::RemoteInvalidRequest, Event::AccessRefused),
        };
        if let Some(nak) = nak {
            self.nak(Syndrome::Nak(nak), parts);
        }
        if self.current.is_taken {
            self.complete(parts.settings, report, receive);
        }
        Verdict::Fail(event)
    }

    /// Takes a receive in hand, if there is none.
    #[inline]
    fn take_receive<R: Report>(
        &mut self,
        receives: &mut ReceiveQueue,
        report: &mut R,
    ) -> Result<(), Fault> {
        if self.current.is_taken {
            return Ok(());
        }
        if !receives.take(&mut self.current) {
            return Err(Fault::NotReady);
        }
        if receives.reaches_limit() {
            report.raise(Event::ReceiveLimitReached);
        }
        Ok(())
    }
}

/// Whether replies are sent in that state: in ERR, those that tell why.
#[inline]
pub(crate) fn replies(state: State) -> bool {
    state.receives() || state == State::Err
}
