//! Why a context was given up, and with what words.

use core::fmt::{self, Write};
use reflex_arch::exception::name;
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

/// What is told of a context.
#[derive(Clone, Copy)]
pub(crate) struct FailureReport {
    pub(crate) context: ContextId,
    pub(crate) name: &'static str,
    pub(crate) event: Option<EventId>,
    pub(crate) reason: Reason,
    pub(crate) text: Text,
}

impl fmt::Display for FailureReport {
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
