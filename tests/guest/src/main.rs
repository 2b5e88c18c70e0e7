//! Tests that need the machine: real interrupts, real stacks, a real network interface.
#![no_std]
#![no_main]

extern crate alloc;

mod accounts;
mod aem;
mod channels;
mod cloner;
mod collections;
mod containment;
mod control;
mod cores;
mod disks;
mod evctl;
mod exclusion;
mod faults;
mod foreground;
mod growth;
mod guide;
mod heap;
mod inheritance;
mod interrupts;
mod keyed_timers;
mod kinds;
mod loopback;
mod memory;
mod metrics;
mod mutex;
mod netio;
mod network;
mod policy;
mod ports;
mod preemption;
mod rdma;
mod replace;
mod rings;
mod signals;
mod sound;
mod sources;
mod storms;
mod timers;
mod trace;
mod triggers;
mod troubles;
mod waiting;

reflex::test_image!();
