//! Contexts that are made for an event, and what they inherit.

pub(crate) mod cloner;
pub(crate) mod inherit;
pub(crate) mod worker_pool;
pub(crate) mod worker_slot;
