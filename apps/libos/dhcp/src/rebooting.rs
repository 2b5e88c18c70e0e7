//! REBOOTING: the address that the host had before is asked for (RFC 2131, 3.2).
//!
//! A server that knows nothing of it stays silent (4.3.2), and then all are asked anew. RFC 2131 lets a
//! client use the old address for what is left of its lease when nobody answers; this one does not:
//! a clock that stood still with the machine cannot tell what is left.

use crate::backoff::Backoff;
use crate::error::Error;
use crate::lease::Lease;
use crate::offer::Offer;
use crate::reply::{Kind, Reply};
use crate::request::{self, Request};
use crate::settings::Delivery;
use crate::step::{Next, Remembered, Step};
use reflex_event::Instant;

/// Requests before all servers are asked anew: with the waits after them some twelve seconds.
const TRIES: u8 = 2;

/// What is known while any server is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rebooting {
    pub(crate) xid: u32,
    remembered: Remembered,
    begun: Instant,
    backoff: Backoff,
}

impl Rebooting {
    /// Asks for the remembered address.
    pub(crate) fn begin(remembered: Remembered, step: &mut Step<'_>) -> Self {
        let mut rebooting = Self {
            xid: (step.random)(),
            remembered,
            begun: step.now,
            backoff: Backoff::new(step.now),
        };
        rebooting.ask(step);
        rebooting
    }

    fn ask(&mut self, step: &mut Step<'_>) {
        let again = self.backoff.tries > 0;
        let delivery = if again { Delivery::Broadcast } else { step.settings.delivery };
        // Without a server: whichever knows the address, or knows that this is another network.
        let request = Request {
            secs: step.seconds_since(self.begun),
            delivery,
            requested: Some(self.remembered.address),
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
                return Next::Discover;
            }
            self.ask(step);
        }
        Next::Stay
    }

    pub(crate) fn received(&mut self, reply: &Reply, step: &mut Step<'_>) -> Result<Next, Error> {
        let sent = self.backoff.sent.ok_or(Error::Unexpected)?;
        match reply.kind {
            Kind::Offer => return Err(Error::Unexpected),
            Kind::Nak => {
                reply.server.ok_or(Error::NoServer)?;
                // It can happen once a start: the address is remembered no longer, nor its server,
                // which is of another network.
                step.history.prefer(None);
                return Ok(Next::Discover);
            }
            Kind::Ack => {}
        }
        if reply.address != Some(self.remembered.address) {
            return Err(Error::OtherAddress);
        }
        let offer = Offer::new(reply, self.remembered.server)?;
        let lease = Lease::begin(offer, sent, step.now, step.random, step.history)?;
        Ok(Next::Acknowledged(lease))
    }
}
