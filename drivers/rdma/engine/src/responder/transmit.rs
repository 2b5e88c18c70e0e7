//! Emitting the replies that are due.

use super::replies::Reply;
use super::resources::Asked;
use super::{Responder, Verdict};
use crate::settings::Settings;
use crate::{Counters, Event, Gather, Outgoing, Refusal, Segment, State, Transmit, TransmitError};
use reflex_rdma_wire::{
    Aeth, AtomicAckEth, Credits, Extension, Nak, Opcode, Position, Psn, Syndrome,
};

impl Responder {
    /// Emits replies, at most `left` packets, which it counts down.
    #[inline]
    pub(crate) fn transmit<T: Transmit>(
        &mut self,
        settings: &Settings,
        state: State,
        left: &mut u32,
        port: &mut T,
        counters: &mut Counters,
    ) -> Verdict {
        while *left != 0 {
            let result = match self.replies.front() {
                None => break,
                Some(Reply::Acknowledge { psn, aeth }) => {
                    let extension = Extension::Aeth(aeth);
                    let opcode = Opcode::RcAcknowledge;
                    *left -= 1;
                    emit(settings, opcode, psn, extension, Gather::EMPTY, port)
                }
                Some(Reply::Answer { resource, msn }) => {
                    self.emit_answer(settings, resource, msn, left, port)
                }
            };
            match result {
                Ok(true) => self.replies.pop(),
                Ok(false) => break,
                Err(TransmitError::Full) => break,
                Err(TransmitError::Memory) => {
                    counters.count(Refusal::ReadMemory);
                    self.refuse_answer(counters);
                    if state != State::Err {
                        return Verdict::Fail(Event::AccessRefused);
                    }
                }
            }
        }
        Verdict::Continue
    }

    /// The region went away while it was being read: the peer is told so, and nothing else.
    #[cold]
    fn refuse_answer(&mut self, counters: &mut Counters) {
        let front = self.replies.front();
        self.replies.clear();
        let Some(Reply::Answer { resource, msn }) = front else { return };
        let Some(resource) = self.resources.get_mut(resource) else { return };
        let psn = resource.first.plus(resource.cursor);
        resource.is_due = false;
        counters.naks = counters.naks.saturating_add(1);
        let syndrome = Syndrome::Nak(Nak::RemoteAccessError);
        self.replies.acknowledge(psn, Aeth { syndrome, msn });
    }

    /// Emits packets of an answer. True when it is through.
    #[inline]
    fn emit_answer<T: Transmit>(
        &mut self,
        settings: &Settings,
        index: u8,
        msn: u32,
        left: &mut u32,
        port: &mut T,
    ) -> Result<bool, TransmitError> {
        let aeth = Aeth { syndrome: Syndrome::Ack(Credits::UNLIMITED), msn };
        let Some(resource) = self.resources.get_mut(index) else { return Ok(true) };
        while resource.cursor < resource.end {
            if *left == 0 {
                return Ok(false);
            }
            let cursor = resource.cursor;
            let psn = resource.first.plus(cursor);
            match resource.asked {
                Asked::Atomic { original } => {
                    let extension = Extension::AethAtomicAck(aeth, AtomicAckEth { original });
                    let opcode = Opcode::RcAtomicAcknowledge;
                    emit(settings, opcode, psn, extension, Gather::EMPTY, port)?;
                }
                Asked::Read { place, length, .. } => {
                    let position = match (cursor == 0, cursor + 1 == resource.packets) {
                        (true, true) => Position::Only,
                        (true, false) => Position::First,
                        (false, false) => Position::Middle,
                        (false, true) => Position::Last,
                    };
                    let extension = match position {
                        Position::Middle => Extension::None,
                        _ => Extension::Aeth(aeth),
                    };
                    let skip = cursor << settings.mtu.shift();
                    let here = (length - skip).min(settings.mtu.bytes() as u32);
                    let segment = [Segment { region: place.region, offset: place.offset, length }];
                    let payload =
                        if here == 0 { Gather::EMPTY } else { Gather::new(&segment, skip, here) };
                    let opcode = Opcode::read_response(position);
                    emit(settings, opcode, psn, extension, payload, port)?;
                }
            }
            *left -= 1;
            resource.cursor = cursor + 1;
        }
        (resource.is_due, resource.is_answered) = (false, true);
        Ok(true)
    }
}

#[inline]
fn emit<T: Transmit>(
    settings: &Settings,
    opcode: Opcode,
    psn: Psn,
    extension: Extension,
    payload: Gather<'_>,
    port: &mut T,
) -> Result<bool, TransmitError> {
    let bth = settings.bth(opcode, psn);
    let envelope = &settings.envelope;
    port.transmit(&Outgoing { envelope, bth, extension, payload })?;
    Ok(true)
}
