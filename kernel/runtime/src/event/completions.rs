//! Completion rings: events that are taken in batches, not called (K-4).
//!
//! A ring is a context that runs no handlers. Its activations queue by priority, as many as there
//! are registrations, so that none is ever lost; readers take them through a ring of fixed size,
//! which is filled from the queue in its order. What does not fit waits behind it.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::{create, policy, registry};
use crate::cpu::local::Local;
use crate::cpu::loose::Loose;
use crate::cpu::options::ContextOptions;
use crate::cpu::runtime::Runtime;
use crate::dispatch::event_core::{borrow_core, note, note_if_due, timestamp, with_core};
use crate::dispatch::section::section;
use crate::dispatch::send;
use crate::event::table;
use reflex_event::{Activation, ContextId, Error, EventId, Executor, Registration};
use reflex_memory::completion::{CompletionRing, Producer, Reader};

/// Activations that are moved from the queue into the ring in one go, and taken in another.
const STEP: usize = 4;

/// An activation as the ring carries it: the event's word, and the count.
type Entry = [u64; 2];

/// A completion ring. Copies are readers of the same ring.
#[derive(Clone, Copy)]
pub struct Completions {
    context: ContextId,
    reader: Reader<'static, Entry>,
    producer: &'static Local<Producer<'static, Entry>>,
    /// Places of the ring.
    size: usize,
}

impl Completions {
    /// Makes a ring of `N` places, a power of two. `options` says what it is called, how much
    /// memory its registrations may take, and its limits; it needs no stack.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] when its maker may not use rings; those of making a context.
    pub fn new<const N: usize>(_: Runtime, options: ContextOptions) -> Result<Self, Error> {
        policy::permit_running(Executor::Ring)?;
        let context = create::add(ContextOptions { stack: 0, ..options }, ())?.id();
        let (pool, _) = section(|cs| registry::state_and_pool(cs, context))?;
        let ring = pool.alloc(CompletionRing::<Entry, N>::new());
        let (producer, reader) = ring.map_err(|_| Error::OutOfMemory)?.leak().split();
        let producer = pool.alloc(Local::new(producer)).map_err(|_| Error::OutOfMemory)?.leak();
        let ring = Self { context, reader, producer, size: N };
        ring.notify(None)?;
        Ok(ring)
    }

    /// Registers an event with activations that come into the ring.
    ///
    /// # Errors
    /// Those of [`EventSystem::register`](reflex_event::EventSystem::register).
    pub fn register(&self, registration: Registration) -> Result<EventId, Error> {
        let (pool, _) = section(|cs| registry::state_and_pool(cs, self.context))?;
        table::register(self.context, registration, Loose::nothing(pool)?)
    }

    /// From now on `event` is activated when there is something to take, after a reader has found
    /// less than it asked for. `None` stops that.
    ///
    /// # Errors
    /// [`Error::NoContext`].
    pub fn notify(&self, event: Option<EventId>) -> Result<(), Error> {
        section(|cs| {
            note(with_core(cs, |core| core.set_taken(self.context, event, timestamp()))?);
            Ok(())
        })
    }

    /// Takes the activations that come first, by priority and arrival, into the first places of
    /// `into`. Returns how many; fewer than there are places when nothing is left.
    pub fn take(&self, into: &mut [Option<Activation>]) -> usize {
        let mut taken = 0;
        while taken < into.len() {
            let mut entries = [None; STEP];
            let room = (into.len() - taken).min(STEP);
            let count = self.reader.take(&mut entries[..room]);
            let places = into[taken..].iter_mut();
            for (place, &[event, count]) in places.zip(entries.iter().flatten()) {
                *place = Some(Activation { event: EventId::from_word(event), count: count as u32 });
            }
            taken += count;
            if count == 0 && !self.fill() {
                break;
            }
        }
        taken
    }

    /// Moves activations from the queue into the ring; false when there was none to move, or no
    /// room.
    fn fill(&self) -> bool {
        // On another core there is what the ring holds, and no more.
        let is_here = !send::is_elsewhere(self.context.core());
        is_here && (0..STEP).take_while(|_| self.fill_one()).count() > 0
    }

    fn fill_one(&self) -> bool {
        section(|cs| {
            let mut producer = self.producer.borrow(cs);
            if producer.len() == self.size {
                return false;
            }
            let mut core = borrow_core(cs);
            // The context is a ring's, so its activations can be taken.
            let Ok(Some(activation)) = core.dequeue(self.context) else { return false };
            let entry = [activation.event.into_word(), u64::from(activation.count)];
            // There is room: only the producer fills the ring.
            let moved = producer.push(entry).is_ok();
            // What was taken may have lent its priority to a context that excludes the ring.
            note_if_due(&core);
            moved
        })
    }
}
