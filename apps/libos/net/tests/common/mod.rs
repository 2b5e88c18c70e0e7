//! Two machines and the wires between them; frames made by hand.
#![allow(unreachable_pub, reason = "public to the tests")]

pub mod raw;
pub mod server;

use reflex_event::{EventSystem, Instant, Priority};
use reflex_hil::Frame;
use reflex_net::{
    Address, Config, ConflictDetection, Connection, ConnectionError, Interrupts, Net, TcpService,
};
use reflex_testkit::{Arrivals, Clock, Faults, Nic, Receiver, SimKernel, Trace, Wire, pool};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

pub type SimNet = Net<SimKernel>;
pub type SimConnection = Connection<SimKernel>;

/// Bytes in which packets are put together.
pub const FRAGMENTS: usize = 160 << 10;

/// Where frames arrive at a machine, and what its interface's interrupts activate.
#[derive(Clone)]
pub struct Line {
    pub kernel: SimKernel,
    pub arrivals: Arrivals,
    pub interrupts: Interrupts,
}

impl Line {
    /// A frame arrives.
    pub fn deliver(&self, frame: Frame) {
        if self.arrivals.push(frame) {
            self.kernel.activate(self.interrupts.received, 1).unwrap();
        }
    }
}

/// One machine with one interface.
pub struct Host {
    pub kernel: SimKernel,
    pub net: SimNet,
    pub line: Line,
    pub wire: Wire,
    pub mac: [u8; 6],
    pub address: Ipv4Addr,
}

impl Host {
    /// Machine `number` at 10.0.0.`number`.
    pub fn new(clock: &Clock, number: u8, seed: u64) -> Self {
        Self::with(clock, number, seed, 256, |_| {})
    }

    pub fn with(
        clock: &Clock,
        number: u8,
        seed: u64,
        buffers: usize,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let seed = seed * 2 + u64::from(number);
        let kernel = SimKernel::new(clock.clone(), seed);
        let mac = [2, 0, 0, 0, 0, number];
        let (nic, wire) =
            Nic::new(mac, buffers, pool((buffers << 12) + (1 << 20)), clock.clone(), seed);
        let address = Ipv4Addr::new(10, 0, 0, number);
        let gateway = Some(Ipv4Addr::new(10, 0, 0, 254));
        let mut config = Config::new(Address::Static { address, prefix: 24, gateway });
        config.fragments = Some(pool(FRAGMENTS));
        // Most tests count frames, and not these.
        config.conflict_detection = ConflictDetection::Off;
        change(&mut config);
        let (receiver, arrivals) = Receiver::new();
        let (net, stack) = Net::new(kernel.clone(), Box::new(receiver), Box::new(nic), &config);
        let stack = kernel.context(stack, 16 << 20);
        let interrupts = net.start(stack, Priority::DEFAULT).unwrap();
        kernel.activate(interrupts.received, 1).unwrap();
        kernel.run_until_idle();
        let line = Line { kernel: kernel.clone(), arrivals, interrupts };
        Self { kernel, net, line, wire, mac, address }
    }

    /// Hands the interface a frame made by hand.
    pub fn inject(&self, frame: &[u8]) {
        self.line.deliver(self.wire.frame(frame));
    }

    /// Injects, runs, and collects what is sent.
    pub fn exchange(&self, clock: &Clock, frame: &[u8]) -> Vec<Vec<u8>> {
        self.inject(frame);
        self.kernel.run_until_idle();
        self.sent(clock)
    }

    /// Everything sent that has not been collected yet.
    pub fn sent(&self, clock: &Clock) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(due) = self.wire.next_due() {
            clock.set(due);
            while let Some(frame) = self.wire.arrived() {
                frames.push(frame.to_vec());
            }
        }
        frames
    }

    /// Lets time pass: timers go off, and what is sent is collected.
    pub fn pass(&self, clock: &Clock, time: Duration) -> Vec<Vec<u8>> {
        let end = clock.now() + time;
        let mut frames = self.sent(clock);
        while let Some(due) = self.kernel.next_timer().filter(|due| *due <= end) {
            clock.set(due);
            self.kernel.fire_timers();
            self.kernel.run_until_idle();
            frames.extend(self.sent(clock));
        }
        clock.set(end);
        frames
    }
}

/// Two machines, back to back.
pub struct World {
    pub clock: Clock,
    pub hosts: [Host; 2],
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, 256, |_| {})
    }

    pub fn with(seed: u64, buffers: usize, change: impl Fn(&mut Config)) -> Self {
        let clock = Clock::default();
        clock.set(Instant::from_nanos(1_000_000_000));
        let hosts = [1, 2].map(|number| Host::with(&clock, number, seed, buffers, &change));
        Self { clock, hosts }
    }

    pub fn set_faults(&self, faults: Faults) {
        for host in &self.hosts {
            host.wire.set_faults(faults);
        }
    }

    /// Runs until `done`, or until `limit` has passed: then false.
    pub fn run_until(&self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.clock.now() + limit;
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            let next = self.next();
            match next {
                Some(at) if at <= end => self.clock.set(at),
                _ => {
                    self.clock.set(end);
                    return false;
                }
            }
        }
    }

    pub fn run_for(&self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Everything that happens without time passing.
    fn settle(&self) {
        loop {
            let mut quiet = true;
            for host in &self.hosts {
                host.kernel.fire_timers();
                host.kernel.run_until_idle();
            }
            for (from, to) in [(0, 1), (1, 0)] {
                let (from, to) = (&self.hosts[from], &self.hosts[to]);
                while let Some(frame) = from.wire.arrived() {
                    to.line.deliver(frame);
                    quiet = false;
                }
                if from.wire.transmit_interrupt() {
                    from.kernel.activate(from.line.interrupts.sent, 1).unwrap();
                    quiet = false;
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let times =
            self.hosts.iter().flat_map(|host| [host.wire.next_due(), host.kernel.next_timer()]);
        times.flatten().min()
    }
}

/// A service that notes every call, and does as its settings say.
#[derive(Clone, Default)]
pub struct Noting {
    pub name: &'static str,
    pub trace: Trace,
    /// What has been received, by slot.
    pub received: Vec<Vec<u8>>,
    pub accepted: usize,
    pub connected: usize,
    pub ended: usize,
    pub failed: Vec<ConnectionError>,
    /// Sends back what it receives.
    pub echo: bool,
    /// Never reads.
    pub deaf: bool,
    /// Sent when the connection is there.
    pub greeting: Vec<u8>,
    /// Closes once the greeting is sent.
    pub close_after_greeting: bool,
    /// Leaves its side open when the peer closes.
    pub stay: bool,
    /// How much of the greeting, or of what is echoed, has been sent, by slot.
    pub sent: Vec<usize>,
    pub last: Option<SimConnection>,
}

impl Noting {
    pub fn new(name: &'static str, trace: &Trace) -> Self {
        Self { name, trace: trace.clone(), ..Self::default() }
    }

    pub fn echo(name: &'static str, trace: &Trace) -> Self {
        Self { echo: true, ..Self::new(name, trace) }
    }

    fn note(&self, what: &str) {
        self.trace.note(format!("{} {what}", self.name));
    }

    fn begin(&mut self, connection: &SimConnection) {
        let slot = connection.slot();
        if self.received.len() <= slot {
            self.received.resize(slot + 1, Vec::new());
            self.sent.resize(slot + 1, 0);
        }
        self.received[slot].clear();
        self.sent[slot] = 0;
        self.last = Some(connection.clone());
        self.push(connection);
    }

    /// Sends what is still to be sent.
    pub fn push(&mut self, connection: &SimConnection) {
        let slot = connection.slot();
        let due = if self.echo { &self.received[slot] } else { &self.greeting };
        let rest = &due[self.sent[slot]..];
        if rest.is_empty() {
            return;
        }
        self.sent[slot] += connection.send(rest).unwrap_or(0);
        if self.close_after_greeting && self.sent[slot] == self.greeting.len() {
            connection.finish();
        }
    }
}

impl TcpService<SimKernel> for Noting {
    fn accepted(&mut self, connection: &SimConnection) {
        self.note("accepted");
        self.accepted += 1;
        self.begin(connection);
    }

    fn connected(&mut self, connection: &SimConnection) {
        self.note("connected");
        self.connected += 1;
        self.begin(connection);
    }

    fn received(&mut self, connection: &SimConnection) {
        self.note("received");
        if self.deaf {
            return;
        }
        let slot = connection.slot();
        let received = &mut self.received[slot];
        while connection
            .receive(|bytes| {
                received.extend_from_slice(bytes);
                bytes.len()
            })
            .is_ok_and(|count| count > 0)
        {}
        if self.echo {
            self.push(connection);
        }
    }

    fn sent(&mut self, connection: &SimConnection) {
        self.note("sent");
        self.push(connection);
    }

    fn closed(&mut self, connection: &SimConnection) {
        self.note("closed");
        if !self.stay {
            connection.finish();
        }
    }

    fn failed(&mut self, _: &SimConnection, error: ConnectionError) {
        self.note(&format!("failed: {error}"));
        self.failed.push(error);
    }

    fn ended(&mut self, _: &SimConnection) {
        self.note("ended");
        self.ended += 1;
    }
}

/// The address of `host` at `port`.
pub fn at(host: &Host, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(host.address, port)
}

/// Bytes that show when one is missing or out of place.
pub fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    reflex_testkit::Random::new(seed).fill(&mut bytes);
    bytes
}

impl Host {
    /// Lets this machine and `other` know each other's hardware addresses.
    pub fn exchange_arp(&self, world: &World, other: &Host) {
        for (from, to) in [(self, other), (other, self)] {
            let question = raw::arp([0xff; 6], 1, (from.mac, from.address), ([0; 6], to.address));
            to.inject(&question);
        }
        world.run_for(Duration::from_millis(1));
    }
}
