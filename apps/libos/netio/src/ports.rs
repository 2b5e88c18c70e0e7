//! Ports at which an endpoint listens and publishes.

use crate::error::Error;
use crate::event::Role;
use alloc::vec::Vec;
use reflex_event::{Ceiling, Kernel};

/// Ports of an endpoint's, at most.
const PORTS: usize = 16;

/// What connections to a port are, and the publisher that they are for.
pub(crate) type Purpose = (Role, usize);

/// Ports, and what they are for.
pub(crate) struct Ports<K: Kernel> {
    kernel: K,
    open: Ceiling<Vec<(u16, Purpose)>>,
}

impl<K: Kernel> Ports<K> {
    pub(crate) fn new(kernel: K) -> Self {
        Self { kernel, open: Ceiling::new(Vec::with_capacity(PORTS)) }
    }

    pub(crate) fn open(&self, port: u16, purpose: Purpose) -> Result<(), Error> {
        self.open.with(&self.kernel, |open| {
            if open.iter().any(|(other, _)| *other == port) {
                return Err(Error::Repeated);
            }
            if open.len() == PORTS {
                return Err(Error::LimitReached);
            }
            open.push((port, purpose));
            Ok(())
        })
    }

    pub(crate) fn close(&self, port: u16) {
        self.open.with(&self.kernel, |open| open.retain(|(other, _)| *other != port));
    }

    /// What connections to a port are for, if it is open.
    pub(crate) fn purpose(&self, port: u16) -> Option<Purpose> {
        self.open.with(&self.kernel, |open| {
            open.iter().find(|(other, _)| *other == port).map(|(_, purpose)| *purpose)
        })
    }
}
