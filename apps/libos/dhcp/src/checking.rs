//! Between the acknowledgement and BOUND: whether the address is free (RFC 2131, 4.4.1).

use crate::action::Action;
use crate::lease::Lease;
use crate::step::{Again, Next, Step};
use core::time::Duration;
use reflex_event::Instant;

/// Longer than probing takes: up to a second before it, three probes up to two seconds apart, and two
/// seconds after them (RFC 5227, 1.1). Nothing heard until then means that the address is free.
const PROBING: Duration = Duration::from_secs(10);

/// A lease, while its address is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checking {
    pub(crate) lease: Lease,
    end: Instant,
}

impl Checking {
    /// Has the address looked for.
    pub(crate) fn begin(lease: Lease, step: &mut Step<'_>) -> Self {
        step.act(Action::Probe(lease.address()));
        Self { lease, end: (step.now + PROBING).min(lease.expiry) }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.end
    }

    /// The address is free, or enough time has passed.
    pub(crate) fn free(&self, step: &Step<'_>) -> Next {
        if step.now < self.lease.expiry {
            return Next::Hold(self.lease);
        }
        Next::Failed(self.lease.server(), Again::Later)
    }
}
