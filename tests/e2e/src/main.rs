//! The host drives guests: images booted in QEMU, spoken to by the clients that people use.
//!
//! What all tests stand on: [`guest`] boots, [`tools`] runs clients, [`http`] and [`wire`] say by
//! hand what no client would. Each test has a network of its own, which ends with it. At most two
//! guests run at a time; every guest and every client has a hard time-out, and nothing else depends
//! on how fast the machine is.

mod appliances;
mod benchmarks;
mod configuration;
mod console;
mod containment;
mod counter;
mod crashes;
mod debugger;
mod disks;
mod echo;
mod examples;
mod frames;
mod guest;
mod hostile;
mod http;
mod httpd;
mod keyval;
mod kinds;
mod load;
mod machines;
mod netio;
mod network;
mod outgoing;
mod policy;
mod processors;
mod project;
mod rdma;
mod refusals;
mod shutdown;
mod standstill;
mod steady;
mod tools;
mod upgrade;
