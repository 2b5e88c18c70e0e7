//! Open ports and their owners: a table of two levels, so that looking one up is two loads, however
//! many are open and whichever a peer asks for.

use alloc::boxed::Box;
use core::iter;

/// Ports a page has, and pages there are.
const PAGE: usize = 256;

/// Nobody.
const FREE: u16 = u16::MAX;

/// Owners of the ports that have the first byte in common.
pub(crate) type Page = [u16; PAGE];

/// Owners by port. An owner is a number below [`PortTable::MOST`].
pub(crate) struct PortTable {
    /// As many as a port's first byte can name.
    pages: Box<[Option<Box<Page>>]>,
}

impl PortTable {
    /// Owners there can be.
    pub(crate) const MOST: usize = FREE as usize;

    pub(crate) fn new() -> Self {
        Self { pages: iter::repeat_with(|| None).take(PAGE).collect() }
    }

    #[inline]
    pub(crate) fn get(&self, port: u16) -> Option<u32> {
        let [page, place] = port.to_be_bytes();
        let owner = self.pages[usize::from(page)].as_ref()?[usize::from(place)];
        (owner != FREE).then_some(owner.into())
    }

    /// Whether [`open`](Self::open) needs a [page](Self::page) for this port.
    pub(crate) fn needs_page(&self, port: u16) -> bool {
        self.pages[usize::from(port.to_be_bytes()[0])].is_none()
    }

    /// A page, to be made outside of sections.
    pub(crate) fn page() -> Box<Page> {
        Box::new([FREE; PAGE])
    }

    /// Opens `port` for `owner`. A page that was needed is taken, one that was not is left. False
    /// when the port is open, or a page was needed and not given.
    pub(crate) fn open(&mut self, port: u16, owner: u32, page: &mut Option<Box<Page>>) -> bool {
        let [at, place] = port.to_be_bytes();
        let slot = &mut self.pages[usize::from(at)];
        if slot.is_none() {
            *slot = page.take();
        }
        let Some(page) = slot else { return false };
        let entry = &mut page[usize::from(place)];
        match u16::try_from(owner) {
            Ok(owner) if *entry == FREE && owner != FREE => {
                *entry = owner;
                true
            }
            _ => false,
        }
    }

    /// Closes `port`, if it is open for `owner`.
    pub(crate) fn close(&mut self, port: u16, owner: u32) {
        let [at, place] = port.to_be_bytes();
        if let Some(page) = &mut self.pages[usize::from(at)] {
            let entry = &mut page[usize::from(place)];
            if u32::from(*entry) == owner {
                *entry = FREE;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};

    proptest! {
        #[test]
        fn agrees_with_a_map(
            steps in prop::collection::vec((any::<bool>(), 0u16..600, 0u32..4), 0..300),
        ) {
            let mut table = PortTable::new();
            let mut model: HashMap<u16, u32> = HashMap::new();
            let mut pages: HashSet<u16> = HashSet::new();
            for (open, port, owner) in steps {
                // Some of these ports are on the last page.
                let port = port.wrapping_sub(300);
                let paged = pages.contains(&(port >> 8));
                prop_assert_eq!(table.needs_page(port), !paged);
                if open {
                    if !paged {
                        prop_assert!(!table.open(port, owner, &mut None), "it has no page");
                    }
                    // A page that is not needed is left for another port.
                    let mut page = Some(PortTable::page());
                    let opened = table.open(port, owner, &mut page);
                    prop_assert_eq!(page.is_some(), paged);
                    pages.insert(port >> 8);
                    prop_assert_eq!(opened, !model.contains_key(&port));
                    model.entry(port).or_insert(owner);
                } else {
                    table.close(port, owner);
                    if model.get(&port) == Some(&owner) {
                        model.remove(&port);
                    }
                }
                for port in [port, port.wrapping_add(1), port.swap_bytes()] {
                    prop_assert_eq!(table.get(port), model.get(&port).copied());
                }
            }
        }
    }

    /// The number that stands for nobody, and those that are too large, own no port.
    #[test]
    fn owners_have_a_limit() {
        let mut table = PortTable::new();
        let most = PortTable::MOST as u32;
        for owner in [most, most + 1, u32::MAX] {
            assert!(!table.open(80, owner, &mut Some(PortTable::page())), "{owner}");
            assert_eq!(table.get(80), None);
        }
        assert!(table.open(80, most - 1, &mut None));
        assert_eq!(table.get(80), Some(most - 1));
    }
}
