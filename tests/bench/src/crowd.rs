//! Registered events that do nothing: what costs must not depend on.

use crate::EVENTS;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{Context, Error, Registration, System};

/// Bytes of event memory a registration takes: a bound handler and its share of the table.
const EVENT_MEMORY: usize = 40;

pub(crate) struct Crowd {
    system: System,
    context: Context<()>,
    size: AtomicUsize,
    /// Event memory reserved for all.
    reserved: usize,
    /// Bytes that the kernel's table has grown by.
    table: AtomicUsize,
}

impl Crowd {
    pub(crate) fn new(system: System) -> Result<Self, Error> {
        let sizes = system.argument(EVENTS).unwrap_or("");
        let most = sizes.split(',').filter_map(|size| size.parse().ok()).max().unwrap_or(1_000);
        let reserved = (most + 1_000) * EVENT_MEMORY;
        let context = system.context("crowd", ()).memory(reserved).build()?;
        let zero = || AtomicUsize::new(0);
        Ok(Self { system, context, size: zero(), reserved, table: zero() })
    }

    /// Tells how many bytes an event takes: of the kernel's table, and of event memory.
    pub(crate) fn tell(&self) {
        let size = self.size.load(Relaxed);
        let table = self.table.load(Relaxed);
        let pool = raw::kernel(self.system).pool(self.context.handle()).map(|pool| pool.stats());
        // The pool's own bookkeeping is a part of what was reserved for it.
        let used = pool.map_or(0, |pool| {
            pool.allocated as u64 * self.reserved as u64 / pool.capacity.max(1) as u64
        });
        let bytes = (table as u64 + used).div_ceil(size.max(1) as u64);
        reflex::machine_line!(
            "figure events bytes-an-event events={size} value={bytes} unit=bytes"
        );
    }

    /// Registers events until there are `size`.
    pub(crate) fn grow(&self, size: usize) -> Result<(), Error> {
        let kernel = raw::kernel(self.system);
        let before = self.system.available_memory();
        for _ in self.size.load(Relaxed)..size {
            kernel.register(self.context.handle(), Registration::default(), |(), _| {})?;
        }
        self.size.store(size, Relaxed);
        self.table.fetch_add(before - self.system.available_memory(), Relaxed);
        Ok(())
    }
}
