//! Programs that probe and attack, and an image that bears it: nmap, hping3, slowhttptest, both netcats.
//!
//! Each attack is bounded in number and time, and goes no further than the network it was made in ([`victim`]).
//! What it may not do is the same everywhere: the image goes on, serves all others meanwhile, counts what came,
//! and has its memory back afterwards.

mod blind;
mod crafted;
pub(crate) mod crowd;
mod exhaustion;
mod floods;
mod half_close;
mod scans;
mod siege;
mod site;
mod slow_clients;
mod slowhttptest;
mod tools;
pub(crate) mod victim;
