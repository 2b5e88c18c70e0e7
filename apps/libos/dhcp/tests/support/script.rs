//! Scripts: what arrives, what must leave, and when.
//!
//! Time is made up. Random numbers are such that every back-off is exactly in the middle, 4, 8, 16
//! seconds, while transactions differ. What the client does is heard in order, and at the script's end
//! nothing may be left over.

use super::answer::Answer;
use super::sent::Sent;
use super::{Dice, MAC, SERVER_MAC};
use reflex_dhcp::*;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::ops::RangeBounds;
use std::time::Duration;

/// Something the client has done.
#[derive(Clone, Debug)]
enum Event {
    Sent(Box<Sent>),
    Told(Action),
}

pub(crate) struct Script {
    pub(crate) client: Client,
    now: Instant,
    draws: u32,
    /// Real random numbers in place of those, for what is drawn by lot.
    pub(crate) dice: Option<Dice>,
    /// When each happened, in seconds.
    heard: VecDeque<(f64, Event)>,
}

pub(crate) fn settings() -> Settings {
    Settings { check: Check::Trust, ..Settings::new(MAC) }
}

impl Script {
    /// A client that has begun at second 1000, and does not probe.
    pub(crate) fn begin() -> Self {
        Self::begin_with(settings(), None)
    }

    pub(crate) fn begin_with(settings: Settings, remembered: Option<Remembered>) -> Self {
        let mut script = Self::off(settings);
        script.call(|client, now, random| client.start(remembered, now, random));
        script
    }

    /// A client that has not begun.
    pub(crate) fn off(settings: Settings) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1000);
        Self { client: Client::new(settings), now, draws: 0, dice: None, heard: VecDeque::new() }
    }

    /// One that holds the usual lease, granted by this acknowledgement, since its second 0.
    pub(crate) fn bound_by(ack: impl FnOnce(&Sent) -> Answer) -> Self {
        let mut script = Self::begin();
        script.acquire(Answer::offer, ack);
        script
    }

    pub(crate) fn bound() -> Self {
        Self::bound_by(Answer::ack)
    }

    /// Goes through discovery and request, which are answered at once.
    pub(crate) fn acquire(
        &mut self,
        offer: impl FnOnce(&Sent) -> Answer,
        ack: impl FnOnce(&Sent) -> Answer,
    ) -> Sent {
        let discover = self.leaves(Kind::Discover);
        self.arrives(&offer(&discover));
        let request = self.leaves(Kind::Request);
        self.arrives(&ack(&request));
        self.tells(Action::Granted);
        request
    }

    /// Seconds since the beginning.
    pub(crate) fn seconds(&self) -> f64 {
        self.now.as_nanos() as f64 / 1e9 - 1000.0
    }

    pub(crate) fn call(
        &mut self,
        call: impl FnOnce(&mut Client, Instant, &mut Random<'_>) -> Actions,
    ) {
        let (draws, dice) = (&mut self.draws, &mut self.dice);
        // Modulo the 2001 milliseconds of a back-off's spread they are its middle.
        let mut random = || {
            if let Some(dice) = dice {
                return dice.next() as u32;
            }
            *draws += 1;
            *draws * 2001 + 1000
        };
        for action in call(&mut self.client, self.now, &mut random) {
            let event = match action {
                Action::Send(request) => Event::Sent(Box::new(self.written(&request))),
                told => Event::Told(told),
            };
            self.heard.push_back((self.seconds(), event));
        }
    }

    fn written(&self, request: &Request) -> Sent {
        let mut buffer = [0xaa; LONGEST_FRAME];
        let length = self.client.write_frame(request, SERVER_MAC, &mut buffer).expect("room");
        Sent::read(&buffer[..length])
    }

    /// Lets time pass until something is heard, a day at most; tells whether there is something.
    fn hear(&mut self) -> bool {
        let end = self.now + Duration::from_secs(86_400);
        while self.heard.is_empty() && self.client.deadline() <= end {
            self.now = self.now.max(self.client.deadline());
            self.call(Client::expired);
        }
        !self.heard.is_empty()
    }

    /// The next that is heard.
    fn next(&mut self, what: &str) -> (f64, Event) {
        assert!(self.hear(), "nothing is heard, and not {what}: {:?}", self.client.standing());
        self.heard.pop_front().expect("something is heard")
    }

    /// The next that is heard is this message, whenever.
    pub(crate) fn leaves(&mut self, kind: Kind) -> Sent {
        match self.next(&format!("{kind:?}")) {
            (_, Event::Sent(sent)) if sent.kind == kind => *sent,
            (at, event) => panic!("{event:?} at {at}, and not {kind:?}"),
        }
    }

    /// The next that is heard is this message, at this time.
    pub(crate) fn leaves_at(&mut self, at: f64, kind: Kind) -> Sent {
        self.leaves_within(at - 0.001..=at + 0.001, kind)
    }

    pub(crate) fn leaves_within(&mut self, at: impl RangeBounds<f64>, kind: Kind) -> Sent {
        assert!(self.hear(), "nothing is heard");
        let heard = self.heard[0].0;
        assert!(at.contains(&heard), "at {heard}: {:?}", self.heard[0].1);
        self.leaves(kind)
    }

    /// The next that is heard is not a message.
    pub(crate) fn tells(&mut self, action: Action) {
        match self.next(&format!("{action:?}")) {
            (_, Event::Told(told)) if told == action => {}
            (at, event) => panic!("{event:?} at {at}, and not {action:?}"),
        }
    }

    pub(crate) fn tells_at(&mut self, at: f64, action: Action) {
        assert!(self.hear(), "nothing is heard");
        let heard = self.heard[0].0;
        assert!((heard - at).abs() < 0.001, "at {heard}: {:?}", self.heard[0].1);
        self.tells(action);
    }

    /// Nothing is heard until then; then it is that time.
    pub(crate) fn silent_until(&mut self, at: f64) {
        assert!(self.heard.is_empty(), "{:?}", self.heard);
        let end = Instant::ZERO + Duration::from_secs_f64(1000.0 + at);
        while self.client.deadline() < end {
            self.now = self.now.max(self.client.deadline());
            self.call(Client::expired);
            assert!(self.heard.is_empty(), "{:?}", self.heard);
        }
        self.now = end;
    }

    /// Nothing is heard that is not heard yet.
    pub(crate) fn silent(&self) {
        assert!(self.heard.is_empty(), "{:?}", self.heard);
    }

    pub(crate) fn arrives(&mut self, answer: &Answer) {
        self.arrives_as(&answer.frame());
    }

    pub(crate) fn arrives_as(&mut self, frame: &[u8]) {
        assert!(is_for_client(frame));
        self.call(|client, now, random| client.frame(frame, UdpChecksum::Verify, now, random));
    }

    /// This arrives, is refused for this reason, and nothing comes of it.
    pub(crate) fn refuses(&mut self, answer: &Answer, error: Error) {
        let before = self.client.counters().refused(error);
        let standing = self.client.standing();
        let deadline = self.client.deadline();
        self.arrives(answer);
        let refused = self.client.counters().refused(error) - before;
        assert_eq!(refused, 1, "{error}: {:?}", self.client.counters());
        assert_eq!((self.client.standing(), self.client.deadline()), (standing, deadline));
        self.silent();
    }

    pub(crate) fn stands(&self, standing: Standing) {
        assert_eq!(self.client.standing(), standing);
    }

    pub(crate) fn lease(&self) -> Lease {
        *self.client.lease().expect("a lease")
    }

    pub(crate) fn odd(&self, oddity: Oddity) -> u64 {
        self.client.counters().odd(oddity)
    }

    pub(crate) fn gateways(&self) -> Vec<Ipv4Addr> {
        self.client.parameters().expect("parameters").gateways().collect()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.heard.is_empty(), "not asked for: {:?}", self.heard);
        }
    }
}
