//! `evtimer`: periodic timers.

use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{Activation, Context, Error, EventId, Priority, Registration, System};

/// Makes a timer that expires after `interval` and from then on every `period`; only once when the
/// period is zero. It ends with its registration.
///
/// `handler` is told how often it has expired since it last ran. Its runs have the priority of the
/// context unless one is given.
///
/// # Errors
/// When memory or a table does not allow one more.
pub fn evtimer<S, F>(
    system: System,
    context: Context<S>,
    interval: Duration,
    period: Duration,
    priority: Option<Priority>,
    handler: F,
) -> Result<EventId, Error>
where
    S: 'static,
    F: Fn(&mut S, Activation) + Send + 'static,
{
    let kernel = raw::kernel(system);
    let priority = priority.unwrap_or(context.priority());
    let registration = Registration { priority, ..Registration::default() };
    let event = kernel.register(context.handle(), registration, handler)?;
    let timer = kernel.timer(event).inspect_err(|_| {
        // It was registered just now.
        let _ = kernel.unregister(event);
    })?;
    kernel.arm(timer, system.now() + interval, Some(period).filter(|period| !period.is_zero()))?;
    Ok(event)
}
