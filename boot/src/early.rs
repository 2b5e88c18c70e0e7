//! Start-up, step by step.

use crate::command_line::CommandLine;
use crate::configuration::{Configuration, Error as ConfigurationError, LONGEST, Source};
use crate::crash::Exceptions;
use crate::exit::{BAD_BOOT, BAD_COMMAND_LINE, TOO_LITTLE_MEMORY, fail};
use crate::memory_map::{self, Memory};
use crate::start_info::{Error as StartInfoError, StartInfo};
use crate::{console, exit, fw_cfg, heap, layout, logger};
use core::arch::asm;
use core::cell::UnsafeCell;
use core::convert::Infallible;
use core::fmt;
use core::mem::MaybeUninit;
use core::ops::Range;
use reflex_arch::acpi::{self, Facts, Register, SleepControl};
use reflex_arch::apic::{self, LocalApic};
use reflex_arch::calibration::{self, Rates};
use reflex_arch::clock::{self, Clock};
use reflex_arch::cpu::Features;
use reflex_arch::exception::Idt;
use reflex_arch::paging::{Access, AddressSpace, PAGE};
use reflex_arch::processors::Processors;
use reflex_arch::segments::{Ist, Segments};
use reflex_arch::{Error, fpu, interrupt, ioapic, mp_table, pic};

/// The vector of interrupts that turn out to be none.
pub const SPURIOUS_VECTOR: u8 = 0xff;

/// What the entry's own map covers.
const BOOT_MAP: u64 = 4 << 30;

/// What start-up found and set up.
pub struct Early {
    /// The command line.
    pub command_line: CommandLine<'static>,
    /// Memory nobody has yet; all of it is mapped as data.
    pub memory: Memory,
    /// The active map.
    pub address_space: AddressSpace,
    /// The active vector table: exceptions and [`SPURIOUS_VECTOR`] are set.
    pub vectors: &'static mut Idt,
    /// What the firmware tells; `None` when it has no ACPI tables.
    pub firmware: Option<Facts>,
    /// The processors that the firmware names; `None` when it names none.
    pub processors: Option<Processors>,
    /// A page of low memory, for the first instructions of other processors.
    pub low_page: Option<u64>,
    /// What the processor can do.
    pub features: Features,
    /// The local APIC, enabled, its timer masked.
    pub apic: LocalApic,
    /// Nanoseconds since the entry.
    pub clock: Clock,
    /// At what rates the clock and the APIC's timer run.
    pub rates: Rates,
}

impl Early {
    /// Maps a device's registers, wherever they are, uncached.
    ///
    /// # Errors
    /// [`Error::NotCanonical`], [`Error::OutOfFrames`].
    pub fn map_device(&mut self, address: u64, length: u64) -> Result<(), Error> {
        self.address_space.map_device(address, length, &mut || frame(&mut self.memory))
    }

    /// Takes the page at `page` out of the map: the lowest of a stack.
    ///
    /// # Errors
    /// [`Error::Misaligned`], [`Error::NotMapped`], [`Error::OutOfFrames`].
    pub fn unmap_guard(&mut self, page: u64) -> Result<(), Error> {
        self.address_space.unmap_guard(page, &mut || frame(&mut self.memory))
    }
}

/// The tables that the processor reads, and what was copied from the boot loader.
struct Tables {
    segments: Segments,
    vectors: Idt,
    start_info: StartInfo,
    configuration: Configuration,
}

struct TableCell(UnsafeCell<Tables>);

// SAFETY: borrowed once, by `start`, which is called once.
unsafe impl Sync for TableCell {}

static TABLES: TableCell = TableCell(UnsafeCell::new(Tables {
    segments: Segments::new(),
    vectors: Idt::new(),
    start_info: StartInfo::new(),
    configuration: Configuration::new(),
}));

/// Sets the machine up and calls `next` with it.
///
/// What makes no sense, and too little memory, ends the image with one line and a status.
///
/// # Safety
/// Called once, first thing, by the entry's `reflex_start`, with what that was given.
pub unsafe fn start(start_info: u32, next: impl FnOnce(Early) -> Infallible) -> ! {
    let origin = clock::tsc();
    // SAFETY: nothing has been computed in floating point yet that its reset could change.
    unsafe { fpu::reset() };
    console::init();
    // SAFETY: this function is called once, says its contract, and nothing else touches the tables,
    // so that this is the only borrow there ever is.
    let Tables { segments, vectors, start_info: info, configuration } =
        unsafe { &mut *TABLES.0.get() };
    let guards = segments.guards();
    load_tables(segments, vectors);

    if let Err(error) = info.read(u64::from(start_info), boot_memory) {
        let too_long = error == StartInfoError::CommandLineTooLong;
        fail(if too_long { BAD_COMMAND_LINE } else { BAD_BOOT }, format_args!("{error}"));
    }
    let info: &'static StartInfo = info;
    or_fail(BAD_COMMAND_LINE, configure(configuration, info));
    let command_line = or_fail(BAD_COMMAND_LINE, CommandLine::of_words(configuration.text()));
    logger::init(command_line.log);

    let features = Features::detect();
    if !features.no_execute {
        fail(BAD_BOOT, format_args!("the processor cannot mark pages not executable"));
    }
    let firmware = read_firmware(info);
    let processors = firmware.map(|facts| facts.madt.processors).or_else(read_mp_table);
    check_image_fits(info);
    let mut memory = Memory::new(info.ranges(), layout::image());
    let total = memory.total();
    log::debug!("{} KiB of memory, {} KiB free", memory_size(info) >> 10, total >> 10);

    let mut address_space = or_fail(TOO_LITTLE_MEMORY, map(&mut memory, &guards));
    or_fail(
        TOO_LITTLE_MEMORY,
        map_devices(&mut address_space, &mut memory, &features, firmware.as_ref()),
    );
    // SAFETY: the image is mapped as its segments need, the boot stack as data, and so are
    // the tables, which came from free memory; the space lives in `Early` for ever.
    unsafe { address_space.activate(&features) };
    exit::set_sleep_control(firmware.and_then(|facts| facts.sleep));
    // The entry's tables are in no use any more.
    memory.add(layout::boot_tables());

    start_heap(&mut memory);
    let (apic, clock, rates) = start_clock(&features, firmware.as_ref(), origin);
    match next(Early {
        command_line,
        memory,
        address_space,
        vectors,
        firmware,
        processors,
        low_page: memory_map::low_page(info.ranges(), info.own()),
        features,
        apic,
        clock,
        rates,
    }) {}
}

/// Starts the local APIC, measures both clocks by a timer of the machine's, and has the log tell the time.
fn start_clock(
    features: &Features,
    firmware: Option<&Facts>,
    origin: u64,
) -> (LocalApic, Clock, Rates) {
    // SAFETY: interrupts are masked, the registers are mapped, the spurious vector is set.
    let apic = or_fail(BAD_BOOT, unsafe {
        pic::mask();
        LocalApic::enable(features, SPURIOUS_VECTOR)
    });
    let pm_timer = firmware.and_then(|facts| facts.pm_timer);
    // SAFETY: interrupts are masked, and nobody else is there to use the timers.
    let rates = unsafe { calibration::measure(features, &apic, pm_timer) };
    let clock = Clock::new(origin, rates.tsc_hz);
    logger::set_clock(clock);
    log::debug!(
        "TSC {} kHz, APIC timer {} kHz, within {} ppm by {:?}",
        rates.tsc_hz / 1000,
        rates.apic_hz / 1000,
        rates.error_ppm,
        rates.source,
    );
    (apic, clock, rates)
}

/// Merges what tells the image something, the strongest first.
fn configure(to: &mut Configuration, info: &StartInfo) -> Result<(), ConfigurationError> {
    to.add_line(info.command_line())?;
    // SAFETY: in ring 0, and start-up is the only one that uses the device, here and once.
    if let Some(mut device) = unsafe { fw_cfg::Dma::find() } {
        fw_cfg::add(&mut device, to)?;
    }
    for module in info.modules().iter().rev().filter(|module| module.length > 0) {
        let length = usize::try_from(module.length).ok().filter(|length| *length <= LONGEST);
        let length = length.ok_or(ConfigurationError::too_long(Source::Module))?;
        let mut buffer = [0; LONGEST];
        let text = &mut buffer[..length];
        if !copy_boot_memory(module.address, text) {
            return Err(ConfigurationError::unreadable(Source::Module));
        }
        to.begin_source();
        to.add_file(text, Source::Module)?;
    }
    Ok(())
}

/// Segments and exceptions: from here on, a fault is reported.
fn load_tables(segments: &'static mut Segments, vectors: &mut Idt) {
    vectors.set_exceptions::<Exceptions>();
    let spurious = interrupt::spurious as *const () as u64;
    // SAFETY: in ring 0 and long mode, once, in the order that the two need; the entry of the
    // spurious vector is one.
    unsafe {
        vectors.set(SPURIOUS_VECTOR, spurious, Ist::Interrupt);
        segments.load(0);
        vectors.load();
    }
}

/// The firmware's tables, or `None` with a warning when they are wrong.
fn read_firmware(info: &StartInfo) -> Option<Facts> {
    let facts = acpi::read(info.rsdp?, boot_memory);
    facts.inspect_err(|error| log::warn!("the firmware's tables are ignored: {error}")).ok()
}

/// The processors of a machine without ACPI.
fn read_mp_table() -> Option<Processors> {
    let read = mp_table::read(boot_memory);
    read.inspect_err(|error| log::warn!("the firmware's MP table is ignored: {error}")).ok()?
}

/// Ends the image when it reaches into memory that is not usable: loaders do not look.
fn check_image_fits(info: &StartInfo) {
    let image = layout::image();
    let holds = |range: &Range<u64>| range.start <= image.start && image.end <= range.end;
    if !info.ranges().iter().any(|range| range.usable && holds(&range.addresses)) {
        let end = image.end >> 10;
        fail(TOO_LITTLE_MEMORY, format_args!("too little memory: the image ends at {end} KiB"));
    }
}

/// Maps the image by what its parts need, the rest as data, and takes the guards out.
fn map(memory: &mut Memory, guards: &[u64]) -> Result<AddressSpace, Error> {
    let ram = memory.clone();
    let frames = &mut || frame_below(memory, BOOT_MAP);
    // SAFETY: frames are taken from free memory, and the entry's map covers all below 4 GiB.
    let mut space = unsafe { AddressSpace::new(frames)? };
    space.map(layout::text(), Access::ReadExecute, frames)?;
    space.map(layout::rodata(), Access::Read, frames)?;
    space.map(layout::data(), Access::ReadWrite, frames)?;
    for range in ram.ranges() {
        space.map_ram(range, frames)?;
    }
    space.unmap_guard(layout::boot_stack_guard(), frames)?;
    for guard in guards {
        space.unmap_guard(*guard, frames)?;
    }
    Ok(space)
}

/// Maps the interrupt controllers and the sleep control register.
fn map_devices(
    space: &mut AddressSpace,
    memory: &mut Memory,
    features: &Features,
    firmware: Option<&Facts>,
) -> Result<(), Error> {
    let frames = &mut || frame_below(memory, BOOT_MAP);
    if let Some(address) = LocalApic::address(features) {
        space.map_device(address, apic::REGISTERS, frames)?;
    }
    for controller in firmware.iter().flat_map(|facts| facts.madt.controllers()) {
        space.map_device(controller.address, ioapic::REGISTERS, frames)?;
    }
    let sleep = firmware.and_then(|facts| facts.sleep);
    if let Some(SleepControl::Reduced { control: Register::Memory(address), .. }) = sleep {
        space.map_device(address, 1, frames)?;
    }
    Ok(())
}

/// Gives the heap what it needs until the kernel gives memory out.
fn start_heap(memory: &mut Memory) {
    match memory.take(heap::START_UP as u64, PAGE, u64::MAX) {
        Some(range) => {
            let start = range.start as *mut MaybeUninit<u8>;
            // SAFETY: the range was free, is mapped as data, and is given to nobody else; so it is
            // borrowed for good, and its bytes need not be initialised.
            heap::init(unsafe { core::slice::from_raw_parts_mut(start, heap::START_UP) });
        }
        None => fail(
            TOO_LITTLE_MEMORY,
            format_args!(
                "too little memory: {} KiB free in pieces, the start takes {} in one",
                memory.total() >> 10,
                heap::START_UP >> 10,
            ),
        ),
    }
}

/// A frame for a page table.
fn frame(memory: &mut Memory) -> Option<u64> {
    frame_below(memory, u64::MAX)
}

fn frame_below(memory: &mut Memory, limit: u64) -> Option<u64> {
    memory.take(PAGE, PAGE, limit).map(|range| range.start)
}

fn memory_size(info: &StartInfo) -> u64 {
    let usable = info.ranges().iter().filter(|range| range.usable);
    usable.map(|range| range.addresses.end - range.addresses.start).sum()
}

/// Whether the entry's map covers these bytes, and nothing of the image is in them that changes. Loaders put
/// small things between the image's segments, too.
fn is_boot_memory(address: u64, length: usize) -> bool {
    let data = layout::data();
    let end = address.checked_add(length as u64).filter(|end| *end <= BOOT_MAP);
    end.is_some_and(|end| end <= data.start || data.end <= address)
}

/// Copies bytes at a physical address, through the entry's map; false when they are not there. A loader may have put
/// them at the address 0, where no reference can be.
fn copy_boot_memory(address: u64, to: &mut [u8]) -> bool {
    let readable = is_boot_memory(address, to.len());
    if readable {
        // SAFETY: the entry's map covers the source as readable, and `to` is borrowed for as long as it is written;
        // they do not overlap, as `to` is on the boot stack, which is in the image's data. The direction flag is
        // clear, as it always is between instructions of Rust.
        unsafe {
            asm!("rep movsb", inout("rsi") address => _, inout("rdi") to.as_mut_ptr() => _,
                inout("rcx") to.len() => _, options(nostack, preserves_flags));
        }
    }
    readable
}

/// Bytes at a physical address, through the entry's map.
fn boot_memory(address: u64, length: usize) -> Option<&'static [u8]> {
    if address == 0 || !is_boot_memory(address, length) {
        return None;
    }
    // SAFETY: the entry's map covers the range as readable, it is not null, and nothing of the
    // image is in it that could change: its data is not. Its bytes are integers, whatever is there. The functions
    // that are given it, `StartInfo::read`, `acpi::read` and `mp_table::read`, keep no reference, and all are done
    // before `memory` hands anything out: so nobody writes to it as long as it is borrowed.
    Some(unsafe { core::slice::from_raw_parts(address as *const u8, length) })
}

fn or_fail<T, E: fmt::Display>(status: u8, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| fail(status, format_args!("{error}")))
}
