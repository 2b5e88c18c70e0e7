//! Filters that fail while they use the library OS, on the stack of a context that has nothing to do
//! with it: what they had in hand is where it was, and all others go on.

use crate::common;
use common::raw::{ACK, PSH, RST, SYN, Segment, introduce, segments};
use common::{Host, SimConnection};
use reflex_event::{Context, EventId, EventSystem, Instant, Priority, Registration};
use reflex_net::TcpService;
use reflex_testkit::{Clock, Random, SimKernel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers what arrives, and shows its connections to filters.
struct Server {
    shown: Arc<Mutex<Vec<SimConnection>>>,
}

impl TcpService<SimKernel> for Server {
    fn accepted(&mut self, connection: &SimConnection) {
        self.shown.lock().unwrap().push(connection.clone());
    }

    fn received(&mut self, _: &SimConnection) {}
}

/// What a filter does with a connection. Those that fail have something in hand.
fn meddle(connection: &SimConnection, way: u32) -> bool {
    let mut answer = [0; 64];
    match way {
        0 => drop(connection.receive(|_| panic!("told to panic"))),
        1 => drop(connection.exchange(&mut answer, |_, _| panic!("told to panic"))),
        2 => drop(connection.receive(|bytes| {
            // A connection in hand, and another call for the same: it finds it taken.
            assert_eq!(connection.receive(|_| unreachable!("taken")), Ok(0));
            panic!("told to panic with {} bytes", bytes.len())
        })),
        3 => drop(connection.send(b"from a filter")),
        4 => drop(connection.receive(|bytes| bytes.len().min(3))),
        5 => drop(connection.exchange(&mut answer, |bytes, answer| {
            answer[0] = bytes[0];
            (1, 1)
        })),
        _ => return false,
    }
    way.is_multiple_of(2)
}

struct Bystander;

struct World {
    clock: Clock,
    host: Host,
    shown: Arc<Mutex<Vec<SimConnection>>>,
    bystander: Context<Bystander>,
    acks: Vec<u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = Clock::default();
        clock.set(Instant::from_nanos(1_000_000_000));
        let host = Host::new(&clock, 1, seed);
        host.kernel.reuse_borrowed();
        host.sent(&clock);
        host.exchange(&clock, &introduce(host.address));
        let shown = Arc::new(Mutex::new(Vec::new()));
        let server = host.kernel.context(Server { shown: shown.clone() }, 1 << 20);
        host.net.listen(80).connections(8).serve(server).unwrap();
        let bystander = host.kernel.context(Bystander, 1 << 14);
        let mut world = Self { clock, host, shown, bystander, acks: Vec::new() };
        for number in 0..8 {
            let syn = world.segment(number, SYN, 1000, 0);
            let answer = segments(&world.host.exchange(&world.clock, &syn)).remove(0);
            assert_eq!(answer.flags, SYN | ACK);
            world.acks.push(answer.sequence + 1);
            let ack = world.segment(number, ACK, 1001, answer.sequence + 1);
            world.host.exchange(&world.clock, &ack);
        }
        world
    }

    fn segment(&self, number: usize, flags: u8, sequence: u32, ack: u32) -> Vec<u8> {
        let segment = Segment::new(4000 + number as u16, 80, flags, sequence, ack);
        segment.frame(self.host.mac, self.host.address)
    }

    /// Data for a connection, of which `received` bytes have arrived before.
    fn inject(&self, number: usize, received: usize, bytes: &[u8]) -> Vec<Vec<u8>> {
        let sequence = 1001 + received as u32;
        let segment =
            Segment::new(4000 + number as u16, 80, ACK | PSH, sequence, self.acks[number]);
        self.host
            .exchange(&self.clock, &segment.with(bytes).frame(self.host.mac, self.host.address))
    }

    /// An owner of filters, and an event of its for the bystander's handler to activate.
    fn meddler(&self) -> (Context<()>, EventId) {
        let kernel = &self.host.kernel;
        let context = kernel.context((), 1 << 10);
        let event = kernel.register(context, Registration::default(), |(), _| {}).unwrap();
        (context, event)
    }
}

/// Random filters look at, read and answer connections, and fail in between; each failure ends its
/// owner, and nobody else notices. Whatever arrived and was not read is still there, in order.
#[test]
fn filters_that_fail_lose_neither_connections_nor_bytes() {
    let seed = std::env::var("SEED").map_or(7, |seed| seed.parse().unwrap());
    for seed in seed..seed + 10 {
        println!("seed {seed}");
        run(seed, 300);
    }
}

fn run(seed: u64, steps: u32) {
    let mut random = Random::new(seed);
    let world = World::new(seed);
    let kernel = world.host.kernel.clone();
    let (mut arrived, mut read) = ([0; 8], [0; 8]);
    let mut failures = 0;
    for step in 0..steps {
        let number = random.below(8) as usize;
        if random.below(2) == 0 && arrived[number] - read[number] < 1000 {
            let bytes: Vec<u8> = (0..20).map(|at| (arrived[number] + at) as u8).collect();
            world.inject(number, arrived[number], &bytes);
            arrived[number] += bytes.len();
            continue;
        }
        let connection = world.shown.lock().unwrap()[number].clone();
        let before = connection.receivable().unwrap();
        assert_eq!(before, arrived[number] - read[number], "seed {seed}, step {step}");
        // A handler of the bystander's activates an event with a filter, which is asked on its
        // stack.
        let (owner, event) = world.meddler();
        let way = random.below(7) as u32;
        let (asked, within) = (kernel.clone(), owner.id());
        let asks = connection.clone();
        let went_on = Arc::new(Mutex::new(false));
        let noted = went_on.clone();
        let run = move |_: &mut Bystander, _| {
            let contained =
                reflex_event::Kernel::contained(&asked, within, (), |()| meddle(&asks, way));
            if contained.is_ok_and(|((), pass)| pass) {
                asked.activate(event, 1).unwrap();
            }
            *noted.lock().unwrap() = true;
        };
        let registration = Registration { priority: Priority::HIGH, ..Registration::default() };
        let signal = kernel.register(world.bystander, registration, run).unwrap();
        kernel.activate(signal, 1).unwrap();
        kernel.run_until_idle();
        kernel.unregister(signal).unwrap();
        assert!(*went_on.lock().unwrap(), "seed {seed}, step {step}: the bystander does not go on");
        let fails = before > 0 && way < 3;
        failures += u32::from(fails);
        assert_eq!(kernel.failures(within), Ok(fails.into()), "seed {seed}, step {step}");
        read[number] += match way {
            4 => before.min(3),
            5 => before.min(1),
            _ => 0,
        };
        assert_eq!(connection.receivable().unwrap(), arrived[number] - read[number]);
        if random.below(4) == 0 {
            let mut next = read[number];
            let taken = connection.receive(|bytes| {
                for byte in bytes {
                    assert_eq!(*byte, next as u8, "seed {seed}, step {step}");
                    next += 1;
                }
                bytes.len()
            });
            read[number] += taken.unwrap();
        }
        // What it has sent is acknowledged, or it would be sent again.
        world.clock.set(world.clock.now() + Duration::from_micros(10));
        assert!(segments(&world.host.sent(&world.clock)).iter().all(|it| it.flags & RST == 0));
    }
    assert!(failures > 20, "seed {seed}: {failures} failures try nothing");
    assert_eq!(kernel.forgotten(), u64::from(failures));
}
