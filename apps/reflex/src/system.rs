//! The machine, as an application has it.

use crate::argument::{LOOPBACK, STATS};
use crate::disk::Disks;
use crate::kind::Source;
use crate::metrics::Registry;
use crate::net::Net;
use crate::rdma::{self, Rdma};
use crate::shutdown::ShutdownRequested;
use crate::stats;
use crate::supervise::Made;
use crate::{Context, ContextBuilder, Error, SignalBuilder, SignalMode, TimerBuilder};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use reflex_boot::Machine;
use reflex_boot::heap::Counters as HeapCounters;
use reflex_event::{ContextId, EventId, EventSystem as Kernel, Instant};
use reflex_memory::Pool;
use reflex_runtime::{ContextOptions, Quarantine, Runtime};
use spin::Once;

/// The machine: makes contexts, and registers their handlers with what can occur.
///
/// A small value that may be copied anywhere, a context's state included.
#[derive(Clone, Copy)]
pub struct System {
    kernel: Runtime,
    shared: &'static SystemShared,
}

/// What all copies of a [`System`] share.
struct SystemShared {
    machine: &'static Machine,
    /// Started when it is first asked for.
    net: Once<Net>,
    /// As above.
    rdma: Once<Rdma>,
    /// As above.
    disks: Once<Disks>,
    /// The context in which sources hand occurrences to several registrations; made when it is first
    /// needed.
    system_context: Once<reflex_event::Context<()>>,
    /// As above.
    shutdown: Once<Source<ShutdownRequested>>,
    /// What a press of the power button activates.
    shutdown_event: Once<EventId>,
    /// Set when the image may connect to itself whatever the command line says.
    loopback: Once<()>,
    /// Set when the power button or Ctrl-Alt-Del is pressed.
    shutdown_requested: Once<ShutdownRequested>,
    /// What was declared; set at the start.
    metrics: Once<Registry>,
}

impl System {
    pub(crate) fn new(kernel: Runtime, machine: &'static Machine) -> Self {
        let (net, rdma, disks) = (Once::new(), Once::new(), Once::new());
        let (system_context, shutdown, shutdown_requested) =
            (Once::new(), Once::new(), Once::new());
        let (metrics, shutdown_event, loopback) = (Once::new(), Once::new(), Once::new());
        let shared = SystemShared {
            machine,
            net,
            rdma,
            disks,
            system_context,
            shutdown,
            shutdown_event,
            loopback,
            shutdown_requested,
            metrics,
        };
        let shared = Box::leak(Box::new(shared));
        Self { kernel, shared }
    }

    /// The kernel; see [`raw`](crate::raw).
    pub(crate) fn kernel(self) -> Runtime {
        self.kernel
    }

    /// Activates a registration, as if what it is of had occurred `count` times: one that is [waited](Self::waiter) for,
    /// or taken from a [ring](Self::completions). Kinds with data tell nothing without it.
    ///
    /// # Errors
    /// [`EventError::Stale`](crate::EventError::Stale), [`EventError::Overrun`](crate::EventError::Overrun).
    pub fn activate(self, event: EventId, count: u32) -> Result<(), Error> {
        Ok(self.kernel.activate(event, count)?)
    }

    /// Runs `work` with dispatch deferred: no other handler runs meanwhile. Sections nest. Keep them short and
    /// bounded.
    pub fn section<R>(self, work: impl FnOnce() -> R) -> R {
        self.kernel.section(work)
    }

    /// A context's event memory.
    ///
    /// # Errors
    /// When there is no such context.
    pub fn pool<S>(self, context: Context<S>) -> Result<&'static Pool, Error> {
        Ok(self.kernel.pool(context.inner)?)
    }

    /// The context that runs; in a filter it is the one that has activated the event.
    pub fn running(self) -> Option<ContextId> {
        self.kernel.running()
    }

    /// How many cores there are: each has a kernel of its own, and they have the numbers from 0. `main` runs on core 0.
    pub fn cores(self) -> u32 {
        self.kernel.cores()
    }

    /// The core that this runs on.
    pub fn core(self) -> u32 {
        self.kernel.core()
    }

    /// Runs `work` on a core, at the priority of the calling handler, which waits for what that returns. On this core it
    /// is just called.
    ///
    /// The work may make what is to live there: contexts, timers, signals. A panic in it ends the image, as one in
    /// `main` does. It does not wait for other cores itself: what would is refused there with `Busy`.
    ///
    /// # Errors
    /// Of the event system: `NoCore`; `CoreBusy` when as many such calls of this core to that are under way as may be; `Busy`
    /// where nothing can wait, as in sections and filters, and with a mutex locked; `NotAllowed` when the context's
    /// policy does not let it wait. Then the work has not been done.
    pub fn on_core<R: Send + 'static>(
        self,
        core: u32,
        work: impl FnOnce(System) -> R + Send + 'static,
    ) -> Result<R, Error> {
        Ok(self.kernel.on_core(core, move || work(self))?)
    }

    /// Runs `work` on every core, one after the other, each as [`on_core`](Self::on_core) does: it is told the core's number.
    /// Returns what each returned, by the cores' numbers; the first failure ends it.
    ///
    /// ```
    /// # use reflex::{prelude::*, testing::Simulation};
    /// # Simulation::new(|system| {
    /// let counters = system.on_every_core(|_, system| system.context("counter", 0_u32).build())?;
    /// assert_eq!(counters.len(), system.cores() as usize);
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`on_core`](Self::on_core), and what the work says. What was made before stays.
    pub fn on_every_core<R: Send + 'static>(
        self,
        work: impl Fn(u32, System) -> Result<R, Error> + Send + Sync + 'static,
    ) -> Result<Vec<R>, Error> {
        let work = Arc::new(work);
        let each = (0..self.cores()).map(|core| {
            let work = work.clone();
            self.on_core(core, move |system| work(core, system))?
        });
        each.collect()
    }

    /// How many registrations there are on this core.
    pub fn registered(self) -> u32 {
        self.kernel.registered()
    }

    /// Time stamp counts since the start for which the processor was not idle.
    pub fn busy(self) -> u64 {
        self.kernel.busy()
    }

    /// What the machine was found to have.
    pub fn machine(self) -> &'static Machine {
        self.shared.machine
    }

    /// Bytes of memory that no context and no device has taken yet.
    pub fn available_memory(self) -> usize {
        reflex_runtime::memory::available()
    }

    /// What the global heap has counted: a steady state makes no calls.
    pub fn heap(self) -> HeapCounters {
        reflex_boot::heap::counters()
    }

    /// How much memory of computations that were given up is not used again, and how much may be:
    /// that is `quarantine=BYTES` of the kernel command line, or half of the memory there was. Beyond
    /// it the image ends.
    pub fn quarantine(self) -> Quarantine {
        self.kernel.quarantine()
    }

    /// A context called `name` that owns `state`.
    pub fn context<S: Send + 'static>(self, name: &'static str, state: S) -> ContextBuilder<S> {
        ContextBuilder::new(self.kernel, name, state).configured(self)
    }

    /// A context called `name`, with a state that `make` makes of the context's handle: for one that is to make
    /// connections, timers or children of its own. Handlers are registered with it when it is
    /// [built](ContextBuilder::build): before, the context has no state, and refuses them with `WrongState`.
    ///
    /// ```
    /// # use reflex::{prelude::*, testing::Simulation};
    /// struct Dialer {
    ///     own: Context<Dialer>,
    ///     tries: u32,
    /// }
    ///
    /// impl Dialer {
    ///     fn try_later(&mut self, system: System) -> Result {
    ///         system.after(secs(5)).on(self.own, |dialer, _| dialer.tries += 1)?;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # let mut sim = Simulation::new(|system| {
    /// let dialer = system.context_by("dialer", |own| Dialer { own, tries: 0 }).build()?;
    /// # system.after(secs(1)).on(dialer, move |dialer, _| dialer.try_later(system).unwrap())?;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// # for tries in [0, 1] {
    /// #     sim.advance(millis(3500));
    /// #     assert_eq!(sim.state("dialer", |dialer: &mut Dialer| dialer.tries), tries);
    /// # }
    /// ```
    pub fn context_by<S, F>(self, name: &'static str, make: F) -> ContextBuilder<S, Made<F>>
    where
        S: Send + 'static,
        F: FnOnce(Context<S>) -> S,
    {
        ContextBuilder::knowing(self.kernel, name, make).configured(self)
    }

    /// A timer that expires every `period`.
    pub fn every(self, period: Duration) -> TimerBuilder {
        TimerBuilder::every(self, period)
    }

    /// A timer that expires once, `delay` from now.
    pub fn after(self, delay: Duration) -> TimerBuilder {
        TimerBuilder::after(self, delay)
    }

    /// A timer that is started later.
    pub fn timer(self) -> TimerBuilder {
        TimerBuilder::stopped(self)
    }

    /// A signal that the application fires.
    pub fn signal(self, mode: SignalMode) -> SignalBuilder {
        SignalBuilder::new(self, mode)
    }

    /// Lets the image connect to itself, by 127.0.0.1 or its own address, as the command line's `loopback` does: for
    /// tests inside an image, which so are clients of what they test. Without a network interface the network is that
    /// alone, with the address 127.0.0.1. To be called before the network is started; later it changes nothing.
    pub fn enable_loopback(self) {
        self.shared.loopback.call_once(|| ());
    }

    /// Whether the image may connect to itself.
    pub(crate) fn has_loopback(self) -> bool {
        self.shared.loopback.get().is_some() || self.flag(LOOPBACK)
    }

    /// The network, if it has been started.
    pub(crate) fn started_net(self) -> Option<&'static Net> {
        self.shared.net.get()
    }

    /// The port, if it has been started.
    pub(crate) fn started_rdma(self) -> Option<&'static Rdma> {
        self.shared.rdma.get()
    }

    /// The place of what metrics were declared.
    pub(crate) fn metrics_once(self) -> &'static Once<Registry> {
        &self.shared.metrics
    }

    /// The place of the network.
    pub(crate) fn net_once(self) -> &'static Once<Net> {
        &self.shared.net
    }

    /// The place of the disks.
    pub(crate) fn disks_once(self) -> &'static Once<Disks> {
        &self.shared.disks
    }

    /// The RDMA port, over the same interface as the network, which the first call starts, too.
    ///
    /// # Errors
    /// As [`System::net`].
    pub fn rdma(self) -> Result<&'static Rdma, Error> {
        let net = self.net()?;
        match self.shared.rdma.get() {
            Some(rdma) => Ok(rdma),
            None => {
                self.kernel.section(|| self.shared.rdma.try_call_once(|| rdma::start(self, net)))
            }
        }
    }

    /// Tells whatever wants to be told that the machine is to be turned off, and remembers that for what asks later.
    pub(crate) fn request_shutdown(self, request: ShutdownRequested) {
        self.shared.shutdown_requested.call_once(|| request);
        if let Some(source) = self.shared.shutdown.get() {
            // Such a source takes everything.
            let _ = source.deliver(request);
        }
    }

    /// What a press of the power button activates, once it is registered.
    pub(crate) fn shutdown_event(self) -> &'static Once<EventId> {
        &self.shared.shutdown_event
    }

    /// The request to turn the machine off, once there is one.
    pub(crate) fn requested_shutdown(self) -> Option<ShutdownRequested> {
        self.shared.shutdown_requested.get().copied()
    }

    /// What tells that the machine is to be turned off.
    pub(crate) fn make_shutdown_source(self) -> Result<&'static Source<ShutdownRequested>, Error> {
        self.shared.shutdown.try_call_once(|| self.plain_source())
    }

    /// The context of what is done for handlers and is not theirs.
    pub(crate) fn system_context(self) -> Result<reflex_event::Context<()>, Error> {
        let made = self
            .shared
            .system_context
            .try_call_once(|| self.kernel.context(ContextOptions::new("system"), ()))?;
        Ok(*made)
    }

    /// Time since the machine started.
    pub fn now(self) -> Instant {
        self.kernel.now()
    }

    /// Seconds since 1970-01-01 UTC, by the machine's real-time clock.
    pub fn unix_time(self) -> u64 {
        self.machine().started_unix_seconds + self.now().as_nanos() / 1_000_000_000
    }

    /// Fills `bytes` from the kernel's cryptographic generator.
    pub fn random(self, bytes: &mut [u8]) {
        self.kernel.random(bytes);
    }

    /// Turns the machine off. The host command exits with `status`; 0 is success.
    pub fn exit(self, status: u8) -> ! {
        if self.flag(STATS) {
            stats::tell(self);
        }
        reflex_boot::exit::exit(status)
    }
}
