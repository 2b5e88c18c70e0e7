//! What goes between the server's context and those of the handlers.
//!
//! ```text
//!   server's context                                            a handler's context
//!     call ───▶ the slot's call, in its route's list ──▶ take     (an activation each)
//!     next_answer ◀── the slot's answers, in one list ◀── answer  (one activation for all that wait)
//! ```
//!
//! A connection has one call at a time, so a slot each is all the room there has to be: nothing is refused for want
//! of it. What was called on behalf of a connection that is gone is known by its generation.

use crate::http::list::{Links, List};
use crate::http::{Answered, Call, Unavailable};
use crate::{Error, EventError};
use alloc::boxed::Box;
use reflex_event::{Ceiling, EventId, EventSystem as _, Owner};
use reflex_memory::{Lent, Pool};
use reflex_runtime::Runtime;
use spin::Once;

/// The memory of a request.
pub(super) type Block = Lent<[u8]>;

/// The calls of one server. It is there for good.
pub(crate) struct Calls {
    pub(super) kernel: Runtime,
    state: Ceiling<State>,
    /// Takes the answers, in the server's context.
    pub(super) answered: Once<EventId>,
    /// Where requests lie: the server's event memory.
    pub(super) pool: Once<&'static Pool>,
}

struct State {
    slots: Box<[Slot]>,
    called: Links,
    routes: Box<[Line]>,
    waiting: Links,
    answered: List,
}

/// What there is of the connection in a slot.
#[derive(Default)]
struct Slot {
    /// Which of all requests that the slot has had.
    generation: u32,
    call: Option<Call<Block>>,
    /// The handler is done with what it was given.
    ready: bool,
    answer: Option<Answered>,
    /// It is in the list of those with answers.
    is_waiting: bool,
}

/// A route.
struct Line {
    receiver: Option<Receiver>,
    calls: List,
}

#[derive(Clone, Copy)]
struct Receiver {
    event: EventId,
    owner: Owner,
}

/// A call, on its way into a handler.
pub(super) struct Taken {
    pub(super) key: Key,
    pub(super) call: Call<Block>,
    /// More wait, and the route's event could not be activated for them.
    pub(super) again: bool,
}

/// Which request a call or an answer is of.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) calls: &'static Calls,
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// The client is gone, or was told that it took too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gone;

impl core::fmt::Display for Gone {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the client is not waiting for it any more")
    }
}

impl core::error::Error for Gone {}

impl Calls {
    pub(super) fn new(kernel: Runtime, slots: usize, routes: usize) -> Self {
        let state = State {
            slots: (0..slots).map(|_| Slot::default()).collect(),
            called: Links::new(slots),
            routes: (0..routes).map(|_| Line { receiver: None, calls: List::EMPTY }).collect(),
            waiting: Links::new(slots),
            answered: List::EMPTY,
        };
        Self { kernel, state: Ceiling::new(state), answered: Once::new(), pool: Once::new() }
    }

    /// Has a handler called.
    pub(super) fn call(&self, slot: usize, call: Call<Block>) -> Result<(), Unavailable> {
        // One section: nothing comes between the list and the activation.
        self.kernel.section(|| {
            let route = call.route();
            let event = self.state.within(|state| state.push(slot, call)).ok_or(Unavailable)?;
            let refused = self.kernel.activate(event, 1).is_err();
            if refused {
                // The context has been given up, or may not have one more activation.
                let _: Option<Call<Block>> = self.state.within(|state| state.withdraw(slot, route));
                return Err(Unavailable);
            }
            Ok(())
        })
    }

    /// What was called on behalf of a slot is of no use any more.
    pub(super) fn gone(&self, slot: usize) {
        let dropped = self.state.with(&self.kernel, |state| {
            let there = &mut state.slots[slot];
            there.generation = there.generation.wrapping_add(1);
            there.ready = false;
            let answer = there.answer.take();
            let route = there.call.as_ref().map(Call::route);
            (answer, route.and_then(|route| state.withdraw(slot, route)))
        });
        drop(dropped);
    }

    /// Attaches a route's handler, and has it called for what waits.
    ///
    /// # Errors
    /// [`EventError::Exclusive`] when it has one.
    pub(super) fn attach(&self, route: usize, event: EventId, owner: Owner) -> Result<(), Error> {
        let kernel = &self.kernel;
        let waiting = self.state.with(kernel, |state| {
            let line = &mut state.routes[route];
            if line.receiver.is_some_and(|there| there.owner.is_alive(kernel)) {
                return Err(EventError::Exclusive);
            }
            line.receiver = Some(Receiver { event, owner });
            Ok(!line.calls.is_empty())
        })?;
        if waiting {
            kernel.activate(event, 1)?;
        }
        Ok(())
    }

    /// Takes the call of a route that came first. When more wait its event is activated again, so that others of its
    /// priority run in between; unless a limit of the context forbids that.
    pub(super) fn take(&'static self, route: usize, event: EventId) -> Option<Taken> {
        let (slot, generation, call, more) = self.state.with(&self.kernel, |state| {
            let line = &mut state.routes[route];
            let slot = line.calls.pop(&mut state.called)?;
            let more = !line.calls.is_empty();
            let there = &mut state.slots[slot as usize];
            Some((slot, there.generation, there.call.take()?, more))
        })?;
        let refused =
            more && self.kernel.activate(event, 1).is_err_and(|it| it != EventError::Stale);
        Some(Taken { key: Key { calls: self, slot, generation }, call, again: refused })
    }

    /// The next answer for the server.
    pub(super) fn next_answer(&self) -> Option<(usize, Answered)> {
        self.state.with(&self.kernel, |state| {
            loop {
                let slot = state.answered.pop(&mut state.waiting)?;
                let there = &mut state.slots[slot as usize];
                there.is_waiting = false;
                let answer = if core::mem::take(&mut there.ready) {
                    Some(Answered::Ready)
                } else {
                    there.answer.take()
                };
                if there.answer.is_some() {
                    there.is_waiting = true;
                    state.answered.push(slot, &mut state.waiting);
                }
                if let Some(answer) = answer {
                    return Some((slot as usize, answer));
                }
            }
        })
    }
}

impl Key {
    /// Answers.
    ///
    /// # Errors
    /// [`Gone`], and what was answered is dropped.
    pub(super) fn answer(self, answered: Answered) -> Result<(), Gone> {
        let Calls { kernel, state, answered: event, .. } = self.calls;
        let result = state.with(kernel, |state| {
            let there = &mut state.slots[self.slot as usize];
            if there.generation != self.generation {
                return Err(answered);
            }
            match answered {
                Answered::Ready => there.ready = true,
                // Only the first counts.
                answer if there.answer.is_some() => return Err(answer),
                answer => there.answer = Some(answer),
            }
            if core::mem::replace(&mut there.is_waiting, true) {
                return Ok(false);
            }
            let was_empty = state.answered.is_empty();
            state.answered.push(self.slot, &mut state.waiting);
            Ok(was_empty)
        });
        match result {
            Ok(first) => {
                if first && let Some(event) = event.get() {
                    // Registered for good; a full counter says enough.
                    let _ = kernel.activate(*event, 1);
                }
                Ok(())
            }
            Err(_) => Err(Gone),
        }
    }

    /// Whether the client is waiting.
    pub(super) fn is_open(self) -> bool {
        let Calls { kernel, state, .. } = self.calls;
        state.with(kernel, |state| state.slots[self.slot as usize].generation == self.generation)
    }
}

impl State {
    fn push(&mut self, slot: usize, call: Call<Block>) -> Option<EventId> {
        let line = &mut self.routes[call.route()];
        let event = line.receiver?.event;
        let there = &mut self.slots[slot];
        if matches!(call, Call::Request(_)) {
            there.generation = there.generation.wrapping_add(1);
            (there.ready, there.answer) = (false, None);
        }
        there.call = Some(call);
        line.calls.push(slot as u32, &mut self.called);
        Some(event)
    }

    /// Takes back a call that no handler has taken.
    fn withdraw(&mut self, slot: usize, route: usize) -> Option<Call<Block>> {
        let call = self.slots[slot].call.take()?;
        self.routes[route].calls.remove(slot as u32, &mut self.called);
        Some(call)
    }
}
