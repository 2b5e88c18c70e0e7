//! The NetIO-next interface: a reactor with one event loop, its signals and its timers (N-1 to
//! N-3), its messages and publications (N-6).
//!
//! The names are that interface's, over the same events as everything else: an event loop is a
//! [context](reflex::Context) that owns the user's data and does not run before [`netio_run`];
//! callbacks are handlers of its data. What a C program hangs into fields (`signal.cb`,
//! `signal.data`) is given at initialisation here, as a handler without which there is no event.
//!
//! ```
//! # use reflex::{Error, println, testing::Simulation};
//! # use reflex_netio::{netio_init, netio_run, netio_terminate};
//! # let mut sim = Simulation::new(|system| {
//! let mut ctx = netio_init(system, ())?;
//! ctx.evloop.cb_init(|(), evloop| {
//!     println!("Hello, NetIO!");
//!     netio_terminate(evloop);
//! });
//! netio_run(&ctx.evloop)?;
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! # assert!(sim.take_lines().contains(&"Hello, NetIO!".to_owned()));
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod callbacks;
mod sockets;

pub use callbacks::NetioCallbacks;
pub use sockets::*;

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{
    Context, Error, EventId, Priority, Registration, Signal, SignalMode, System, Tick, Timer,
};

/// What [`netio_init`] makes.
#[derive(Debug)]
pub struct NetioContext<D: Send + 'static> {
    /// Its event loop.
    pub evloop: EventLoop<D>,
}

/// An event loop with callbacks that share a `D`.
pub struct EventLoop<D: Send + 'static> {
    system: System,
    context: Context<D>,
    /// The event that [`netio_run`] waits for; 0 while it does not run.
    ended: Arc<AtomicU64>,
    /// Called by [`netio_run`] before any other callback.
    first: Option<Arc<InitCallback<D>>>,
}

/// An initialisation callback.
type InitCallback<D> = dyn Fn(&mut D, &EventLoop<D>) + Send + Sync;

impl<D: Send + 'static> EventLoop<D> {
    /// Has `callback` called by [`netio_run`] before any other one.
    pub fn cb_init(&mut self, callback: impl Fn(&mut D, &Self) + Send + Sync + 'static) {
        self.first = Some(Arc::new(callback));
    }
}

impl<D: Send + 'static> Clone for EventLoop<D> {
    fn clone(&self) -> Self {
        let Self { system, context, ended, first } = self;
        Self { system: *system, context: *context, ended: ended.clone(), first: first.clone() }
    }
}

impl<D: Send + 'static> fmt::Debug for EventLoop<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("context", &self.context).finish_non_exhaustive()
    }
}

/// A signal of an event loop.
#[derive(Clone, Copy)]
pub struct NetioSignal(Signal);

/// A timer of an event loop.
#[derive(Clone, Copy, Debug)]
pub struct NetioTimer(Timer);

/// Makes a context, with an event loop that is [initialised](netio_eventloop_init).
///
/// # Errors
/// When memory, or the number of contexts, does not allow it.
pub fn netio_init<D: Send + 'static>(system: System, data: D) -> Result<NetioContext<D>, Error> {
    Ok(NetioContext { evloop: netio_eventloop_init(system, data)? })
}

/// Makes an event loop with callbacks that share `data`.
///
/// # Errors
/// When memory, or the number of contexts, does not allow it.
pub fn netio_eventloop_init<D: Send + 'static>(
    system: System,
    data: D,
) -> Result<EventLoop<D>, Error> {
    event_loop(system, system.context("netio", data).build()?)
}

/// As [`netio_init`], with so many bytes of event memory: [sockets](NetioAttr::memory) take their pages of it.
///
/// # Errors
/// As [`netio_init`].
pub fn netio_init_with_memory<D: Send + 'static>(
    system: System,
    data: D,
    bytes: usize,
) -> Result<NetioContext<D>, Error> {
    let context = system.context("netio", data).memory(bytes).build()?;
    Ok(NetioContext { evloop: event_loop(system, context)? })
}

fn event_loop<D: Send + 'static>(
    system: System,
    context: Context<D>,
) -> Result<EventLoop<D>, Error> {
    raw::kernel(system).stop(context.id())?;
    Ok(EventLoop { system, context, ended: Arc::new(AtomicU64::new(0)), first: None })
}

/// Runs an event loop: first its `cb_init`, then the callbacks of whatever occurs, until
/// [`netio_terminate`]. What occurred before it ran, or after it was terminated, waits.
///
/// The calling context waits meanwhile.
///
/// # Errors
/// When memory or a table does not allow what running takes; when the loop runs already.
pub fn netio_run<D: Send + 'static>(evloop: &EventLoop<D>) -> Result<(), Error> {
    let kernel = raw::kernel(evloop.system);
    let waiter = evloop.system.waiter()?;
    let word = waiter.event().into_word();
    if evloop.ended.compare_exchange(0, word, Relaxed, Relaxed).is_err() {
        return Err(Error::Application("the event loop runs already"));
    }
    let started = evloop.clone();
    let registration = Registration { priority: Priority::HIGHEST, ..Registration::default() };
    let first =
        kernel.register(evloop.context.handle(), registration, move |data, activation| {
            // Registered until now, as it runs.
            let _ = kernel.unregister(activation.event);
            if let Some(callback) = &started.first {
                callback(data, &started);
            }
        })?;
    kernel.activate(first, 1)?;
    kernel.start(evloop.context.id())?;
    waiter.wait()?;
    Ok(())
}

/// Ends an event loop when the present callback, if it is one of the loop's, has ended.
/// [`netio_run`] returns then. Without effect on a loop that does not run.
pub fn netio_terminate<D: Send + 'static>(evloop: &EventLoop<D>) {
    let word = evloop.ended.swap(0, Relaxed);
    if word != 0 {
        let kernel = raw::kernel(evloop.system);
        // Both exist as long as the loop runs.
        let _ = kernel.stop(evloop.context.id());
        let _ = kernel.activate(EventId::from_word(word), 1);
    }
}

/// Makes a signal. In [semaphore mode](SignalMode::Semaphore) `callback` runs once for each firing,
/// in [counter mode](SignalMode::Counter) once for all since it last ran.
///
/// # Errors
/// When memory or a table does not allow one more.
pub fn netio_signal_init<D: Send + 'static>(
    evloop: &EventLoop<D>,
    mode: SignalMode,
    callback: impl Fn(&mut D) + Send + 'static,
) -> Result<NetioSignal, Error> {
    let signal = evloop.system.signal(mode);
    Ok(NetioSignal(signal.on(evloop.context, move |data, _| callback(data))?))
}

/// Fires a signal, from any callback, context or interrupt. One that is fired in its own callback
/// runs that again after all others that wait.
///
/// # Errors
/// When the signal was unregistered, or 2^32 firings wait.
pub fn netio_signal_fire(signal: &NetioSignal) -> Result<(), Error> {
    Ok(signal.0.fire()?)
}

/// Makes a timer, which is to be started.
///
/// # Errors
/// When memory or a table does not allow one more.
pub fn netio_timer_init<D: Send + 'static>(
    evloop: &EventLoop<D>,
    callback: impl Fn(&mut D) + Send + 'static,
) -> Result<NetioTimer, Error> {
    let timer = evloop.system.timer();
    Ok(NetioTimer(timer.on(evloop.context, move |data, _: Tick| callback(data))?))
}

macro_rules! start {
    ($(#[$doc:meta])* $name:ident, $unit:ident) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// When the timer was removed.
        pub fn $name(timer: &NetioTimer, period: u64) -> Result<(), Error> {
            timer.0.every(Duration::$unit(period))
        }
    };
}

start!(
    /// Starts a timer, or starts it anew, with a period in seconds.
    netio_timer_start_s, from_secs
);
start!(
    /// Starts a timer, or starts it anew, with a period in milliseconds.
    netio_timer_start_ms, from_millis
);
start!(
    /// Starts a timer, or starts it anew, with a period in microseconds.
    netio_timer_start_us, from_micros
);
start!(
    /// Starts a timer, or starts it anew, with a period in nanoseconds.
    netio_timer_start_ns, from_nanos
);

/// Stops a timer until it is started again.
///
/// # Errors
/// When the timer was removed.
pub fn netio_timer_stop(timer: &NetioTimer) -> Result<(), Error> {
    timer.0.stop()
}
