//! The replacement of a context's implementation while the others serve.

pub(crate) mod act;
pub(crate) mod error;
pub(crate) mod pending;
pub(crate) mod plan;
pub(crate) mod rebinding;
pub(crate) mod replacement;
