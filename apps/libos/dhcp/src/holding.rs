//! BOUND, RENEWING, REBINDING: there is a lease (RFC 2131, 4.4.5).
//!
//! ```text
//!            T1: ask()              T2: ask()
//!  [ BOUND ] --------> [ RENEWING ] --------> [ REBINDING ] --> expiry: the address is lost
//!      ^    prolong()       |    prolong()         |
//!      '--------------------'----------------------'      a refusal: the address is lost
//! ```

use crate::action::{Action, Loss};
use crate::error::Error;
use crate::lease::Lease;
use crate::reply::{Kind, Reply};
use crate::request::{self, Request};
use crate::step::{Next, Step};
use core::net::Ipv4Addr;
use core::time::Duration;
use reflex_event::Instant;

/// The least time between two requests to prolong a lease (RFC 2131, 4.4.5).
const SHORTEST_WAIT: Duration = Duration::from_secs(60);

/// A lease that is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding {
    pub(crate) lease: Lease,
    /// Since when there is an address.
    pub(crate) since: Instant,
    pub(crate) phase: Phase,
}

/// Which servers are asked to prolong it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// Nobody.
    Bound,
    /// Its server.
    Renewing(Asked),
    /// All servers.
    Rebinding(Asked),
}

/// A request that was sent, each in a transaction of its own: its answer then says when it was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) xid: u32,
    /// When the server was asked first.
    begun: Instant,
    sent: Option<Instant>,
    retry: Instant,
}

impl Holding {
    pub(crate) fn begin(lease: Lease, step: &mut Step<'_>) -> Self {
        step.history.prefer(Some(lease.server()));
        step.act(Action::Granted);
        Self { lease, since: step.now, phase: Phase::Bound }
    }

    pub(crate) fn deadline(&self) -> Instant {
        let Lease { renewal, rebinding, expiry, .. } = self.lease;
        match self.phase {
            Phase::Bound => renewal.min(expiry),
            Phase::Renewing(asked) => asked.retry.min(rebinding).min(expiry),
            Phase::Rebinding(asked) => asked.retry.min(expiry),
        }
    }

    pub(crate) fn expired(&mut self, step: &mut Step<'_>) -> Next {
        let Lease { renewal, rebinding, expiry, .. } = self.lease;
        let now = step.now;
        if now >= expiry {
            return Next::Lose(Loss::Expired);
        }
        match self.phase {
            Phase::Rebinding(asked) if now < asked.retry => {}
            Phase::Bound if now < renewal => {}
            Phase::Renewing(asked) if now < asked.retry && now < rebinding => {}
            _ if now >= rebinding => self.phase = Phase::Rebinding(self.ask(None, expiry, step)),
            _ => {
                let server = Some(self.lease.server());
                self.phase = Phase::Renewing(self.ask(server, rebinding, step));
            }
        }
        Next::Stay
    }

    /// Asks one server or all of them, and again when half of the time until `end` has passed.
    fn ask(&self, server: Option<Ipv4Addr>, end: Instant, step: &mut Step<'_>) -> Asked {
        let xid = (step.random)();
        let begun = match self.phase {
            Phase::Bound => step.now,
            Phase::Renewing(asked) | Phase::Rebinding(asked) => asked.begun,
        };
        let request = Request {
            secs: step.seconds_since(begun),
            destination: server.unwrap_or(Ipv4Addr::BROADCAST),
            ..Request::new(request::Kind::Request, xid).by(self.lease.address())
        };
        match step.send(request) {
            Ok(()) => {
                let wait = (end.since(step.now) / 2).max(SHORTEST_WAIT);
                Asked { xid, begun, sent: Some(step.now), retry: step.now + wait }
            }
            Err(ready) => Asked { xid, begun, sent: None, retry: ready },
        }
    }

    pub(crate) fn received(&mut self, reply: &Reply, step: &mut Step<'_>) -> Result<Next, Error> {
        let (asked, renewing) = match self.phase {
            Phase::Bound => return Err(Error::Unexpected),
            Phase::Renewing(asked) => (asked, true),
            Phase::Rebinding(asked) => (asked, false),
        };
        let sent = asked.sent.ok_or(Error::Unexpected)?;
        match reply.kind {
            Kind::Offer => Err(Error::Unexpected),
            Kind::Nak => {
                let server = reply.server.ok_or(Error::NoServer)?;
                // Only one server was asked; else any may know better.
                if renewing && server != self.lease.server() {
                    return Err(Error::OtherServer);
                }
                Ok(Next::Lose(Loss::Refused))
            }
            Kind::Ack => self.prolong(reply, sent, step),
        }
    }

    fn prolong(
        &mut self,
        reply: &Reply,
        sent: Instant,
        step: &mut Step<'_>,
    ) -> Result<Next, Error> {
        let mut offer = self.lease.offer;
        offer.update(reply)?;
        if offer.address != self.lease.address() {
            return Err(Error::OtherAddress);
        }
        let lease = Lease::begin(offer, sent, step.now, step.random, step.history)?;
        let same = lease.says_the_same(&self.lease);
        step.history.prefer(Some(lease.server()));
        step.act(if same { Action::Renewed } else { Action::Changed });
        (self.lease, self.phase) = (lease, Phase::Bound);
        Ok(Next::Stay)
    }
}
