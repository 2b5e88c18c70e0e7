//! How long packets may be on the way to a destination (RFC 1191), where that is less than on the link.
//!
//! It is learnt from routers, which say what did not fit (`path/icmp_error.rs` asks first whether they can
//! know), and from what is not acknowledged: where a full segment has been sent three times without an answer, the routers
//! may be silent. Then shorter ones are sent, that may be fragmented (RFC 2923, 2.1). What is learnt is forgotten after
//! ten minutes, as the way may have changed (RFC 1191, 6.3).
//!
//! The table is bounded: sets of four, chosen by a keyed hash; the oldest entry of a set makes room.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
use reflex_event::Instant;
use siphasher::sip::SipHasher13;

/// What is believed at least: less was never seen on a way over Ethernet, and would be an attack by
/// small segments. Where even less fits, routers are let fragment.
const LEAST: u16 = 552;
/// What every host takes in one piece or in several (RFC 791, 3.1), and mostly whole: up to this, packets are sent
/// with "don't fragment", and need no identification (RFC 6864, 4.1).
pub(crate) const SMALL: u16 = 576;
/// What every link carries in one piece (RFC 791, 3.2): nothing as short is ever fragmented.
pub(crate) const CARRIED: usize = 68;
/// The first try where routers are silent: what IPv6 needs of every link, so that tunnels have it (RFC 8200, 5).
const TUNNEL: u16 = 1280;
/// How long it is believed (RFC 1191, 6.3).
const AGE: Duration = Duration::from_secs(600);
/// Common MTUs (RFC 1191, 7.1), for routers that say only that a packet was too long.
const PLATEAUS: [u16; 8] = [8166, 4352, 2002, 1492, 1006, 508, 296, 68];
/// Sets of the table, and entries of one.
const SETS: usize = 64;
const WAYS: usize = 4;
/// Counters of identifications.
const COUNTERS: usize = 256;

/// What a way carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Path {
    /// Longest IPv4 packet; `u16::MAX`: nothing is known.
    pub(crate) longest: u16,
    /// Routers may fragment what is sent: they do not say what is too long.
    pub(crate) fragmented: bool,
}

impl Path {
    pub(crate) const UNKNOWN: Self = Self { longest: u16::MAX, fragmented: false };
}

#[derive(Clone, Copy)]
struct Entry {
    /// 0: none.
    remote: u32,
    path: Path,
    learnt: Instant,
}

const FREE: Entry = Entry { remote: 0, path: Path::UNKNOWN, learnt: Instant::ZERO };

/// What is known of destinations.
pub(crate) struct Paths {
    hasher: SipHasher13,
    sets: Vec<[Entry; WAYS]>,
    /// Of the last packets that might be fragmented; destinations share them by a keyed hash.
    identifications: [u16; COUNTERS],
    seeds: u64,
}

impl Paths {
    /// Nothing is known. The key is secret: it keeps others from guessing what shares a set, and identifications.
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        let sets = vec![[FREE; WAYS]; SETS];
        Self {
            hasher: SipHasher13::new_with_key(key),
            sets,
            identifications: [0; COUNTERS],
            seeds: 0,
        }
    }

    fn set(&mut self, remote: u32) -> &mut [Entry; WAYS] {
        let hash = self.hasher.hash(&remote.to_ne_bytes());
        &mut self.sets[hash as usize % SETS]
    }

    /// What is known of the way to `remote`.
    pub(crate) fn get(&mut self, remote: u32, now: Instant) -> Path {
        let entry = self.set(remote).iter().find(|entry| entry.remote == remote);
        let recent = entry.filter(|entry| remote != 0 && now < entry.learnt + AGE);
        recent.map_or(Path::UNKNOWN, |entry| entry.path)
    }

    /// A router has dropped a packet of `length` bytes, because what comes next carries `said`; 0 when
    /// it does not say. False when that teaches nothing.
    pub(crate) fn too_long(&mut self, remote: u32, length: u16, said: u16, now: Instant) -> bool {
        let below = |length: u16| PLATEAUS.into_iter().find(|plateau| *plateau < length);
        let said = if said == 0 { below(length).unwrap_or(0) } else { said };
        let before = self.get(remote, now);
        // It has to be less than what was sent: what is not is a mistake, or old.
        if said >= length || said >= before.longest {
            return false;
        }
        let fragmented = before.fragmented || said < LEAST;
        self.learn(remote, Path { longest: said.max(LEAST), fragmented }, now);
        true
    }

    /// Packets as long as they may be are not acknowledged by `remote`. False when they are as short as they can be.
    pub(crate) fn unanswered(&mut self, remote: u32, now: Instant) -> bool {
        let before = self.get(remote, now);
        let longest = match before.longest {
            longest if longest > TUNNEL => TUNNEL,
            longest if longest > SMALL => SMALL,
            longest => longest,
        };
        let path = Path { longest, fragmented: true };
        let news = path != before;
        if news {
            self.learn(remote, path, now);
        }
        news
    }

    fn learn(&mut self, remote: u32, path: Path, now: Instant) {
        let set = self.set(remote);
        let known = set.iter().position(|entry| entry.remote == remote);
        let oldest = || (0..WAYS).min_by_key(|at| set[*at].learnt).unwrap_or(0);
        set[known.unwrap_or_else(oldest)] = Entry { remote, path, learnt: now };
    }

    /// What smoltcp may draw numbers from.
    pub(crate) fn seed(&mut self) -> u64 {
        self.seeds = self.seeds.wrapping_add(1);
        self.hasher.hash(&u128::from(self.seeds).to_ne_bytes())
    }

    /// The identification of a packet to `remote` that may be fragmented (RFC 7739, 5.3). Of those to one
    /// destination none is repeated before all have been used (RFC 6864, 4.3); others do not learn them from theirs,
    /// nor, but for one in 256, how many there were. A counter of all together would tell any host, by the gaps in
    /// what it is sent, what others are sent: it could have ports of theirs answer us, and see by us which are open.
    pub(crate) fn identification(&mut self, remote: u32) -> u16 {
        let secret = self.hasher.hash(&u64::from(remote).to_ne_bytes());
        let counter = &mut self.identifications[(secret >> 16) as usize % COUNTERS];
        *counter = counter.wrapping_add(1);
        counter.wrapping_add(secret as u16)
    }
}

/// How often the oldest unacknowledged segment has been sent, if it is a long one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Repeats {
    sequence: u32,
    times: u8,
}

/// So often a segment is sent before the way is doubted: after 0, 1 and 3 seconds.
const PATIENCE: u8 = 3;

impl Repeats {
    /// A run has sent long segments, the first of which begins at `sequence`.
    #[inline]
    pub(crate) fn sent(&mut self, sequence: u32) {
        let again = self.sequence == sequence && self.times > 0;
        self.times = if again { self.times.saturating_add(1) } else { 1 };
        self.sequence = sequence;
    }

    /// The segment that was sent so often that its way is to be doubted, should it still be under way.
    #[inline]
    pub(crate) fn suspect(&self) -> Option<u32> {
        (self.times >= PATIENCE).then_some(self.sequence)
    }

    /// The way was doubted: the next step needs another two.
    pub(crate) fn doubted(&mut self) {
        self.times = 1;
    }
}

#[cfg(test)]
mod tests;
