//! A host and its wires, until something is so.

use super::host::{Host, arp};
use crate::place::Program;
use crate::seed;
use crate::wire::{Wire, carry};
use rand::RngExt;
use reflex_dhcp::*;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant as Moment};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// When nothing has happened for so long, the host's clock is moved on.
const LULL: Duration = Duration::from_millis(700);
/// The station that has addresses which are taken.
const SQUATTER: Mac = [2, 0, 0, 0, 0, 0x77];

/// A host on the first of some wires.
pub(crate) struct World {
    pub(crate) host: Host,
    wires: Vec<Wire>,
    /// Addresses that another station answers for.
    pub(crate) taken: Vec<Ipv4Addr>,
}

impl World {
    pub(crate) fn new(wires: Vec<Wire>) -> Self {
        Self::with_mtu(wires, 1500)
    }

    /// A host with an interface that receives no larger packets.
    pub(crate) fn with_mtu(wires: Vec<Wire>, mtu: u16) -> Self {
        let mut random = seed::random();
        let mac = [2, 0, 0x52, random.random(), random.random(), random.random()];
        let host_name = Name::new(*b"reflex");
        let settings = Settings { host_name, mtu, ..Settings::new(mac) };
        Self { host: Host::new(settings, random), wires, taken: Vec::new() }
    }

    /// Does something with the client.
    pub(crate) fn call(
        &mut self,
        call: impl FnOnce(&mut Client, Instant, &mut Random<'_>) -> Actions,
    ) {
        self.host.call(call);
        self.put();
    }

    /// Puts on the wire what the host has to say.
    fn put(&mut self) {
        for frame in std::mem::take(&mut self.host.outgoing) {
            self.wires[0].send(&frame);
            self.squat(&frame);
        }
    }

    /// The other station answers.
    fn squat(&mut self, frame: &[u8]) {
        let Some(target) = frame.get(38..42).and_then(|target| target.first_chunk::<4>()) else {
            return;
        };
        let target = Ipv4Addr::from(*target);
        if frame[12..14] == [8, 6] && frame[21] == 1 && self.taken.contains(&target) {
            let asker: Mac = *frame[6..].first_chunk().expect("six");
            let reply = arp(2, (SQUATTER, target), (asker, Ipv4Addr::UNSPECIFIED), asker);
            self.host.receive(&reply);
        }
    }

    /// Carries frames for so long at most; tells whether anything has come.
    fn turn(&mut self, most: Duration) -> bool {
        let frames = carry(&self.wires, most.min(self.host.wait()));
        for frame in &frames[0] {
            self.host.receive(frame);
        }
        self.host.work();
        let spoke = !self.host.outgoing.is_empty();
        self.put();
        spoke || frames.iter().any(|frames| !frames.is_empty())
    }

    /// Carries frames until it is so.
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn(&Host) -> bool) {
        self.carry_until(what, None, is_so);
    }

    /// Carries frames until it is so. When nothing happens meanwhile, the host's clock is moved on.
    pub(crate) fn hurry_until(&mut self, what: &str, is_so: impl Fn(&Host) -> bool) {
        self.carry_until(what, Some(LULL), is_so);
    }

    /// Carries frames until a program has said something.
    pub(crate) fn until_says(&mut self, program: &mut Program, words: &str) {
        self.carry_until(words, None, |_| {
            let said = program.log().contains(words);
            assert!(said || !program.has_ended(), "it has ended and not said {words}");
            said
        });
    }

    fn carry_until(
        &mut self,
        what: &str,
        lull: Option<Duration>,
        mut is_so: impl FnMut(&Host) -> bool,
    ) {
        let begun = Moment::now();
        let mut heard = Moment::now();
        while !is_so(&self.host) {
            assert!(
                begun.elapsed() < PATIENCE,
                "not {what}: {:?} {:?} {:?}",
                self.host.client.standing(),
                self.host.told,
                self.host.client.counters()
            );
            if self.turn(Duration::from_millis(50)) {
                heard = Moment::now();
            } else if lull.is_some_and(|lull| heard.elapsed() >= lull) {
                self.host.hurry();
                heard = Moment::now();
            }
        }
    }

    /// Begins, until there is a lease; forgets what was told before.
    pub(crate) fn acquire(&mut self, remembered: Option<Remembered>) -> Lease {
        self.host.told.clear();
        self.call(|client, now, random| client.start(remembered, now, random));
        self.until("granted", |host| host.told.contains(&Action::Granted));
        *self.host.client.lease().expect("a lease")
    }

    /// Has the lease prolonged, now that it is time to; by its server alone, unless that does not hear.
    pub(crate) fn prolong(&mut self) -> Lease {
        let before = *self.host.client.lease().expect("a lease");
        self.hurry();
        let renewed = |host: &Host| host.told.contains(&Action::Renewed);
        if self.host.cut_off {
            self.hurry_until("renewed", renewed);
        } else {
            self.until("renewed", renewed);
        }
        let lease = *self.host.client.lease().expect("a lease");
        assert!(lease.expiry > before.expiry && lease.address() == before.address());
        let to_all = |action: &Action| match action {
            Action::Send(request) => request.destination.is_broadcast(),
            _ => false,
        };
        assert_eq!(self.host.told.iter().any(to_all), self.host.cut_off);
        lease
    }

    /// Moves the clock on to the client's next deadline.
    pub(crate) fn hurry(&mut self) {
        self.host.told.clear();
        self.host.hurry();
    }

    /// The kinds of the messages that were sent since.
    pub(crate) fn sent(&self) -> Vec<Kind> {
        let sent = |action: &Action| match action {
            Action::Send(request) => Some(request.kind),
            _ => None,
        };
        self.host.told.iter().filter_map(sent).collect()
    }
}
