//! SELECTING: all servers are asked, and one offer is taken.
//!
//! Usually the first: the server that answers first is near, and waiting costs time at each start. It is
//! different when a lease was had before, since its server keeps the address; and when something has
//! gone wrong, since the first answer may then always be the same wrong one. Then offers are collected
//! for a moment, and one of the best rank is drawn by lot. Now and then the rank does not count: a
//! server can be suspected for what the network did, while a liar with ever new names never is.

use crate::backoff::Backoff;
use crate::error::Error;
use crate::history::Rank;
use crate::offer::Offer;
use crate::reply::{Kind, Reply};
use crate::request::{self, Request};
use crate::settings::Delivery;
use crate::step::{Asked, Next, Step};
use core::time::Duration;
use reflex_event::Instant;

/// How long offers are collected after the first: servers that probe an address before they offer it
/// take up to a second (RFC 2131, 3.1.2).
const COLLECTING: Duration = Duration::from_millis(1200);
/// After so many discoveries without an offer, the replies are asked for the other way.
const OTHER_WAY: u8 = 2;

/// What is known while offers are waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selecting {
    pub(crate) xid: u32,
    begun: Instant,
    /// How they were asked last.
    asked: Asked,
    backoff: Backoff,
    best: Option<Candidate>,
    /// Offers of the best one's rank.
    equals: u32,
    /// When the best one is taken.
    choice: Instant,
    /// Whether the rank counts.
    ranked: bool,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    offer: Offer,
    rank: Rank,
}

impl Selecting {
    /// Asks all servers.
    pub(crate) fn begin(step: &mut Step<'_>) -> Self {
        let ranked = step.history.misfortunes() < 2 || !(step.random)().is_multiple_of(4);
        let mut selecting = Self {
            xid: (step.random)(),
            begun: step.now,
            asked: Asked { secs: 0, delivery: step.settings.delivery },
            backoff: Backoff::new(step.now),
            best: None,
            equals: 0,
            choice: Instant::FAR,
            ranked,
        };
        selecting.ask(step);
        selecting
    }

    fn ask(&mut self, step: &mut Step<'_>) {
        if self.backoff.tries >= OTHER_WAY {
            self.asked.delivery = Delivery::Broadcast;
        }
        self.asked.secs = step.seconds_since(self.begun);
        let Asked { secs, delivery } = self.asked;
        let discover =
            Request { secs, delivery, ..Request::new(request::Kind::Discover, self.xid) };
        self.backoff.send(discover, step);
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.backoff.retry.min(self.choice)
    }

    pub(crate) fn expired(&mut self, step: &mut Step<'_>) -> Next {
        match self.best {
            Some(best) if step.now >= self.choice => Next::Request(best.offer, self.asked),
            // While there is an offer nobody is asked again.
            Some(_) => Next::Stay,
            None => {
                if step.now >= self.backoff.retry {
                    self.ask(step);
                }
                Next::Stay
            }
        }
    }

    pub(crate) fn received(&mut self, reply: &Reply, step: &mut Step<'_>) -> Result<Next, Error> {
        if reply.kind != Kind::Offer {
            // Nothing was asked that could be granted or refused; rapid commit was not offered.
            return Err(Error::Unexpected);
        }
        let offer = Offer::new(reply, None)?;
        let rank = step.history.rank(offer.server);
        let in_a_hurry = step.history.misfortunes() == 0 && !step.history.has_preference();
        if in_a_hurry || (rank == Rank::Preferred && self.ranked) {
            return Ok(Next::Request(offer, self.asked));
        }
        self.consider(Candidate { offer, rank }, step);
        Ok(Next::Stay)
    }

    /// Keeps one of the offers of the best rank, each with the same chance.
    fn consider(&mut self, candidate: Candidate, step: &mut Step<'_>) {
        let Some(best) = self.best else {
            self.choice = step.now + COLLECTING;
            self.backoff.retry = self.choice;
            (self.best, self.equals) = (Some(candidate), 1);
            return;
        };
        let comparable = self.ranked && candidate.rank != best.rank;
        if comparable && candidate.rank < best.rank {
            return;
        }
        self.equals = if comparable { 1 } else { self.equals.saturating_add(1) };
        if (step.random)().is_multiple_of(self.equals) {
            self.best = Some(candidate);
        }
    }
}
