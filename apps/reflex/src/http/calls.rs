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
use crate::http::{Answered, Call, Route, Unavailable};
use crate::{Error, EventError};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
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
    /// The handler is to be told of room, too.
    room_called: bool,
    /// The route that has the slot in its list, since there is something to call its handler with.
    queued: Option<usize>,
    /// The handler has yet to say that the next piece may come.
    owes_ready: bool,
    /// The handler is done with what it was given.
    ready: bool,
    answer: Option<Answered>,
    /// The reply has been given.
    replied: bool,
    /// A piece of a streamed reply may be given.
    has_room: bool,
    /// The route with a handler that keeps something of the request.
    kept_by: Option<usize>,
    /// It is in the list of those with answers.
    is_waiting: bool,
}

/// A route.
struct Line {
    receiver: Option<Receiver>,
    calls: List,
    /// Slots with requests that are over, and of which the handler keeps something; none of a route without pieces.
    /// Each is there once at most, since the next request of the slot is taken after it.
    ended: VecDeque<u32>,
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
    pub(super) fn new(kernel: Runtime, slots: usize, routes: &[Route]) -> Self {
        let line = |route: &Route| {
            let ended = VecDeque::with_capacity(if route.is_in_pieces() { slots } else { 0 });
            Line { receiver: None, calls: List::EMPTY, ended }
        };
        let state = State {
            slots: (0..slots).map(|_| Slot::default()).collect(),
            called: Links::new(slots),
            routes: routes.iter().map(line).collect(),
            waiting: Links::new(slots),
            answered: List::EMPTY,
        };
        Self { kernel, state: Ceiling::new(state), answered: Once::new(), pool: Once::new() }
    }

    /// Has a handler called.
    pub(super) fn call(&self, slot: usize, call: Call<Block>) -> Result<(), Unavailable> {
        // One section: nothing comes between the list and the activation.
        self.kernel.section(|| {
            let event = self.state.within(|state| state.push(slot, call)).ok_or(Unavailable)?;
            if self.kernel.activate(event, 1).is_err() {
                // The context has been given up, or may not have one more activation.
                self.state.within(|state| state.withdraw(slot));
                return Err(Unavailable);
            }
            Ok(())
        })
    }

    /// What was called on behalf of a slot is of no use any more.
    pub(super) fn gone(&self, slot: usize) {
        let (answer, call, event) = self.state.with(&self.kernel, |state| {
            let there = &mut state.slots[slot];
            there.generation = there.generation.wrapping_add(1);
            there.ready = false;
            let answer = there.answer.take();
            let keeper = there.kept_by.take();
            let call = state.withdraw(slot);
            let event = keeper.and_then(|keeper| {
                let line = &mut state.routes[keeper];
                line.ended.push_back(slot as u32);
                line.receiver.map(|receiver| receiver.event)
            });
            (answer, call, event)
        });
        drop((answer, call));
        if let Some(event) = event {
            // When the context has been given up, what it kept has ended with it.
            let _ = self.kernel.activate(event, 1);
        }
    }

    /// The next slot with a request that is over, and of which the handler of a route keeps something.
    pub(super) fn next_ended(&self, route: usize) -> Option<usize> {
        self.state
            .with(&self.kernel, |state| state.routes[route].ended.pop_front())
            .map(|slot| slot as usize)
    }

    /// How many connections there may be.
    pub(super) fn slots(&self) -> usize {
        self.state.with(&self.kernel, |state| state.slots.len())
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
            // What the context kept in an earlier life has ended with that.
            line.ended.clear();
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
            let there = &mut state.slots[slot as usize];
            there.queued = None;
            let call = match core::mem::take(&mut there.room_called) {
                true => Call::Room { route },
                false => there.call.take()?,
            };
            if there.call.is_some() {
                there.queued = Some(route);
                line.calls.push(slot, &mut state.called);
            }
            // Of a route without pieces nothing is kept.
            if line.ended.capacity() > 0 && !matches!(call, Call::Room { .. }) {
                (there.kept_by, there.owes_ready) = (Some(route), true);
            }
            Some((slot, there.generation, call, !line.calls.is_empty()))
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
            let in_turn = match answered {
                Answered::Ready => core::mem::take(&mut there.owes_ready),
                Answered::Piece { .. } => core::mem::take(&mut there.has_room),
                // Only the first counts.
                _ => !core::mem::replace(&mut there.replied, true),
            };
            if !in_turn {
                return Err(answered);
            }
            match answered {
                Answered::Ready => there.ready = true,
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

    /// Whether a piece may be given.
    pub(super) fn has_room(self) -> bool {
        let Calls { kernel, state, .. } = self.calls;
        state.with(kernel, |state| {
            let there = &state.slots[self.slot as usize];
            there.generation == self.generation && there.has_room
        })
    }

    /// Whether the client is waiting.
    pub(super) fn is_open(self) -> bool {
        let Calls { kernel, state, .. } = self.calls;
        state.with(kernel, |state| state.slots[self.slot as usize].generation == self.generation)
    }
}

impl State {
    fn push(&mut self, slot: usize, call: Call<Block>) -> Option<EventId> {
        let route = call.route();
        let line = &mut self.routes[route];
        let event = line.receiver?.event;
        let there = &mut self.slots[slot];
        match call {
            Call::Request(_) => {
                there.generation = there.generation.wrapping_add(1);
                (there.ready, there.answer) = (false, None);
                (there.replied, there.has_room, there.owes_ready) = (false, false, false);
                there.call = Some(call);
            }
            Call::Room { .. } => (there.has_room, there.room_called) = (true, true),
            Call::Piece { .. } => there.call = Some(call),
        }
        if there.queued.is_none() {
            there.queued = Some(route);
            line.calls.push(slot as u32, &mut self.called);
        }
        Some(event)
    }

    /// Takes back what no handler has been called with yet.
    fn withdraw(&mut self, slot: usize) -> Option<Call<Block>> {
        let there = &mut self.slots[slot];
        there.room_called = false;
        if let Some(route) = there.queued.take() {
            self.routes[route].calls.remove(slot as u32, &mut self.called);
        }
        there.call.take()
    }
}
