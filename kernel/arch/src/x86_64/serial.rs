//! A 16550 serial port: what is sent is polled for, what is received can interrupt.
//!
//! [`Serial`] sends; [`Receiver`], which it gives away once, receives. They share the line status,
//! and a read clears its error bits (PC16550D, 8.6.3): each counts or tells the overruns it sees.

use super::port::Port;
use core::fmt;

/// The first serial port of a PC.
pub const COM1: u16 = 0x3f8;

/// The ISA interrupt line of [`COM1`].
pub const COM1_LINE: u8 = 4;

/// Bytes that the port can hold in each direction.
pub const FIFO_BYTES: usize = 16;

const DATA: u16 = 0;
const INTERRUPT_ENABLE: u16 = 1;
const FIFO_CONTROL: u16 = 2;
const LINE_CONTROL: u16 = 3;
const MODEM_CONTROL: u16 = 4;
const LINE_STATUS: u16 = 5;
const SCRATCH: u16 = 7;

const RECEIVED_DATA_AVAILABLE: u8 = 1 << 0;
/// DTR and RTS: this side is ready.
const READY: u8 = 0x03;
/// OUT2, which lets a PC's port interrupt at all.
const INTERRUPTS_OUT: u8 = 1 << 3;
const LINE_STATUS_DATA_READY: u8 = 1 << 0;
const LINE_STATUS_OVERRUN: u8 = 1 << 1;
const LINE_STATUS_TRANSMIT_EMPTY: u8 = 1 << 5;
/// Reads of the line status before a transmitter that does not drain is given up for one
/// chunk: about a second in QEMU, ten characters' time on hardware at 9600 baud.
const PATIENCE: u32 = 1_000_000;

/// A serial port at 115200 baud, eight bits, no parity, with its FIFO on.
#[derive(Debug)]
pub struct Serial {
    base: u16,
    overruns: u32,
    receiver_given: bool,
}

impl Serial {
    /// Sets up the port at `base`; `None` when there is no UART, which its scratch register
    /// gives away.
    ///
    /// # Safety
    /// Ring 0; the eight ports from `base` are a UART's or nobody's, and this value is their
    /// only user.
    pub unsafe fn new(base: u16) -> Option<Self> {
        let mut serial = Self { base, overruns: 0, receiver_given: false };
        for probe in [0x5a, 0xa5] {
            serial.write_register(SCRATCH, probe);
            if serial.read_register(SCRATCH) != probe {
                return None;
            }
        }
        serial.write_register(INTERRUPT_ENABLE, 0);
        serial.write_register(LINE_CONTROL, 0x80); // divisor latch
        serial.write_register(DATA, 1); // 115200 baud
        serial.write_register(INTERRUPT_ENABLE, 0);
        serial.write_register(LINE_CONTROL, 0x03); // 8N1
        // FIFO on and emptied. It interrupts at half full, or when nothing more has come for the
        // time of four characters: room for as much again until somebody looks.
        serial.write_register(FIFO_CONTROL, 0x87);
        serial.write_register(MODEM_CONTROL, READY);
        Some(serial)
    }

    /// Sends `bytes`, waiting for room.
    pub fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(FIFO_BYTES) {
            // Once the transmitter is empty, its whole FIFO is free: one status read a chunk.
            for _ in 0..PATIENCE {
                let status = self.read_register(LINE_STATUS);
                if status & LINE_STATUS_OVERRUN != 0 {
                    self.overruns = self.overruns.saturating_add(1);
                }
                if status & LINE_STATUS_TRANSMIT_EMPTY != 0 {
                    break;
                }
            }
            for byte in chunk {
                self.write_register(DATA, *byte);
            }
        }
    }

    /// The receiving half; `None` when it has been given away.
    pub fn receiver(&mut self) -> Option<Receiver> {
        if core::mem::replace(&mut self.receiver_given, true) {
            return None;
        }
        self.write_register(MODEM_CONTROL, READY | INTERRUPTS_OUT);
        Some(Receiver { base: self.base })
    }

    /// How often received bytes were found lost while something was sent: the port was full.
    pub fn overruns(&self) -> u32 {
        self.overruns
    }

    fn write_register(&mut self, register: u16, value: u8) {
        // SAFETY: `new`'s caller vouched for these ports.
        unsafe { Port::new(self.base + register).write(value) }
    }

    fn read_register(&mut self, register: u16) -> u8 {
        // SAFETY: `new`'s caller vouched for these ports.
        unsafe { Port::new(self.base + register).read() }
    }
}

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

/// What a port's line status says of what is received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiveStatus {
    /// There is a byte to take.
    pub ready: bool,
    /// At least one byte was lost since the status was last looked at: the port was full.
    pub overrun: bool,
}

/// The receiving half of a serial port. Its interrupt is off at first.
///
/// Each call is one access to a register of its own, so that interrupt code and the code it
/// interrupts may both call them.
#[derive(Debug)]
pub struct Receiver {
    base: u16,
}

impl Receiver {
    /// What there is to take.
    pub fn status(&self) -> ReceiveStatus {
        // SAFETY: `Serial::new`'s caller vouched for these ports.
        let status: u8 = unsafe { Port::new(self.base + LINE_STATUS).read() };
        ReceiveStatus {
            ready: status & LINE_STATUS_DATA_READY != 0,
            overrun: status & LINE_STATUS_OVERRUN != 0,
        }
    }

    /// Takes a byte. When none is [ready](ReceiveStatus::ready), it means nothing.
    pub fn take(&self) -> u8 {
        // SAFETY: `Serial::new`'s caller vouched for these ports. There is one receiver, so nobody
        // else takes received bytes.
        unsafe { Port::new(self.base + DATA).read() }
    }

    /// Interrupts from now on while there is something to take.
    pub fn enable(&self) {
        // SAFETY: `Serial::new`'s caller vouched for these ports. There is one receiver, so nobody
        // else enables the port's interrupts.
        unsafe { Port::new(self.base + INTERRUPT_ENABLE).write(RECEIVED_DATA_AVAILABLE) }
    }

    /// Interrupts no more, and takes the wire down.
    pub fn disable(&self) {
        // SAFETY: `Serial::new`'s caller vouched for these ports. There is one receiver, so nobody
        // else enables or disables the port's interrupts.
        unsafe { Port::new(self.base + INTERRUPT_ENABLE).write(0u8) }
    }
}
