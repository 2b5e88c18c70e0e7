//! What becomes of what a context owned that has been given up: it is found and given up too, in
//! bounded steps.
//!
//! ```text
//!  domains -> completion queues -> connection managers -> ports listened on -> connections
//!          -> queue pairs -> shared receive queues -> regions
//! ```
//! What others belong to goes first, so that nothing new can be made for it behind the search.

use crate::owner_visit::Visit;
use crate::port::Port;
use crate::shared::{Reserved, Shared};
use crate::table::Table;
use reflex_event::{Kernel, Owner};
use reflex_hil::Link;
use reflex_rdma_wire::cm::CommId;

impl<K: Kernel> Port<K> {
    /// Looks at a few places, if there are any to be looked at.
    pub(crate) fn sweep(&mut self, link: &mut dyn Link) {
        let mut sweep = self.sweep;
        let more = sweep.go_on(|place| self.look(place, link));
        self.sweep = sweep;
        if more {
            self.go_on();
        }
    }

    /// Looks at one place: the next one.
    fn look(&mut self, place: Visit, link: &mut dyn Link) -> Option<Visit> {
        if self.remains.pop_front().is_some() {
            return Some(place);
        }
        match place {
            Visit::Domain(at) => {
                let more = self.give_up(at, |shared| &mut shared.domains, |it| it.owner).1;
                Some(if more { Visit::Domain(at + 1) } else { Visit::Queue(0) })
            }
            Visit::Queue(at) => {
                let (queue, more) = self.give_up(at, |shared| &mut shared.queues, |it| it.owner);
                self.remains = queue.map(|queue| queue.ring).unwrap_or_default();
                Some(if more { Visit::Queue(at + 1) } else { Visit::Channel(0) })
            }
            Visit::Channel(at) => {
                let more = self.give_up(at, |shared| &mut shared.channels, |it| it.owner).1;
                Some(if more { Visit::Channel(at + 1) } else { Visit::Listening(0) })
            }
            Visit::Listening(at) => Some(self.look_at_listening(at)),
            Visit::Connection(after) => Some(self.look_at_connection(after, link)),
            Visit::Pair(at) => {
                let more = self.look_at_pair(at, link);
                Some(if more { Visit::Pair(at + 1) } else { Visit::Share(0) })
            }
            Visit::Share(at) => {
                let more = self.look_at_share(at);
                Some(if more { Visit::Share(at + 1) } else { Visit::Region(0) })
            }
            Visit::Region(at) => self.look_at_region(at).then_some(Visit::Region(at + 1)),
        }
    }

    /// Takes what is at a place of a table if its owner is gone. Whether there are places behind it.
    fn give_up<T>(
        &self,
        at: u16,
        table: impl FnOnce(&mut Shared) -> &mut Table<T>,
        owner: impl FnOnce(&T) -> Owner,
    ) -> (Option<T>, bool) {
        let kernel = &self.inner.kernel;
        self.inner.with(|shared| {
            let table = table(shared);
            let orphan = table.at(at).filter(|(_, it)| !owner(it).is_alive(kernel));
            let orphan = orphan.map(|(handle, _)| handle);
            (orphan.and_then(|handle| table.remove(handle)), at + 1 < table.len())
        })
    }

    /// A port that a manager which is gone had listened on.
    fn look_at_listening(&mut self, at: usize) -> Visit {
        let (there, orphan) = self.inner.with(|shared| {
            let channel = shared.listening.get(at).map(|it| it.channel);
            let orphan = channel.filter(|it| shared.channels.get(*it).is_none());
            (channel.is_some(), orphan.map(|_| shared.listening.swap_remove(at).service))
        });
        match orphan {
            // Another has taken its place.
            Some(service) => {
                self.close(service);
                Visit::Listening(at)
            }
            None if there => Visit::Listening(at + 1),
            None => Visit::Connection(None),
        }
    }

    fn look_at_connection(&mut self, after: Option<CommId>, link: &mut dyn Link) -> Visit {
        let Some((id, channel)) = self.next_connection(after) else { return Visit::Pair(0) };
        if self.inner.with(|shared| shared.channels.get(channel).is_none()) {
            self.end_connection(id, link);
        }
        Visit::Connection(Some(id))
    }

    /// A queue pair without its domain, or one of its completion queues.
    fn look_at_pair(&mut self, at: u16, link: &mut dyn Link) -> bool {
        let (orphan, more) = self.inner.with(|shared| {
            let more = at + 1 < shared.pairs.len();
            let pair = shared.pairs.at(at);
            let pair = pair.map(|(handle, entry)| (handle, entry.domain, entry.queues));
            let orphan = pair.filter(|(_, domain, queues)| {
                let lacks = |it: &Reserved| shared.queues.get(it.queue).is_none();
                !shared.has(*domain) || queues.iter().any(lacks)
            });
            (orphan.map(|(handle, ..)| handle), more)
        });
        if let Some(handle) = orphan {
            self.destroy(handle, link);
        }
        more
    }

    /// A shared receive queue without its domain.
    fn look_at_share(&mut self, at: u16) -> bool {
        let (entry, more) = self.inner.with(|shared| {
            let orphan = shared.shares.at(at).map(|(handle, it)| (handle, it.domain));
            let orphan = orphan.filter(|(_, domain)| !shared.has(*domain));
            let entry = orphan.and_then(|(handle, _)| shared.shares.remove(handle));
            (entry, at + 1 < shared.shares.len())
        });
        if let Some(entry) = entry {
            self.shares[usize::from(at)] = None;
            entry.told.into_iter().for_each(|told| self.inner.unregister(told));
        }
        more
    }

    /// A region without its domain. Its memory goes back outside of the section.
    fn look_at_region(&self, at: u16) -> bool {
        let (_memory, more) = self.inner.with(|shared| {
            let orphan = shared.regions.at(at).filter(|(_, domain)| !shared.has(*domain));
            let memory = orphan.and_then(|(handle, _)| shared.regions.deregister(handle));
            (memory, at + 1 < shared.regions.places())
        });
        more
    }
}
