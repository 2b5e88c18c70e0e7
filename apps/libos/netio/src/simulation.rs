//! Endpoints over transports that are made of two queues: slow, short of room, and cut off at any time. All that is
//! random follows from a seed, which is printed.

mod wire;

use crate::{
    Down, Endpoint, Error, Event, Memory, Publication, PublishSocket, Refusal, SendSocket,
    Settings, Slow, Socket, SubscribeSocket, Tags,
};
use core::time::Duration;
use reflex_event::{Context, EventSystem};
use reflex_testkit::{Clock, Random, SimKernel};
use std::collections::BTreeMap;
use std::vec::Vec;
use wire::{Manner, Wire};

/// What an application was told.
#[derive(Default)]
struct App {
    /// Of each socket's present connection: the number of the last message with each tag.
    last: BTreeMap<(Socket, u64), u64>,
    received: u64,
    /// Messages between two of a socket that did not come.
    gaps: u64,
    up: u32,
    lost: u64,
    rooms: u32,
    dropped: u64,
    slow: u32,
    sent: Vec<(u64, u16, u16)>,
    subscribed: Vec<Tags>,
    declined: Vec<Tags>,
    unsubscribed: Vec<Tags>,
    downs: Vec<Down>,
    refusals: Vec<Refusal>,
    sockets: Vec<Socket>,
}

impl App {
    fn told(&mut self, event: Event<'_>) {
        match event {
            Event::Up { socket, .. } => {
                self.up += 1;
                self.sockets.push(socket);
                self.last.retain(|(of, _), _| *of != socket);
            }
            Event::Message { socket, tag, bytes } => {
                let number = u64::from_le_bytes(*bytes.first_chunk().unwrap());
                assert!(bytes[8..].iter().all(|byte| *byte == number as u8), "damaged");
                if let Some(last) = self.last.insert((socket, tag), number) {
                    assert!(number > last, "{number} of {tag} after {last}");
                    self.gaps += number - last - 1;
                }
                self.received += 1;
            }
            Event::Down { why, lost, .. } => {
                self.lost += u64::from(lost);
                self.downs.push(why);
            }
            Event::Refused { why, .. } => self.refusals.push(why),
            Event::Room { .. } => self.rooms += 1,
            Event::Sent { id, delivered, lost } => self.sent.push((id, delivered, lost)),
            Event::Subscribed { tags, .. } => self.subscribed.push(tags),
            Event::Declined { tags, .. } => self.declined.push(tags),
            Event::Unsubscribed { tags, .. } => self.unsubscribed.push(tags),
            Event::Slow { .. } => self.slow += 1,
            Event::CaughtUp { dropped, .. } => self.dropped += dropped,
        }
    }
}

/// A message with a number, of `length` bytes at least 8.
fn message(number: u64, length: usize) -> Vec<u8> {
    let mut bytes = std::vec![number as u8; length.max(8)];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

struct Side {
    endpoint: Endpoint<SimKernel>,
    context: Context<App>,
}

struct World {
    kernel: SimKernel,
    clock: Clock,
    wire: Wire,
    random: Random,
    sides: Vec<Side>,
    settings: Settings,
}

const PORT: u16 = 7000;

impl World {
    fn new(seed: u64, manner: Manner, sides: usize, settings: Settings) -> Self {
        let clock = Clock::default();
        let kernel = SimKernel::new(clock.clone(), seed);
        let wire = Wire::new(seed, manner);
        let mut world =
            Self { kernel, clock, wire, random: Random::new(seed), sides: Vec::new(), settings };
        (0..sides).for_each(|_| world.add());
        world
    }

    fn add(&mut self) {
        let context = self.kernel.context(App::default(), 1 << 20);
        let number = self.sides.len();
        let (wire, kernel) = (self.wire.clone(), self.kernel.clone());
        let endpoint = Endpoint::start_over(
            &self.kernel,
            context,
            self.settings,
            App::told as fn(&mut App, Event<'_>),
            move |context, driver, ports| Ok(wire.attach(&kernel, number, context, driver, ports)),
        );
        self.sides.push(Side { endpoint: endpoint.unwrap(), context });
    }

    fn app<R>(&self, side: usize, look: impl FnOnce(&mut App) -> R) -> R {
        self.kernel.state(self.sides[side].context, look)
    }

    /// Something happens: a parcel arrives, or time passes.
    fn step(&mut self) {
        if self.random.percent(90) && self.wire.proceed(&self.kernel) {
            return;
        }
        self.pass(Duration::from_micros(300));
    }

    fn pass(&mut self, time: Duration) {
        self.clock.set(self.clock.now() + time);
        self.kernel.fire_timers();
        self.kernel.run_until_idle();
    }

    /// All that is under way arrives.
    fn settle(&mut self) {
        for _ in 0..40 {
            while self.wire.proceed(&self.kernel) {}
            self.pass(Duration::from_millis(1));
        }
    }

    /// An address of that side's.
    fn address(&self, side: usize) -> core::net::SocketAddr {
        core::net::SocketAddr::from(([10, 0, 0, side as u8], PORT))
    }

    fn connect(&mut self, from: usize, to: usize) -> SendSocket<SimKernel> {
        let socket = self.sides[from].endpoint.connect(self.address(to)).unwrap();
        self.settle();
        socket
    }

    fn subscribe(&mut self, from: usize, to: usize) -> SubscribeSocket<SimKernel> {
        let socket = self.sides[from].endpoint.subscribe(self.address(to)).unwrap();
        self.settle();
        socket
    }

    fn publish(&mut self, side: usize, publication: Publication) -> PublishSocket<SimKernel> {
        self.sides[side].endpoint.publish(publication).unwrap()
    }

    fn memory(&self, side: usize, bytes: &[u8]) -> Memory {
        let memory = self.sides[side].endpoint.memory(bytes.len()).unwrap();
        memory.write(0, bytes).unwrap();
        memory
    }

    /// Bytes of event memory that are free.
    fn free(&self, side: usize) -> usize {
        self.kernel.pool(self.sides[side].context).unwrap().available()
    }
}

/// Small pages, so that they fill.
fn small() -> Settings {
    let subscriptions = (8, 64);
    let backoff = (Duration::from_millis(2), Duration::from_millis(20));
    Settings {
        page: 256,
        pages: 3,
        receives: 2,
        watermark: 200,
        unbuffered: 3,
        links: 8,
        subscriptions,
        backoff,
        ..Settings::default()
    }
}

/// Runs a trial with each of some seeds, or with that of `REFLEX_SEED`.
fn trials(count: u64, trial: impl Fn(u64, Manner)) {
    let given = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = given.map_or(1..count + 1, |seed| seed..seed + 1);
    for seed in seeds {
        std::println!("REFLEX_SEED={seed}");
        [Manner::Pages, Manner::Stream].into_iter().for_each(|manner| trial(seed, manner));
    }
}

#[test]
fn nothing_is_lost_doubled_or_overtaken() {
    trials(60, |seed, manner| {
        let mut world = World::new(seed, manner, 2, small());
        world.sides[1].endpoint.listen(PORT).unwrap();
        let socket = world.connect(0, 1);
        let memory = world.memory(0, &[0; 200]);
        let (mut next, mut refused, mut unbuffered) = (0, 0, 0);
        for _ in 0..600 {
            match world.random.below(10) {
                0..5 => {
                    let bytes = message(next, world.random.below(200) as usize);
                    match socket.send(7, &bytes) {
                        Ok(()) => next += 1,
                        Err(error) => (assert_eq!(error, Error::Again), refused += 1).1,
                    }
                }
                5 if unbuffered == world.app(0, |app| app.sent.len()) => {
                    let bytes = message(next, world.random.below(200) as usize);
                    memory.write(0, &bytes).unwrap();
                    if socket.send_from(7, &memory, 0..bytes.len(), next).is_ok() {
                        (next, unbuffered) = (next + 1, unbuffered + 1);
                    }
                }
                6 => socket.flush().unwrap(),
                _ => world.step(),
            }
        }
        world.settle();
        let received = world.app(1, |app| (app.received, app.gaps));
        assert_eq!(received, (next, 0), "{manner:?}");
        assert!(refused > 0, "there was room all the time");
        let (rooms, sent) = world.app(0, |app| (app.rooms, app.sent.len()));
        assert!(rooms > 0 && sent == unbuffered);
    });
}

#[test]
fn a_message_waits_no_longer_than_the_patience_says() {
    let mut world = World::new(1, Manner::Pages, 2, small());
    world.sides[1].endpoint.listen(PORT).unwrap();
    let socket = world.connect(0, 1);
    let patience = world.settings.patience;
    socket.send(7, &message(1, 8)).unwrap();
    world.pass(patience / 2);
    socket.send(7, &message(2, 8)).unwrap();
    while world.wire.proceed(&world.kernel) {}
    assert_eq!(world.app(1, |app| app.received), 0, "its page is not full");
    // From the first message on.
    world.pass(patience / 2 + Duration::from_micros(100));
    while world.wire.proceed(&world.kernel) {}
    assert_eq!(world.app(1, |app| app.received), 2);
}

#[test]
fn what_is_lost_with_a_connection_is_counted_and_the_next_one_comes() {
    trials(60, |seed, manner| {
        let mut world = World::new(seed, manner, 2, small());
        world.sides[1].endpoint.listen(PORT).unwrap();
        let socket = world.connect(0, 1);
        let (mut next, mut taken) = (0, 0);
        for _ in 0..400 {
            match world.random.below(20) {
                0..10 => {
                    let bytes = message(next, world.random.below(120) as usize);
                    match socket.send(7, &bytes) {
                        Ok(()) => (next, taken) = (next + 1, taken + 1),
                        Err(error) => assert!(matches!(error, Error::Again | Error::NotConnected)),
                    }
                }
                10 => {
                    world.wire.cut(&world.kernel);
                }
                _ => world.step(),
            }
        }
        world.settle();
        let received = world.app(1, |app| app.received);
        let lost = world.app(0, |app| app.lost);
        assert!(received <= taken);
        if manner == Manner::Pages {
            assert!(taken <= received + lost, "{taken} taken, {received} received, {lost} lost");
        }
        assert_eq!(world.sides[0].endpoint.counters().lost, lost);
        // It is connected again, and works.
        assert!(world.app(0, |app| app.up) > 1);
        socket.send(7, &message(next, 8)).unwrap();
        world.settle();
        assert_eq!(world.app(1, |app| app.received), received + 1);
    });
}

#[test]
fn a_closed_socket_has_sent_all_and_leaves_nothing_behind() {
    trials(20, |seed, manner| {
        let mut world = World::new(seed, manner, 2, small());
        world.sides[1].endpoint.listen(PORT).unwrap();
        let free = [0, 1].map(|side| world.free(side));
        let socket = world.connect(0, 1);
        let mut sent = 0;
        while socket.send(7, &message(sent, 50)).is_ok() {
            sent += 1;
        }
        world.sides[0].endpoint.close(socket.socket()).unwrap();
        assert_eq!(socket.send(7, &message(sent, 50)), Err(Error::NotConnected));
        world.settle();
        assert_eq!(world.app(1, |app| app.received), sent);
        for side in [0, 1] {
            assert_eq!(world.app(side, |app| app.downs.clone()), [Down::Closed]);
            assert_eq!(world.app(side, |app| app.lost), 0);
            assert_eq!(world.free(side), free[side]);
        }
        assert_eq!(socket.flush(), Err(Error::Gone));
        assert_eq!(world.sides[0].endpoint.close(socket.socket()), Err(Error::Gone));
    });
}

#[test]
fn everybody_is_sent_once_what_he_asked_for() {
    trials(40, |seed, manner| {
        let mut world = World::new(seed, manner, 5, small());
        let publisher = world.publish(0, Publication::new(PORT));
        let asked = [Tags::exact(1), Tags::exact(2), Tags::all(), Tags::masked(0, 1)];
        for (at, tags) in asked.into_iter().enumerate() {
            let socket = world.subscribe(at + 1, 0);
            socket.add(tags).unwrap();
            // Also among those that were asked for before.
            let _ = socket.add(Tags::exact(2));
        }
        world.settle();
        let memory = world.memory(0, &[0; 100]);
        let mut published = [0u64; 4];
        let mut unbuffered = 0;
        for _ in 0..400 {
            let tag = world.random.below(4);
            let number = published[tag as usize];
            let bytes = message(number, world.random.below(100) as usize);
            let free = world.app(0, |app| app.sent.len()) == unbuffered;
            let went = if free && world.random.percent(20) {
                memory.write(0, &bytes).unwrap();
                publisher
                    .publish_from(tag, &memory, 0..bytes.len(), number)
                    .map(|()| unbuffered += 1)
            } else {
                publisher.publish(tag, &bytes).map(drop)
            };
            match went {
                Ok(()) => published[tag as usize] += 1,
                Err(error) => assert_eq!(error, Error::Again),
            }
            (0..world.random.below(4)).for_each(|_| world.step());
        }
        publisher.flush();
        world.settle();
        for (at, tags) in asked.into_iter().enumerate() {
            let wanted = |tag: &u64| tags.contain(*tag) || *tag == 2;
            let expected: u64 = (0..4).filter(wanted).map(|tag| published[tag as usize]).sum();
            assert_eq!(world.app(at + 1, |app| (app.received, app.gaps)), (expected, 0), "{tags}");
        }
        assert!(world.sides[0].endpoint.counters().again > 0);
        assert_eq!(world.app(0, |app| app.sent.len()), unbuffered);
    });
}

#[test]
fn a_slow_subscriber_is_waited_for_dropped_or_disconnected() {
    for slow in [Slow::Wait, Slow::Drop, Slow::Disconnect] {
        let mut world = World::new(3, Manner::Pages, 3, small());
        let publisher = world.publish(0, Publication::new(PORT).slow(slow));
        for side in [1, 2] {
            world.subscribe(side, 0).add(Tags::all()).unwrap();
        }
        world.settle();
        world.wire.hold(2, true);
        let (mut published, mut refused) = (0, 0);
        for _ in 0..200 {
            match publisher.publish(9, &message(published, 60)) {
                Ok(_) => published += 1,
                Err(error) => (assert_eq!(error, Error::Again), refused += 1).1,
            }
            (0..20).for_each(|_| _ = world.wire.proceed(&world.kernel));
        }
        publisher.flush();
        world.settle();
        let swift = world.app(1, |app| (app.received, app.gaps));
        assert_eq!(swift, (published, 0), "{slow:?}");
        world.wire.hold(2, false);
        world.settle();
        let counters = world.sides[0].endpoint.counters();
        let (received, gaps) = world.app(2, |app| (app.received, app.gaps));
        match slow {
            Slow::Wait => {
                assert!(refused > 0 && world.app(0, |app| app.rooms) > 0);
                assert_eq!((received, gaps), (published, 0));
            }
            Slow::Drop => {
                assert_eq!((refused, world.app(0, |app| app.slow)), (0, 1));
                assert_eq!(world.app(0, |app| app.dropped), counters.dropped);
                assert_eq!(received + counters.dropped, published);
                publisher.publish(9, &message(published, 60)).unwrap();
                publisher.flush();
                world.settle();
                assert_eq!(world.app(2, |app| app.gaps), counters.dropped);
            }
            Slow::Disconnect => {
                assert_eq!(refused, 0);
                assert_eq!(world.app(0, |app| app.downs.clone()), [Down::Slow]);
                // It comes again, and is not forgotten.
                world.settle();
                assert_eq!(world.app(2, |app| (app.up, app.subscribed.len())), (2, 2));
            }
        }
    }
}

#[test]
fn tags_come_and_go_while_data_flows() {
    trials(30, |seed, manner| {
        let mut world = World::new(seed, manner, 2, small());
        let publisher = world.publish(0, Publication::new(PORT));
        let socket = world.subscribe(1, 0);
        let mut wanted = [false; 6];
        let mut number = 0;
        for _ in 0..300 {
            let tag = world.random.below(6);
            if world.random.percent(20) {
                let tags = Tags::exact(tag);
                let want = &mut wanted[tag as usize];
                let done = if *want { socket.remove(tags) } else { socket.add(tags) };
                match done {
                    Ok(()) => *want = !*want,
                    // What has not been answered yet.
                    Err(error) => assert_eq!(error, Error::Repeated),
                }
            }
            number += u64::from(publisher.publish(tag, &message(number, 20)).is_ok());
            (0..world.random.below(3)).for_each(|_| world.step());
            if world.random.percent(1) {
                world.wire.cut(&world.kernel);
            }
        }
        publisher.flush();
        world.settle();
        // In the end it is sent what it wants, and nothing else.
        world.app(1, |app| app.last.clear());
        for tag in 0..6 {
            publisher.publish(tag, &message(number, 20)).unwrap();
        }
        publisher.flush();
        world.settle();
        let came: Vec<u64> = world.app(1, |app| app.last.keys().map(|(_, tag)| *tag).collect());
        let expected: Vec<u64> = (0..6).filter(|tag| wanted[*tag as usize]).collect();
        assert_eq!(came, expected);
    });
}

#[test]
fn what_is_not_offered_and_what_is_too_much_is_declined() {
    let mut world = World::new(5, Manner::Pages, 2, small());
    let offers = Publication::new(PORT).offer(Tags::masked(0x100, 0xff00));
    let publisher = world.publish(0, offers);
    let socket = world.subscribe(1, 0);
    for tag in 0x100..0x107 {
        socket.add(Tags::exact(tag)).unwrap();
    }
    socket.add(Tags::exact(0x200)).unwrap();
    assert_eq!(socket.add(Tags::exact(0x300)), Err(Error::LimitReached));
    world.settle();
    assert_eq!(world.app(1, |app| app.declined.clone()), [Tags::exact(0x200)]);
    assert_eq!(world.app(1, |app| app.subscribed.len()), 7);
    assert_eq!(world.app(0, |app| app.subscribed.len()), 7);
    assert_eq!(publisher.publish(0x101, &message(1, 8)), Ok(1));
    assert_eq!(publisher.publish(0x108, &message(1, 8)), Ok(0));
}

#[test]
fn a_peer_that_falls_silent_is_down() {
    let mut world = World::new(5, Manner::Pages, 2, small());
    world.sides[1].endpoint.listen(PORT).unwrap();
    let socket = world.connect(0, 1);
    let beat = world.settings.beat;
    // Idle ones give signs of life.
    for _ in 0..40 {
        world.pass(beat / 2);
        while world.wire.proceed(&world.kernel) {}
    }
    assert_eq!(world.app(0, |app| app.downs.len()), 0);
    world.wire.hold(0, true);
    world.wire.hold(1, true);
    for _ in 0..12 {
        world.pass(beat / 2);
    }
    for side in [0, 1] {
        assert_eq!(world.app(side, |app| app.downs.clone()), [Down::Silent]);
    }
    world.wire.hold(0, false);
    world.wire.hold(1, false);
    (0..20).for_each(|_| world.settle());
    socket.send(7, &message(1, 8)).unwrap();
    world.settle();
    assert_eq!(world.app(1, |app| app.received), 1);
}

#[test]
fn what_listens_is_of_another_kind_or_is_not_there() {
    let mut world = World::new(5, Manner::Stream, 2, small());
    let _publisher = world.publish(1, Publication::new(PORT));
    let socket = world.connect(0, 1);
    assert!(world.app(0, |app| app.refusals.contains(&Refusal::Kind)));
    world.sides[0].endpoint.close(socket.socket()).unwrap();
    world.settle();
    assert_eq!(world.app(0, |app| app.downs.clone()), [Down::Closed]);
    world.sides[1].endpoint.close_port(PORT);
    world.app(0, |app| app.refusals.clear());
    let _socket = world.connect(0, 1);
    assert!(world.app(0, |app| app.refusals.contains(&Refusal::Refused)));
}

#[test]
fn there_are_so_many_links() {
    let mut world = World::new(5, Manner::Pages, 2, Settings { links: 2, ..small() });
    world.sides[1].endpoint.listen(PORT).unwrap();
    let sockets = [0, 1].map(|_| world.connect(0, 1));
    let more = world.sides[0].endpoint.connect(world.address(1));
    assert!(matches!(more, Err(Error::LimitReached)));
    // A place is free again when its socket has ended, and has another name then.
    world.sides[0].endpoint.close(sockets[0].socket()).unwrap();
    world.settle();
    let next = world.connect(0, 1);
    assert_eq!(next.socket().place(), sockets[0].socket().place());
    assert_eq!(sockets[0].send(1, b""), Err(Error::Gone));
    assert_eq!(next.send(1, &message(1, 8)), Ok(()));
    assert_eq!(next.send(1, &[0; 241]), Err(Error::TooLong));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let good = small();
    let all = [
        Settings { links: 0, ..good },
        Settings { page: 100, ..good },
        Settings { pages: 1, ..good },
        Settings { watermark: 300, ..good },
        Settings { beat: Duration::ZERO, ..good },
        Settings { backoff: (Duration::from_secs(2), Duration::from_secs(1)), ..good },
    ];
    assert!(good.are_possible());
    assert!(all.iter().all(|settings| !settings.are_possible()));
}
