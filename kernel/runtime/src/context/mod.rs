//! Contexts: how they are found and made, what they may do, and what must not be cut off on their stacks.

pub(crate) mod attempt;
pub(crate) mod caller;
pub(crate) mod create;
pub(crate) mod exclude;
pub(crate) mod guard;
pub(crate) mod info;
pub(crate) mod kill;
pub(crate) mod policy;
pub(crate) mod protected;
pub(crate) mod registry;
pub(crate) mod running;
pub(crate) mod scope;
pub(crate) mod supervision;
pub(crate) mod workers;
