//! The serial console: free text, and lines for machines.

use crate::exclusion::Exclusive;
use core::fmt::{self, Write};
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

/// Writes a line. Dropped when called from within another line's arguments.
pub fn line(text: fmt::Arguments<'_>) {
    CONSOLE.with(|console| writeln!(console, "{text}"));
}

/// Writes a line for machines, as the host command reads them: `#! text`.
pub fn machine_line(text: fmt::Arguments<'_>) {
    CONSOLE.with(|console| {
        console.start_line();
        writeln!(console, "#! {text}")
    });
}

/// Takes a byte that was typed, if there is one.
pub fn read() -> Option<u8> {
    CONSOLE.with(|console| console.serial.as_mut().and_then(Serial::read)).flatten()
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

impl Console {
    fn start_line(&mut self) {
        if self.in_line {
            let _ = self.write_str("\n");
        }
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if let (Some(serial), Some(last)) = (&mut self.serial, text.as_bytes().last()) {
            self.in_line = *last != b'\n';
            serial.write(text.as_bytes());
        }
        Ok(())
    }
}
