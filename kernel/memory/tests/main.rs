//! All of the crate's tests in one program: what they stand on is compiled once.

mod across;
mod allocator;
mod boxes;
mod common;
mod completion;
mod custody;
mod exposed;
mod fragmentation;
mod heap;
mod own;
mod pool;
mod quick;
mod ring;
mod scheme;
mod shared;
