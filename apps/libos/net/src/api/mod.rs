//! What applications have: handles, builders, services.

// First: what it defines is found by those that follow.
#[macro_use]
mod connection_settings;

pub(crate) mod attach;
pub(crate) mod connection;
pub(crate) mod connector;
pub(crate) mod group;
pub(crate) mod held_endpoint;
pub(crate) mod listener;
pub(crate) mod net;
pub(crate) mod others;
pub(crate) mod replace;
pub(crate) mod service;
pub(crate) mod udp;
pub(crate) mod udp_receive;
pub(crate) mod write;
