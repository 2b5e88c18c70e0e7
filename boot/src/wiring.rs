//! From the machine that start-up found to a running kernel with an application in it.

use crate::crash::{self, Hooks};
use crate::exit::{BAD_BOOT, MAIN_FAILED, NO_ENTROPY, TOO_LITTLE_MEMORY, fail};
use crate::machine::Machine;
use crate::{Early, devices, exclusion, start};
use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::fmt::Display;
use core::ptr::NonNull;
use reflex_arch::clock::Clock;
use reflex_arch::cpu::Features;
use reflex_arch::interrupt::{self, FIRST_VECTOR, VECTORS};
use reflex_arch::paging::{AddressSpace, PAGE};
use reflex_arch::random::Rdrand;
use reflex_arch::rtc;
use reflex_arch::segments::Ist;
use reflex_runtime::{Platform, Runtime, Timekeeping, memory, section};

/// Bytes of `main`'s stack.
const MAIN_STACK: usize = 64 << 10;

/// How long an entropy device may take to answer.
const ENTROPY_PATIENCE_NS: u64 = 1_000_000_000;

/// Memory a registration takes, generously: the limit on registrations is what half of the
/// machine's memory could hold.
const EVENT_BYTES: usize = 128;

/// The active map. Reached at start-up, and later in sections only.
struct MapCell(UnsafeCell<Option<AddressSpace>>);

// SAFETY: one core, and every access is at start-up or in a section.
unsafe impl Sync for MapCell {}

static MAP: MapCell = MapCell(UnsafeCell::new(None));

/// Starts everything, and `application` as `main`. To be called from `reflex_start`.
///
/// # Safety
/// Called once, first thing, by the entry's `reflex_start`, with what that was given.
pub unsafe fn run(start_info: u32, application: fn(Runtime, &'static mut Machine)) -> ! {
    // SAFETY: the caller's duty.
    unsafe { start(start_info, |early| go_on(early, application)) }
}

fn go_on(mut early: Early, application: fn(Runtime, &'static mut Machine)) -> ! {
    let unsuitable = |reason: &dyn Display| -> ! {
        fail(TOO_LITTLE_MEMORY, format_args!("too little memory: {reason}"))
    };
    set_vectors(&mut early);
    let Some(range) = early.memory.take_largest() else { unsuitable(&"none is left") };
    let start = NonNull::new(range.start as *mut u8).expect("page zero is never handed out");
    let free = NonNull::slice_from_raw_parts(start, (range.end - range.start) as usize);
    // SAFETY: start-up, one flow of control.
    unsafe { *MAP.0.get() = Some(early.address_space) };
    let platform = Platform {
        memory: free,
        stacks: guarded_stack,
        time: Timekeeping {
            features: early.features,
            apic: early.apic,
            clock: early.clock,
            rates: early.rates,
        },
        events: free.len() / 2 / EVENT_BYTES,
    };
    // SAFETY: called once, interrupts masked, on the boot stack; the memory was nobody's.
    let kernel = match unsafe { reflex_runtime::init(platform) } {
        Ok(kernel) => kernel,
        Err(error) => unsuitable(&error),
    };
    let (enter, leave) = section::ends();
    // SAFETY: there is no second context yet; the two ends of a section exclude the others.
    unsafe { exclusion::set_exclusion(enter, leave) };
    // SAFETY: as above; the hook only looks, with checks.
    unsafe {
        crash::set_hooks(Hooks {
            panicked: |_| {},
            faulted: |_| false,
            running: |out| write!(out, "{}", reflex_runtime::describe_running()),
        });
    }
    // SAFETY: interrupts are masked and nobody else uses the real-time clock.
    let now = unsafe { rtc::read() }.unwrap_or(0);
    let machine = Box::leak(Box::new(Machine {
        arguments: early.command_line,
        started_unix_seconds: now.saturating_sub(early.clock.now() / 1_000_000_000),
        firmware: early.firmware,
        tsc_hz: early.rates.tsc_hz,
        processor: early.apic.id() as u8,
    }));
    match seed(&early.features, machine, &early.clock) {
        Some(seed) => kernel.seed(seed),
        None => fail(
            NO_ENTROPY,
            format_args!(
                "no entropy: the processor has no RDRAND and there is no virtio entropy device; \
                 give QEMU `-cpu max` or `-device virtio-rng-pci`"
            ),
        ),
    }
    match kernel.enter(MAIN_STACK, move || application(kernel, machine)) {
        Err(error) => fail(MAIN_FAILED, format_args!("`main` could not be started: {error}")),
    }
}

/// The seed of the random generator: from the processor, else from a device.
fn seed(features: &Features, machine: &Machine, clock: &Clock) -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    if Rdrand::new(features).is_some_and(|processor| processor.fill(&mut seed)) {
        return Some(seed);
    }
    let limit = clock.now() + ENTROPY_PATIENCE_NS;
    devices::entropy(machine, &mut seed, || clock.now() > limit).then_some(seed)
}

/// Every vector that the kernel hands out gets its entry.
fn set_vectors(early: &mut Early) {
    for vector in (FIRST_VECTOR..).take(VECTORS) {
        match interrupt::entry_address(vector) {
            // SAFETY: the address is that of the vector's interrupt entry, which expects to be
            // entered on the interrupt stack.
            Some(entry) => unsafe { early.vectors.set(vector, entry as u64, Ist::Interrupt) },
            None => fail(BAD_BOOT, format_args!("vector {vector} has no entry")),
        }
    }
}

/// Takes a stack of at least a page from the kernel's memory, and unmaps the page under it.
fn guarded_stack(bytes: usize) -> Option<usize> {
    let page = PAGE as usize;
    let stack = bytes.max(1).checked_next_multiple_of(page)?;
    let whole = memory::take(stack.checked_add(page)?, page)?;
    let guard = whole.cast::<u8>().addr().get();
    // SAFETY: at start-up or in a section, and nothing below comes here again.
    let map = unsafe { &mut *MAP.0.get() }.as_mut()?;
    let frames =
        &mut || memory::take(page, page).map(|frame| frame.cast::<u8>().addr().get() as u64);
    map.unmap_guard(guard as u64, frames).ok()?;
    Some(guard + whole.len())
}

/// Maps a device's registers, wherever they are, uncached.
pub(crate) fn map_device(address: u64, length: u64) -> Result<(), reflex_arch::Error> {
    let page = PAGE as usize;
    section::section(|| {
        // SAFETY: in a section, and nothing below comes here again.
        let map =
            unsafe { &mut *MAP.0.get() }.as_mut().expect("set before any device is looked for");
        let frames =
            &mut || memory::take(page, page).map(|frame| frame.cast::<u8>().addr().get() as u64);
        map.map_device(address, length, frames)
    })
}
