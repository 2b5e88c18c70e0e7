//! Events: registrations and what they have beside a handler, activations, and all that is done with either.

pub(crate) mod activate;
pub(crate) mod attributes;
pub(crate) mod budget;
pub(crate) mod calls;
pub(crate) mod completions;
pub(crate) mod control;
pub(crate) mod deadline;
pub(crate) mod elsewhere;
pub(crate) mod filter;
pub(crate) mod interrupt_queue;
pub(crate) mod retire;
pub(crate) mod signal;
pub(crate) mod table;
pub(crate) mod wait;
