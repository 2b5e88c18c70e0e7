//! The states, and what follows what: RFC 2131's figure 5 as a table.

use crate::action::Action;
use crate::backoff;
use crate::checking::Checking;
use crate::error::Error;
use crate::holding::{Holding, Phase};
use crate::informing::Informing;
use crate::parameters::Parameters;
use crate::rebooting::Rebooting;
use crate::reply::Reply;
use crate::requesting::Requesting;
use crate::selecting::Selecting;
use crate::settings::Check;
use crate::step::{Again, Next, Remembered, Step};
use core::time::Duration;
use reflex_event::Instant;

/// Where the client stands, as RFC 2131 names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It does nothing.
    Off,
    /// It waits before it asks (INIT).
    Init,
    /// It waits for offers.
    Selecting,
    /// It has taken an offer.
    Requesting,
    /// It has asked for a remembered address.
    Rebooting,
    /// It waits whether the address is free.
    Checking,
    /// It has an address.
    Bound,
    /// It has an address, and has asked its server for more time.
    Renewing,
    /// It has an address, and has asked all servers for more time.
    Rebinding,
    /// It has asked what there is to know.
    Informing,
    /// It has been told.
    Informed,
}

#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one client, and it changes state seldom")]
pub(crate) enum State {
    Off,
    Waiting(Instant, Option<Remembered>),
    Selecting(Selecting),
    Requesting(Requesting),
    Rebooting(Rebooting),
    Checking(Checking),
    Holding(Holding),
    Informing(Informing),
    Informed(Parameters),
}

impl State {
    pub(crate) fn deadline(&self) -> Instant {
        match self {
            Self::Off | Self::Informed(_) => Instant::FAR,
            Self::Waiting(end, _) => *end,
            Self::Selecting(selecting) => selecting.deadline(),
            Self::Requesting(requesting) => requesting.deadline(),
            Self::Rebooting(rebooting) => rebooting.deadline(),
            Self::Checking(checking) => checking.deadline(),
            Self::Holding(holding) => holding.deadline(),
            Self::Informing(informing) => informing.deadline(),
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        match self {
            Self::Off => Standing::Off,
            Self::Waiting(..) => Standing::Init,
            Self::Selecting(_) => Standing::Selecting,
            Self::Requesting(_) => Standing::Requesting,
            Self::Rebooting(_) => Standing::Rebooting,
            Self::Checking(_) => Standing::Checking,
            Self::Holding(holding) => match holding.phase {
                Phase::Bound => Standing::Bound,
                Phase::Renewing(_) => Standing::Renewing,
                Phase::Rebinding(_) => Standing::Rebinding,
            },
            Self::Informing(_) => Standing::Informing,
            Self::Informed(_) => Standing::Informed,
        }
    }

    /// Whether there is a lease that has ended.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        matches!(self, Self::Holding(holding) if holding.lease.expiry <= now)
    }

    /// Whether it waits for nothing.
    pub(crate) fn need_not_wait(&self, now: Instant) -> bool {
        matches!(self, Self::Waiting(end, _) if *end <= now)
    }

    /// The transaction that is under way.
    pub(crate) fn transaction(&self) -> Option<u32> {
        match self {
            Self::Off | Self::Waiting(..) | Self::Checking(_) | Self::Informed(_) => None,
            Self::Selecting(selecting) => Some(selecting.xid),
            Self::Requesting(requesting) => Some(requesting.xid),
            Self::Rebooting(rebooting) => Some(rebooting.xid),
            Self::Holding(holding) => match holding.phase {
                Phase::Bound => None,
                Phase::Renewing(asked) | Phase::Rebinding(asked) => Some(asked.xid),
            },
            Self::Informing(informing) => Some(informing.xid),
        }
    }

    /// Not inlined, as [`Reply::parse`].
    #[inline(never)]
    pub(crate) fn received(&mut self, reply: &Reply, step: &mut Step<'_>) -> Result<Next, Error> {
        match self {
            Self::Selecting(selecting) => selecting.received(reply, step),
            Self::Requesting(requesting) => requesting.received(reply, step),
            Self::Rebooting(rebooting) => rebooting.received(reply, step),
            Self::Holding(holding) => holding.received(reply, step),
            Self::Informing(informing) => informing.received(reply),
            Self::Off | Self::Waiting(..) | Self::Checking(_) | Self::Informed(_) => {
                Err(Error::Unexpected)
            }
        }
    }

    pub(crate) fn expired(&mut self, step: &mut Step<'_>) -> Next {
        match self {
            Self::Off | Self::Informed(_) => Next::Stay,
            Self::Waiting(end, _) if step.now < *end => Next::Stay,
            Self::Waiting(_, remembered) => remembered.map_or(Next::Discover, Next::Reboot),
            Self::Selecting(selecting) => selecting.expired(step),
            Self::Requesting(requesting) => requesting.expired(step),
            Self::Rebooting(rebooting) => rebooting.expired(step),
            Self::Checking(checking) if step.now < checking.deadline() => Next::Stay,
            Self::Checking(checking) => checking.free(step),
            Self::Holding(holding) => holding.expired(step),
            Self::Informing(informing) => informing.expired(step),
        }
    }

    /// Goes where a state leads.
    pub(crate) fn follow(&mut self, next: Next, step: &mut Step<'_>) {
        *self = match next {
            Next::Stay => return,
            Next::Discover => Self::Selecting(Selecting::begin(step)),
            Next::Reboot(remembered) => Self::Rebooting(Rebooting::begin(remembered, step)),
            Next::Request(offer, asked) => {
                let xid = self.transaction().unwrap_or_else(&mut *step.random);
                Self::Requesting(Requesting::begin(offer, xid, asked, step))
            }
            Next::Failed(server, again) => {
                step.history.failed(server);
                match again {
                    Again::AtOnce => Self::Waiting(step.now, None),
                    Again::Later => Self::pause(step),
                }
            }
            Next::Acknowledged(lease) => match step.settings.check {
                Check::Probe => Self::Checking(Checking::begin(lease, step)),
                Check::Trust => Self::Holding(Holding::begin(lease, step)),
            },
            Next::Hold(lease) => Self::Holding(Holding::begin(lease, step)),
            Next::Lose(loss) => {
                step.act(Action::Lost(loss));
                if let Self::Holding(holding) = self {
                    step.history.lost(holding.lease.server(), holding.since, step.now);
                }
                Self::pause(step)
            }
            Next::Informed(parameters) => {
                step.act(Action::Informed);
                Self::Informed(parameters)
            }
            Next::NotInformed => {
                step.act(Action::NotInformed);
                Self::Off
            }
        };
    }

    /// Begins anew: at once the first time, then after more and more time.
    fn pause(step: &mut Step<'_>) -> Self {
        let before = step.history.misfortunes().checked_sub(1);
        let wait = before.map_or(Duration::ZERO, |before| backoff::after(before, step.random));
        Self::Waiting(step.now + wait, None)
    }
}
