//! The last words of an image that panicked or faulted.
//!
//! For a person, one line with the message and the place. For the host command, which turns
//! them into a backtrace, the registers and the stack's bytes, in lines for machines:
//!
//! ```text
//! #! crash TEXT
//! #! register NAME HEX16
//! #! stack ADDRESS HEXBYTES
//! #! core NUMBER TEXT
//! #! register NAME HEX16
//! #! stack ADDRESS HEXBYTES
//! #! crash-end
//! #! exit STATUS
//! ```
//!
//! where `core` and what follows is there for each other core, with what ran on it: they are [stopped](stop) first.
//!
//! The kernel's runtime may contain a crash instead, through [`Hooks`].

use crate::console::Console;
use crate::exit;
#[cfg(not(test))]
use crate::heap;
use crate::logger::Timestamp;
#[cfg(not(test))]
use crate::refusal::AllocationFailed;
use crate::{cores, stop};
use core::cell::Cell;
use core::fmt::{self, Write};
#[cfg(not(test))]
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use reflex_arch::exception::{ExceptionFrame, Handler};
use reflex_arch::paging::{AddressSpace, PAGE};
use reflex_runtime::report::Registers;

/// The most bytes of the stack that are reported.
const STACK_BYTES: u64 = 8 << 10;
/// Bytes of the stack in one line.
const STACK_LINE: u64 = 32;

/// What the kernel's runtime knows and can do about a crash.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Contains a panic by not returning, if it was in code that can be given up.
    pub panicked: fn(&dyn fmt::Display, &Registers),
    /// Contains a fault, if it was in code that can be given up, by changing the frame to where
    /// to go on; false when it was not, and the image is to end.
    pub faulted: fn(&mut ExceptionFrame) -> bool,
    /// Writes which context and event were running.
    pub running: fn(&mut dyn Write) -> fmt::Result,
}

struct HookCell(Cell<Option<Hooks>>);

// SAFETY: set once, by `set_hooks`, with interrupts masked and before there is a second context;
// from then on it is only read.
unsafe impl Sync for HookCell {}

static HOOKS: HookCell = HookCell(Cell::new(None));

/// How many crashes are being reported: one, unless the report itself crashed.
static CRASHES: AtomicU8 = AtomicU8::new(0);

/// The report has come to its lines for machines.
static ANNOUNCED: AtomicBool = AtomicBool::new(false);

/// From now on, crashes are shown to `hooks` first.
///
/// # Safety
/// Called before a second context exists, with interrupts masked. The hooks are sound to call
/// from wherever a crash can happen.
pub unsafe fn set_hooks(hooks: Hooks) {
    HOOKS.0.set(Some(hooks));
}

/// Where exceptions arrive.
pub(crate) struct Exceptions;

impl Handler for Exceptions {
    extern "C" fn handle(frame: &mut ExceptionFrame) {
        stop::obey(frame, running_here);
        if let Some(hooks) = HOOKS.0.get()
            && CRASHES.load(Relaxed) == 0
            && (hooks.faulted)(frame)
        {
            return;
        }
        let text = format_args!(
            "exception: {} (vector {}, error code {:#x}) at {:#x}, address {:#x}",
            frame.name(),
            frame.vector,
            frame.error_code,
            frame.rip,
            frame.cr2,
        );
        report(text, &Registers::of(frame), exit::EXCEPTION)
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let registers = Registers::here();
    let refused = AllocationFailed::of(info, heap::counters);
    if let Some(hooks) = HOOKS.0.get()
        && CRASHES.load(Relaxed) == 0
    {
        match &refused {
            Some(refused) => (hooks.panicked)(refused, &registers),
            None => (hooks.panicked)(info, &registers),
        }
    }
    if let Some(refused) = refused {
        // Not a fault of the code: the operator is to be told, in a line.
        exit::fail(exit::TOO_LITTLE_MEMORY, format_args!("too little memory: {refused}"));
    }
    report(format_args!("{info}"), &registers, exit::PANIC)
}

/// Reports the crash and ends the image.
fn report(text: fmt::Arguments<'_>, registers: &Registers, status: u8) -> ! {
    reflex_arch::interrupt::disable();
    // From here on this is the only core.
    stop::stop_others();
    let crashes = CRASHES.load(Relaxed);
    CRASHES.store(crashes.saturating_add(1), Relaxed);
    match crashes {
        0 => {}
        // The report crashed: what of it is out must do.
        1 => exit::exit_with(status, |console| {
            if !ANNOUNCED.load(Relaxed) {
                console.write_str("#! crash while a crash was being reported\n")?;
            }
            console.write_str("#! crash-end\n")
        }),
        _ => exit::turn_off(status),
    }
    exit::exit_with(status, |console| write_report(console, text, registers))
}

fn write_report(
    console: &mut Console,
    text: fmt::Arguments<'_>,
    registers: &Registers,
) -> fmt::Result {
    write!(console, "{Timestamp} ERROR reflex: ")?;
    write!(OneLine(console), "{text}")?;
    if HOOKS.0.get().is_some() {
        console.write_str("; running: ")?;
        running_here(&mut OneLine(console))?;
    }
    console.write_str("\n#! crash ")?;
    ANNOUNCED.store(true, Relaxed);
    write!(OneLine(console), "{text}")?;
    console.write_str("\n")?;
    write_registers(console, registers)?;
    write_others(console)?;
    console.write_str("#! crash-end\n")
}

/// Writes what runs on this core.
fn running_here(out: &mut dyn Write) -> fmt::Result {
    match HOOKS.0.get() {
        Some(hooks) => (hooks.running)(out),
        None => out.write_str("no context"),
    }
}

fn write_registers(console: &mut Console, registers: &Registers) -> fmt::Result {
    for (name, value) in registers.iter() {
        writeln!(console, "#! register {name} {value:016x}")?;
    }
    write_stack(console, registers.stack_pointer())
}

/// Writes where the other cores were when they were stopped.
fn write_others(console: &mut Console) -> fmt::Result {
    for (number, _) in cores::others() {
        match stop::stopped(number) {
            Some(left) => {
                write!(console, "#! core {number} ")?;
                write!(OneLine(console), "{}", left.running())?;
                console.write_str("\n")?;
                write_registers(console, &left.registers)?;
            }
            None => writeln!(console, "#! core {number} unknown: it did not stop")?,
        }
    }
    Ok(())
}

/// Writes the stack from `from` upward, leaving out pages that are not mapped: with a stack
/// that has overflowed, that is the guard.
fn write_stack(console: &mut Console, from: u64) -> fmt::Result {
    // SAFETY: in ring 0, where all page tables are identity mapped, by the entry's map and by ours;
    // none is changed here, and with interrupts masked nobody else changes one.
    let space = unsafe { AddressSpace::current() };
    let start = from & !(STACK_LINE - 1);
    let mut previous = None;
    for line in (0..STACK_BYTES / STACK_LINE).map_while(|n| start.checked_add(n * STACK_LINE)) {
        if line < PAGE || space.lookup(line).is_none() {
            continue;
        }
        // SAFETY: the line is aligned to its own size, so it is in one page, which is mapped, and
        // not page zero. It is read as integers, which any bytes are; nobody writes to it
        // meanwhile.
        let bytes = unsafe { (line as *const [u64; STACK_LINE as usize / 8]).read_volatile() };
        // An untouched stack is zero; gaps between reported lines are read as zero.
        if bytes == [0; 4] && previous == Some(bytes) {
            continue;
        }
        previous = Some(bytes);
        write!(console, "#! stack {line:016x} ")?;
        for word in bytes {
            write!(console, "{:016x}", word.swap_bytes())?;
        }
        console.write_str("\n")?;
    }
    Ok(())
}

/// Text in one line, whatever it contains.
struct OneLine<'a>(&'a mut Console);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (place, part) in text.split(['\n', '\r']).enumerate() {
            if place > 0 {
                self.0.write_str(" ")?;
            }
            self.0.write_str(part)?;
        }
        Ok(())
    }
}
