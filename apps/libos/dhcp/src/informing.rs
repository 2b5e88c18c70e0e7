//! INFORM: a host with an address of its own asks what else there is to know (RFC 2131, 3.4, 4.4.3).

use crate::backoff::Backoff;
use crate::error::Error;
use crate::reply::{Kind, Reply};
use crate::request::{self, Request};
use crate::step::{Next, Step};
use core::net::Ipv4Addr;
use reflex_event::Instant;

/// Requests before the host does without: with the waits after them a minute (RFC 2131, 4.4.3).
const TRIES: u8 = 4;

/// What is known while any server is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Informing {
    pub(crate) xid: u32,
    address: Ipv4Addr,
    begun: Instant,
    backoff: Backoff,
}

impl Informing {
    /// Asks all servers.
    pub(crate) fn begin(address: Ipv4Addr, step: &mut Step<'_>) -> Self {
        let mut informing = Self {
            xid: (step.random)(),
            address,
            begun: step.now,
            backoff: Backoff::new(step.now),
        };
        informing.ask(step);
        informing
    }

    fn ask(&mut self, step: &mut Step<'_>) {
        let secs = step.seconds_since(self.begun);
        let inform = Request::new(request::Kind::Inform, self.xid).by(self.address);
        self.backoff.send(Request { secs, ..inform }, step);
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.backoff.retry
    }

    pub(crate) fn expired(&mut self, step: &mut Step<'_>) -> Next {
        if step.now >= self.backoff.retry {
            if self.backoff.tries >= TRIES {
                return Next::NotInformed;
            }
            self.ask(step);
        }
        Next::Stay
    }

    pub(crate) fn received(&mut self, reply: &Reply) -> Result<Next, Error> {
        match reply.kind {
            Kind::Ack => Ok(Next::Informed(reply.parameters)),
            Kind::Offer | Kind::Nak => Err(Error::Unexpected),
        }
    }
}
