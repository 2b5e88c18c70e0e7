//! What is told of a context that was given up: why, with what words, and for the host a report
//! from which it makes a backtrace.
//!
//! The report is copied from the dead stack, so that the stack can be used again at once, and
//! printed line by line at next to the lowest priority, so that nobody waits for it.

use crate::cpu;
use crate::section::{Start, section};
use core::fmt::{self, Write};
use core::ops::Range;
use reflex_arch::exception::{ExceptionFrame, name};
use reflex_arch::interrupt;
use reflex_event::{ContextId, EventId};

/// Why a context was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A panic.
    Panic,
    /// An exception of the processor.
    Exception {
        /// Which, 0 to 31.
        vector: u8,
        /// The instruction's address.
        address: u64,
        /// What it could not reach, for a page fault (vector 14).
        operand: u64,
    },
    /// Its stack was used up.
    StackOverflow,
    /// A run of a handler took longer than its time budget.
    Overrun,
    /// What was to construct its state returned an error.
    Refused,
    /// Somebody asked for it.
    Requested,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Panic => f.write_str("panic"),
            Self::Exception { vector, address, operand } => {
                write!(f, "exception: {} (vector {vector}) at {address:#x}", name(vector))?;
                if vector == 14 { write!(f, ", address {operand:#x}") } else { Ok(()) }
            }
            Self::StackOverflow => f.write_str("stack overflow"),
            Self::Overrun => f.write_str("a handler took longer than its time budget"),
            Self::Refused => f.write_str("it could not be started"),
            Self::Requested => f.write_str("it was given up by request"),
        }
    }
}

/// A few words, cut off where they do not fit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text {
    bytes: [u8; Self::BYTES],
    length: u8,
}

impl Text {
    const BYTES: usize = 159;

    /// No words.
    pub const EMPTY: Self = Self { bytes: [0; Self::BYTES], length: 0 };

    /// The words.
    pub fn as_str(&self) -> &str {
        let bytes = &self.bytes[..usize::from(self.length).min(Self::BYTES)];
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            // The last character was cut.
            Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        }
    }
}

impl Write for Text {
    /// Ends of lines become spaces.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let place = self.bytes.get_mut(usize::from(self.length)).ok_or(fmt::Error)?;
            *place = if byte == b'\n' || byte == b'\r' { b' ' } else { byte };
            self.length += 1;
        }
        Ok(())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Registers, by name.
#[derive(Clone, Copy)]
pub struct Registers {
    names: &'static [&'static str],
    values: [u64; Self::MOST],
}

impl Registers {
    const MOST: usize = 19;

    /// No registers.
    pub const NONE: Self = Self { names: &[], values: [0; Self::MOST] };

    /// What an exception found.
    pub fn of(frame: &ExceptionFrame) -> Self {
        let names = &[
            "rip", "rsp", "rbp", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
            "r11", "r12", "r13", "r14", "r15", "rflags", "cr2",
        ];
        let values = [
            frame.rip,
            frame.rsp,
            frame.rbp,
            frame.rax,
            frame.rbx,
            frame.rcx,
            frame.rdx,
            frame.rsi,
            frame.rdi,
            frame.r8,
            frame.r9,
            frame.r10,
            frame.r11,
            frame.r12,
            frame.r13,
            frame.r14,
            frame.r15,
            frame.rflags,
            frame.cr2,
        ];
        Self { names, values }
    }

    /// The registers an unwinder needs, as they are at one instruction of the caller: this is
    /// inlined, so that the caller's unwind table describes them.
    #[inline(always)]
    pub fn here() -> Self {
        let mut values = [0; Self::MOST];
        // SAFETY: `values` has room for eight words; no register but the scratch one changes.
        unsafe {
            core::arch::asm!(
                "lea {scratch}, [rip]",
                "mov [{to}], {scratch}",
                "mov [{to} + 8], rsp",
                "mov [{to} + 16], rbp",
                "mov [{to} + 24], rbx",
                "mov [{to} + 32], r12",
                "mov [{to} + 40], r13",
                "mov [{to} + 48], r14",
                "mov [{to} + 56], r15",
                to = in(reg) values.as_mut_ptr(),
                scratch = out(reg) _,
                options(nostack, preserves_flags),
            );
        }
        Self { names: &["rip", "rsp", "rbp", "rbx", "r12", "r13", "r14", "r15"], values }
    }

    /// Those of the code that the last interrupt on `stack` has interrupted; when none can be found,
    /// those of the caller.
    pub(crate) fn interrupted(stack: &Range<usize>) -> Self {
        let here = Self::here();
        let from = (here.stack_pointer() as usize).clamp(stack.start, stack.end);
        let words = (from..stack.end & !7).step_by(size_of::<u64>()).map(|at| {
            // SAFETY: within the stack that this runs on, and aligned.
            unsafe { core::ptr::with_exposed_provenance::<u64>(at).read_volatile() }
        });
        let Some(frame) = interrupt::interrupted(words) else { return here };
        let mut values = [0; Self::MOST];
        values[..2].copy_from_slice(&[frame.rip, frame.rsp]);
        Self { names: &["rip", "rsp"], values }
    }

    /// Those of a context that was left in the middle of its work, as they will be when it goes on:
    /// `saved` is where its stack was left.
    ///
    /// # Safety
    /// The context was left by the kernel's switching, and is not gone back to meanwhile.
    pub(crate) unsafe fn saved(saved: usize) -> Self {
        let words = core::ptr::with_exposed_provenance::<[u64; 3]>(saved);
        // SAFETY: there lie the address to go on at, rbx and rbp: see `reflex_arch::context`.
        let [rip, rbx, rbp] = unsafe { words.read_volatile() };
        let mut values = [0; Self::MOST];
        values[..4].copy_from_slice(&[rip, saved as u64 + size_of::<[u64; 3]>() as u64, rbp, rbx]);
        Self { names: &["rip", "rsp", "rbp", "rbx"], values }
    }

    /// The registers.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.names.iter().copied().zip(self.values)
    }

    /// The stack pointer: the second of them, however many there are.
    pub fn stack_pointer(&self) -> u64 {
        self.values[1]
    }
}

/// Prints a line.
pub type Print = fn(fmt::Arguments<'_>);

/// Words of the stack that are reported, at most, and those in one line.
pub(crate) const WORDS: usize = 1024;
const LINE: usize = 4;

/// What is told of a context.
#[derive(Clone, Copy)]
pub(crate) struct Obituary {
    pub(crate) context: ContextId,
    pub(crate) name: &'static str,
    pub(crate) event: Option<EventId>,
    pub(crate) reason: Reason,
    pub(crate) text: Text,
}

impl fmt::Display for Obituary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "context {} \"{}\"", self.context.index, self.name)?;
        if let Some(event) = self.event {
            write!(f, ", event {}.{}", event.index, event.generation)?;
        }
        // What a panic says begins with the word.
        if self.reason != Reason::Panic || self.text == Text::EMPTY {
            write!(f, ": {}", self.reason)?;
        }
        if self.text == Text::EMPTY { Ok(()) } else { write!(f, ": {}", self.text.as_str()) }
    }
}

/// A report that is being printed.
pub(crate) struct Report {
    obituary: Obituary,
    registers: Registers,
    /// Where the words of the stack were.
    from: usize,
    words: usize,
    /// Lines that have been printed, or left out.
    printed: usize,
}

/// Sets what prints a line.
pub(crate) fn init(start: &Start, print: Print) {
    cpu::this().report.set(start, None);
    cpu::this().print.set(start, print);
}

/// Takes down what is to be printed of a context whose `stack` nobody uses any more. False when
/// another report is being printed, and there will be none of this one.
pub(crate) fn take(obituary: Obituary, registers: Registers, stack: &Range<usize>) -> bool {
    let bytes = LINE * size_of::<u64>();
    let from = (registers.stack_pointer() as usize & !(bytes - 1)).max(stack.start);
    let words = (stack.end.saturating_sub(from) / size_of::<u64>()).min(WORDS);
    let taken = section(|cs| {
        cpu::this().report.with(cs, |report| {
            let free = report.is_none();
            if free {
                *report = Some(Report { obituary, registers, from, words, printed: 0 });
            }
            free
        })
    });
    // A section each: the time does not add up.
    for first in (0..if taken { words } else { 0 }).step_by(LINE) {
        section(|cs| {
            cpu::this().report_stack.with(cs, |copy| {
                for (word, place) in copy[..words].iter_mut().enumerate().skip(first).take(LINE) {
                    let at = from + word * size_of::<u64>();
                    // SAFETY: within the stack, which is mapped, aligned, and whose owner is dead.
                    *place =
                        unsafe { core::ptr::with_exposed_provenance::<u64>(at).read_volatile() };
                }
            });
        });
    }
    taken
}

/// A line of a report.
enum Line {
    Contained(Obituary),
    Register(&'static str, u64),
    Stack(usize, [u64; LINE]),
    /// Untouched stack is zero; gaps between the lines are read so.
    LeftOut,
    End,
}

impl Report {
    /// The next line.
    fn next(&mut self, stack: &[u64]) -> Line {
        let number = self.printed;
        self.printed += 1;
        let Some(number) = number.checked_sub(1) else { return Line::Contained(self.obituary) };
        if let Some((name, value)) = self.registers.iter().nth(number) {
            return Line::Register(name, value);
        }
        let at = (number - self.registers.iter().count()) * LINE;
        match stack.get(at..at + LINE) {
            Some([0, 0, 0, 0]) if at > 0 && stack[at - LINE..at] == [0; LINE] => Line::LeftOut,
            Some(&[a, b, c, d]) => {
                Line::Stack(self.from + at * size_of::<u64>(), [a, b, c, d].map(u64::swap_bytes))
            }
            _ => Line::End,
        }
    }
}

/// Prints the report's next line. False when that was the last.
pub(crate) fn print() -> bool {
    let print = cpu::this().print.get();
    loop {
        let next = section(|cs| {
            cpu::this().report.with(cs, |report| {
                let words = report.as_ref()?.words;
                let line = cpu::this()
                    .report_stack
                    .with(cs, |stack| report.as_mut()?.next(&stack[..words]).into());
                if matches!(line, Some(Line::End)) {
                    *report = None;
                }
                line
            })
        });
        match next {
            None => return false,
            Some(Line::LeftOut) => continue,
            Some(Line::Contained(obituary)) => print(format_args!("#! contained {obituary}")),
            Some(Line::Register(name, value)) => {
                print(format_args!("#! register {name} {value:016x}"));
            }
            Some(Line::Stack(at, [a, b, c, d])) => {
                print(format_args!("#! stack {at:016x} {a:016x}{b:016x}{c:016x}{d:016x}"));
            }
            Some(Line::End) => print(format_args!("#! crash-end")),
        }
        return !matches!(next, Some(Line::End));
    }
}
