//! The neighbour table: hardware addresses of the stations on the link.
//!
//! Four-way sets, chosen by a keyed hash: bounded, constant time, and never in smoltcp. An
//! entry is made when we need an address or when a station asks for ours, and changes only by
//! an answer we asked for or by a question addressed to us. That keeps passers-by from filling
//! or rewriting the table; it does not, and on Ethernet cannot, keep a neighbour from lying.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
use reflex_event::Instant;
use siphasher::sip::SipHasher13;

const SETS: usize = 64;
const WAYS: usize = 4;

/// How long an answer is believed before it is asked for again.
pub(crate) const FRESH: Duration = Duration::from_secs(60);
/// Time between requests for one address (RFC 1122, 2.3.2.1: at most one a second).
pub(crate) const RETRY: Duration = Duration::from_secs(1);
/// Requests without an answer after which a neighbour counts as gone.
const TRIES: u8 = 3;
/// How long one that is gone is not asked for.
const GONE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
struct Entry {
    /// An IPv6 address, or an IPv4 address, which are fewer than 2^32. 0 when the entry is free.
    address: u128,
    mac: Option<[u8; 6]>,
    /// Until when `mac` is believed.
    fresh_until: Instant,
    /// Requests since the last answer.
    tries: u8,
    /// When the next request may go out.
    ask_at: Instant,
    used: Instant,
}

const FREE: Entry = Entry {
    address: 0,
    mac: None,
    fresh_until: Instant::ZERO,
    tries: 0,
    ask_at: Instant::ZERO,
    used: Instant::ZERO,
};

/// What is known of a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// Its address, believed until then.
    Known([u8; 6], Instant),
    /// It was asked for; wait.
    Pending,
    /// It does not answer.
    Gone,
}

/// Whether a request is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ask {
    No,
    /// To everyone.
    Broadcast,
    /// To the address known so far, which is due for confirmation.
    Confirm([u8; 6]),
}

pub(crate) struct Neighbours {
    hasher: SipHasher13,
    /// On the heap: it is large, and the stack's state is moved about by value.
    sets: Vec<[Entry; WAYS]>,
    /// Grows when an address changes: code that remembers one compares.
    pub(crate) epoch: u32,
}

impl Neighbours {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self { hasher: SipHasher13::new_with_key(key), sets: vec![[FREE; WAYS]; SETS], epoch: 1 }
    }

    fn set(&mut self, address: u128) -> &mut [Entry; WAYS] {
        let hash = self.hasher.hash(&address.to_ne_bytes());
        &mut self.sets[hash as usize % SETS]
    }

    /// The hardware address of `address`, and whether to ask for it.
    pub(crate) fn resolve(&mut self, address: u128, now: Instant) -> (Answer, Ask) {
        let set = self.set(address);
        let entry = match set.iter().position(|entry| entry.address == address) {
            Some(at) => &mut set[at],
            None => {
                let entry = victim(set);
                *entry = Entry { address, used: now, ..FREE };
                entry
            }
        };
        entry.used = now;
        if let Some(mac) = entry.mac {
            if now < entry.fresh_until {
                return (Answer::Known(mac, entry.fresh_until), Ask::No);
            }
            if now < entry.ask_at {
                return (Answer::Known(mac, entry.ask_at), Ask::No);
            }
            if entry.tries < TRIES {
                entry.tries += 1;
                entry.ask_at = now + RETRY;
                return (Answer::Known(mac, entry.ask_at), Ask::Confirm(mac));
            }
            *entry = Entry { address, used: now, ..FREE };
            self.epoch = self.epoch.wrapping_add(1);
            return self.resolve(address, now);
        }
        let gone = entry.tries >= TRIES;
        if now < entry.ask_at {
            return (if gone { Answer::Gone } else { Answer::Pending }, Ask::No);
        }
        entry.tries = entry.tries.saturating_add(1);
        entry.ask_at = now + if entry.tries >= TRIES { GONE } else { RETRY };
        (if gone { Answer::Gone } else { Answer::Pending }, Ask::Broadcast)
    }

    /// A station has answered our request. True when that was news to someone waiting.
    pub(crate) fn answered(&mut self, address: u128, mac: [u8; 6], now: Instant) -> bool {
        let set = self.set(address);
        let asked = |entry: &&mut Entry| entry.address == address && entry.tries > 0;
        let Some(entry) = set.iter_mut().find(asked) else { return false };
        let changed = entry.mac != Some(mac);
        *entry = known(address, mac, now);
        self.epoch = self.epoch.wrapping_add(u32::from(changed));
        true
    }

    /// A station has asked for our address, and so told its own.
    pub(crate) fn asked_us(&mut self, address: u128, mac: [u8; 6], now: Instant) {
        let set = self.set(address);
        let at = set.iter().position(|entry| entry.address == address);
        let entry = match at {
            Some(at) => &mut set[at],
            None => victim(set),
        };
        let changed = entry.address != address || entry.mac != Some(mac);
        *entry = known(address, mac, now);
        self.epoch = self.epoch.wrapping_add(u32::from(changed));
    }

    /// Forgets everything: the interface has another address.
    pub(crate) fn clear(&mut self) {
        self.sets.fill([FREE; WAYS]);
        self.epoch = self.epoch.wrapping_add(1);
    }
}

fn known(address: u128, mac: [u8; 6], now: Instant) -> Entry {
    Entry { address, mac: Some(mac), fresh_until: now + FRESH, used: now, ..FREE }
}

/// The entry to give away: a free one, else the longest unused of those without an address,
/// else the longest unused.
fn victim(set: &mut [Entry; WAYS]) -> &mut Entry {
    let mut best = 0;
    for at in 1..WAYS {
        let rank = |entry: &Entry| (entry.address != 0, entry.mac.is_some(), entry.used);
        if rank(&set[at]) < rank(&set[best]) {
            best = at;
        }
    }
    &mut set[best]
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: u128 = 0x0a00_0001;
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn asks_three_times_then_counts_as_gone_and_recovers() {
        let mut table = Neighbours::new(&[7; 16]);
        assert_eq!(table.resolve(A, at(0)), (Answer::Pending, Ask::Broadcast));
        assert_eq!(table.resolve(A, at(0)), (Answer::Pending, Ask::No));
        assert_eq!(table.resolve(A, at(1)), (Answer::Pending, Ask::Broadcast));
        assert_eq!(table.resolve(A, at(2)), (Answer::Pending, Ask::Broadcast));
        assert_eq!(table.resolve(A, at(3)), (Answer::Gone, Ask::No));
        assert_eq!(table.resolve(A, at(7)), (Answer::Gone, Ask::Broadcast));
        assert!(table.answered(A, MAC, at(8)));
        assert_eq!(table.resolve(A, at(8)), (Answer::Known(MAC, at(68)), Ask::No));
    }

    #[test]
    fn an_answer_nobody_asked_for_teaches_nothing() {
        let mut table = Neighbours::new(&[7; 16]);
        assert!(!table.answered(A, MAC, at(0)));
        assert_eq!(table.resolve(A, at(0)).0, Answer::Pending);
        assert!(table.answered(A, MAC, at(0)));
        let other = [2, 0, 0, 0, 0, 66];
        assert!(!table.answered(A, other, at(1)), "the question was answered already");
        assert_eq!(table.resolve(A, at(1)).0, Answer::Known(MAC, at(60)));
    }

    #[test]
    fn an_old_answer_is_used_while_it_is_confirmed_and_dropped_when_it_is_not() {
        let mut table = Neighbours::new(&[7; 16]);
        table.asked_us(A, MAC, at(0));
        let epoch = table.epoch;
        for second in 60..63 {
            let expected = (Answer::Known(MAC, at(second + 1)), Ask::Confirm(MAC));
            assert_eq!(table.resolve(A, at(second)), expected);
        }
        assert_eq!(table.resolve(A, at(63)), (Answer::Pending, Ask::Broadcast));
        assert_ne!(table.epoch, epoch);
    }

    #[test]
    fn stays_bounded_and_prefers_those_that_answered() {
        let mut table = Neighbours::new(&[7; 16]);
        table.asked_us(A, MAC, at(0));
        for address in 0x0b00_0000..0x0b00_4000 {
            table.resolve(address, at(1));
        }
        assert_eq!(table.resolve(A, at(2)).0, Answer::Known(MAC, at(60)));
    }
}
