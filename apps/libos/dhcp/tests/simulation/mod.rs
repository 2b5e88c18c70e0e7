//! A client in a network that loses, doubles, delays and reorders, among servers that are honest and
//! others, for hours of time that is made up.
//!
//! What must hold: never more messages than promised; never an address when its lease has ended where it
//! was granted, nor one that somebody else was found to have; and a lease in the end, when there is an
//! honest server.

mod server;

use crate::support::script::settings;
use crate::support::sent::Sent;
use crate::support::{Dice, SERVER_MAC, ip, seed};
use reflex_dhcp::*;
use server::{Behaviour, Book, LIARS, Server, TAKEN};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

/// What is under way.
#[derive(Clone, Debug)]
enum Event {
    /// A client's message to each server.
    ToServer(usize, Box<Sent>),
    ToClient(Vec<u8>),
    Probed(Ipv4Addr),
}

struct World {
    dice: Dice,
    client: Client,
    random: Dice,
    now: f64,
    events: BTreeMap<(u64, u64), Event>,
    numbered: u64,
    servers: Vec<Server>,
    books: Vec<Book>,
    /// Addresses that somebody else has.
    taken: BTreeSet<Ipv4Addr>,
    /// In percent.
    loss: u64,
    /// When messages were sent.
    sent: Vec<f64>,
    /// Until when servers have granted addresses.
    granted: BTreeMap<Ipv4Addr, f64>,
    told: Vec<(f64, Action)>,
}

fn instant(seconds: f64) -> Instant {
    Instant::ZERO + Duration::from_secs_f64(seconds)
}

fn seconds(instant: Instant) -> f64 {
    if instant == Instant::FAR { f64::INFINITY } else { instant.as_nanos() as f64 / 1e9 }
}

impl World {
    fn new(seed: u64, loss: u64, servers: Vec<Server>) -> Self {
        let mut dice = Dice(seed);
        let settings = Settings { check: Check::Probe, ..settings() };
        Self {
            random: Dice(dice.next()),
            dice,
            client: Client::new(settings),
            now: 0.0,
            events: BTreeMap::new(),
            numbered: 0,
            books: vec![Book::default(); servers.len()],
            servers,
            taken: BTreeSet::from([TAKEN, ip(20), ip(21)]),
            loss,
            sent: Vec::new(),
            granted: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    fn call(&mut self, call: impl FnOnce(&mut Client, Instant, &mut Random<'_>) -> Actions) {
        let random = &mut self.random;
        let mut draw = || random.next() as u32;
        for action in call(&mut self.client, instant(self.now), &mut draw) {
            match action {
                Action::Send(request) => self.send(&request),
                Action::Probe(address) => self.later(6.0, Event::Probed(address)),
                told => self.told.push((self.now, told)),
            }
        }
    }

    fn send(&mut self, request: &Request) {
        let mut frame = [0; LONGEST_FRAME];
        let length = self.client.write_frame(request, SERVER_MAC, &mut frame).expect("room");
        let sent = Box::new(Sent::read(&frame[..length]));
        self.sent.push(self.now);
        self.assert_pace();
        for server in 0..self.servers.len() {
            let address = self.servers[server].address;
            if sent.destination.is_broadcast() || sent.destination == address {
                self.carry(Event::ToServer(server, sent.clone()));
            }
        }
    }

    /// In every time that ends now, no more than promised.
    fn assert_pace(&self) {
        for (count, from) in (1u32..).zip(self.sent.iter().rev().take(500)) {
            let most = f64::from(BURST) + (self.now - from) / INTERVAL.as_secs_f64();
            assert!(f64::from(count) <= most + 0.001, "{count} in {} s", self.now - from);
        }
    }

    /// Over the wire: lost, doubled, delayed.
    fn carry(&mut self, event: Event) {
        while !self.dice.percent(self.loss) {
            let late = self.dice.percent(self.loss);
            let delay = self.dice.below(if late { 5000 } else { 300 }) as f64 / 1000.0;
            self.later(delay + 0.001, event.clone());
            if !self.dice.percent(self.loss) {
                break;
            }
        }
    }

    fn later(&mut self, delay: f64, event: Event) {
        self.numbered += 1;
        let at = ((self.now + delay) * 1e6) as u64;
        self.events.insert((at, self.numbered), event);
    }

    /// Lets time pass, and checks at every moment at which something happens.
    fn run_until(&mut self, end: f64) {
        loop {
            let deadline = seconds(self.client.deadline());
            let event = self.events.first_key_value().map(|((at, _), _)| *at as f64 / 1e6);
            let next = event.unwrap_or(f64::INFINITY);
            if deadline.min(next) > end {
                self.now = end;
                return;
            }
            if deadline <= next {
                self.now = self.now.max(deadline);
                // The deadline itself, which seconds as they are here do not hit.
                let due = self.client.deadline();
                self.call(|client, _, random| client.expired(due, random));
            } else {
                self.now = self.now.max(next);
                let (_, event) = self.events.pop_first().expect("an event");
                self.happen(event);
            }
            self.assert_lease();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToServer(number, sent) if self.now < self.servers[number].dies => {
                let server = &self.servers[number];
                let book = &mut self.books[server.book];
                for answer in server.answers(book, &sent, &mut self.dice) {
                    let granted = answer.options.iter().find(|(code, _)| *code == 51);
                    let ack = answer.options.contains(&(53, vec![5]));
                    if let (true, Some((_, time))) = (ack, granted) {
                        let time = u32::from_be_bytes(time[..].try_into().expect("a time"));
                        let end = self.granted.entry(answer.yiaddr).or_default();
                        let time = if time == u32::MAX { f64::INFINITY } else { time.into() };
                        *end = end.max(self.now + time);
                    }
                    self.carry(Event::ToClient(answer.frame()));
                }
            }
            Event::ToServer(..) => {}
            Event::ToClient(frame) => self
                .call(|client, now, random| client.frame(&frame, UdpChecksum::Verify, now, random)),
            Event::Probed(address) if self.taken.contains(&address) => {
                self.call(|client, now, random| client.conflict(address, now, random));
            }
            Event::Probed(address) => {
                self.call(|client, now, random| client.address_is_free(address, now, random));
            }
        }
    }

    fn assert_lease(&self) {
        let Some(lease) = self.client.lease() else { return };
        let end = self.granted.get(&lease.address()).copied().unwrap_or_default();
        assert!(self.now < end, "{} is held at {}, granted until {end}", lease.address(), self.now);
        assert!(seconds(lease.expiry) <= end + 1e-3);
        assert!(!self.taken.contains(&lease.address()), "{} is taken", lease.address());
    }

    fn holds_of(&self, server: Ipv4Addr) -> bool {
        self.client.lease().is_some_and(|lease| lease.server() == server)
    }

    fn losses(&self) -> usize {
        self.told.iter().filter(|(_, action)| matches!(action, Action::Lost(_))).count()
    }
}

fn server(behaviour: Behaviour, last: u8, book: usize) -> Server {
    Server { behaviour, address: ip(last), book, dies: f64::INFINITY }
}

const HOUR: f64 = 3600.0;

/// One honest server beside up to three others, and anything may be lost.
#[test]
fn an_honest_server_is_found_in_the_end() {
    let mut dice = Dice(seed());
    for _ in 0..300 {
        let (run, loss) = (dice.next(), dice.of(&[0, 0, 5, 20, 40]));
        let honest = server(Behaviour::Honest(dice.of(&[120, 600, 3600, u32::MAX])), 1, 0);
        let liars =
            (0..dice.below(4) as usize).map(|n| server(dice.of(&LIARS), 3 + n as u8, n + 1));
        let servers: Vec<Server> = std::iter::once(honest).chain(liars).collect();
        let behaviours: Vec<Behaviour> = servers.iter().map(|server| server.behaviour).collect();
        println!("run {run}, loss {loss}: {behaviours:?}");
        let mut world = World::new(run, loss, servers);
        world.call(|client, now, random| client.start(None, now, random));
        let found = (1..=24).any(|quarter| {
            world.run_until(f64::from(quarter) * HOUR / 4.0);
            world.holds_of(ip(1))
        });
        assert!(found, "no lease in six hours: {:?}", world.client.counters());
        // It goes on for as long.
        let end = world.now + 2.0 * HOUR;
        world.run_until(end);
    }
}

/// Nobody is honest: nothing is to be had, and it is asked for seldom.
#[test]
fn liars_among_themselves_do_no_harm() {
    let mut dice = Dice(seed());
    for _ in 0..100 {
        let (run, loss) = (dice.next(), dice.of(&[0, 10]));
        let servers: Vec<Server> =
            (0..3).map(|n| server(dice.of(&LIARS), 3 + n as u8, n)).collect();
        let behaviours: Vec<Behaviour> = servers.iter().map(|server| server.behaviour).collect();
        println!("run {run}, loss {loss}: {behaviours:?}");
        let mut world = World::new(run, loss, servers);
        world.call(|client, now, random| client.start(None, now, random));
        world.run_until(4.0 * HOUR);
        assert!(world.sent.len() > 100);
    }
}

/// An address that works is kept for days, over a link that loses a packet in ten.
#[test]
fn an_address_is_kept_over_a_bad_link() {
    let mut dice = Dice(seed());
    for _ in 0..20 {
        let run = dice.next();
        println!("run {run}");
        let mut world = World::new(run, 10, vec![server(Behaviour::Honest(7200), 1, 0)]);
        world.call(|client, now, random| client.start(None, now, random));
        world.run_until(HOUR);
        let address = world.client.lease().expect("a lease").address();
        world.run_until(48.0 * HOUR);
        assert_eq!(world.losses(), 0, "{:?}", world.told);
        assert_eq!(world.client.lease().map(Lease::address), Some(address));
    }
}

/// Two servers that know of each other's leases: when one dies the other prolongs them.
#[test]
fn a_failover_pair_keeps_the_address() {
    let mut dice = Dice(seed());
    for _ in 0..50 {
        let run = dice.next();
        println!("run {run}");
        let dies = 100.0 + dice.below(3000) as f64;
        let pair = [1, 3].map(|last| server(Behaviour::Honest(1200), last, 0));
        let mut world = World::new(run, 0, pair.to_vec());
        world.call(|client, now, random| client.start(None, now, random));
        world.run_until(99.0);
        let lease = *world.client.lease().expect("a lease");
        let first = world.servers.iter_mut().find(|server| server.address == lease.server());
        first.expect("its server").dies = dies;
        world.run_until(6.0 * HOUR);
        assert_eq!(world.losses(), 0, "{:?}", world.told);
        let now = world.client.lease().expect("a lease");
        assert_eq!(now.address(), lease.address());
        assert_ne!(now.server(), lease.server());
    }
}

/// A server that comes back, or a cable that is plugged in, after hours.
#[test]
fn a_server_that_comes_late_is_found_soon() {
    let mut dice = Dice(seed());
    for _ in 0..50 {
        let run = dice.next();
        let mut world = World::new(run, 0, vec![]);
        world.call(|client, now, random| client.start(None, now, random));
        world.run_until(5.0 * HOUR);
        world.servers.push(server(Behaviour::Honest(600), 1, 0));
        world.books.push(Book::default());
        let now = world.now;
        // A discovery each minute, and two addresses that turn out to be taken, with their waits.
        world.run_until(now + 65.0 + 2.0 * 24.0 + 10.0);
        assert!(world.holds_of(ip(1)), "run {run}: {:?}", world.client.standing());
    }
}

/// The simulation notices what it is there to notice.
#[test]
#[should_panic(expected = "granted until")]
fn a_lease_that_is_held_too_long_is_noticed() {
    let mut world = World::new(7, 0, vec![server(Behaviour::Honest(600), 1, 0)]);
    world.call(|client, now, random| client.start(None, now, random));
    world.run_until(300.0);
    assert!(world.client.lease().is_some());
    world.now = 5000.0;
    world.assert_lease();
}
