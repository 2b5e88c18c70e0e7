//! Endpoints over RDMA.

use crate::common::{Faults, World};
use reflex_event::Context;
use reflex_messaging::{
    Carrier, Down, Endpoint, Error, Event, Publication, Refusal, Settings, Tags,
};
use reflex_rdma::{Completion, Connect, ConnectionChange, ReceiveRequest, SendRequest, Transport};
use reflex_testkit::SimKernel;
use std::net::SocketAddr;
use std::time::Duration;

const PORT: u16 = 7000;
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Default)]
struct App {
    messages: Vec<(u64, Vec<u8>)>,
    up: u32,
    downs: Vec<Down>,
    lost: u32,
    refusals: Vec<Refusal>,
    sent: Vec<u64>,
    subscribed: u32,
}

impl App {
    fn told(&mut self, event: Event<'_>) {
        match event {
            Event::Message { tag, bytes, .. } => self.messages.push((tag, bytes.to_vec())),
            Event::Up { .. } => self.up += 1,
            Event::Down { why, lost, .. } => {
                self.downs.push(why);
                self.lost += lost;
            }
            Event::Refused { why, .. } => self.refusals.push(why),
            Event::Sent { id, .. } => self.sent.push(id),
            Event::Subscribed { .. } => self.subscribed += 1,
            _ => {}
        }
    }
}

struct Side {
    endpoint: Endpoint<SimKernel>,
    context: Context<App>,
}

fn settings() -> Settings {
    Settings { page: 2048, pages: 4, receives: 4, watermark: 1800, ..Settings::default() }
}

fn side(world: &World, at: usize) -> Side {
    let host = &world.hosts[at];
    let context = host.kernel.context(App::default(), 1 << 20);
    let carrier = Carrier::Rdma(&host.rdma);
    let endpoint = Endpoint::start(&host.kernel, context, carrier, settings(), App::told);
    Side { endpoint: endpoint.unwrap(), context }
}

fn address(world: &World, at: usize) -> SocketAddr {
    (world.hosts[at].address, PORT).into()
}

fn app<R>(world: &World, at: usize, side: &Side, look: impl FnOnce(&mut App) -> R) -> R {
    world.hosts[at].kernel.state(side.context, look)
}

#[test]
fn messages_arrive_over_a_bad_link_each_once_and_in_order() {
    for seed in 1..8 {
        println!("seed {seed}");
        let world = World::new(seed);
        let (from, to) = (side(&world, 0), side(&world, 1));
        to.endpoint.listen(PORT).unwrap();
        let socket = from.endpoint.connect(address(&world, 1)).unwrap();
        let faults = Faults { lost: 5, repeated: 5, delayed: 10, damaged: 2, ..Faults::default() };
        world.set_faults(faults);
        assert!(world.run_until(LIMIT, || app(&world, 0, &from, |app| app.up == 1)));
        let memory = from.endpoint.memory(1500).unwrap();
        let mut next = 0u64;
        while next < 300 {
            let length = 8 + (next as usize * 37) % 300;
            let mut bytes = vec![next as u8; length];
            bytes[..8].copy_from_slice(&next.to_le_bytes());
            let free = app(&world, 0, &from, |app| app.sent.len()) as u64 == next / 10;
            let went = if next % 10 == 9 && free {
                memory.write(0, &bytes).unwrap();
                socket.send_from(next, &memory, 0..length, next)
            } else if next % 10 == 9 {
                Err(Error::Again)
            } else {
                socket.send(next, &bytes)
            };
            match went {
                Ok(()) => next += 1,
                Err(Error::Again) => world.run_for(Duration::from_micros(500)),
                Err(error) => panic!("{error}"),
            }
        }
        from.endpoint.close(socket.socket()).unwrap();
        let over = || app(&world, 1, &to, |app| app.downs.len()) == 1;
        assert!(world.run_until(LIMIT, over), "it is not closed");
        let messages = app(&world, 1, &to, |app| std::mem::take(&mut app.messages));
        assert_eq!(messages.len(), 300);
        for (number, (tag, bytes)) in messages.iter().enumerate() {
            assert_eq!(*tag, number as u64);
            assert_eq!(bytes.len(), 8 + number * 37 % 300);
            assert!(bytes[8..].iter().all(|byte| *byte == number as u8));
        }
        assert!(world.run_until(LIMIT, || app(&world, 0, &from, |app| app.downs.len()) == 1));
        for (at, side) in [(0, &from), (1, &to)] {
            assert_eq!(
                app(&world, at, side, |app| (app.downs.clone(), app.lost)),
                (vec![Down::Closed], 0)
            );
        }
        assert_eq!(app(&world, 0, &from, |app| app.sent.len()), 30);
    }
}

#[test]
fn a_publisher_that_dies_is_found_again_and_asked_again() {
    let world = World::new(3);
    let (from, to) = (side(&world, 0), side(&world, 1));
    let first = from.endpoint.publish(Publication::new(PORT)).unwrap();
    let subscription = to.endpoint.subscribe(address(&world, 0)).unwrap();
    subscription.add(Tags::masked(0x10, 0xf0)).unwrap();
    assert!(world.run_until(LIMIT, || app(&world, 1, &to, |app| app.subscribed == 1)));
    assert_eq!(first.publish(0x21, b"no"), Ok(0));
    assert_eq!(first.publish(0x15, b"yes"), Ok(1));
    assert!(world.run_until(LIMIT, || app(&world, 1, &to, |app| app.messages.len() == 1)));
    // Its context fails, and all that it had with it.
    world.hosts[0].kernel.end(from.context);
    world.settle();
    drop((first, from));
    assert!(world.run_until(LIMIT, || app(&world, 1, &to, |app| !app.downs.is_empty())));
    world.run_for(Duration::from_millis(500));
    let again = side(&world, 0);
    let second = again.endpoint.publish(Publication::new(PORT)).unwrap();
    assert!(world.run_until(LIMIT, || app(&world, 1, &to, |app| app.subscribed == 2)));
    assert!(!app(&world, 1, &to, |app| app.refusals.clone()).is_empty(), "nobody was there");
    assert_eq!(second.publish(0x1f, b"again"), Ok(1));
    second.flush();
    assert!(world.run_until(LIMIT, || app(&world, 1, &to, |app| app.messages.len() == 2)));
}

/// A peer that speaks RDMA, and not this protocol.
#[derive(Default)]
struct Stranger {
    up: bool,
    over: bool,
}

#[test]
fn a_stranger_is_cut_off_and_others_are_not() {
    let hello = |service: u8| {
        let mut bytes = vec![16, 0, 0, 0, 1, 0, 0, 0];
        bytes.extend(b"rfxnetio");
        bytes.extend([1, 0, service, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    };
    let record = |kind: u8, payload: &[u8]| {
        let mut bytes = vec![payload.len() as u8, 0, 0, 0, kind, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend(payload);
        bytes
    };
    let flood = |tags: u64| -> Vec<u8> {
        let one =
            |tag: u64| [&[8, 0, 0, 0, 4, 0, 0, 0][..], &tag.to_le_bytes(), &[255; 8]].concat();
        (0..tags).flat_map(one).collect()
    };
    let after_hello = |rest: Vec<u8>| [hello(1), rest].concat();
    let strange = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 15],
        vec![255; 2049],
        vec![0; 16],
        hello(1)[..31].to_vec(),
        after_hello(hello(1)),
        after_hello(record(0, b"a message for a publisher")),
        after_hello(record(4, b"no mask")),
        after_hello(record(6, &[255; 8])),
        after_hello(record(9, b"beat")),
        after_hello(flood(80)),
    ];
    for (number, bytes) in strange.into_iter().enumerate() {
        let world = World::new(5);
        let (own, other) = (side(&world, 0), &world.hosts[1]);
        let _publisher = own.endpoint.publish(Publication::new(PORT)).unwrap();
        let context = other.kernel.context(Stranger::default(), 1 << 20);
        let domain = other.rdma.domain(context).unwrap();
        let done = |_: &mut Stranger, _: &mut Completion<'_>| {};
        let priority = reflex_event::Priority::DEFAULT;
        let queue = other.rdma.completion_queue(context, 64, priority, done).unwrap();
        let manager = other.rdma.connections(context, priority, |it: &mut Stranger, event| {
            it.up |= matches!(event.what, ConnectionChange::Connected { .. });
            it.over |= matches!(event.what, ConnectionChange::Disconnected);
        });
        let pair =
            domain.queue_pair(Transport::Reliable, &queue, &queue).depth(4, 8).build().unwrap();
        (0..8).for_each(|_| {
            pair.post_receive(ReceiveRequest::bytes(domain.bytes(2048).unwrap())).unwrap();
        });
        let to = (world.hosts[0].address, PORT);
        let _connection = manager.unwrap().connect(&pair, to, Connect::new()).unwrap();
        let state = |look: fn(&mut Stranger) -> bool| other.kernel.state(context, look);
        assert!(world.run_until(LIMIT, || state(|it| it.up)));
        let bytes = other.bytes(&domain, &bytes);
        pair.post_send(SendRequest::message().bytes(bytes)).unwrap();
        assert!(world.run_until(LIMIT, || state(|it| it.over)), "{number} was not cut off");
        let counters = own.endpoint.counters();
        assert_eq!(counters.malformed, 1, "{number}");
        // Another one is served.
        let friend = side(&world, 1);
        friend.endpoint.subscribe(to.into()).unwrap().add(Tags::all()).unwrap();
        let served = || app(&world, 1, &friend, |app| app.subscribed == 1);
        assert!(world.run_until(LIMIT, served), "{number}");
    }
}

#[test]
fn one_that_connects_and_says_nothing_is_gone_after_a_while() {
    let world = World::new(9);
    let own = side(&world, 0);
    let free = |host: &crate::common::Host| {
        reflex_event::EventSystem::pool(&host.kernel, own.context).unwrap().available()
    };
    own.endpoint.listen(PORT).unwrap();
    let before = free(&world.hosts[0]);
    let other = side(&world, 1);
    let socket = other.endpoint.connect(address(&world, 0)).unwrap();
    assert!(world.run_until(LIMIT, || app(&world, 1, &other, |app| app.up == 1)));
    // It vanishes without a word.
    world.hosts[1].kernel.end(other.context);
    drop((socket, other));
    let down = || app(&world, 0, &own, |app| app.downs.len()) == 1;
    assert!(world.run_until(LIMIT, down));
    world.run_for(Duration::from_secs(1));
    assert_eq!(free(&world.hosts[0]), before, "its pages are back");
}

/// With a single page to receive in, a sender with several is ahead of its receiver all the time.
#[test]
fn a_sender_that_is_ahead_does_not_stand_still() {
    let world = World::new(4);
    let from = side(&world, 0);
    let host = &world.hosts[1];
    let context = host.kernel.context(App::default(), 1 << 20);
    let narrow = Settings { receives: 1, ..settings() };
    let carrier = Carrier::Rdma(&host.rdma);
    let to = Endpoint::start(&host.kernel, context, carrier, narrow, App::told).unwrap();
    to.listen(PORT).unwrap();
    let socket = from.endpoint.connect(address(&world, 1)).unwrap();
    assert!(world.run_until(LIMIT, || app(&world, 0, &from, |app| app.up == 1)));
    let (began, mut next) = (world.clock.now(), 0);
    while next < 400 {
        match socket.send(next, &[7; 1000]) {
            Ok(()) => next += 1,
            Err(Error::Again) => world.run_for(Duration::from_micros(100)),
            Err(error) => panic!("{error}"),
        }
    }
    socket.flush().unwrap();
    let all = || host.kernel.state(context, |app| app.messages.len()) == 400;
    assert!(world.run_until(LIMIT, all));
    let time = world.clock.now().since(began);
    assert!(time < Duration::from_secs(2), "400 pages took {time:?}");
}
