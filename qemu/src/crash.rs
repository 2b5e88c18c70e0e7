//! Crash reports: collected from the guest's lines, unwound and named on the host.
//!
//! The guest prints its registers and a piece of its stack and no more; everything that needs
//! the image's debug information happens here.

use std::collections::BTreeMap;

use crate::protocol::Event;

mod symbols;

pub use symbols::{Frame, Symbols};

/// One crash of the guest, as it was printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrashReport {
    /// What happened, in the guest's words.
    pub text: String,
    /// It ended a context only, and the guest went on.
    pub contained: bool,
    /// It is no crash, but where this other core was at that time.
    pub core: Option<u32>,
    /// Where the others were.
    pub others: Vec<CrashReport>,
    /// Registers by name.
    pub registers: BTreeMap<String, u64>,
    /// Pieces of the stack, by address.
    pub stack: BTreeMap<u64, Vec<u8>>,
}

impl CrashReport {
    /// The eight bytes at `address` of the stack, if they were printed.
    pub fn read(&self, address: u64) -> Option<u64> {
        let mut word = [0; 8];
        for (offset, byte) in word.iter_mut().enumerate() {
            *byte = self.byte(address.checked_add(offset as u64)?)?;
        }
        Some(u64::from_le_bytes(word))
    }

    fn byte(&self, address: u64) -> Option<u8> {
        let (start, bytes) = self.stack.range(..=address).next_back()?;
        bytes.get(usize::try_from(address - start).ok()?).copied()
    }
}

/// Puts a report together from events as they come.
#[derive(Debug, Default)]
pub struct CrashCollector {
    reports: Vec<CrashReport>,
    open: bool,
}

impl CrashCollector {
    /// Takes an event, if it belongs to a report. A report that is cut off stays as it is.
    pub fn take(&mut self, event: &Event) {
        if let Event::Crash(text) | Event::Contained(text) = event {
            let contained = matches!(event, Event::Contained(_));
            let text = text.clone();
            self.reports.push(CrashReport { text, contained, ..CrashReport::default() });
            self.open = true;
            return;
        }
        let Some(report) = self.reports.last_mut().filter(|_| self.open) else { return };
        match event {
            Event::Core(number, text) => {
                let (text, core) = (text.clone(), Some(*number));
                report.others.push(CrashReport { text, core, ..CrashReport::default() });
            }
            Event::Register(name, value) => {
                report.last().registers.insert(name.clone(), *value);
            }
            Event::Stack(address, bytes) => {
                report.last().stack.insert(*address, bytes.clone());
            }
            Event::CrashEnd => self.open = false,
            _ => {}
        }
    }

    /// Whether a report has begun and not ended.
    pub fn open(&self) -> bool {
        self.open
    }

    /// The reports so far.
    pub fn reports(&self) -> &[CrashReport] {
        &self.reports
    }

    /// Takes the reports out.
    pub fn take_reports(&mut self) -> Vec<CrashReport> {
        std::mem::take(&mut self.reports)
    }
}

impl CrashReport {
    /// The core that was told of last.
    fn last(&mut self) -> &mut CrashReport {
        match self.others.is_empty() {
            true => self,
            false => self.others.last_mut().expect("not empty"),
        }
    }

    /// The report as text, named by `symbols` if there are any; behind it those of the other cores.
    pub fn render(&self, symbols: Option<&Symbols>) -> String {
        let text = match symbols {
            Some(symbols) => symbols.render(self),
            None => format!("{}{}", self.headline(), symbols::registers(self)),
        };
        self.others.iter().fold(text, |text, other| text + &other.render(symbols))
    }

    fn headline(&self) -> String {
        let text = &self.text;
        match self.core {
            Some(number) => format!("at that time on core {number}: {text}\n"),
            None if self.contained => format!("a context was given up: {text}\n"),
            None => format!("the guest crashed: {text}\n"),
        }
    }
}

#[cfg(test)]
mod tests;
