//! Contexts that are made for an event, and what they inherit.

pub(crate) mod chair;
pub(crate) mod cloner;
pub(crate) mod inherit;
pub(crate) mod worker_pool;
