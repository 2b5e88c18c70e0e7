//! Contexts that fail alone: how they are given up, cleaned up, told of, and begun again.

pub(crate) mod cleanup;
pub(crate) mod construct;
pub(crate) mod contain;
pub mod fault;
pub mod heap;
pub(crate) mod quarantine;
pub(crate) mod queue;
pub mod report;
pub(crate) mod restore;
pub mod supervise;
pub(crate) mod supervisor;
