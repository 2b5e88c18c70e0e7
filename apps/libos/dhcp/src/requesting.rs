//! REQUESTING: an offer is taken, and its server has to keep its word.

use crate::backoff::Backoff;
use crate::error::Error;
use crate::lease::Lease;
use crate::offer::Offer;
use crate::reply::{Kind, Reply};
use crate::request::{self, Request};
use crate::step::{Again, Asked, Next, Step};
use reflex_event::Instant;

/// Requests of one offer: with the waits after them a minute (RFC 2131, 3.1.5).
const TRIES: u8 = 4;

/// What is known while the server is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requesting {
    pub(crate) xid: u32,
    offer: Offer,
    /// How all servers were asked.
    asked: Asked,
    backoff: Backoff,
}

impl Requesting {
    /// Takes an offer, in the transaction `xid` that it was made in (RFC 2131, 4.4.1).
    pub(crate) fn begin(offer: Offer, xid: u32, asked: Asked, step: &mut Step<'_>) -> Self {
        let mut requesting = Self { xid, offer, asked, backoff: Backoff::new(step.now) };
        requesting.ask(step);
        requesting
    }

    fn ask(&mut self, step: &mut Step<'_>) {
        let request = Request {
            secs: self.asked.secs,
            delivery: self.asked.delivery,
            requested: Some(self.offer.address),
            server: Some(self.offer.server),
            ..Request::new(request::Kind::Request, self.xid)
        };
        self.backoff.send(request, step);
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.backoff.retry
    }

    pub(crate) fn expired(&mut self, step: &mut Step<'_>) -> Next {
        if step.now >= self.backoff.retry {
            if self.backoff.tries >= TRIES {
                return Next::Failed(self.offer.server, Again::AtOnce);
            }
            self.ask(step);
        }
        Next::Stay
    }

    pub(crate) fn received(&mut self, reply: &Reply, step: &mut Step<'_>) -> Result<Next, Error> {
        if reply.kind == Kind::Offer {
            return Err(Error::Unexpected);
        }
        if reply.server.ok_or(Error::NoServer)? != self.offer.server {
            return Err(Error::OtherServer);
        }
        // Nobody can answer what was put off.
        let sent = self.backoff.sent.ok_or(Error::Unexpected)?;
        if reply.kind == Kind::Nak {
            return Ok(Next::Failed(self.offer.server, Again::Later));
        }
        // The server may have thought better of the address; what counts is what it has written down.
        let mut offer = self.offer;
        offer.update(reply)?;
        let lease = Lease::begin(offer, sent, step.now, step.random, step.history)?;
        Ok(Next::Acknowledged(lease))
    }
}
