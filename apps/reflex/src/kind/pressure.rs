//! Memory that becomes scarce (K-7).

use super::{Kind, Latest, Monitor, Source};
use crate::{Error, Runtime, System};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::time::Duration;
use reflex_boot::heap;
use reflex_event::Error as EventError;
use reflex_runtime::memory;

/// The machine's memory, as a source of events: scarce, or not any more. Copies are of the same
/// source.
#[derive(Clone)]
pub struct Memory {
    monitor: Monitor<Pressure>,
    scarce: Arc<AtomicBool>,
}

/// How much memory there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pressure {
    /// Whether it is scarce.
    pub scarce: bool,
    /// Bytes that no context and no device has taken yet.
    pub machine: usize,
    /// Bytes that the global heap can still give out.
    pub heap: usize,
}

/// Below which numbers of bytes memory is scarce.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watermarks {
    /// Of the machine's.
    pub machine: usize,
    /// Of the global heap's.
    pub heap: usize,
}

impl Pressure {
    /// At present; `scarce` says how it was before. It ends a quarter above where it begins, so
    /// that it does not come and go with every byte.
    fn now(marks: Watermarks, scarce: bool) -> Self {
        let (machine, heap) = (memory::available(), heap::counters().free());
        let mark = |bytes: usize| if scarce { bytes + bytes / 4 } else { bytes };
        let scarce = machine < mark(marks.machine) || heap < mark(marks.heap);
        Self { scarce, machine, heap }
    }
}

impl Memory {
    /// Looks every `period` whether memory has become scarce, or ceased to be.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn new(system: System, marks: Watermarks, period: Duration) -> Result<Self, Error> {
        let scarce: Arc<AtomicBool> = Arc::default();
        let before = scarce.clone();
        let monitor = Monitor::new(system, period, move || {
            let was = before.load(Relaxed);
            let pressure = Pressure::now(marks, was);
            before.store(pressure.scarce, Relaxed);
            (pressure.scarce != was).then_some(pressure)
        })?;
        Ok(Self { monitor, scarce })
    }

    /// Whether it was scarce when last looked at.
    pub fn is_scarce(&self) -> bool {
        self.scarce.load(Relaxed)
    }
}

impl Kind<Runtime> for Memory {
    const NAME: &str = "memory";
    type Data = Pressure;
    type Accumulation = Latest;

    fn source(&self) -> &Source<Pressure> {
        self.monitor.source()
    }

    fn attached(&self, registrations: u32) -> Result<(), EventError> {
        self.monitor.attached(registrations)
    }

    fn detached(&self, registrations: u32) {
        self.monitor.detached(registrations);
    }
}
