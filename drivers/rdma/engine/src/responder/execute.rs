//! Carrying a request out: checks, then the effect, then the reply.

use super::resources::{Asked, Resource};
use super::{MSN, Message, Responder, ResponderParts};
use crate::gather::scatter;
use crate::{
    Access, Atomic, Attachment, Completion, Event, Kind, MAX_MESSAGE, Memory, Place, Refusal,
    Region, Report, Status,
};
use reflex_rdma_wire::{
    AtomicEth, Credits, Extension, ImmDt, Operation, Packet, PathMtu, Position, Reth, Syndrome,
};

/// Why a request cannot be carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// No receive is posted. The only one that mends.
    NotReady,
    Invalid(Refusal),
    Access(Refusal),
    TooLong,
    ReceiveMemory,
    Invalidate,
}

impl Fault {
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::NotReady => Refusal::NoReceive,
            Self::Invalid(refusal) | Self::Access(refusal) => refusal,
            Self::TooLong => Refusal::TooLong,
            Self::ReceiveMemory => Refusal::ReceiveMemory,
            Self::Invalidate => Refusal::Invalidate,
        }
    }
}

/// Bytes that a region is asked for when none are moved: no key is looked at (IBA volume 1, 9.7).
const NOWHERE: Place = Place { region: Region(0), offset: 0 };

impl Responder {
    /// Carries out the expected request of a reliable connection.
    #[inline]
    pub(super) fn execute<M: Memory, R: Report>(
        &mut self,
        packet: &Packet<'_>,
        parts: &mut ResponderParts<'_>,
        memory: &mut M,
        report: &mut R,
    ) -> Result<(), Fault> {
        match packet.bth().opcode.operation() {
            Operation::Send => self.send(packet, parts, memory, report)?,
            Operation::Write => self.write(packet, parts, memory, report)?,
            Operation::ReadRequest => return self.read(packet, parts, memory),
            _ => return self.atomic(packet, parts, memory),
        }
        let psn = packet.bth().psn;
        self.executed = psn;
        self.expected = psn.next();
        if packet.bth().acknowledge {
            self.acknowledge(psn, Syndrome::Ack(Credits::UNLIMITED));
        }
        Ok(())
    }

    /// A packet of a send.
    #[inline]
    pub(super) fn send<M: Memory, R: Report>(
        &mut self,
        packet: &Packet<'_>,
        parts: &mut ResponderParts<'_>,
        memory: &mut M,
        report: &mut R,
    ) -> Result<(), Fault> {
        let position = packet.bth().opcode.position();
        let filled = match (self.message, position.begins()) {
            (Message::None, true) => 0,
            (Message::Send { filled }, false) => filled,
            _ => return Err(Fault::Invalid(Refusal::Sequence)),
        };
        let payload = packet.payload();
        check_length(position, payload.len(), parts.settings.mtu)?;
        self.take_receive(parts.receives, report)?;
        let length = payload.len() as u32;
        if length > self.current.length - filled {
            return Err(Fault::TooLong);
        }
        scatter(memory, self.current.segments(), filled, payload)
            .map_err(|_| Fault::ReceiveMemory)?;
        let filled = filled + length;
        if !position.ends() {
            self.message = Message::Send { filled };
            return Ok(());
        }
        let attachment = match *packet.extension() {
            Extension::Immediate(immediate) => Attachment::Immediate(immediate),
            Extension::Invalidate(ieth) => {
                let domain = parts.settings.domain;
                memory.invalidate(domain, ieth.0).map_err(|_| Fault::Invalidate)?;
                Attachment::Invalidate(ieth.0)
            }
            _ => Attachment::None,
        };
        self.received(packet, parts, report, Kind::Receive, filled, attachment);
        Ok(())
    }

    /// A message that consumes a receive has come to its end.
    #[inline]
    fn received<R: Report>(
        &mut self,
        packet: &Packet<'_>,
        parts: &ResponderParts<'_>,
        report: &mut R,
        kind: Kind,
        length: u32,
        attachment: Attachment,
    ) {
        self.message = Message::None;
        self.msn = self.msn.wrapping_add(1) & MSN;
        self.current.is_taken = false;
        report.complete(Completion {
            length,
            attachment,
            solicited: packet.bth().solicited,
            ..Completion::new(self.current.id, parts.settings.number, kind, Status::Success)
        });
    }

    /// A packet of a write.
    #[inline]
    pub(super) fn write<M: Memory, R: Report>(
        &mut self,
        packet: &Packet<'_>,
        parts: &mut ResponderParts<'_>,
        memory: &mut M,
        report: &mut R,
    ) -> Result<(), Fault> {
        let position = packet.bth().opcode.position();
        let payload = packet.payload();
        check_length(position, payload.len(), parts.settings.mtu)?;
        let (place, left, length) = match (self.message, packet.extension().reth()) {
            (Message::None, Some(reth)) => {
                let place = find(&reth, Access::REMOTE_WRITE, parts, memory, reth.length)?;
                (place, reth.length, reth.length)
            }
            (Message::Write { place, left, length }, None) if !position.begins() => {
                (place, left, length)
            }
            _ => return Err(Fault::Invalid(Refusal::Sequence)),
        };
        let here = payload.len() as u32;
        let fits = if position.ends() { here == left } else { here < left };
        if !fits {
            return Err(Fault::Invalid(Refusal::Length));
        }
        let immediate: Option<ImmDt> = packet.extension().immediate();
        if immediate.is_some() {
            self.take_receive(parts.receives, report)?;
        }
        if here != 0 {
            memory.write(place, payload).map_err(|_| Fault::Access(Refusal::Access))?;
        }
        if !position.ends() {
            let place = place.plus(u64::from(here));
            self.message = Message::Write { place, left: left - here, length };
            return Ok(());
        }
        match immediate {
            Some(immediate) => {
                let attachment = Attachment::Immediate(immediate);
                self.received(packet, parts, report, Kind::ReceiveWrite, length, attachment);
            }
            None => {
                self.message = Message::None;
                self.msn = self.msn.wrapping_add(1) & MSN;
                if parts.settings.tells_writes {
                    report.raise(Event::Written);
                }
            }
        }
        Ok(())
    }

    fn read<M: Memory>(
        &mut self,
        packet: &Packet<'_>,
        parts: &mut ResponderParts<'_>,
        memory: &mut M,
    ) -> Result<(), Fault> {
        let Extension::Reth(reth) = packet.extension() else {
            return Err(Fault::Invalid(Refusal::Sequence));
        };
        self.between_messages()?;
        if !parts.settings.access.contains(Access::REMOTE_READ) {
            return Err(Fault::Invalid(Refusal::Permission));
        }
        let index = self.resources.vacant().ok_or(Fault::Invalid(Refusal::TooManyReads))?;
        let place = find(reth, Access::REMOTE_READ, parts, memory, reth.length)?;
        let Reth { address, key, length } = *reth;
        let asked = Asked::Read { place, address, key, length };
        self.answer(packet, index, parts.settings.mtu.packets(length), asked);
        Ok(())
    }

    fn atomic<M: Memory>(
        &mut self,
        packet: &Packet<'_>,
        parts: &mut ResponderParts<'_>,
        memory: &mut M,
    ) -> Result<(), Fault> {
        let Extension::Atomic(operands) = packet.extension() else {
            return Err(Fault::Invalid(Refusal::Sequence));
        };
        self.between_messages()?;
        let AtomicEth { address, key, swap_or_add, compare } = *operands;
        let operation = match packet.bth().opcode.operation() {
            Operation::CompareSwap => Atomic::CompareSwap { compare, swap: swap_or_add },
            _ => Atomic::FetchAdd { add: swap_or_add },
        };
        if !parts.settings.access.contains(Access::REMOTE_ATOMIC) {
            return Err(Fault::Invalid(Refusal::Permission));
        }
        let index = self.resources.vacant().ok_or(Fault::Invalid(Refusal::TooManyReads))?;
        if address & 7 != 0 {
            return Err(Fault::Invalid(Refusal::Alignment));
        }
        let reth = Reth { address, key, length: 8 };
        let place = find(&reth, Access::REMOTE_ATOMIC, parts, memory, 8)?;
        let original =
            memory.update(place, operation).map_err(|_| Fault::Access(Refusal::Access))?;
        self.executed = packet.bth().psn;
        self.answer(packet, index, 1, Asked::Atomic { original });
        Ok(())
    }

    /// Reads and atomics are messages of their own.
    fn between_messages(&self) -> Result<(), Fault> {
        if self.message == Message::None { Ok(()) } else { Err(Fault::Invalid(Refusal::Sequence)) }
    }

    /// Keeps what was asked for, and answers it.
    fn answer(&mut self, packet: &Packet<'_>, index: u8, packets: u32, asked: Asked) {
        let first = packet.bth().psn;
        self.expected = first.plus(packets);
        self.msn = self.msn.wrapping_add(1) & MSN;
        if self.resources.is_due(index) {
            self.replies.remove(index);
        }
        let resource = Resource {
            first,
            packets,
            asked,
            cursor: 0,
            end: packets,
            is_due: true,
            is_answered: false,
        };
        self.resources.put(index, resource);
        self.replies.answer(index, self.msn);
    }
}

/// Where the peer wants access to as many bytes as a message may have.
#[inline]
pub(super) fn find<M: Memory>(
    reth: &Reth,
    access: Access,
    parts: &ResponderParts<'_>,
    memory: &M,
    length: u32,
) -> Result<Place, Fault> {
    if !parts.settings.access.contains(access) {
        return Err(Fault::Invalid(Refusal::Permission));
    }
    if length > MAX_MESSAGE {
        return Err(Fault::Invalid(Refusal::Length));
    }
    if length == 0 {
        return Ok(NOWHERE);
    }
    let domain = parts.settings.domain;
    memory
        .find(domain, reth.key, reth.address, length, access)
        .ok_or(Fault::Access(Refusal::Access))
}

/// Whether a packet is as long as its position allows (IBA volume 1, 9.7).
#[inline]
fn check_length(position: Position, payload: usize, mtu: PathMtu) -> Result<(), Fault> {
    let mtu = mtu.bytes();
    let fits = match position {
        Position::First | Position::Middle => payload == mtu,
        Position::Last => payload <= mtu && payload != 0,
        Position::Only => payload <= mtu,
    };
    if fits { Ok(()) } else { Err(Fault::Invalid(Refusal::Length)) }
}
