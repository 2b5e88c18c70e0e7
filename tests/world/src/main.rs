//! Parts of this project among programs of the world: the servers and relays that networks have, the
//! programs that probe and attack, and Linux.
//!
//! What they come in are Debian packages, unpacked into the cache and not installed. Each program runs
//! in a network of its own ([`place`]), which ends with it; the wires between them are this process
//! ([`wire`]).

mod attack;
mod dhcp;
mod keyval;
mod netem;
mod place;
mod programs;
mod seed;
mod ship;
mod wire;
