//! I/O ports.

pub use ::x86_64::instructions::port::{Port, PortReadOnly, PortWriteOnly};
