//! All of the crate's tests in one program: what they stand on is compiled once.

mod common;
mod connections;
mod hostile;
mod simulation;
mod traffic;
