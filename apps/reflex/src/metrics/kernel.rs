//! The kernel's own metrics.

use crate::{Priority, System};
use reflex_metrics::{Description, Kind, Label, LabelValue, Sample, counters};

counters! {
    /// What the kernel counts, and how much there is.
    struct Numbers prefixed "reflex_kernel_" {
        /// Seconds since the start.
        gauge uptime_seconds,
        /// Processors that run.
        gauge processors,
        /// Nanoseconds for which the processor was not idle.
        counter busy_nanoseconds,
        /// Contexts.
        gauge contexts,
        /// Live registrations.
        gauge registrations,
        /// Bytes of memory that no context and no device has taken yet.
        gauge available_memory_bytes,
        /// Allocations from the global heap, those that failed included.
        counter heap_allocations,
        /// Deallocations from the global heap.
        counter heap_deallocations,
        /// Allocations that the global heap refused.
        counter heap_refused,
        /// Bytes of the global heap that were asked for and not given back.
        gauge heap_used_bytes,
        /// Bytes that the global heap has taken of the machine's memory.
        gauge heap_size_bytes,
        /// Computations that were given up, with memory that is not used again.
        counter quarantined,
        /// Bytes of memory that are not used again.
        gauge quarantine_bytes,
    }
}

/// By the priority at which the handler was to run.
static ACTIVATIONS: Description =
    Description::system("reflex_kernel_activations_total", "Activations.", Kind::Counter);

pub(super) fn each(system: System, tell: &mut dyn FnMut(Sample)) {
    numbers(system).each(tell);
    for level in 0..Priority::LEVELS as u8 {
        let total = Priority::new(level).map_or(0, |priority| system.latency(priority).total());
        if total > 0 {
            let label = Label { key: "priority", value: LabelValue::Number(level.into()) };
            tell(Sample { label: Some(label), ..ACTIVATIONS.number(total) });
        }
    }
}

fn numbers(system: System) -> Numbers {
    let (heap, quarantine) = (system.heap(), system.quarantine());
    let hz = u128::from(system.machine().tsc_hz.max(1));
    Numbers {
        uptime_seconds: system.now().as_nanos() / 1_000_000_000,
        processors: system.machine().processors.len() as u64,
        busy_nanoseconds: (u128::from(system.busy()) * 1_000_000_000 / hz) as u64,
        contexts: system.contexts().count() as u64,
        registrations: u64::from(system.registered()),
        available_memory_bytes: system.available_memory() as u64,
        heap_allocations: heap.allocations,
        heap_deallocations: heap.deallocations,
        heap_refused: heap.refused,
        heap_used_bytes: heap.used as u64,
        heap_size_bytes: heap.size as u64,
        quarantined: quarantine.computations,
        quarantine_bytes: quarantine.bytes,
    }
}
