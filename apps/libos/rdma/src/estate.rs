//! What becomes of what a context owned that has been given up: it is found and given up too, in
//! bounded steps.
//!
//! ```text
//!  domains -> completion queues -> connection managers -> ports listened on -> connections
//!          -> queue pairs -> shared receive queues -> regions
//! ```
//! What others belong to goes first, so that nothing new can be made for it behind the search.

use crate::Port;
use crate::table::Handle;
use crate::work::Cqe;
use alloc::collections::VecDeque;
use reflex_event::Kernel;
use reflex_hil::Link;
use reflex_rdma_wire::cm::CommId;

/// Places looked at in one run.
const BATCH: u32 = 16;

/// How far the search has come.
#[derive(Default)]
pub(crate) struct Search {
    at: At,
    /// CqShared of a queue that is gone; their memory goes back one by one.
    remains: VecDeque<Cqe>,
}

#[derive(Clone, Copy)]
enum At {
    Domain(u16),
    Queue(u16),
    Channel(u16),
    Listening(usize),
    /// After that one, by name.
    Connection(Option<CommId>),
    Pair(u16),
    Share(u16),
    Region(u16),
}

impl Default for At {
    fn default() -> Self {
        Self::Domain(0)
    }
}

impl<K: Kernel> Port<K> {
    /// Searches on, if there is a search.
    pub(crate) fn search(&mut self, link: &mut dyn Link) {
        let Some(mut search) = self.search.take() else { return };
        for _ in 0..BATCH {
            if search.remains.pop_front().is_some() {
                continue;
            }
            match self.look(&mut search, link) {
                Some(at) => search.at = at,
                None => return,
            }
        }
        self.search = Some(search);
        self.go_on();
    }

    /// Looks at one place: the next one.
    fn look(&mut self, search: &mut Search, link: &mut dyn Link) -> Option<At> {
        let inner = self.inner.clone();
        let kernel = &inner.kernel;
        Some(match search.at {
            At::Domain(at) => {
                let places = inner.with(|shared| {
                    let table = &mut shared.domains;
                    let orphan = |(handle, it): (Handle, &mut crate::shared::PdShared)| {
                        (!it.owner.is_alive(kernel)).then_some(handle)
                    };
                    let orphan = table.at(at).and_then(orphan);
                    orphan.map(|handle| table.remove(handle));
                    table.len()
                });
                if at + 1 < places { At::Domain(at + 1) } else { At::Queue(0) }
            }
            At::Queue(at) => {
                let (queue, places) = inner.with(|shared| {
                    let table = &mut shared.queues;
                    let orphan = table.at(at).filter(|(_, it)| !it.owner.is_alive(kernel));
                    let orphan = orphan.map(|(handle, _)| handle);
                    (orphan.and_then(|handle| table.remove(handle)), table.len())
                });
                search.remains = queue.map(|queue| queue.ring).unwrap_or_default();
                if at + 1 < places { At::Queue(at + 1) } else { At::Channel(0) }
            }
            At::Channel(at) => {
                let (_channel, places) = inner.with(|shared| {
                    let table = &mut shared.channels;
                    let orphan = table.at(at).filter(|(_, it)| !it.owner.is_alive(kernel));
                    let orphan = orphan.map(|(handle, _)| handle);
                    (orphan.and_then(|handle| table.remove(handle)), table.len())
                });
                if at + 1 < places { At::Channel(at + 1) } else { At::Listening(0) }
            }
            At::Listening(at) => {
                let (there, orphan) = inner.with(|shared| {
                    let channel = shared.listening.get(at).map(|it| it.channel);
                    let orphan = channel.filter(|it| shared.channels.get(*it).is_none());
                    (channel.is_some(), orphan.map(|_| shared.listening.swap_remove(at).service))
                });
                match orphan {
                    // Another has taken its place.
                    Some(service) => {
                        self.close(service);
                        At::Listening(at)
                    }
                    None if there => At::Listening(at + 1),
                    None => At::Connection(None),
                }
            }
            At::Connection(after) => match self.next_connection(after) {
                Some((id, channel)) => {
                    if inner.with(|shared| shared.channels.get(channel).is_none()) {
                        self.end_connection(id, link);
                    }
                    At::Connection(Some(id))
                }
                None => At::Pair(0),
            },
            At::Pair(at) => {
                let (orphan, places) = inner.with(|shared| {
                    let places = shared.pairs.len();
                    let pair = shared.pairs.at(at);
                    let pair = pair.map(|(handle, entry)| (handle, entry.domain, entry.queues));
                    let orphan = pair.filter(|(_, domain, queues)| {
                        let lacks =
                            |it: &crate::shared::Reserved| shared.queues.get(it.queue).is_none();
                        !shared.has(*domain) || queues.iter().any(lacks)
                    });
                    (orphan.map(|(handle, ..)| handle), places)
                });
                if let Some(handle) = orphan {
                    self.destroy(handle, link);
                }
                if at + 1 < places { At::Pair(at + 1) } else { At::Share(0) }
            }
            At::Share(at) => {
                let (entry, places) = inner.with(|shared| {
                    let orphan = shared.shares.at(at).map(|(handle, it)| (handle, it.domain));
                    let orphan = orphan.filter(|(_, domain)| !shared.has(*domain));
                    let entry = orphan.and_then(|(handle, _)| shared.shares.remove(handle));
                    (entry, shared.shares.len())
                });
                if let Some(entry) = entry {
                    self.shares[usize::from(at)] = None;
                    entry.told.into_iter().for_each(|told| inner.unregister(told));
                }
                if at + 1 < places { At::Share(at + 1) } else { At::Region(0) }
            }
            At::Region(at) => {
                let (_memory, places) = inner.with(|shared| {
                    let orphan = shared.regions.at(at).filter(|(_, domain)| !shared.has(*domain));
                    let memory = orphan.and_then(|(handle, _)| shared.regions.deregister(handle));
                    (memory, shared.regions.places())
                });
                if at + 1 < places {
                    At::Region(at + 1)
                } else {
                    return None;
                }
            }
        })
    }
}
