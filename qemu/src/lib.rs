//! The host side of Reflex: everything behind `cargo reflex`, and the machines that tests and
//! benchmarks boot. It runs on the developer's computer and shares no code with the image.
//!
//! Subcommands have a file each ([`run`], [`test`], [`bench`], [`image`], [`new`]) and stand on
//! [`project`] (what there is to build), [`build`] (cargo), [`machine`] (QEMU), [`protocol`]
//! (the guest's lines for machines), [`crash`] (names for crash reports) and [`packages`]
//! (programs of the system).

pub mod bench;
mod bootable;
pub mod build;
pub mod cli;
mod console;
pub mod crash;
pub mod image;
mod interface;
pub mod machine;
mod medium;
pub mod namespace;
mod netns;
pub mod new;
pub mod packages;
pub mod peer;
pub mod process;
pub mod project;
pub mod protocol;
pub mod run;
pub mod test;
mod undefined;
