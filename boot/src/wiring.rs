//! From the machine that start-up found to a running kernel with an application in it.

use crate::crash::{self, Hooks};
use crate::exit::{BAD_BOOT, MAIN_FAILED, NO_ENTROPY, TOO_LITTLE_MEMORY, fail};
use crate::machine::Machine;
use crate::processors::Common;
use crate::{
    Early, address_space, console, devices, exclusion, heap, interrupt_pin, processors, start,
    watchdog,
};
use alloc::boxed::Box;
use core::fmt::Display;
use core::ptr::NonNull;
use reflex_arch::clock::Clock;
use reflex_arch::cpu::Features;
use reflex_arch::exception::Idt;
use reflex_arch::interrupt::{self, FIRST_VECTOR, FLUSH_VECTOR, TIMER_VECTOR};
use reflex_arch::processors::Processors;
use reflex_arch::random::Rdrand;
use reflex_arch::rtc;
use reflex_arch::segments::Ist;
use reflex_runtime::{Platform, Runtime, Timekeeping, fault, section};

/// Bytes of `main`'s stack: four times a handler's, as start-up code of any depth runs there.
const MAIN_STACK: usize = 64 << 10;

/// How long an entropy device may take to answer: it does so at once, but the host may be busy.
const ENTROPY_PATIENCE_NS: u64 = 1_000_000_000;

/// Memory a registration takes at least, in the kernel's table and with its handler: what the
/// machine's memory can hold of them is the limit on registrations.
const EVENT_BYTES: usize = 80;

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
    let bound = early.command_line.heap.unwrap_or(free.len() as u64 / heap::SHARE);
    heap::set_bound(usize::try_from(bound).unwrap_or(usize::MAX));
    address_space::set(early.address_space);
    let time = Timekeeping {
        features: early.features,
        apic: early.apic,
        clock: early.clock,
        rates: early.rates,
    };
    let platform = Platform {
        memory: free,
        stacks: address_space::STACKS,
        time,
        events: free.len() / EVENT_BYTES,
        quarantine: early.command_line.quarantine,
        print: console::line,
    };
    let own = time.apic.id();
    if early.processors.iter().flat_map(Processors::ids).any(|id| *id != own) {
        reflex_runtime::memory::expect_several_cores();
    }
    // SAFETY: called once, interrupts masked, on the boot stack; the memory was nobody's.
    let kernel = match unsafe { reflex_runtime::init(platform) } {
        Ok(kernel) => kernel,
        Err(error) => unsuitable(&error),
    };
    set_hooks();
    heap::serve(kernel);
    let vectors: &'static Idt = early.vectors;
    let common = Common { vectors, time };
    // SAFETY: called once, with interrupts masked and the one address space active; the memory map has the page.
    let processors =
        unsafe { processors::start(early.processors.as_ref(), early.low_page, &common) };
    // SAFETY: interrupts are masked and nobody else uses the real-time clock.
    let now = unsafe { rtc::read() }.unwrap_or(0);
    let machine = Box::leak(Box::new(Machine {
        arguments: early.command_line,
        started_unix_seconds: now.saturating_sub(early.clock.now() / 1_000_000_000),
        firmware: early.firmware,
        tsc_hz: early.rates.tsc_hz,
        processors,
        devices: spin::Mutex::new(None),
    }));
    interrupt_pin::mask_all(machine);
    kernel.seed(seed(&early.features, machine, &early.clock));
    watchdog::start(machine);
    match kernel.enter(MAIN_STACK, move || application(kernel, machine)) {
        Err(error) => fail(MAIN_FAILED, format_args!("`main` could not be started: {error}")),
    }
}

/// Has the heap and the log excluded by sections, and crashes end what is to blame, from here on.
fn set_hooks() {
    let (enter, leave) = section::ends();
    // SAFETY: there is no second context yet; the two ends of a section exclude the others.
    unsafe { exclusion::set_exclusion(enter, leave) };
    // SAFETY: interrupts are masked and there is no second context yet. The hooks may be called by
    // an exception anywhere: the first two end a context only where `fault` finds that it can,
    // and the third only looks, with checks.
    unsafe {
        crash::set_hooks(Hooks {
            panicked: fault::panicked,
            faulted: fault::faulted,
            running: |out| write!(out, "{}", reflex_runtime::describe_running()),
        });
    }
}

/// The seed of the random generator: from the processor, else from a device. Without either the image ends.
fn seed(features: &Features, machine: &Machine, clock: &Clock) -> [u8; 32] {
    let mut seed = [0; 32];
    if Rdrand::new(features).is_some_and(|processor| processor.fill(&mut seed)) {
        return seed;
    }
    let limit = clock.now() + ENTROPY_PATIENCE_NS;
    if !devices::entropy(machine, &mut seed, || clock.now() > limit) {
        fail(
            NO_ENTROPY,
            format_args!(
                "no entropy: the processor has no RDRAND and there is no virtio entropy device; \
                 give QEMU `-cpu max` or `-device virtio-rng-pci`"
            ),
        )
    }
    seed
}

/// Every vector that the kernel hands out gets its entry, and so do the timer's and that of other cores.
fn set_vectors(early: &mut Early) {
    for vector in (FIRST_VECTOR..=TIMER_VECTOR).chain([FLUSH_VECTOR]) {
        match interrupt::entry_address(vector) {
            // SAFETY: the address is that of the vector's interrupt entry, which expects to be
            // entered on the interrupt stack.
            Some(entry) => unsafe { early.vectors.set(vector, entry as u64, Ist::Interrupt) },
            None => fail(BAD_BOOT, format_args!("vector {vector} has no entry")),
        }
    }
}
