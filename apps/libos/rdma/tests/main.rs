//! All of the crate's tests in one program: what they stand on is compiled once.

mod common;
mod connections;
mod given_up;
mod hostile;
mod simulation;
mod traffic;
