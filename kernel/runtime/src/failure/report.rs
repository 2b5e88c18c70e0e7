//! What is told of a context that was given up: why, with what words, and for the host a report
//! from which it makes a backtrace.
//!
//! The report is copied from the dead stack, so that the stack can be used again at once, and
//! printed line by line at next to the lowest priority, so that nobody waits for it.

use crate::cpu;
use crate::cpu::reason::FailureReport;
use crate::cpu::report::{LINE, Report, WORDS};
use crate::dispatch::section::{Start, section};
use core::ops::Range;

pub use crate::cpu::reason::{Reason, Text};
pub use crate::cpu::registers::Registers;
pub use crate::cpu::report::Print;

/// Sets what prints a line.
pub(crate) fn init(start: &Start, print: Print) {
    cpu::this().report.set(start, None);
    cpu::this().print.set(start, print);
}

/// Takes down what is to be printed of a context with a `stack` that nobody uses any more. False
/// when another report is being printed, and there will be none of this one.
pub(crate) fn take(
    failure_report: FailureReport,
    registers: Registers,
    stack: &Range<usize>,
) -> bool {
    let bytes = LINE * size_of::<u64>();
    let from = (registers.stack_pointer() as usize & !(bytes - 1)).max(stack.start);
    let words = (stack.end.saturating_sub(from) / size_of::<u64>()).min(WORDS);
    let taken = section(|cs| {
        cpu::this().report.with(cs, |report| {
            let free = report.is_none();
            if free {
                *report = Some(Report { failure_report, registers, from, words, printed: 0 });
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
                    // SAFETY: within the stack, which is mapped and aligned, and has a dead owner.
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
    Contained(FailureReport),
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
        let Some(number) = number.checked_sub(1) else {
            return Line::Contained(self.failure_report);
        };
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
            Some(Line::Contained(failure_report)) => {
                print(format_args!("#! contained {failure_report}"))
            }
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
