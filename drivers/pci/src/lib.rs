//! PCI: the two ways to configuration space, the functions there are, and their base address
//! registers.
//!
//! A driver looks for its function by [`functions`] or [`open`], which gives addresses to BARs that
//! firmware left without (qboot, microvm), and reaches its [`Registers`] in them. BARs that have an
//! address are used where they are. What a function says is untrusted: sizes, addresses and ranges are
//! checked here.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bars;
mod configuration;
mod error;
mod function;
mod registers;
mod window;

pub use bars::Bars;
pub use configuration::{Access, Configuration, Ecam, Ports};
pub use error::Error;
pub use function::{
    Function, Identity, functions, functions_of_all_roots, header_type, identity, open,
    secondary_bus,
};
pub use registers::Registers;
pub use window::Window;
