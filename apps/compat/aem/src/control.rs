//! `evctl`: control of an event by its identifier.

use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{DisabledPolicy, Error, EventId, Info, Priority, Runtime, System};

/// Does `operation` to an event. Legal in any handler, the event's own included.
///
/// # Errors
/// [`EventError::Stale`](reflex::EventError::Stale) when the event has ended; those of the operation.
pub fn evctl<O: Operation>(
    system: System,
    event: EventId,
    operation: O,
) -> Result<O::Answer, Error> {
    operation.apply(raw::kernel(system), event)
}

/// What can be done to an event.
pub trait Operation {
    /// What it answers.
    type Answer;

    /// Does it.
    ///
    /// # Errors
    /// As [`evctl`].
    fn apply(self, kernel: Runtime, event: EventId) -> Result<Self::Answer, Error>;
}

macro_rules! operation {
    ($(#[$doc:meta])* $name:ident $(<$parameter:ident: $bound:path>)?
     $(($value:ident: $type:ty))? -> $answer:ty, |$kernel:ident, $event:ident| $apply:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name $(<$parameter>)? $((pub $type))?;

        impl $(<$parameter: $bound>)? Operation for $name $(<$parameter>)? {
            type Answer = $answer;

            fn apply(self, $kernel: Runtime, $event: EventId) -> Result<$answer, Error> {
                $(let Self($value) = self;)?
                Ok($apply?)
            }
        }
    };
}

operation!(
    /// Enables a disabled event. Answers how many occurrences were counted meanwhile that its
    /// handler is not told of.
    Enable -> u32, |kernel, event| kernel.enable(event)
);
operation!(
    /// Keeps the event's handler from being run until it is enabled; says what becomes of
    /// occurrences meanwhile, and of those that are pending.
    Disable(meanwhile: DisabledPolicy) -> (), |kernel, event| kernel.disable(event, meanwhile)
);
operation!(
    /// From now on occurrences count only if this, which is told how many there are at once, says
    /// so. It is asked where the event is activated, with dispatch deferred: it is to be short. What
    /// goes wrong in it is the failure of the event's context; see [`Runtime::filter`].
    Filter<F: Predicate>(filter: F) -> (), |kernel, event| kernel.filter(event, filter)
);
operation!(
    /// Looks the event up: its owner, its priority, whether it is disabled, what is pending.
    LookUp -> Info, |kernel, event| kernel.look_up(event)
);
operation!(
    /// Sets, or lifts, the time in which the event is to occur, from now on and from each
    /// occurrence on. When it does not, its handler is told so, once.
    SetTimeOut(within: Option<Duration>) -> (), |kernel, event| kernel.set_time_out(event, within)
);
operation!(
    /// Forgets what is pending; answers how many occurrences that were. Connections that wait to be
    /// accepted, and what a socket has received, are not lost by it.
    Clean -> u32, |kernel, event| kernel.clean(event)
);
operation!(
    /// Changes the priority of the handler's runs; what is pending moves with it.
    SetPriority(priority: Priority) -> (), |kernel, event| kernel.set_priority(event, priority)
);
operation!(
    /// Ends the registration; answers how many occurrences its handler was not told of.
    Unregister -> u32, |kernel, event| kernel.cancel(event)
);

/// What [`Filter`] takes: a function of a number of occurrences.
pub trait Predicate: Fn(u32) -> bool + Send + 'static {}

impl<F: Fn(u32) -> bool + Send + 'static> Predicate for F {}
