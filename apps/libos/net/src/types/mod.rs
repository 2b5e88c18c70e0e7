//! What all parts speak in: settings, errors, states, counters.

pub(crate) mod conflict;
pub(crate) mod counters;
pub(crate) mod error;
pub(crate) mod settings;
pub(crate) mod tcp_state;
pub(crate) mod unreachable;
