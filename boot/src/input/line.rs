//! The first serial port's interrupt, wired to an intake.

use super::Intake;
use crate::console;
use crate::input_error::InputError;
use crate::interrupt_pin::{self, PinError};
use crate::machine::Machine;
use alloc::boxed::Box;
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use reflex_arch::acpi::{Interrupt, Madt};
use reflex_arch::serial::{COM1_LINE, Receiver};
use reflex_event::Error;
use reflex_hil::Acknowledge;
use reflex_runtime::interrupt::Vector;
use reflex_runtime::job::Job;

/// Bytes that can wait for the reader.
const WAITING: usize = 512;

type ConsoleIntake = Intake<Receiver, WAITING>;

impl From<PinError> for InputError {
    fn from(error: PinError) -> Self {
        match error {
            PinError::OutOfMemory => Self::Kernel(Error::OutOfMemory),
            PinError::NoController => Self::NoController,
        }
    }
}

/// What is typed at the console. It can be moved, but has one reader at a time: one context.
///
/// Bytes are as the line brought them; what a terminal sends for "enter" or "backspace" is the
/// terminal's own business, and a break arrives as a zero. All that arrives between the connection
/// of the [`InputLine`] and now is here, in order, or counted as an overrun.
pub struct Input {
    typed: &'static ConsoleIntake,
    /// A reference cannot be sent to another context.
    one_reader: PhantomData<Cell<()>>,
}

impl Input {
    /// Takes the first bytes that wait, as many as there are and fit. Those it leaves are not
    /// announced again: take until there are none, or look at [`waiting`](Self::waiting).
    pub fn take(&self, buffer: &mut [u8]) -> usize {
        self.typed.take(buffer)
    }

    /// How many bytes wait.
    pub fn waiting(&self) -> usize {
        self.typed.waiting()
    }

    /// How often so many bytes waited that senders were held up. Nothing is lost by that.
    pub fn throttlings(&self) -> u32 {
        self.typed.throttlings()
    }

    /// How often the port was found to have lost bytes: at least one each time. Only a sender
    /// without flow control can bring that about.
    pub fn overruns(&self) -> u32 {
        self.typed.overruns().saturating_add(console::overruns())
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({} waiting, {} overruns)", self.waiting(), self.overruns())
    }
}

/// The interrupt of the console's input, not yet about anything.
#[must_use = "nothing arrives before it is connected"]
pub struct InputLine {
    typed: &'static ConsoleIntake,
    interrupt: Interrupt,
    pin: interrupt_pin::Pin,
    vector: Vector,
}

impl InputLine {
    /// From now on, `arrived` is called in a job with the number of bytes that have come since it
    /// last was, at least 1. The host is told that the console is read, by a machine line.
    ///
    /// # Errors
    /// [`InputError::Kernel`] when there are too many jobs.
    pub fn connect(self, mut arrived: impl FnMut(u32) + Send + 'static) -> Result<(), InputError> {
        let Self { typed, interrupt, pin, vector } = self;
        let job = Job::new(move || match typed.arrived() {
            0 => {}
            bytes => arrived(bytes),
        })?;
        vector.post(job, Some(Box::leak(Box::new(Arrival(typed)))));
        pin.route(vector, interrupt.trigger, interrupt.polarity);
        // Last: what has come already raises the wire now.
        typed.start();
        console::machine_line(format_args!("input"));
        Ok(())
    }
}

/// The intake as interrupt code sees it.
struct Arrival(&'static ConsoleIntake);

impl Acknowledge for Arrival {
    fn acknowledge(&mut self) -> bool {
        self.0.interrupted()
    }
}

/// The console's input, for the first caller.
///
/// # Errors
/// [`InputError`].
pub fn console_input(machine: &Machine) -> Result<(Input, InputLine), InputError> {
    let madt = machine.firmware.map_or_else(Madt::default, |firmware| firmware.madt);
    let interrupt = madt.isa(COM1_LINE);
    let pin = interrupt_pin::find(machine, interrupt.global)?;
    let port = console::receiver()?;
    let vector = Vector::reserve()?;
    let typed: &'static ConsoleIntake = Box::leak(Box::new(Intake::new(port)));
    let input = Input { typed, one_reader: PhantomData };
    Ok((input, InputLine { typed, interrupt, pin, vector }))
}
