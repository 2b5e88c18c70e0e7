//! What a client has learnt, whatever becomes of a transaction.

use crate::counters::Counters;
use crate::list::List;
use crate::pacer::Pacer;
use core::net::Ipv4Addr;
use core::time::Duration;
use reflex_event::Instant;

/// A lease that was held for so long has worked.
const WORKED: Duration = Duration::from_secs(60);
/// Servers that are remembered for having failed: more than a network has.
const SUSPECTS: usize = 8;

/// How well a server has done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Rank {
    /// It has refused what it had offered, not answered, or offered what others use.
    Suspect,
    /// Nothing is known of it.
    New,
    /// It gave the last address.
    Preferred,
}

/// Counts, the pace, and what came of dealing with servers.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) counters: Counters,
    pub(crate) pacer: Pacer,
    /// What has ended badly since a lease last worked.
    misfortunes: u8,
    suspects: List<Ipv4Addr, SUSPECTS>,
    preferred: Option<Ipv4Addr>,
}

impl History {
    pub(crate) const fn new() -> Self {
        Self {
            counters: Counters::new(),
            pacer: Pacer::new(),
            misfortunes: 0,
            suspects: List::new(),
            preferred: None,
        }
    }

    pub(crate) fn misfortunes(&self) -> u8 {
        self.misfortunes
    }

    pub(crate) fn has_preference(&self) -> bool {
        self.preferred.is_some()
    }

    pub(crate) fn prefer(&mut self, server: Option<Ipv4Addr>) {
        self.preferred = server;
    }

    pub(crate) fn rank(&self, server: Ipv4Addr) -> Rank {
        if self.suspects.iter().any(|suspect| suspect == server) {
            Rank::Suspect
        } else if self.preferred == Some(server) {
            Rank::Preferred
        } else {
            Rank::New
        }
    }

    /// A transaction with this server has ended badly.
    pub(crate) fn failed(&mut self, server: Ipv4Addr) {
        self.misfortunes = self.misfortunes.saturating_add(1);
        if self.rank(server) != Rank::Suspect {
            self.suspects.push_over(server);
        }
    }

    /// A lease of this server that was held since `since` has ended. A short one is as good as none.
    pub(crate) fn lost(&mut self, server: Ipv4Addr, since: Instant, now: Instant) {
        if !self.worked(since, now) {
            self.failed(server);
        }
    }

    /// Whether a lease that was held since `since` has worked; then what was before is forgotten.
    pub(crate) fn worked(&mut self, since: Instant, now: Instant) -> bool {
        let worked = now.since(since) >= WORKED;
        if worked {
            self.misfortunes = 0;
            self.suspects = List::new();
        }
        worked
    }
}
