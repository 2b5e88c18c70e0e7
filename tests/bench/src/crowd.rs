//! Registered events that do nothing: what costs must not depend on.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use reflex::{Context, Error, Kernel, Registration, System};

/// Bytes of event memory a registration takes: a bound handler and its share of the table.
const EVENT_MEMORY: usize = 40;

pub(crate) struct Crowd {
    system: System,
    context: Context<()>,
    size: AtomicUsize,
}

impl Crowd {
    pub(crate) fn new(system: System) -> Result<Self, Error> {
        let sizes = system.argument("events").unwrap_or("");
        let most = sizes.split(',').filter_map(|size| size.parse().ok()).max().unwrap_or(1_000);
        let context = system.context("crowd", ()).memory((most + 1_000) * EVENT_MEMORY).build()?;
        Ok(Self { system, context, size: AtomicUsize::new(0) })
    }

    /// Registers events until there are `size`.
    pub(crate) fn grow(&self, size: usize) -> Result<(), Error> {
        let kernel = self.system.kernel();
        for _ in self.size.load(Relaxed)..size {
            kernel.register(self.context.handle(), Registration::default(), |(), _| {})?;
        }
        self.size.store(size, Relaxed);
        Ok(())
    }
}
