//! The serial console: free text, and lines for machines.

use crate::exclusion::Exclusive;
#[cfg(not(test))]
use crate::input::InputError;
use core::fmt::{self, Write};
#[cfg(not(test))]
use reflex_arch::serial::Receiver;
use reflex_arch::serial::{COM1, Serial};

/// The console's state.
pub(crate) struct Console {
    serial: Option<Serial>,
    in_line: bool,
}

static CONSOLE: Exclusive<Console> = Exclusive::new(Console { serial: None, in_line: false });

/// Looks for the serial port. Without one, what is written goes nowhere.
pub(crate) fn init() {
    // SAFETY: at start-up, in ring 0; COM1's ports are a UART's or nobody's.
    let serial = unsafe { Serial::new(COM1) };
    CONSOLE.with(|console| console.serial = serial);
}

/// Writes a line.
pub fn line(text: fmt::Arguments<'_>) {
    let mut line = Line::new();
    let _ = writeln!(line, "{text}");
    line.flush();
}

/// Writes a line for machines, as the host command reads them: `#! text`.
pub fn machine_line(text: fmt::Arguments<'_>) {
    line(format_args!("#! {text}"));
}

/// What receives, for the first who asks.
#[cfg(not(test))]
pub(crate) fn receiver() -> Result<Receiver, InputError> {
    let given = CONSOLE.with(|console| console.serial.as_mut().map(Serial::receiver)).flatten();
    given.ok_or(InputError::NoPort)?.ok_or(InputError::Taken)
}

/// How often received bytes were found lost while something was written.
#[cfg(not(test))]
pub(crate) fn overruns() -> u32 {
    CONSOLE.with(|console| console.serial.as_ref().map_or(0, Serial::overruns)).unwrap_or(0)
}

/// The console, on a new line, for the last words of an image.
///
/// # Safety
/// The caller never returns to whoever may be writing now.
pub(crate) unsafe fn seize() -> &'static mut Console {
    // SAFETY: the caller's duty; a half-written line leaves the console sound.
    let console = unsafe { &mut *CONSOLE.seize() };
    console.start_line();
    console
}

/// A line on its way out. It is formatted outside the exclusion, which is then short, and in
/// which no code of others' runs. Lines up to its size are written whole.
struct Line {
    bytes: [u8; Self::BYTES],
    used: usize,
}

impl Line {
    const BYTES: usize = 256;

    const fn new() -> Self {
        Self { bytes: [0; Self::BYTES], used: 0 }
    }

    fn flush(&mut self) {
        CONSOLE.with(|console| console.write(&self.bytes[..self.used]));
        self.used = 0;
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            if self.used == Self::BYTES {
                self.flush();
            }
            let (now, later) = rest.split_at(rest.len().min(Self::BYTES - self.used));
            self.bytes[self.used..self.used + now.len()].copy_from_slice(now);
            self.used += now.len();
            rest = later;
        }
        Ok(())
    }
}

impl Console {
    fn write(&mut self, bytes: &[u8]) {
        if let (Some(serial), Some(last)) = (&mut self.serial, bytes.last()) {
            self.in_line = *last != b'\n';
            serial.write(bytes);
        }
    }

    fn start_line(&mut self) {
        if self.in_line {
            let _ = self.write_str("\n");
        }
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}
