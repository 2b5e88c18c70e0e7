//! A 16550 serial port, polled.

use super::port::Port;
use core::fmt;

/// The first serial port of a PC.
pub const COM1: u16 = 0x3f8;

const FIFO_BYTES: usize = 16;
const LINE_STATUS_DATA_READY: u8 = 1 << 0;
const LINE_STATUS_TRANSMIT_EMPTY: u8 = 1 << 5;
/// Reads of the line status before a transmitter that does not drain is given up for one
/// chunk: about a second in QEMU, ten characters' time on hardware at 9600 baud.
const PATIENCE: u32 = 1_000_000;

/// A serial port at 115200 baud, eight bits, no parity, with its FIFO on.
#[derive(Debug)]
pub struct Serial {
    base: u16,
}

impl Serial {
    /// Sets up the port at `base`; `None` when there is no UART, which its scratch register
    /// gives away.
    ///
    /// # Safety
    /// Ring 0; the eight ports from `base` are a UART's or nobody's, and this value is their
    /// only user.
    pub unsafe fn new(base: u16) -> Option<Self> {
        let mut serial = Self { base };
        for probe in [0x5a, 0xa5] {
            serial.write_register(7, probe);
            if serial.read_register(7) != probe {
                return None;
            }
        }
        serial.write_register(1, 0); // no interrupts
        serial.write_register(3, 0x80); // divisor latch
        serial.write_register(0, 1); // 115200 baud
        serial.write_register(1, 0);
        serial.write_register(3, 0x03); // 8N1
        serial.write_register(2, 0x07); // FIFO on and emptied
        serial.write_register(4, 0x03); // DTR, RTS
        Some(serial)
    }

    /// Sends `bytes`, waiting for room.
    pub fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(FIFO_BYTES) {
            // Once the transmitter is empty, its whole FIFO is free: one status read a chunk.
            for _ in 0..PATIENCE {
                if self.read_register(5) & LINE_STATUS_TRANSMIT_EMPTY != 0 {
                    break;
                }
            }
            for byte in chunk {
                self.write_register(0, *byte);
            }
        }
    }

    /// A received byte, if there is one.
    pub fn read(&mut self) -> Option<u8> {
        (self.read_register(5) & LINE_STATUS_DATA_READY != 0).then(|| self.read_register(0))
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
