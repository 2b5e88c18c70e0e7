//! Starting the machine's other processors (SDM vol. 3, 9.4.4; MultiProcessor Specification 1.4, B.4).
//!
//! One after the other, each by its identifier: it is reset (INIT) and told to begin (SIPI) in the
//! [trampoline](crate::trampoline), which leads to [`entry`]. There it takes what was prepared for it: a stack,
//! segments and vector stacks with a guard page under each. It turns on what the first processor has turned on,
//! and the two compare their time stamp counters.
//!
//! One that does not come up in time is reset again, so that it never will, named in a warning, and left out: the
//! others are numbered without it. Every wait pauses: an emulator that takes turns then goes on with the others.

use crate::cores::Means;
use crate::trampoline::Trampoline;
use crate::{SPURIOUS_VECTOR, address_space, cores, shootdown};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::naked_asm;
use core::fmt;
use core::hint::spin_loop;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr};
use reflex_arch::apic::LocalApic;
use reflex_arch::clock::Scale;
use reflex_arch::exception::Idt;
use reflex_arch::paging::{self, AddressSpace, PAGE};
use reflex_arch::processors::Processors;
use reflex_arch::segments::Segments;
use reflex_arch::synchronize::{Agreement, Rendezvous};
use reflex_arch::{cpu, fpu};
use reflex_runtime::{PreparedCore, Timekeeping, memory};

/// Bytes of the stack that a processor begins on.
const STACK: usize = 64 << 10;
/// A processor takes no more than one part in so many of the memory that is left: the application is to have the
/// rest.
const SHARE: usize = 8;

/// From the reset to the start, and from one telling to the next, on a processor that is none of an emulator's:
/// those of the MultiProcessor Specification, B.4.
const RESET_NS: u64 = 10_000_000;
const AGAIN_NS: u64 = 200_000;
/// How long a processor may take to come up. It takes less than a millisecond, but the host may be busy.
const PATIENCE_NS: u64 = 1_000_000_000;
/// How precise a comparison of time stamps should be, and how long it may take.
const FINE_NS: u64 = 1_000;
const COMPARISON_NS: u64 = 20_000_000;

/// What all processors have in common.
pub(crate) struct Common {
    /// The vector table, which is not changed any more.
    pub(crate) vectors: &'static Idt,
    /// The first processor's clock and interrupt controller.
    pub(crate) time: Timekeeping,
}

/// Why a processor is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LeftOut {
    NoMemory,
    NoLowPage,
    Unreachable,
    Silent,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMemory => "too little memory is left for its stacks",
            Self::NoLowPage => "no memory below 1 MiB is free for it to begin in",
            Self::Unreachable => "its identifier is too large for the interrupt controller",
            Self::Silent => "it did not come up within a second",
        })
    }
}

/// What a processor takes when it comes up: nobody else uses it from then on.
#[repr(C)]
struct Prepared {
    /// The stack's upper end. The first field: [`entry`] loads it.
    top: usize,
    number: u32,
    segments: *mut Segments,
    vectors: &'static Idt,
    time: Timekeeping,
    core: PreparedCore,
    meeting: &'static Meeting,
}

/// What the first processor and the one that comes up tell each other.
struct Meeting {
    is_up: AtomicBool,
    comparison: Rendezvous,
    /// How far the one that comes up is ahead, in time stamp counts.
    ahead: AtomicI64,
    may_go_on: AtomicBool,
}

/// For the next processor that comes up, which takes it.
static NEXT: AtomicPtr<Prepared> = AtomicPtr::new(null_mut());

/// Starts all processors but this one. Returns the identifiers of those that run, this one's first: their places
/// are their numbers.
///
/// # Safety
/// Called once, at start-up, with interrupts masked. The active address space is the one that all of them use, and
/// `low_page` is memory that is not mapped and nobody's.
pub(crate) unsafe fn start(
    named: Option<&Processors>,
    low_page: Option<u64>,
    common: &Common,
) -> Box<[u32]> {
    let own = common.time.apic.id();
    let mut running = Vec::from([own]);
    let Some(named) = named else {
        log::warn!("the firmware names no processors: the image runs on one");
        return running.into_boxed_slice();
    };
    if named.beyond() > 0 {
        let kept = named.ids().len();
        log::warn!("{} processors beyond the first {kept} are left out", named.beyond());
    }
    let others = named.ids().iter().copied().filter(|id| *id != own);
    let there = 1 + others.clone().count();
    if there > 1 {
        let Timekeeping { apic, clock, .. } = common.time;
        cores::expect_others(own, Means { apic, clock });
        // SAFETY: the caller's duty.
        let trampoline = low_page.and_then(|page| unsafe { Trampoline::new(page, entry) });
        for id in others {
            match start_one(id, running.len() as u32, trampoline.as_ref(), common) {
                Ok(()) => running.push(id),
                Err(reason) => log::warn!("processor {id} is left out: {reason}"),
            }
        }
        match running.len() {
            all if all == there => log::info!("{all} processors"),
            some => log::info!("{some} of {there} processors"),
        }
    }
    running.into_boxed_slice()
}

/// Starts the processor `id` as `number`.
fn start_one(
    id: u32,
    number: u32,
    trampoline: Option<&Trampoline>,
    common: &Common,
) -> Result<(), LeftOut> {
    let apic = &common.time.apic;
    if !apic.reaches(id) {
        return Err(LeftOut::Unreachable);
    }
    let trampoline = trampoline.ok_or(LeftOut::NoLowPage)?;
    let meeting: &Meeting = Box::leak(Box::new(Meeting {
        is_up: AtomicBool::new(false),
        comparison: Rendezvous::new(),
        ahead: AtomicI64::new(0),
        may_go_on: AtomicBool::new(false),
    }));
    let prepared = Box::into_raw(Box::new(prepare(number, common, meeting)?));
    NEXT.store(prepared, Release);
    let is_up = rouse(id, trampoline.page(), meeting, &common.time);
    let Some(agreement) = is_up.then(|| compare(meeting, &common.time)).flatten() else {
        // Whatever it is at, it is not to go on, with what was prepared for the next one.
        apic.send_init(id);
        NEXT.store(null_mut(), Release);
        return Err(LeftOut::Silent);
    };
    cores::started(number, id);
    meeting.ahead.store(made_up_for(id, agreement), Relaxed);
    meeting.may_go_on.store(true, Release);
    // It makes stacks, and this core has interrupts masked.
    if reflex_runtime::await_core(number, shootdown::answer) {
        return Ok(());
    }
    // Its number is the next one's.
    apic.send_init(id);
    Err(LeftOut::NoMemory)
}

/// Takes what a processor needs out of the machine's memory.
fn prepare(number: u32, common: &Common, meeting: &'static Meeting) -> Result<Prepared, LeftOut> {
    if STACK + size_of::<Segments>() > memory::available() / SHARE {
        return Err(LeftOut::NoMemory);
    }
    let stack = (address_space::STACKS.make)(STACK, 0).ok_or(LeftOut::NoMemory)?;
    let place = memory::take(size_of::<Segments>(), PAGE as usize).ok_or(LeftOut::NoMemory)?;
    let segments = place.cast::<Segments>().as_ptr();
    // SAFETY: fresh memory of that size and alignment, which is mapped; zeroes are what `Segments::new` makes.
    let guards = unsafe {
        segments.write_bytes(0, 1);
        (*segments).guards()
    };
    for guard in guards {
        address_space::unmap(guard..guard + PAGE).ok_or(LeftOut::NoMemory)?;
    }
    let core = reflex_runtime::prepare_core(number).map_err(|_| LeftOut::NoMemory)?;
    let Common { vectors, time } = *common;
    Ok(Prepared { top: stack.end, number, segments, vectors, time, core, meeting })
}

/// Resets the processor and has it begin at `page`, once more if need be. False when it does not come up.
fn rouse(id: u32, page: u64, meeting: &Meeting, time: &Timekeeping) -> bool {
    let within = |nanos: u64| {
        let end = time.clock.now() + nanos;
        while !meeting.is_up.load(Acquire) && time.clock.now() < end {
            spin_loop();
        }
        meeting.is_up.load(Acquire)
    };
    time.apic.send_init(id);
    // A processor that is an emulator's or a hypervisor's is reset at once.
    if !time.features.hypervisor {
        within(RESET_NS);
    }
    time.apic.send_start_up(id, page);
    if within(AGAIN_NS) {
        return true;
    }
    time.apic.send_start_up(id, page);
    within(PATIENCE_NS)
}

/// Compares time stamps with the processor that has come up; `None` when it does not answer.
fn compare(meeting: &Meeting, time: &Timekeeping) -> Option<Agreement> {
    let counts = |nanos| Scale::from_nanos_to(time.rates.tsc_hz).apply(nanos);
    meeting.comparison.ask(counts(FINE_NS), counts(COMPARISON_NS), counts(PATIENCE_NS))
}

/// By how many counts the processor's clock is set back, and a word when that is not none.
fn made_up_for(id: u32, agreement: Agreement) -> i64 {
    match agreement {
        Agreement::Same => 0,
        Agreement::Ahead(counts) => {
            log::info!("processor {id} is {counts} time stamp counts ahead, which is made up for");
            counts
        }
        Agreement::Drifting(counts) => {
            log::warn!("processor {id} counts time at another rate: its times will be wrong");
            counts
        }
    }
}

/// Where the trampoline leads, in long mode, on the address space that all processors use, without a stack.
///
/// # Safety
/// Only a processor enters it that [`rouse`] has started.
#[unsafe(naked)]
unsafe extern "C" fn entry() -> ! {
    naked_asm!(
        "mov ax, 16",
        "mov ds, ax",
        "mov es, ax",
        "mov ss, ax",
        "xor eax, eax",
        "mov fs, ax",
        "mov gs, ax",
        // Taken: no other finds it.
        "xchg rax, [{next}]",
        "test rax, rax",
        "jz 2f",
        "mov rsp, [rax]",
        "mov rdi, rax",
        "xor ebp, ebp",
        "call {begin}",
        "ud2",
        "2: cli",
        "hlt",
        "jmp 2b",
        next = sym NEXT,
        begin = sym begin,
    )
}

/// # Safety
/// Called once for each value, on its stack, in ring 0 with interrupts masked.
unsafe extern "C" fn begin(prepared: *const Prepared) -> ! {
    // SAFETY: the caller's duty; what the value owns is used by this processor alone from here on. The segments are
    // zeroed and live forever, the vectors name stacks that they have, and the address space is the active one,
    // which maps the image and all memory.
    let (core, mut time, meeting) = unsafe {
        let Prepared { number, segments, vectors, time, core, meeting, .. } = prepared.read();
        (*segments).load(number);
        vectors.load();
        AddressSpace::current().activate(&time.features);
        fpu::reset();
        (core, time, meeting)
    };
    // SAFETY: interrupts are masked; the first processor's registers are at the same address, where they are
    // mapped, and the vector has its entry.
    let Ok(apic) = (unsafe { LocalApic::enable(&time.features, SPURIOUS_VECTOR) }) else {
        cpu::halt()
    };
    meeting.is_up.store(true, Release);
    meeting.comparison.answer();
    while !meeting.may_go_on.load(Acquire) {
        spin_loop();
    }
    time.apic = apic;
    time.clock = time.clock.ahead(meeting.ahead.load(Relaxed));
    // The core is asked to forget translations from here on; what was asked before has not been waited for.
    paging::forget_all();
    // SAFETY: interrupts are masked, and nothing of the kernel's has been called here; the vectors are the first
    // processor's, which have their entries, and the clock and the interrupt controller are this one's.
    unsafe { reflex_runtime::start_core(core, time) }
}
