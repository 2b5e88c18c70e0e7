//! Which link a connection is, until it is told.

use crate::link::LinkId;
use alloc::vec::Vec;
use reflex_event::{Ceiling, Kernel};

/// Connections, and the links that they are.
pub(crate) struct Names<K: Kernel, C> {
    kernel: K,
    known: Ceiling<Vec<(C, LinkId)>>,
}

impl<K: Kernel, C: PartialEq> Names<K, C> {
    /// Room for so many.
    pub(crate) fn new(kernel: K, most: u16) -> Self {
        Self { kernel, known: Ceiling::new(Vec::with_capacity(usize::from(most))) }
    }

    pub(crate) fn add(&self, connection: C, link: LinkId) {
        self.known.with(&self.kernel, |known| known.push((connection, link)));
    }

    pub(crate) fn find(&self, connection: &C) -> Option<LinkId> {
        self.known.with(&self.kernel, |known| {
            known.iter().find(|(other, _)| other == connection).map(|(_, link)| *link)
        })
    }

    /// It is not to be told again.
    pub(crate) fn take(&self, connection: &C) -> Option<LinkId> {
        let taken = self.known.with(&self.kernel, |known| {
            let at = known.iter().position(|(other, _)| other == connection)?;
            Some(known.swap_remove(at))
        });
        taken.map(|(_, link)| link)
    }
}
