//! The machine, as an application has it.

use crate::{ContextBuilder, SignalBuilder, SignalMode, TimerBuilder};
use core::time::Duration;
use reflex_boot::{Instant, Kernel, Runtime};

/// The machine: makes contexts, and registers their handlers with what can occur.
///
/// A small value that may be copied anywhere, a context's state included.
#[derive(Clone, Copy)]
pub struct System {
    kernel: Runtime,
    machine: &'static reflex_boot::Machine,
}

impl System {
    pub(crate) fn new(kernel: Runtime, machine: &'static reflex_boot::Machine) -> Self {
        Self { kernel, machine }
    }

    /// The kernel, for what this type does not offer.
    pub fn kernel(self) -> Runtime {
        self.kernel
    }

    /// What the machine was found to have.
    pub fn machine(self) -> &'static reflex_boot::Machine {
        self.machine
    }

    /// A context called `name` that owns `state`.
    pub fn context<S: Send + 'static>(self, name: &'static str, state: S) -> ContextBuilder<S> {
        ContextBuilder::new(self.kernel, name, state)
    }

    /// A timer that expires every `period`.
    pub fn every(self, period: Duration) -> TimerBuilder {
        TimerBuilder::every(self.kernel, period)
    }

    /// A timer that expires once, `delay` from now.
    pub fn after(self, delay: Duration) -> TimerBuilder {
        TimerBuilder::after(self.kernel, delay)
    }

    /// A timer that is started later.
    pub fn timer(self) -> TimerBuilder {
        TimerBuilder::stopped(self.kernel)
    }

    /// A signal that the application fires.
    pub fn signal(self, mode: SignalMode) -> SignalBuilder {
        SignalBuilder::new(self.kernel, mode)
    }

    /// Time since the machine started.
    pub fn now(self) -> Instant {
        self.kernel.now()
    }

    /// Seconds since 1970-01-01 UTC, by the machine's real-time clock.
    pub fn unix_time(self) -> u64 {
        self.machine.started_unix_seconds + self.now().as_nanos() / 1_000_000_000
    }

    /// The value of `key` on the kernel command line: empty for a key without one.
    pub fn argument(self, key: &str) -> Option<&'static str> {
        self.machine.arguments.get(key)
    }

    /// Fills `bytes` from the kernel's cryptographic generator.
    pub fn random(self, bytes: &mut [u8]) {
        self.kernel.random(bytes);
    }

    /// Turns the machine off. The host command exits with `status`; 0 is success.
    pub fn exit(self, status: u8) -> ! {
        reflex_boot::exit::exit(status)
    }
}
