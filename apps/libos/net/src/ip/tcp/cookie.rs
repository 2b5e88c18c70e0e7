//! SYN cookies (RFC 4987, 3.6): an opening is answered, and nothing kept of it. All there is to be known lies in the
//! sequence number of the answer, which the peer acknowledges if it is there.
//!
//! ```text
//!  31      30    29  28 27                                  0
//! ┌───────┬──────┬─────┬─────────────────────────────────────┐
//! │ time  │ SACK │ MSS │ keyed hash of all this, addresses,  │
//! │ mod 2 │      │     │ ports, the peer's number, the time  │
//! └───────┴──────┴─────┴─────────────────────────────────────┘
//! ```
//!
//! The time is in units of 64 s; the last unit's numbers are good, too. A guess has one chance in 2^28. Windows are
//! not scaled: there is no place for the scale.

use crate::ip::tcp::bare::Party;
use crate::ip::tcp::sequence::Secret;
use crate::ip::tcp::window::{mss, option};
use smoltcp::time::Instant as Time;

/// How long an answer is good, at least: what is sent later is not acknowledged in good faith.
pub(crate) const UNIT: u64 = 64;
/// Segment sizes that can be remembered: the usual one, one that fits tunnels, two of tunnels over Ethernet and
/// PPP, and Ethernet's.
const SIZES: [u16; 4] = [536, 1220, 1400, 1460];
const HASH: u32 = (1 << 28) - 1;
/// The kind of "SACK permitted" (RFC 2018, 2).
const SACK: u8 = 4;

/// What is remembered of an opening.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Remembered {
    size: u8,
    pub(crate) sack: bool,
}

impl Remembered {
    /// Of an opening with these options. `None` when the peer takes no segments as long as the least that
    /// there is a place for.
    pub(crate) fn of(options: &[u8]) -> Option<Self> {
        let mss = mss(options);
        let size = SIZES.iter().rposition(|size| *size <= mss)?;
        Some(Self { size: size as u8, sack: option(options, SACK).is_some() })
    }

    /// Bytes of text that the peer takes in a segment, at least.
    pub(crate) fn mss(self) -> u16 {
        SIZES[usize::from(self.size)]
    }

    fn bits(self) -> u32 {
        u32::from(self.sack) << 2 | u32::from(self.size)
    }
}

impl Secret {
    /// The number to answer an opening with, of which the peer's number is `sequence`.
    pub(crate) fn cookie(
        &self,
        parties: [Party; 2],
        sequence: u32,
        what: Remembered,
        now: Time,
    ) -> u32 {
        self.cookie_of(parties, sequence, what.bits(), unit(now))
    }

    /// What was remembered of an opening that was answered with `cookie`, not long ago.
    pub(crate) fn redeem(
        &self,
        parties: [Party; 2],
        sequence: u32,
        cookie: u32,
        now: Time,
    ) -> Option<Remembered> {
        let this = unit(now);
        let unit = if (this as u32 ^ cookie >> 31) & 1 == 0 { this } else { this.checked_sub(1)? };
        let bits = cookie >> 28 & 7;
        let right = self.cookie_of(parties, sequence, bits, unit) == cookie;
        right.then_some(Remembered { size: (bits & 3) as u8, sack: bits & 4 != 0 })
    }

    fn cookie_of(&self, parties: [Party; 2], sequence: u32, bits: u32, unit: u64) -> u32 {
        // Initial numbers have zeros here.
        let more = u64::from(sequence) << 32 | (unit & 0xfff_ffff) << 4 | u64::from(bits) << 1 | 1;
        (unit as u32 & 1) << 31 | bits << 28 | self.of(parties, more) & HASH
    }
}

fn unit(now: Time) -> u64 {
    now.secs().max(0) as u64 / UNIT
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_answered_is_known_for_a_minute_and_no_longer_than_two(
            peer in any::<[u8; 4]>(), port in 1u16.., sequence in any::<u32>(),
            said in 536u16.., sack in any::<bool>(), at in 0i64..1 << 30, later in 0i64..300, wrong in 1u32..,
        ) {
            let secret = Secret::new(&[9; 16]);
            let parties = [([10, 0, 0, 1], 80), (peer, port)];
            let [high, low] = said.to_be_bytes();
            let mut options = std::vec![1, 1, 2, 4, high, low];
            if sack {
                options.extend([4, 2]);
            }
            let what = Remembered::of(&options).unwrap();
            prop_assert!(what.mss() <= said && what.sack == sack);
            let cookie = secret.cookie(parties, sequence, what, Time::from_secs(at));
            let redeem = |sequence, cookie, at| secret.redeem(parties, sequence, cookie, Time::from_secs(at));
            let known = redeem(sequence, cookie, at + later);
            if later <= 64 {
                prop_assert_eq!(known, Some(what));
            } else if later >= 128 {
                prop_assert_eq!(known, None);
            }
            prop_assert_eq!(redeem(sequence, cookie.wrapping_add(wrong), at), None);
            prop_assert_eq!(redeem(sequence.wrapping_add(wrong), cookie, at), None);
            let others = [parties[0], (peer, port ^ 1)];
            prop_assert_eq!(secret.redeem(others, sequence, cookie, Time::from_secs(at)), None);
        }
    }

    #[test]
    fn a_peer_of_tiny_segments_is_not_remembered() {
        assert_eq!(Remembered::of(&[2, 4, 2, 0]), None);
        assert_eq!(Remembered::of(&[]).map(Remembered::mss), Some(536), "the usual size");
    }
}
