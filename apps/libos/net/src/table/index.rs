//! Indices of records and sockets, and directories of them.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// No record.
pub(crate) const NONE: u32 = u32::MAX;

/// What grows while others look at it: what is moved then, in a section, is pointers.
pub(crate) type Directory<T> = Vec<Box<T>>;
