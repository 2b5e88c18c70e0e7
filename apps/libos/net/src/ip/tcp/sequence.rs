//! Initial sequence numbers: M + F(key, addresses and ports) (RFC 6528, 3), M a clock of 4 us.
//!
//! smoltcp draws the number of a SYN from its interface's generator, which is made from a seed. The generator
//! (sPCG32: a multiplication and an addition modulo 2^64, of which 32 of the upper bits are the lot) is undone
//! here: to the seed with which the next lot is the number that is wanted. Making an interface anew with
//! that seed costs some hundred instructions, and those that are sent and received cost none.

use crate::ip::tcp::bare::Party;
use siphasher::sip::SipHasher13;
use smoltcp::time::Instant as Time;

/// A keyed hash of connections: a secret of the engine's.
#[derive(Clone, Copy)]
pub(crate) struct Secret(SipHasher13);

impl Secret {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self(SipHasher13::new_with_key(key))
    }

    /// F of a connection, and of what else is to go into it.
    pub(crate) fn of(&self, [own, peer]: [Party; 2], more: u64) -> u32 {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&own.0);
        bytes[4..8].copy_from_slice(&peer.0);
        bytes[8..10].copy_from_slice(&own.1.to_be_bytes());
        bytes[10..12].copy_from_slice(&peer.1.to_be_bytes());
        bytes[12..].copy_from_slice(&more.to_be_bytes());
        self.0.hash(&bytes) as u32
    }

    /// The initial sequence number of a connection that begins now.
    pub(crate) fn initial(&self, parties: [Party; 2], now: Time) -> u32 {
        let ticks = (now.total_micros() / 4) as u32;
        self.of(parties, 0).wrapping_add(ticks)
    }
}

/// The generator's multiplier and increment.
const MULTIPLIER: u64 = 0xbb2e_fcec_3c39_611d;
const INCREMENT: u64 = 0x7590_ef39;
/// What undoes the multiplication: its inverse modulo 2^64, by Newton's method, which doubles the bits that are
/// right each time.
const INVERSE: u64 = {
    let mut inverse = MULTIPLIER;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(MULTIPLIER.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
};

/// The state before `state`.
const fn back(state: u64) -> u64 {
    state.wrapping_sub(INCREMENT).wrapping_mul(INVERSE)
}

/// The seed of an interface of which the first socket that draws a sequence number draws `number`.
pub(crate) fn seed_of(number: u32) -> u64 {
    // With the uppermost three bits clear the lot is the bits from the 29th on; those below are free.
    let last = u64::from(number) << 29;
    // The interface draws half a word for itself first, and again should that be zero.
    let first = |free: u64| back(last | free);
    let own = |state: u64| {
        let lot = (state >> (29 - (state >> 61))) as u32;
        (lot ^ lot >> 16) as u16
    };
    let free = (0..1 << 29).find(|free| own(first(*free)) != 0).unwrap_or(0);
    back(first(free))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_undoes_the_multiplication() {
        assert_eq!(MULTIPLIER.wrapping_mul(INVERSE), 1);
        assert_eq!(back(7_u64.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT)), 7);
    }

    #[test]
    fn numbers_of_a_connection_go_on_with_the_clock_and_say_nothing_of_others() {
        let secret = Secret::new(&[7; 16]);
        let own = ([10, 0, 0, 1], 80);
        let parties = [own, ([10, 0, 0, 2], 4000)];
        let at = |micros: i64| secret.initial(parties, Time::from_micros(micros));
        assert_eq!(at(4_000_000).wrapping_sub(at(0)), 1_000_000, "250,000 a second");
        let others = [own, ([10, 0, 0, 2], 4001)];
        let further = Secret::new(&[8; 16]);
        let numbers = [secret.of(parties, 0), secret.of(others, 0), further.of(parties, 0)];
        assert!(numbers[0].abs_diff(numbers[1]) > 1 << 20);
        assert!(numbers[0].abs_diff(numbers[2]) > 1 << 20);
    }
}
