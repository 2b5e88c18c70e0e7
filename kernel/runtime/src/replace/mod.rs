//! The replacement of a context's implementation while the others serve.

pub(crate) mod rebinding;
pub(crate) mod replacement;
