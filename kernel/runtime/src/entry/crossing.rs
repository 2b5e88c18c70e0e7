//! What a core is told by others: a job takes it, and a context of the kernel's does what takes longer.

use crate::context::create;
use crate::cpu;
use crate::cpu::cores::{self, Seat};
use crate::cpu::job::Job;
use crate::cpu::message::{Call, Message};
use crate::cpu::options::{ContextOptions, Origin};
use crate::cpu::runtime::Runtime;
use crate::dispatch::event_core::{note, with_core};
use crate::dispatch::section::{Section, section};
use crate::dispatch::send;
use crate::dispatch::vector::Vector;
use crate::event::activate::activate_deferred;
use reflex_across::Senders;
use reflex_arch::core_words;
use reflex_event::{Accumulation, Error, EventSystem, Registration};

/// Messages of one core that are taken before others have their turn.
const TURN: usize = 16;

/// Has this core take what others tell it, from its next job on.
///
/// # Errors
/// Those of making a context.
pub(crate) fn begin(apic: u32) -> Result<(), Error> {
    let own = cores::seat(core_words::number()).ok_or(Error::NotAllowed)?;
    let options =
        ContextOptions { origin: Origin::System, memory: 4 << 10, ..ContextOptions::new("core") };
    let context = create::add(options, ())?;
    let registration = Registration { accumulation: Accumulation::Each, ..Registration::default() };
    let event = Runtime::KERNEL.register(context, registration, |(), _| serve())?;
    let job = Job::in_section(move |outermost| receive(outermost, own))?;
    section(|cs| {
        cpu::this().calls.with(cs, |calls| {
            calls.event = Some(event);
            calls.job = Some(job);
        });
    });
    let vector = Vector::reserve()?;
    vector.post(job, None);
    own.set_reached_by(apic, vector.number());
    section(|_| job.post());
    Ok(())
}

/// Takes what has been sent, and comes again when there is more.
fn receive(cs: &Section, own: &Seat) {
    let mut left = Senders::NONE;
    // What runs here says nothing of itself, which would cost each dispatch some instructions: as if it slept, the core is
    // interrupted by the first of the messages that come until it looks again, whatever their priority.
    for core in own.bell().sleep() {
        let Some(neighbour) = send::neighbour(core as u32) else { continue };
        for _ in 0..TURN {
            let Some(message) = neighbour.with(cs, |neighbour| neighbour.port.take()) else {
                break;
            };
            if let Message::Done { .. } = message {
                neighbour.with(cs, |neighbour| neighbour.calls -= 1);
            }
            carry_out(cs, message);
        }
        let served = neighbour.with(cs, |neighbour| neighbour.port.finish(|()| {}));
        if served.interrupt {
            send::interrupt(core as u32);
        }
        if served.left {
            left.insert(core);
        }
        if served.room {
            // Interrupts' firings may have been refused, and kept.
            cpu::this().interrupt_queue.get().post();
        }
    }
    if !left.is_empty() {
        own.bell().put_back(left);
        let job = cpu::this().calls.with(cs, |calls| calls.job);
        job.into_iter().for_each(Job::post);
    }
}

fn carry_out(cs: &Section, message: Message) {
    match message {
        // A stale event has been unregistered meanwhile, and a full counter says as much as a counter can.
        Message::Activate { event, count } => drop(activate_deferred(cs, event, count)),
        Message::Done { event } => drop(activate_deferred(cs, event, 1)),
        Message::Call(call) => take(cs, call),
    }
}

/// Has a call done by the kernel's context, at the highest priority of those that wait for it.
fn take(cs: &Section, call: Call) {
    let (event, urgent) = cpu::this().calls.with(cs, |calls| {
        calls.urgent =
            if calls.taken.is_empty() { call.priority } else { calls.urgent.max(call.priority) };
        calls.taken.push_back(call);
        (calls.event, calls.urgent)
    });
    let Some(event) = event else { return };
    if let Ok(outcome) = with_core(cs, |core| core.set_priority(event, urgent)) {
        note(outcome);
    }
    let _ = activate_deferred(cs, event, 1);
}

/// Does the call that was taken first.
fn serve() {
    let call = section(|cs| cpu::this().calls.with(cs, |calls| calls.taken.pop_front()));
    if let Some(call) = call {
        (call.work)();
    }
}
