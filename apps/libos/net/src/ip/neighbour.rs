//! The neighbour table: hardware addresses of the stations on the link.
//!
//! Four-way sets, chosen by a keyed hash: bounded, constant time, and never in smoltcp. An
//! entry is made when we need an address or when a station on the link asks for ours, never for
//! what passes by: that keeps strangers from filling the table.
//!
//! What a station says of itself changes an entry there is (RFC 826, "merge flag"): a router that
//! fails over or is replaced tells everybody so, once, and is to be believed at once. So that this
//! does not hand a neighbour's traffic to any station that claims it, a change we did not ask for is
//! doubted: the former address is asked as well, and if a station still answers for the neighbour
//! there, the entry is that address's again, and such changes are not heard for a while. A
//! neighbour that lies when it is asked is, on Ethernet, believed.
//!
//! ```text
//!            resolve               heard
//!   (none) ---------> asked for ----------> known, until `fresh_until`
//!      |                  ^                   |        ^   |
//!      | heard(Question)  | three questions   |        |   | heard, another address: `Moved`
//!      +---------------------> known          |        |   v
//!                         |    without answer |        | moved: used, to be confirmed,
//!                         +-------------------+        |   |    the former one asked too
//!                                                      +---+ heard from the former one: `Disputed`
//! ```

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
/// Requests without an answer after which a neighbour counts as gone. Nothing waits for one that is gone, but it is
/// still asked for when it is needed: it may be the link that lost the requests, or the answers.
const TRIES: u8 = 3;
/// Time from the last of these to the next request: what has waited gives up in between, and asks no more.
const GONE: Duration = Duration::from_secs(2);
/// How long after an answer another one to the same question is not heard: of several, as proxies
/// and hosts with two interfaces on a link give them, the first counts.
const FIRST: Duration = Duration::from_secs(1);
/// Time between changes of one entry that we did not ask for: each costs a question, and every
/// connection a look into the table. The former address has as long to object.
const MOVE: Duration = Duration::from_secs(1);
/// How long such changes are not heard after the former address has objected: less than the five
/// seconds after which VRRP implementations announce a second time, for the old master may have
/// objected just before it knew.
const DISPUTE: Duration = Duration::from_secs(3);

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
    /// When `mac` was last told by itself.
    heard: Instant,
    /// The address before the last change that we did not ask for.
    former: Option<[u8; 6]>,
    /// Until when `former` may object.
    objection_until: Instant,
    /// When the next such change may be.
    move_at: Instant,
}

const FREE: Entry = Entry {
    address: 0,
    mac: None,
    fresh_until: Instant::ZERO,
    tries: 0,
    ask_at: Instant::ZERO,
    used: Instant::ZERO,
    heard: Instant::ZERO,
    former: None,
    objection_until: Instant::ZERO,
    move_at: Instant::ZERO,
};

/// How a station has told its hardware address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// It answers us.
    Answer,
    /// It asks for our address.
    Question,
    /// It tells everybody: a gratuitous ARP, an advertisement that overrides.
    Announcement,
    /// As an announcement, but not to replace what is known (RFC 4861, 7.2.5, without "override").
    Hint,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// Nothing.
    Nothing,
    /// The neighbour is known, or known to be still there.
    Known,
    /// It has another address now. The former one is to be asked.
    Moved([u8; 6]),
    /// The former address objected, and is the neighbour's again.
    Disputed,
}

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
        entry.ask_at = now + if entry.tries == TRIES { GONE } else { RETRY };
        (if gone { Answer::Gone } else { Answer::Pending }, Ask::Broadcast)
    }

    /// Whether the table has a hardware address of `address`.
    pub(crate) fn knows(&mut self, address: u128) -> Option<[u8; 6]> {
        self.set(address).iter().find(|entry| entry.address == address)?.mac
    }

    /// A station has told its hardware address.
    pub(crate) fn heard(
        &mut self,
        address: u128,
        mac: [u8; 6],
        claim: Claim,
        now: Instant,
    ) -> Heard {
        let set = self.set(address);
        let heard = match set.iter().position(|entry| entry.address == address) {
            Some(at) => set[at].heard(mac, claim, now),
            None if claim == Claim::Question => {
                *victim(set) = known(address, mac, now);
                (Heard::Known, true)
            }
            None => (Heard::Nothing, false),
        };
        self.epoch = self.epoch.wrapping_add(u32::from(heard.1));
        heard.0
    }

    /// Forgets everything: the interface has another address.
    pub(crate) fn clear(&mut self) {
        self.sets.fill([FREE; WAYS]);
        self.epoch = self.epoch.wrapping_add(1);
    }
}

impl Entry {
    /// What comes of a claim, and whether what remembers the address is to look again.
    fn heard(&mut self, mac: [u8; 6], claim: Claim, now: Instant) -> (Heard, bool) {
        let told_us = matches!(claim, Claim::Answer | Claim::Question);
        let Some(old) = self.mac else {
            // Waited for: whatever tells it is welcome, and confirmed when it is used.
            *self = known(self.address, mac, now);
            if !told_us {
                self.fresh_until = now;
            }
            return (Heard::Known, true);
        };
        let asked = claim == Claim::Answer && self.tries > 0;
        if mac == old {
            if asked || claim == Claim::Question {
                (self.fresh_until, self.heard, self.tries) = (now + FRESH, now, 0);
                return (Heard::Known, false);
            }
            return (Heard::Nothing, false);
        }
        if claim == Claim::Hint {
            // RFC 4861, 7.2.5, I: it is asked when it is used next.
            let fresh = self.fresh_until > now;
            self.fresh_until = self.fresh_until.min(now);
            return (Heard::Nothing, fresh);
        }
        if self.former == Some(mac) && now < self.objection_until {
            *self = Entry { move_at: now + DISPUTE, ..known(self.address, mac, now) };
            return (Heard::Disputed, true);
        }
        if asked {
            *self = known(self.address, mac, now);
            return (Heard::Known, true);
        }
        let second = claim == Claim::Answer && now < self.heard + FIRST;
        if second || now < self.move_at {
            return (Heard::Nothing, false);
        }
        *self = Entry {
            fresh_until: now,
            former: Some(old),
            objection_until: now + MOVE,
            move_at: now + MOVE,
            ..known(self.address, mac, now)
        };
        (Heard::Moved(old), true)
    }
}

fn known(address: u128, mac: [u8; 6], now: Instant) -> Entry {
    Entry { address, mac: Some(mac), fresh_until: now + FRESH, used: now, heard: now, ..FREE }
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
mod tests;
