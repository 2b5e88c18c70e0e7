//! What an endpoint is made for.

use crate::record::HEADER;
use crate::slots::MOST_LINKS;
use core::time::Duration;
use reflex_event::Priority;

/// What an endpoint is made for. Each link takes its pages, of [`page`](Self::page) bytes, from its context's event
/// memory when it comes about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Links at a time, 1 to 256, those included that wait to be connected again.
    pub links: u16,
    /// Bytes of a page, 256 to 65,536. A record, which is a message with 16 bytes of header, is never longer.
    pub page: u32,
    /// Pages that a link fills and sends, 2 to 64.
    pub pages: u16,
    /// Pages that a link has posted to receive, 1 to 64. Over TCP the receive buffer has as many bytes.
    pub receives: u16,
    /// A page with so many bytes is sent.
    pub watermark: u32,
    /// How long a message may wait for its page to fill.
    pub patience: Duration,
    /// Unbuffered messages under way, at most, of all links; and of each.
    pub unbuffered: u16,
    /// Different subscriptions of a subscriber, and of all subscribers of a publisher.
    pub subscriptions: (u16, u32),
    /// How long to wait before a connection is tried again: at first, and at most. It doubles in between, and up to a
    /// quarter is added by chance.
    pub backoff: (Duration, Duration),
    /// At this interval an idle link gives a sign of life, and after four without one of the peer it is down. 10 ms at
    /// least.
    pub beat: Duration,
    /// The priority of all work for the endpoint, handlers included.
    pub priority: Priority,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            links: 16,
            page: 4096,
            pages: 8,
            receives: 8,
            watermark: 3584,
            patience: Duration::from_millis(2),
            unbuffered: 16,
            subscriptions: (256, 4096),
            backoff: (Duration::from_millis(50), Duration::from_secs(5)),
            beat: Duration::from_secs(2),
            priority: Priority::DEFAULT,
        }
    }
}

impl Settings {
    /// Whether each is in its range.
    pub(crate) fn are_possible(&self) -> bool {
        let page = (256..=65_536).contains(&self.page);
        let links = (1..=MOST_LINKS).contains(&self.links);
        let pages = (2..=64).contains(&self.pages) && (1..=64).contains(&self.receives);
        let watermark = self.watermark as usize > HEADER && self.watermark <= self.page;
        let (first, most) = self.backoff;
        let beat = self.beat >= Duration::from_millis(10) && self.beat.as_secs() < 1 << 20;
        let times = !first.is_zero() && first <= most && beat;
        let subscriptions = self.subscriptions.0 > 0 && self.subscriptions.1 < 1 << 20;
        page && links && pages && watermark && times && subscriptions && self.unbuffered <= 1024
    }

    /// Bytes of event memory that so many links take, with those of unbuffered messages' headers.
    pub fn memory(&self, links: u16) -> usize {
        let page = (self.page as usize).next_power_of_two();
        let pages = usize::from(self.pages) + usize::from(self.receives) + 1;
        usize::from(links) * (pages * page + usize::from(self.unbuffered) * 32) / 8 * 9
    }

    /// Sends that a link can have under way.
    pub(crate) fn sends(&self) -> u32 {
        u32::from(self.pages) + u32::from(self.unbuffered)
    }
}
