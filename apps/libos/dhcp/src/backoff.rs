//! Randomised exponential back-off (RFC 2131, 4.1).

use crate::random::{Random, below};
use crate::request::Request;
use crate::step::Step;
use core::time::Duration;
use reflex_event::Instant;

/// A second to either side.
const SPREAD: Duration = Duration::from_secs(1);

/// A message that is sent again and again until it is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// How often it was sent.
    pub(crate) tries: u8,
    /// When it was sent first: from then on a lease may count.
    pub(crate) sent: Option<Instant>,
    /// When it is to be sent again.
    pub(crate) retry: Instant,
}

impl Backoff {
    /// Of a message that is due now.
    pub(crate) fn new(now: Instant) -> Self {
        Self { tries: 0, sent: None, retry: now }
    }

    /// Has the message sent, which is again in 4, 8, 16, 32, 64, 64 … seconds; or puts it off to when it may be.
    pub(crate) fn send(&mut self, request: Request, step: &mut Step<'_>) {
        self.retry = match step.send(request) {
            Ok(()) => {
                self.sent = self.sent.or(Some(step.now));
                let wait = after(self.tries, step.random);
                self.tries = self.tries.saturating_add(1);
                step.now + wait
            }
            Err(ready) => ready,
        };
    }
}

/// The wait after so many tries.
pub(crate) fn after(tries: u8, random: &mut Random<'_>) -> Duration {
    let middle = Duration::from_secs(4 << tries.min(4));
    let millisecond = Duration::from_millis(1);
    middle - SPREAD + below(random, 2 * SPREAD + millisecond)
}
