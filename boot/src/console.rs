//! The serial console: free text, and lines for machines.

use crate::exclusion::Exclusive;
#[cfg(not(test))]
use crate::input_error::InputError;
use core::fmt::{self, Write};
#[cfg(not(test))]
use reflex_arch::serial::Receiver;
use reflex_arch::serial::{COM1, FIFO_BYTES, Serial};

/// The console's state.
pub(crate) struct Console {
    serial: Option<Serial>,
    in_line: bool,
    /// Lines on their way out: those of a context that was preempted while sending go first, and
    /// whole.
    waiting: [u8; WAITING],
    first: usize,
    end: usize,
}

/// Bytes that may wait: four lines, for each context that was preempted at the console has one there.
const WAITING: usize = 1024;
/// Bytes sent in one go, with dispatch deferred: as many as the port takes without a wait.
const PIECE: usize = FIFO_BYTES;

static CONSOLE: Exclusive<Console> = Exclusive::new(Console::SILENT);

/// Looks for the serial port. Without one, what is written goes nowhere.
pub(crate) fn init() {
    // SAFETY: at start-up, in ring 0; COM1's ports are a UART's or nobody's, and only this console
    // and the receiver that is made of it use them.
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

/// The receiving half, for the first caller.
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
/// The caller never returns to code that may be writing now.
pub(crate) unsafe fn seize() -> &'static mut Console {
    // SAFETY: code that is inside never goes on, says the caller. The console is sound wherever
    // that was stopped: its fields are numbers and bytes, each index is checked, and a piece of a
    // line that was sent is at worst sent again.
    let console = unsafe { &mut *CONSOLE.seize() };
    while console.send_piece() {}
    console.start_line();
    console
}

/// A line on its way out. It is formatted outside the exclusion, in which no code of others' runs,
/// and sent in many that are short. Lines up to its size are written whole.
struct Line {
    bytes: [u8; Self::BYTES],
    used: usize,
}

impl Line {
    /// Longer than nearly all lines, and little of a stack.
    const BYTES: usize = 256;

    const fn new() -> Self {
        Self { bytes: [0; Self::BYTES], used: 0 }
    }

    fn flush(&mut self) {
        let bytes = &self.bytes[..self.used];
        // Code that is at the console already says nothing.
        while CONSOLE.with(|console| console.queue(bytes)) == Some(false) {
            CONSOLE.with(Console::send_piece);
        }
        while CONSOLE.with(Console::send_piece) == Some(true) {}
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
    const SILENT: Self =
        Self { serial: None, in_line: false, waiting: [0; WAITING], first: 0, end: 0 };

    /// Has bytes sent behind all others; false when there is no room for them at present.
    fn queue(&mut self, bytes: &[u8]) -> bool {
        let room = self.waiting.get_mut(self.end..self.end + bytes.len());
        room.is_some_and(|room| {
            room.copy_from_slice(bytes);
            self.end += bytes.len();
            true
        })
    }

    /// Sends a piece of what waits; true when there is more.
    fn send_piece(&mut self) -> bool {
        let mut piece = [0; PIECE];
        let length = (self.end - self.first).min(PIECE);
        let piece = &mut piece[..length];
        piece.copy_from_slice(&self.waiting[self.first..self.first + length]);
        self.first += length;
        let more = self.first < self.end;
        if !more {
            (self.first, self.end) = (0, 0);
        }
        self.write(piece);
        more
    }

    fn write(&mut self, bytes: &[u8]) {
        if let (Some(serial), Some(last)) = (&mut self.serial, bytes.last()) {
            self.in_line = *last != b'\n';
            serial.write(bytes);
        }
    }

    pub(crate) fn start_line(&mut self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_goes_first_and_leaves_room() {
        let mut console = Console::SILENT;
        assert!(console.queue(&[b'a'; WAITING - 20]) && console.queue(&[b'b'; 20]));
        assert!(!console.queue(b"c"));
        let pieces = core::iter::repeat_with(|| console.send_piece());
        assert_eq!(pieces.take_while(|more| *more).count(), WAITING / PIECE - 1);
        assert!(console.queue(b"c") && console.waiting[0] == b'c');
        assert!(!console.send_piece() && !console.send_piece());
    }
}
