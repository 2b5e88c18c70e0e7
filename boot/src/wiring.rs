//! From the machine that start-up found to a running kernel with an application in it.

use crate::crash::{self, Hooks};
use crate::exit::{BAD_BOOT, MAIN_FAILED, NO_ENTROPY, TOO_LITTLE_MEMORY, fail};
use crate::machine::Machine;
use crate::{Early, console, devices, exclusion, start, watchdog};
use alloc::boxed::Box;
use core::cell::{Cell, UnsafeCell};
use core::fmt::Display;
use core::ops::Range;
use core::ptr::NonNull;
use reflex_arch::clock::Clock;
use reflex_arch::cpu::Features;
use reflex_arch::interrupt::{self, FIRST_VECTOR, VECTORS};
use reflex_arch::paging::{Access, AddressSpace, PAGE};
use reflex_arch::random::Rdrand;
use reflex_arch::rtc;
use reflex_arch::segments::Ist;
use reflex_runtime::memory::StackSource;
use reflex_runtime::{Platform, Runtime, Timekeeping, contain, memory, section};

/// Bytes of `main`'s stack.
const MAIN_STACK: usize = 64 << 10;

/// How long an entropy device may take to answer.
const ENTROPY_PATIENCE_NS: u64 = 1_000_000_000;

/// Memory a registration takes at least, in the kernel's table and with its handler: what the
/// machine's memory can hold of them is the limit on registrations.
const EVENT_BYTES: usize = 80;

/// The active map. Reached at start-up, and later in sections and for stacks that overflow.
struct MapCell {
    space: UnsafeCell<Option<AddressSpace>>,
    changing: Cell<bool>,
}

// SAFETY: every access is through `with_map`, or at start-up: one core, in a section, which keeps
// the other contexts out, or in an exception's handler, which is kept out by `changing`.
unsafe impl Sync for MapCell {}

static MAP: MapCell = MapCell { space: UnsafeCell::new(None), changing: Cell::new(false) };

/// Starts everything, and `application` as `main`. To be called from `reflex_start`.
///
/// # Safety
/// Called once, first thing, by the entry's `reflex_start`, with what that was given.
pub unsafe fn run(start_info: u32, application: fn(Runtime, &'static mut Machine)) -> ! {
    // SAFETY: called once, first thing, with what `reflex_start` was given, says the caller.
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
    // SAFETY: at start-up there is one flow of control, interrupts are masked, and nobody has
    // borrowed the map yet: `with_map` finds it only from here on.
    unsafe { *MAP.space.get() = Some(early.address_space) };
    let platform = Platform {
        memory: free,
        stacks: StackSource { make: guarded_stack, open: open_reserve, close: close_reserve },
        time: Timekeeping {
            features: early.features,
            apic: early.apic,
            clock: early.clock,
            rates: early.rates,
        },
        events: free.len() / EVENT_BYTES,
        quarantine: early.command_line.quarantine,
        print: console::line,
    };
    // SAFETY: called once, interrupts masked, on the boot stack; the memory was nobody's.
    let kernel = match unsafe { reflex_runtime::init(platform) } {
        Ok(kernel) => kernel,
        Err(error) => unsuitable(&error),
    };
    let (enter, leave) = section::ends();
    // SAFETY: there is no second context yet; the two ends of a section exclude the others.
    unsafe { exclusion::set_exclusion(enter, leave) };
    // SAFETY: interrupts are masked and there is no second context yet. The hooks may be called by
    // an exception anywhere: the first two end a context only where `contain` finds that it can,
    // and the third only looks, with checks.
    unsafe {
        crash::set_hooks(Hooks {
            panicked: |info, registers| contain::panicked(info, registers),
            faulted: contain::faulted,
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
    devices::mask_pins(machine);
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
    watchdog::start(machine);
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

/// Takes a stack of at least a page from the kernel's memory, and unmaps the pages under it: the
/// reserve, and one more.
fn guarded_stack(bytes: usize, reserve: usize) -> Option<Range<usize>> {
    let page = PAGE as usize;
    let stack = bytes.max(1).checked_next_multiple_of(page)?;
    let under = reserve.checked_next_multiple_of(page)? + page;
    let whole = memory::take(stack.checked_add(under)?, page)?;
    let start = whole.cast::<u8>().addr().get();
    for guard in (start as u64..(start + under) as u64).step_by(page) {
        // The table for a split large page is filled outside of the section.
        while let Some(large) = section::section(|_| with_map(|map| map.large_page(guard)))? {
            let split = large.split(&mut frame).ok()?;
            section::section(|_| with_map(|map| map.put(split)))?;
        }
        section::section(|_| with_map(|map| map.unmap_guard(guard, &mut frame)))?.ok()?;
    }
    Some(start + under..start + whole.len())
}

/// Maps the pages of a reserve that are not mapped.
fn open_reserve(reserve: Range<usize>) -> bool {
    let opened = with_map(|map| {
        (reserve.start as u64..reserve.end as u64).step_by(PAGE as usize).all(|page| {
            // The tables are there: the pages were taken out of them one by one.
            map.lookup(page).is_some()
                || map.map(page..page + PAGE, Access::ReadWrite, &mut || None).is_ok()
        })
    });
    opened.unwrap_or(false)
}

/// Unmaps the pages of a reserve that are mapped.
fn close_reserve(reserve: Range<usize>) {
    for page in reserve.step_by(PAGE as usize) {
        // It may be closed already.
        let _ = with_map(|map| map.unmap_guard(page as u64, &mut || None));
    }
}

/// A frame for a page table.
fn frame() -> Option<u64> {
    let page = PAGE as usize;
    memory::take(page, page).map(|frame| frame.cast::<u8>().addr().get() as u64)
}

/// Runs `work` on the active map; `None` when the map is being changed already, which is so when a
/// fault comes upon that.
fn with_map<R>(work: impl FnOnce(&mut AddressSpace) -> R) -> Option<R> {
    if MAP.changing.replace(true) {
        return None;
    }
    // SAFETY: at start-up or in a section, so that no other context is here; an exception's handler
    // comes here too, and was turned away above if it came upon a borrow, as `changing` was set.
    let result = unsafe { &mut *MAP.space.get() }.as_mut().map(work);
    MAP.changing.set(false);
    result
}

/// Maps a device's registers, wherever they are, uncached.
pub(crate) fn map_device(address: u64, length: u64) -> Result<(), reflex_arch::Error> {
    section::section(|_| {
        let mapped = with_map(|map| map.map_device(address, length, &mut frame));
        mapped.expect("set before any device is looked for")
    })
}
