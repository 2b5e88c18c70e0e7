//! What an application says when it registers, what its handler is told, and what can go wrong.

use crate::{EventId, Priority};
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
    /// Occurrences this run stands for, at least 1.
    pub count: u32,
}

/// Why the event system refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The identifier names no live registration, timer or context.
    Stale,
    /// The context's state is of another type than the handler's.
    WrongState,
    /// The table of registrations, timers or contexts is full.
    TableFull,
    /// The owner's event memory is exhausted.
    OutOfMemory,
    /// The global heap could not grow the kernel's tables.
    HeapExhausted,
    /// Occurrences are pending up to the counter's range; this one was not counted.
    Overrun,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => "the identifier names nothing that is registered now",
            Self::WrongState => "the context's state has another type than the handler expects",
            Self::TableFull => "the kernel's table has no free place",
            Self::OutOfMemory => "the context's event memory is exhausted",
            Self::HeapExhausted => "the global heap is exhausted",
            Self::Overrun => "more occurrences are pending than can be counted",
        })
    }
}

impl core::error::Error for Error {}
