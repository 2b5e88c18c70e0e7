//! All of the crate's tests in one program: what they stand on is compiled once.

mod common;
mod hostile;
mod simulation;
mod traffic;
