//! What an application says when it registers, what its handler is told, and what can go wrong.

use crate::{ContextId, EventId, Priority};
use core::fmt;

/// What becomes of occurrences that arrive before the handler ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accumulation {
    /// One run of the handler for each occurrence; `Activation::count` is 1. After each run the
    /// event goes behind the others of its priority, so that none is starved.
    Each,
    /// One run for all that have occurred; `Activation::count` says how many.
    Count,
}

/// How an event is to be served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registration {
    /// The priority of its activations.
    pub priority: Priority,
    /// What becomes of occurrences that pile up.
    pub accumulation: Accumulation,
}

impl Default for Registration {
    fn default() -> Self {
        Self { priority: Priority::DEFAULT, accumulation: Accumulation::Count }
    }
}

/// What a handler is told of the occurrence it runs for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Activation {
    /// The registration that was activated.
    pub event: EventId,
    /// Occurrences this run stands for; 0 when the event did not occur in time.
    pub count: u32,
}

impl Activation {
    /// Whether the handler runs because the event did not occur in time.
    pub const fn timed_out(self) -> bool {
        self.count == 0
    }
}

/// What becomes of what a disabled event has pending, and of its occurrences meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DisabledPolicy {
    /// They wait, and are delivered when the event is enabled again.
    Keep,
    /// They are counted, told to the caller that enables the event, and not delivered.
    Count,
    /// They are forgotten.
    Discard,
}

/// What a registration is at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// The context that has the handler.
    pub context: ContextId,
    /// How it is served.
    pub registration: Registration,
    /// How it is disabled, if it is.
    pub disabled: Option<DisabledPolicy>,
    /// Occurrences its handler has not been told of.
    pub pending: u32,
    /// Its handler is on its context's stack.
    pub runs: bool,
}

/// What becomes of activations beyond those a context may have queued at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OverflowPolicy {
    /// They wait in order of arrival until others have been served.
    Wait,
    /// They are dropped, and counted.
    Shed,
}

/// How much of the event system a context may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Live registrations.
    pub registrations: u32,
    /// Registrations with activations queued at a time; at least 1.
    pub activations: u32,
    /// What becomes of more.
    pub overload: OverflowPolicy,
}

impl Limits {
    /// As much as there is.
    pub const NONE: Self =
        Self { registrations: u32::MAX, activations: u32::MAX, overload: OverflowPolicy::Wait };

    /// The lower of each limit: what a child may have that asks for `self`.
    #[must_use]
    pub fn within(self, parent: Self) -> Self {
        Self {
            registrations: self.registrations.min(parent.registrations),
            activations: self.activations.min(parent.activations),
            overload: self.overload,
        }
    }
}

/// Why the event system refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The identifier names no live registration or timer.
    Stale,
    /// The name is of no context, or of one that has ended.
    NoContext,
    /// The context's state is of another type than the handler's, or has been replaced since.
    WrongState,
    /// What is named is another context's.
    Foreign,
    /// The table of registrations or timers is full.
    TableFull,
    /// There are as many contexts as there can be.
    TooManyContexts,
    /// A limit of the context does not allow one more.
    LimitReached,
    /// The context's policy does not allow it.
    NotAllowed,
    /// Somebody has registered for it already, and it goes to one only.
    Exclusive,
    /// The owner's event memory is exhausted.
    OutOfMemory,
    /// The global heap could not grow the kernel's tables.
    HeapExhausted,
    /// Occurrences are pending up to the counter's range; this one was not counted.
    Overrun,
    /// The context cannot do this now: it runs, or it has ended.
    Busy,
    /// The place has been given to another as often as its names can tell apart.
    UsedUp,
    /// There is no core of that number.
    NoCore,
    /// It is another core's, and can only be done there.
    OtherCore,
    /// As many messages, or calls, wait for the other core as may.
    CoreBusy,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => "the identifier names nothing that is registered now",
            Self::NoContext => "there is no such context, or it has ended",
            Self::WrongState => "the context's state is not the one that the handler is for",
            Self::Foreign => "what is named is another context's",
            Self::TableFull => "the kernel's table has no free place",
            Self::TooManyContexts => "there are as many contexts as there can be",
            Self::LimitReached => "a limit of the context does not allow one more",
            Self::NotAllowed => "the context's policy does not allow it",
            Self::Exclusive => "somebody has registered for it already, and it goes to one only",
            Self::OutOfMemory => "the context's event memory is exhausted",
            Self::HeapExhausted => "the global heap is exhausted",
            Self::Overrun => "more occurrences are pending than can be counted",
            Self::Busy => "the context cannot do this now",
            Self::UsedUp => "the place has been given to another as often as is possible",
            Self::NoCore => "there is no core of that number",
            Self::OtherCore => "it belongs to another core, and can only be done there",
            Self::CoreBusy => "as many messages wait for the other core as may",
        })
    }
}

impl core::error::Error for Error {}
