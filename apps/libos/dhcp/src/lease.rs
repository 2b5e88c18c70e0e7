//! A lease and its three moments (RFC 2131, 4.4.5).
//!
//! ```text
//!  sent           T1                    T2             expiry
//!   |-- bound ----|---- renewing -------|-- rebinding --|
//! ```

use crate::error::{Error, Oddity};
use crate::history::History;
use crate::offer::{FOREVER, Offer};
use crate::parameters::Parameters;
use crate::random::{Random, below};
use core::net::Ipv4Addr;
use core::time::Duration;
use reflex_event::Instant;

/// A server that says to renew sooner is asked for it no sooner, unless half of the lease is shorter.
const SOONEST_RENEWAL: Duration = Duration::from_secs(60);

/// An address that the host may use, for how long, and what it was told beside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    pub(crate) offer: Offer,
    /// When its server is asked to prolong it (T1); [`Instant::FAR`] if it has no end.
    pub renewal: Instant,
    /// When any server is asked (T2).
    pub rebinding: Instant,
    /// When the address must no longer be used.
    pub expiry: Instant,
}

impl Lease {
    /// The lease that was asked for at `sent`. Time counts from then and not from the answer, so that
    /// it is over here before it is over there (RFC 2131, 4.4.1).
    pub(crate) fn begin(
        offer: Offer,
        sent: Instant,
        now: Instant,
        random: &mut Random<'_>,
        history: &mut History,
    ) -> Result<Self, Error> {
        let seconds = offer.times.lease.ok_or(Error::NoLeaseTime)?;
        if offer.parameters.prefix.is_none() {
            history.counters.note(Oddity::NoMask);
        }
        if seconds == FOREVER {
            let never = Instant::FAR;
            return Ok(Self { offer, renewal: never, rebinding: never, expiry: never });
        }
        let whole = Duration::from_secs(seconds.into());
        let (renewal, rebinding) = moments(&offer, whole, history);
        let expiry = sent + whole;
        if expiry <= now {
            return Err(Error::LeaseTooShort);
        }
        // A little sooner, so that hosts that were switched on together do not ask together.
        let early = below(random, renewal / 32);
        Ok(Self { offer, renewal: sent + (renewal - early), rebinding: sent + rebinding, expiry })
    }

    /// The address.
    pub fn address(&self) -> Ipv4Addr {
        self.offer.address
    }

    /// The length of the subnet's prefix; of the address's class where no mask was said.
    pub fn prefix(&self) -> u8 {
        self.offer.prefix()
    }

    /// The server that has granted it.
    pub fn server(&self) -> Ipv4Addr {
        self.offer.server
    }

    /// What else was said.
    pub fn parameters(&self) -> &Parameters {
        &self.offer.parameters
    }

    /// Whether both mean the same, but for how long.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.address() == other.address() && self.parameters() == other.parameters()
    }
}

/// T1 and T2: as they were said, if 0 < T1 < T2 < the lease; else a half and seven eighths of it.
fn moments(offer: &Offer, whole: Duration, history: &mut History) -> (Duration, Duration) {
    let seconds = |said: Option<u32>| said.map(|seconds| Duration::from_secs(seconds.into()));
    let (half, eighths) = (whole / 2, whole * 7 / 8);
    let (said1, said2) = (seconds(offer.times.renewal), seconds(offer.times.rebinding));
    // One of them may be said alone.
    let (renewal, rebinding) = (said1.unwrap_or(half), said2.unwrap_or(eighths));
    let ordered = !renewal.is_zero() && renewal < rebinding && rebinding < whole;
    if !ordered {
        history.counters.note(Oddity::Timers);
        return (half, eighths);
    }
    let renewal = renewal.max(SOONEST_RENEWAL.min(half));
    // Put off, it may have reached the other.
    if renewal < rebinding { (renewal, rebinding) } else { (half, eighths) }
}
