//! UC and UD: nothing is answered. What cannot be carried out is dropped, and counted.

use super::execute::Fault;
use super::{Message, Responder, ResponderParts, Verdict};
use crate::gather::scatter;
use crate::{Attachment, Completion, Event, Kind, Memory, Refusal, Report, Status};
use reflex_rdma_wire::{Extension, GlobalRoute, Operation, Packet};

impl Responder {
    /// Takes a request on an unreliable connection (IBA volume 1, 9.8.3): one that begins a
    /// message is always taken, whatever its number; a gap costs the message it is in.
    pub(crate) fn receive_unreliable<M: Memory, R: Report>(
        &mut self,
        packet: &Packet<'_>,
        mut parts: ResponderParts<'_>,
        memory: &mut M,
        report: &mut R,
    ) -> Verdict {
        let psn = packet.bth().psn;
        let begins = packet.bth().opcode.position().begins();
        if psn != self.expected {
            parts.counters.count(Refusal::Gap);
            self.message = Message::Dropping;
        }
        self.expected = psn.next();
        if begins {
            if !matches!(self.message, Message::None | Message::Dropping) {
                // Its end is missing, though no number is.
                parts.counters.count(Refusal::Sequence);
            }
            // The receive that the last message had in hand serves this one.
            self.message = Message::None;
        } else if self.message == Message::Dropping {
            return Verdict::Continue;
        }
        let result = match packet.bth().opcode.operation() {
            Operation::Send => self.send(packet, &mut parts, memory, report),
            _ => self.write(packet, &mut parts, memory, report),
        };
        match result {
            Ok(()) => Verdict::Continue,
            Err(fault) => {
                parts.counters.count(fault.refusal());
                self.message = Message::Dropping;
                self.local_fault(fault, &parts, report)
            }
        }
    }

    /// Takes a datagram.
    pub(crate) fn receive_datagram<M: Memory, R: Report>(
        &mut self,
        packet: &Packet<'_>,
        mut parts: ResponderParts<'_>,
        memory: &mut M,
        report: &mut R,
    ) -> Verdict {
        match self.datagram(packet, &mut parts, memory, report) {
            Ok(()) => Verdict::Continue,
            Err(fault) => {
                parts.counters.count(fault.refusal());
                self.local_fault(fault, &parts, report)
            }
        }
    }

    fn datagram<M: Memory, R: Report>(
        &mut self,
        packet: &Packet<'_>,
        parts: &mut ResponderParts<'_>,
        memory: &mut M,
        report: &mut R,
    ) -> Result<(), Fault> {
        let settings = parts.settings;
        let (deth, attachment) = match *packet.extension() {
            Extension::Deth(deth) => (deth, Attachment::None),
            Extension::DethImmediate(deth, immediate) => (deth, Attachment::Immediate(immediate)),
            _ => return Err(Fault::Invalid(Refusal::Sequence)),
        };
        if deth.key != settings.key {
            return Err(Fault::Invalid(Refusal::Key));
        }
        let payload = packet.payload();
        if payload.len() > settings.mtu.bytes() {
            return Err(Fault::Invalid(Refusal::Length));
        }
        self.take_receive(parts.receives, report)?;
        let length = GlobalRoute::LENGTH as u32 + payload.len() as u32;
        if length > self.current.length {
            return Err(Fault::TooLong);
        }
        let route = GlobalRoute::of(packet.datagram());
        let segments = self.current.segments();
        scatter(memory, segments, 0, route.as_bytes())
            .and_then(|()| scatter(memory, segments, GlobalRoute::LENGTH as u32, payload))
            .map_err(|_| Fault::ReceiveMemory)?;
        self.current.is_taken = false;
        report.complete(Completion {
            source: deth.source,
            length,
            attachment,
            global_route: true,
            solicited: packet.bth().solicited,
            ..Completion::new(self.current.id, settings.number, Kind::Receive, Status::Success)
        });
        Ok(())
    }

    /// A fault of this side's own ends the receive; the peer's faults do not, or anyone could
    /// use receives up.
    fn local_fault<R: Report>(
        &mut self,
        fault: Fault,
        parts: &ResponderParts<'_>,
        report: &mut R,
    ) -> Verdict {
        if fault == Fault::ReceiveMemory && self.current.is_taken {
            self.complete(parts.settings, report, Status::LocalProtection);
            return Verdict::Fail(Event::Fatal);
        }
        Verdict::Continue
    }
}
