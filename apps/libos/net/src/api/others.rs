//! Several connections that have something to tell, in one activation.

use crate::api::connection::Connection;
use crate::table::records::Records;
use crate::table::tables::Shared;
use core::time::Duration;
use reflex_event::{EventId, Instant, Kernel};

/// Most connections that are told of in one activation: then others of the same priority go on.
const MOST: u32 = 8;
/// No further one is begun with when this has passed, so that a bound on how long a handler may take holds
/// for several as for one.
const LONGEST: Duration = Duration::from_micros(50);

/// The connections beside one that have something to tell: a few at most. Those that are left have an activation
/// of their own. See [`Connection::others`].
pub struct Others<'of, K: Kernel> {
    of: &'of Connection<K>,
    left: u32,
    until: Instant,
    /// There may be more in the list.
    more: bool,
}

impl<K: Kernel> Connection<K> {
    /// The connections that have something to tell beside this one, the handler of which has been called, if they
    /// are told [together](crate::TcpSettings::together). Each is to be [told of](Self::tell) before the
    /// next is asked for.
    pub fn others(&self) -> Others<'_, K> {
        let until = self.net.kernel().now() + LONGEST;
        Others { of: self, left: MOST - 1, until, more: true }
    }
}

impl<K: Kernel> Iterator for Others<'_, K> {
    type Item = Connection<K>;

    fn next(&mut self) -> Option<Connection<K>> {
        let net = &self.of.net;
        while self.more && self.left > 0 && net.kernel().now() < self.until {
            let (next, more) = net.with(|shared| shared.next_telling(self.of.index));
            self.more = more;
            if let Some((index, slot)) = next {
                self.left -= 1;
                return Some(Connection::of_place(net.clone(), index, slot));
            }
        }
        None
    }
}

impl<K: Kernel> Drop for Others<'_, K> {
    fn drop(&mut self) {
        let net = &self.of.net;
        if self.more
            && let Some(event) = net.with(|shared| shared.first_telling(self.of.index))
        {
            net.activate(event);
        }
    }
}

impl Shared {
    /// Takes the first off the list of those that have something to tell in the group of `index`: its index and
    /// slot, unless it has been told of meanwhile. Whether there are more.
    fn next_telling(&mut self, index: u32) -> (Option<(u32, u32)>, bool) {
        let list = &mut self.groups[Records::group(index) as usize].telling;
        let first = list.first;
        let Some(record) = self.records.get_mut(first) else { return (None, false) };
        list.remove_first(&mut record.telling);
        ((record.notices != 0).then_some((first, record.slot)), !list.is_empty())
    }

    /// What has the first of that list told of.
    fn first_telling(&self, index: u32) -> Option<EventId> {
        let first = self.groups[Records::group(index) as usize].telling.first;
        self.records.get(first)?.events.map(|events| events.application)
    }

    /// What has the second of that list told of, if `index` is the first: it is no longer to stand for all.
    pub(crate) fn second_telling(&self, index: u32) -> Option<EventId> {
        let first = self.groups[Records::group(index) as usize].telling.first;
        let second = self.records.get(first).filter(|_| first == index)?.telling.next()?;
        self.records.get(second)?.events.map(|events| events.application)
    }
}
