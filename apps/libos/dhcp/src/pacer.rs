//! How many messages there may be, whatever servers answer.

use core::time::Duration;
use reflex_event::Instant;

/// So many messages may follow one another at once: more than a start that goes wrong at every step
/// takes (remembered address, refusal, discovery, request, conflict).
pub const BURST: u32 = 8;
/// In the long run there is one message in so much time: as often as the first retransmission comes
/// (RFC 2131, 4.1).
pub const INTERVAL: Duration = Duration::from_secs(4);

/// A bucket of messages that fills with time: in any time *t* there are at most
/// [`BURST`] + *t* / [`INTERVAL`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    /// When the bucket would be full again.
    full: Instant,
}

impl Pacer {
    pub(crate) const fn new() -> Self {
        Self { full: Instant::ZERO }
    }

    /// Takes one message out, or says when there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let room = INTERVAL * (BURST - 1);
        if self.full > now + room {
            return Err(Instant::from_nanos(self.full.as_nanos() - room.as_nanos() as u64));
        }
        self.full = self.full.max(now) + INTERVAL;
        Ok(())
    }
}
