//! Publishers: how they behave, and what their subscribers have asked them for.

use crate::Tags;
use crate::subscriptions::Subscriptions;
use alloc::vec::Vec;

/// What a publisher does about a subscriber that has no room for a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Slow {
    /// Publishing is refused with [`Error::Again`](crate::Error::Again), and nobody is sent the message.
    #[default]
    Wait,
    /// It is not sent the message, which is counted, and told when that begins and ends.
    Drop,
    /// It is disconnected.
    Disconnect,
}

/// How a publisher is to behave.
#[derive(Clone, Debug)]
pub struct Publication {
    pub(crate) port: u16,
    pub(crate) slow: Slow,
    pub(crate) offers: Vec<Tags>,
}

impl Publication {
    /// At a port to which subscribers connect; of all tags, and waiting for slow subscribers.
    pub fn new(port: u16) -> Self {
        Self { port, slow: Slow::Wait, offers: Vec::new() }
    }

    /// What is done about slow subscribers.
    pub fn slow(mut self, slow: Slow) -> Self {
        self.slow = slow;
        self
    }

    /// Offers these tags. What is offered is all that can be asked for, once something is.
    pub fn offer(mut self, tags: Tags) -> Self {
        self.offers.push(tags);
        self
    }
}

pub(crate) struct Publisher {
    pub(crate) slow: Slow,
    offers: Vec<Tags>,
    pub(crate) subscriptions: Subscriptions,
    /// A message is being handed out.
    pub(crate) busy: bool,
}

impl Publisher {
    pub(crate) fn new(publication: Publication, subscriptions: Subscriptions) -> Self {
        let Publication { slow, offers, .. } = publication;
        Self { slow, offers, subscriptions, busy: false }
    }

    /// A subscriber is gone, or wants these no longer.
    pub(crate) fn drop(&mut self, tags: Tags, slot: u16) {
        self.subscriptions.remove(tags, slot);
    }

    /// Whether any of these can be asked for.
    pub(crate) fn offers(&self, tags: Tags) -> bool {
        self.offers.is_empty() || self.offers.iter().any(|offer| offer.meet(tags))
    }
}
