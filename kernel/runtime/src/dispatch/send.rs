//! Telling another core something, and having it look.

use crate::cpu;
use crate::cpu::cores;
use crate::cpu::local::Local;
use crate::cpu::message::{CALLS, Message, Neighbour};
use crate::dispatch::section::Section;
use core::sync::atomic::Ordering::Acquire;
use reflex_across::{Full, Sent};
use reflex_arch::core_words;
use reflex_event::{Error, EventId, Priority};

/// Whether a name that is of a core is of another than this.
#[inline(always)]
pub(crate) fn is_elsewhere(core: u32) -> bool {
    core != core_words::number()
}

/// What this core has to do with another, if there is that.
pub(crate) fn neighbour(core: u32) -> Option<&'static Local<Neighbour>> {
    let place = cpu::this().neighbours.get(core as usize)?;
    // SAFETY: the pointers that are not null are those of `entry::cores`, to values that live for ever.
    unsafe { place.load(Acquire).as_ref() }
}

/// Has an event of another core's occur there. What the activation leads to is for that core to decide; an event
/// that has ended has nobody to be told.
///
/// # Errors
/// [`Error::Stale`] when there is no such core, [`Error::CoreBusy`] when as many messages wait for it as may.
#[cold]
#[inline(never)]
pub(crate) fn activate(cs: &Section, event: EventId, count: u32) -> Result<(), Error> {
    let neighbour = neighbour(event.core()).ok_or(Error::Stale)?;
    // What priority it has only its core knows.
    let sent = neighbour.with(cs, |neighbour| {
        neighbour.port.send(Message::Activate { event, count }, Priority::HIGHEST, ())
    });
    note(event.core(), sent).map_err(|_| Error::CoreBusy)
}

/// Asks another core for work, which answers with [`Message::Done`].
///
/// # Errors
/// [`Error::NoCore`], [`Error::CoreBusy`]; and the message, which is to be dropped outside of sections.
pub(crate) fn call(
    cs: &Section,
    core: u32,
    message: Message,
    priority: Priority,
) -> Result<(), (Error, Message)> {
    let Some(neighbour) = neighbour(core) else { return Err((Error::NoCore, message)) };
    let sent = neighbour.with(cs, |neighbour| {
        if neighbour.calls == CALLS {
            return Err(Full(message));
        }
        let sent = neighbour.port.send(message, priority, ())?;
        neighbour.calls += 1;
        Ok(sent)
    });
    note(core, sent).map_err(|Full(message)| (Error::CoreBusy, message))
}

/// Tells another core that work is done for which its `event` waits.
pub(crate) fn done(cs: &Section, event: EventId) {
    let Some(neighbour) = neighbour(event.core()) else { return };
    let sent = neighbour.with(cs, |neighbour| {
        neighbour.port.answer(Message::Done { event }, Priority::HIGHEST, ())
    });
    // A place is kept for each call that was let through.
    let sent = note(event.core(), sent);
    debug_assert!(sent.is_ok(), "an answer was refused");
}

/// Interrupts a core that has been sent something, if that is due.
fn note(core: u32, sent: Result<Sent, Full<Message>>) -> Result<(), Full<Message>> {
    if sent?.interrupt {
        interrupt(core);
    }
    Ok(())
}

/// Has a core look at what it was sent.
pub(crate) fn interrupt(core: u32) {
    if let Some((apic, vector)) = cores::seat(core).map(cores::Seat::reached_by) {
        cpu::this().clockwork.apic.get().send(apic, vector);
    }
}
