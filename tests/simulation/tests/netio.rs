//! NetIO's messages over TCP, byte by byte: the other side is played by hand.

use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex::netio::{Down, Endpoint, Event, NetioError, Publication, Refusal, Slow, Tags};
use reflex::testing::{Client, Faults, Simulation};
use reflex::time::{millis, secs};
use reflex::{Context, Error, OnFailure, Pool, Setup, System};
use std::sync::OnceLock;

const PORT: u16 = 7000;
const PEER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

#[derive(Default)]
struct App {
    endpoint: Option<Endpoint>,
    messages: Vec<(u64, Vec<u8>)>,
    up: u32,
    downs: Vec<Down>,
    refusals: Vec<Refusal>,
    subscribed: Vec<Tags>,
    unsubscribed: Vec<Tags>,
    rooms: u32,
}

impl App {
    fn told(&mut self, event: Event<'_>) {
        match event {
            Event::Message { tag, bytes, .. } => self.messages.push((tag, bytes.to_vec())),
            Event::Up { .. } => self.up += 1,
            Event::Down { why, .. } => self.downs.push(why),
            Event::Refused { why, .. } => self.refusals.push(why),
            Event::Subscribed { tags, .. } => self.subscribed.push(tags),
            Event::Unsubscribed { tags, .. } => self.unsubscribed.push(tags),
            Event::Room { .. } => self.rooms += 1,
            _ => {}
        }
    }
}

/// A machine with an endpoint, which `begin` begins to use.
fn machine(
    begin: impl FnOnce(System, Context<App>, &Endpoint) -> Result<(), Error> + Send + 'static,
) -> Simulation {
    let setup = move |system: System| {
        let app = system.context("app", App::default()).memory(2 << 20).build()?;
        let endpoint = system.netio(app).pages(1024, 4, 4).on(App::told)?;
        begin(system, app, &endpoint)?;
        let kept = endpoint.clone();
        system.after(millis(0)).on(app, move |app, _| app.endpoint = Some(kept.clone()))?;
        Ok::<(), Error>(())
    };
    Simulation::new(setup).unwrap()
}

fn app<R: Send + 'static>(sim: &mut Simulation, look: fn(&mut App) -> R) -> R {
    sim.state("app", look)
}

fn record(kind: u8, tag: u64, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    [&length[..], &[kind, 0, 0, 0], &tag.to_le_bytes(), payload].concat()
}

const MAGIC: u64 = u64::from_le_bytes(*b"rfxnetio");

/// A HELLO or a WELCOME of a side that gives no signs of life.
fn greeting(kind: u8, version: u8, service: u8) -> Vec<u8> {
    record(kind, MAGIC, &[version, 0, service, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

/// What the machine says in its own.
fn own_greeting(kind: u8, service: u8) -> Vec<u8> {
    record(kind, MAGIC, &[1, 0, service, 0, 0, 4, 0, 0, 0xd0, 7, 0, 0, 0, 0, 0, 0])
}

fn connected(sim: &mut Simulation, bytes: &[u8]) -> Client {
    let client = sim.connect(PORT);
    sim.run();
    client.send(bytes);
    sim.run();
    client
}

#[test]
fn what_is_said_is_what_the_protocol_says() {
    let mut sim = machine(|_, _, endpoint| endpoint.listen(PORT).map_err(Error::from));
    let client = connected(&mut sim, &greeting(1, 1, 0));
    assert_eq!(client.take(), own_greeting(2, 0));
    // A byte at a time.
    for byte in [record(0, 0x1234, b"hello"), record(0, 7, b"")].concat() {
        client.send([byte]);
        sim.run();
    }
    let messages = app(&mut sim, |app| core::mem::take(&mut app.messages));
    assert_eq!(messages, [(0x1234, b"hello".to_vec()), (7, Vec::new())]);
    // Many at a time, more than fit in a buffer.
    let many: Vec<u8> = (0..400).flat_map(|tag| record(0, tag, &[tag as u8; 37])).collect();
    client.send(many);
    sim.run();
    let messages = app(&mut sim, |app| core::mem::take(&mut app.messages));
    assert!(messages.iter().map(|(tag, _)| *tag).eq(0..400));
    assert!(messages.iter().all(|(tag, bytes)| *bytes == [*tag as u8; 37]));
    client.half_close();
    sim.run();
    assert!(client.is_finished());
    assert_eq!(app(&mut sim, |app| app.downs.clone()), [Down::Closed]);
}

#[test]
fn a_subscription_is_these_bytes() {
    let mut sim = machine(|_, _, endpoint| {
        let to = SocketAddr::from((PEER, PORT));
        let subscription = endpoint.subscribe(to)?;
        subscription.add(Tags::exact(0x1122))?;
        subscription.add(Tags::masked(0x3300, 0xff00))?;
        Ok(())
    });
    let publisher = sim.listen(PORT);
    sim.advance(secs(1));
    assert_eq!(publisher.take(), own_greeting(1, 1));
    publisher.send(greeting(2, 1, 1));
    sim.run();
    let mask = |mask: u64| mask.to_le_bytes();
    let asked = [record(4, 0x1122, &mask(u64::MAX)), record(4, 0x3300, &mask(0xff00))].concat();
    assert_eq!(publisher.take(), asked);
    publisher.send(record(6, 0x1122, &mask(u64::MAX)));
    publisher.send(record(7, 0x3300, &mask(0xff00)));
    publisher.send(record(0, 0x1122, b"data"));
    sim.run();
    assert_eq!(app(&mut sim, |app| app.subscribed.clone()), [Tags::exact(0x1122)]);
    assert_eq!(app(&mut sim, |app| app.messages.clone()), [(0x1122, b"data".to_vec())]);
    // After two seconds without anything else.
    sim.advance(secs(5));
    assert_eq!(publisher.take()[..16], record(9, 0, b""));
    // It vanishes, and is looked for again.
    publisher.abort();
    sim.run();
    assert_eq!(app(&mut sim, |app| app.downs.clone()), [Down::Failed]);
    let publisher = sim.listen(PORT);
    sim.advance(secs(1));
    assert_eq!(publisher.take(), own_greeting(1, 1));
}

#[test]
fn greetings_that_do_not_fit_are_answered() {
    for (hello, why) in [(greeting(1, 2, 0), 1), (greeting(1, 1, 1), 2), (greeting(1, 1, 9), 2)] {
        let mut sim = machine(|_, _, endpoint| endpoint.listen(PORT).map_err(Error::from));
        let client = connected(&mut sim, &hello);
        assert_eq!(client.take(), record(3, why, b""));
        assert!(client.is_over() || client.is_finished());
        assert_eq!(app(&mut sim, |app| app.up), 0);
    }
    for (answer, why) in [
        (record(3, 1, b""), Refusal::Version),
        (record(3, 2, b""), Refusal::Kind),
        (record(3, 99, b""), Refusal::Refused),
        (greeting(2, 7, 0), Refusal::Version),
        (greeting(2, 1, 1), Refusal::Kind),
    ] {
        let mut sim = machine(|_, _, endpoint| {
            endpoint.connect(SocketAddr::from((PEER, PORT)))?;
            Ok(())
        });
        let server = sim.listen(PORT);
        sim.advance(millis(500));
        server.send(answer);
        sim.run();
        assert!(app(&mut sim, |app| app.refusals.clone()).contains(&why), "{why:?}");
    }
}

#[test]
fn what_is_malformed_ends_its_connection_alone() {
    let hello = greeting(1, 1, 1);
    let after = |rest: Vec<u8>| [hello.clone(), rest].concat();
    let strange = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        record(0, 1, b"before the greeting"),
        record(10, 1, b""),
        after(hello.clone()),
        after(record(0, 1, b"to a publisher")),
        after(record(4, 1, b"no mask")),
        after(record(4, 0xff, &0x0fu64.to_le_bytes())),
        after(record(6, 1, &[255; 8])),
        after(record(9, 0, b"x")),
        after([&[0xff; 4][..], &[0; 12]].concat()),
    ];
    let count = strange.len() as u64;
    let mut sim = machine(|_, _, endpoint| {
        let _publisher = endpoint.publish(Publication::new(PORT))?;
        Ok(())
    });
    let friend = connected(&mut sim, &hello);
    for (number, bytes) in strange.into_iter().enumerate() {
        let client = connected(&mut sim, &bytes);
        assert!(client.is_over(), "{number}");
    }
    let malformed = app(&mut sim, |app| app.endpoint.as_ref().unwrap().counters().malformed);
    assert_eq!(malformed, count);
    assert!(friend.is_open());
    // One that says nothing goes, too.
    let silent = sim.connect(PORT);
    sim.advance(secs(10));
    assert!(silent.is_over());
    assert!(friend.is_open());
}

#[test]
fn a_flood_of_subscriptions_is_answered_or_ended() {
    let mut sim = machine(|_, _, endpoint| {
        let _publisher = endpoint.publish(Publication::new(PORT))?;
        Ok(())
    });
    let ask = |tag: u64| record(4, tag, &u64::MAX.to_le_bytes());
    // A subscriber that reads the answers may ask as much as it likes, and is granted as much as there is.
    let client = connected(&mut sim, &greeting(1, 1, 1));
    client.take();
    for tag in 0..300 {
        client.send(ask(tag));
        sim.run();
    }
    let answers = client.take();
    let kinds: Vec<u8> = answers.chunks(24).map(|record| record[4]).collect();
    assert_eq!(kinds, [[6; 256].as_slice(), &[7; 44]].concat());
    // One that does not is gone.
    let deaf = connected(&mut sim, &greeting(1, 1, 1));
    deaf.stop_reading();
    for tag in 0..4000 {
        deaf.send(ask(tag));
    }
    sim.advance(secs(2));
    assert!(app(&mut sim, |app| app.downs.contains(&Down::Flood)));
    assert!(client.is_open());
    // And with it what it had asked for.
    client.send(ask(3999));
    sim.run();
}

#[test]
fn a_subscriber_that_does_not_read_holds_nobody_else_up() {
    let mut sim = machine(|system, context, endpoint| {
        let publisher = endpoint.publish(Publication::new(PORT).slow(Slow::Drop))?;
        let published = move |_: &mut App, _| {
            for number in 0..8u64 {
                let went = publisher.publish(7, &[number as u8; 200]);
                assert!(matches!(went, Ok(_) | Err(NetioError::Busy)), "{went:?}");
            }
        };
        system.every(millis(5)).on(context, published)?;
        Ok(())
    });
    let ask = [greeting(1, 1, 1), record(4, 7, &u64::MAX.to_le_bytes())].concat();
    let (swift, deaf) = (connected(&mut sim, &ask), connected(&mut sim, &ask));
    deaf.stop_reading();
    sim.advance(secs(2));
    let received = swift.take().len();
    assert!(received > 390 * 8 * 216, "{received}");
    let dropped = app(&mut sim, |app| app.endpoint.as_ref().unwrap().counters().dropped);
    assert!(dropped > 2000, "{dropped}");
    deaf.read_on();
    sim.advance(secs(1));
    assert!(swift.is_open() && deaf.is_open());
}

#[test]
fn messages_survive_a_bad_wire() {
    for seed in 1..6 {
        let mut sim = machine(|_, _, endpoint| endpoint.listen(PORT).map_err(Error::from));
        let client = connected(&mut sim, &greeting(1, 1, 0));
        sim.set_faults(Faults {
            lost: 5,
            repeated: 5,
            delayed: 10,
            damaged: 2,
            ..Faults::default()
        });
        let count = 200 + seed;
        let length = |tag: u64| (tag * 53 % 900) as usize;
        for tag in 0..count {
            client.send(record(0, tag, &vec![tag as u8; length(tag)]));
        }
        let all = |app: &mut App| app.messages.len() as u64;
        for _ in 0..200 {
            sim.advance(secs(1));
            if app(&mut sim, all) == count {
                break;
            }
        }
        let messages = app(&mut sim, |app| core::mem::take(&mut app.messages));
        assert!(messages.iter().map(|(tag, _)| *tag).eq(0..count));
        assert!(messages.iter().all(|(tag, it)| *it == vec![*tag as u8; length(*tag)]));
    }
}

static SUBSCRIBED: AtomicU32 = AtomicU32::new(0);
static POOL: OnceLock<&Pool> = OnceLock::new();

/// A subscriber that fails at every message.
fn touchy(system: System, setup: &Setup<'_, ()>) -> Result<(), Error> {
    let endpoint = system.netio(setup.context()).links(1).on(|(), event| match event {
        Event::Message { .. } => panic!("in the middle of a page"),
        Event::Subscribed { .. } => _ = SUBSCRIBED.fetch_add(1, Relaxed),
        _ => {}
    })?;
    endpoint.subscribe((Ipv4Addr::LOCALHOST, PORT).into())?.add(Tags::all()).map_err(Error::from)
}

#[test]
fn a_subscriber_that_fails_is_subscribed_again_and_leaks_nothing() {
    let mut sim = Simulation::new(|system| {
        system.enable_loopback();
        let publisher = system.context("publisher", ()).memory(1 << 20).build()?;
        let endpoint = system.netio(publisher).links(4).on(|(), _| {})?;
        let socket = endpoint.publish(Publication::new(PORT))?;
        let culprit = system
            .context_with("culprit", move |setup| touchy(system, &setup))
            .memory(1 << 20)
            .backoff(millis(1), millis(1))
            .on_failure(OnFailure::Restart)
            .build()?;
        POOL.set(system.pool(culprit)?).unwrap();
        system.every(millis(500)).on(publisher, move |(), _| {
            for _ in 0..10 {
                assert_eq!(socket.publish(7, b"one of several in a page"), Ok(1));
            }
            socket.flush();
        })?;
        Ok::<(), Error>(())
    })
    .unwrap();
    let mut lent = Vec::new();
    for life in 1..8 {
        sim.advance(millis(450));
        assert_eq!(SUBSCRIBED.load(Relaxed), life);
        lent.push(POOL.get().unwrap().stats().lent_blocks);
        sim.advance(millis(50));
    }
    // What the first life took of the machine for all that follow is not counted.
    assert!(lent[1..].iter().all(|blocks| *blocks == lent[1] && *blocks > 0), "{lent:?}");
}
