//! Machines with a port each, and what lies between them: frames are lost, repeated, delayed and
//! damaged, buffers run out, neighbours do not answer.
#![allow(unreachable_pub, reason = "public to the tests")]

use reflex_event::{
    Accumulation, Activation, Context, Error, EventId, EventSystem, Instant, Priority, Registration,
};
use reflex_memory::{Lent, Pool};
use reflex_rdma::{Limits, Place, Port};
use reflex_testkit::hil::{AttachedProtocol, Frame, Hop, Link, NextHop, NicError};
use reflex_testkit::{Clock, Random, SimKernel, pool};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub type Rdma = reflex_rdma::Rdma<SimKernel>;
pub type Domain = reflex_rdma::ProtectionDomain<SimKernel>;
pub type Region = reflex_rdma::MemoryRegion<SimKernel>;
pub type Queue = reflex_rdma::CompletionQueue<SimKernel>;
pub type Pair = reflex_rdma::QueuePair<SimKernel>;
pub type Connections = reflex_rdma::ConnectionManager<SimKernel>;
pub type Connection = reflex_rdma::Connection<SimKernel>;
pub type ConnectionEvent = reflex_rdma::ConnectionEvent<SimKernel>;

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;

/// What a machine's interface does, in percent.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    pub lost: u64,
    pub repeated: u64,
    pub delayed: u64,
    pub damaged: u64,
    /// Neighbours are forgotten at once.
    pub forgotten: u64,
    /// And then do not answer.
    pub gone: u64,
}

/// An interface as the test sees it.
pub struct Wire {
    pub random: Random,
    pub faults: Faults,
    /// Transmit buffers, and how many are free.
    pub buffers: usize,
    pub free: usize,
    /// Sent: when it arrives, and the frame.
    pub sent: Vec<(Instant, Vec<u8>)>,
    inbox: VecDeque<Frame>,
    hops: HashMap<IpAddr, Hop>,
    /// `ready` is due.
    waited: bool,
    /// The level at which frames are received.
    pub level: u8,
    /// The interface has failed.
    pub failed: bool,
    /// The device takes a frame in up to so long, and another only then; at once if that is nothing.
    pub slowness: Duration,
    /// When the device takes each frame that it has not taken.
    backlog: VecDeque<Instant>,
    /// Frames that were queued.
    pub queued: u64,
}

impl Wire {
    /// The device takes frames until now.
    fn proceed(&mut self, now: Instant) {
        while self.backlog.front().is_some_and(|at| *at <= now) {
            self.backlog.pop_front();
        }
        self.free = self.buffers - self.backlog.len().min(self.buffers);
    }

    /// When the device will have taken a frame that is queued now.
    fn queue(&mut self, now: Instant) -> Instant {
        self.queued += 1;
        if self.slowness.is_zero() {
            self.free -= 1;
            return now;
        }
        let most = self.slowness.as_nanos() as u64;
        // In bursts: some take all the time, and others next to nothing.
        let time = if self.random.percent(30) { self.random.below(most) } else { most / 100 };
        let at = self.backlog.back().map_or(now, |at| *at) + Duration::from_nanos(time);
        self.backlog.push_back(at);
        self.proceed(now);
        at
    }
}

struct Interface<'a> {
    wire: &'a Mutex<Wire>,
    now: Instant,
    mac: [u8; 6],
    level: u8,
}

/// The Ethernet address of the machine with that address.
pub fn mac_of(address: IpAddr) -> [u8; 6] {
    let last = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    [2, 0, 0, 0, 0, last]
}

impl NextHop for Interface<'_> {
    fn next_hop(&mut self, remote: IpAddr) -> Hop {
        let mut wire = self.wire.lock().unwrap();
        let Faults { forgotten, gone, .. } = wire.faults;
        let known = wire.hops.get(&remote).copied().unwrap_or(Hop::Known(mac_of(remote)));
        let hop = match known {
            Hop::Known(_) if wire.random.percent(forgotten) => Hop::Pending,
            // It is asked for again some time.
            Hop::Gone if wire.random.percent(10) => Hop::Pending,
            known => known,
        };
        let _ = gone;
        wire.hops.insert(remote, hop);
        wire.waited |= hop == Hop::Pending;
        hop
    }
}

impl Link for Interface<'_> {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn mtu(&self) -> usize {
        1500
    }

    fn level(&self) -> u8 {
        self.level
    }

    fn queued(&self) -> u64 {
        self.wire.lock().unwrap().queued
    }

    fn has_taken(&mut self, frames: u64) -> bool {
        let mut wire = self.wire.lock().unwrap();
        wire.proceed(self.now);
        wire.queued - wire.backlog.len() as u64 >= frames
    }

    fn transmit(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8])) -> Result<(), NicError> {
        let wire = &mut *self.wire.lock().unwrap();
        if wire.failed {
            return Err(NicError::DeviceFailed);
        }
        if length > 1500 + ETHERNET {
            return Err(NicError::TooLong);
        }
        if wire.free == 0 {
            wire.waited = true;
            return Err(NicError::TransmitFull);
        }
        let taken = wire.queue(self.now);
        let mut frame = vec![0; length];
        fill(&mut frame);
        let Faults { lost, repeated, delayed, damaged, .. } = wire.faults;
        if wire.random.percent(lost) {
            return Ok(());
        }
        if wire.random.percent(damaged) {
            let at = wire.random.below(length as u64) as usize;
            frame[at] ^= 1 << wire.random.below(8);
        }
        let copies = if wire.random.percent(repeated) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = if wire.random.percent(delayed) { wire.random.below(500_000) } else { 0 };
            let due = taken + Duration::from_nanos(20_000 + delay);
            let at = wire.sent.partition_point(|(other, _)| *other <= due);
            wire.sent.insert(at, (due, frame.clone()));
        }
        Ok(())
    }
}

/// The IP stack's context, as far as the port is concerned.
pub struct Station {
    port: Port<SimKernel>,
    wire: Arc<Mutex<Wire>>,
    kernel: SimKernel,
    mac: [u8; 6],
}

impl Station {
    fn with(&mut self, level: u8, work: impl FnOnce(&mut Port<SimKernel>, &mut dyn Link)) {
        let now = self.kernel.now();
        let mut link = Interface { wire: &self.wire, now, mac: self.mac, level };
        work(&mut self.port, &mut link);
    }

    fn receive(&mut self) {
        let level = self.wire.lock().unwrap().level;
        loop {
            let Some(frame) = self.wire.lock().unwrap().inbox.pop_front() else { break };
            self.with(level, |port, link| port.received(frame, ETHERNET, link));
        }
        self.with(level, |port, link| port.end_of_batch(link));
    }
}

/// Where the port's events run.
struct AttachedPlace {
    kernel: SimKernel,
    stack: Context<Station>,
    /// Events that are registered.
    live: Arc<Mutex<usize>>,
    /// Registering fails.
    full: Arc<Mutex<bool>>,
}

impl Place<SimKernel> for AttachedPlace {
    fn event(&self, priority: Priority, number: u32) -> Result<EventId, Error> {
        if *self.full.lock().unwrap() {
            return Err(Error::TableFull);
        }
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let run = move |station: &mut Station, _: Activation| {
            station.with(priority.level(), |port, link| port.run(number, link));
        };
        *self.live.lock().unwrap() += 1;
        self.kernel.register(self.stack, registration, run)
    }

    fn end(&self, event: EventId, _: Priority) {
        self.kernel.unregister(event).unwrap();
        *self.live.lock().unwrap() -= 1;
    }
}

/// A machine.
pub struct Host {
    pub kernel: SimKernel,
    pub rdma: Rdma,
    pub address: IpAddr,
    pub wire: Arc<Mutex<Wire>>,
    pub frames: &'static Pool,
    /// What is free of it when no frame is held.
    pub frames_free: usize,
    /// Events of the port that are registered, its own three among them.
    pub live: Arc<Mutex<usize>>,
    pub full: Arc<Mutex<bool>>,
    stack: Context<Station>,
    arrived: EventId,
    ready: EventId,
}

impl Host {
    /// Machine `number` at 10.0.0.`number`.
    pub fn new(clock: &Clock, number: u8, seed: u64, limits: Limits) -> Self {
        let kernel =
            SimKernel::new(clock.clone(), seed.wrapping_mul(2).wrapping_add(u64::from(number)));
        let (rdma, mut port) = Rdma::new(kernel.clone(), limits, 1500);
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
        let own = [address, IpAddr::V6(format!("fe80::{number}").parse().unwrap())];
        port.addresses_changed(&own);
        let wire = Arc::new(Mutex::new(Wire {
            random: Random::new(seed ^ u64::from(number) << 32),
            faults: Faults::default(),
            buffers: 64,
            free: 64,
            sent: Vec::new(),
            inbox: VecDeque::new(),
            hops: HashMap::new(),
            waited: false,
            level: Priority::DEFAULT.level(),
            failed: false,
            slowness: Duration::ZERO,
            backlog: VecDeque::new(),
            queued: 0,
        }));
        let mac = mac_of(address);
        let station = Station { port, wire: wire.clone(), kernel: kernel.clone(), mac };
        let stack = kernel.context(station, 1 << 16);
        let (live, full) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(false)));
        let beside =
            AttachedPlace { kernel: kernel.clone(), stack, live: live.clone(), full: full.clone() };
        rdma.start(Box::new(beside)).unwrap();
        let registration = Registration { accumulation: Accumulation::Count, ..Default::default() };
        let arrived = kernel.register(stack, registration, |it: &mut Station, _| it.receive());
        let ready = kernel.register(stack, registration, |it: &mut Station, _| {
            it.with(Priority::DEFAULT.level(), |port, link| port.ready(link));
        });
        let (arrived, ready) = (arrived.unwrap(), ready.unwrap());
        let frames = pool(1 << 22);
        let frames_free = frames.available();
        Self { kernel, rdma, address, wire, frames, frames_free, live, full, stack, arrived, ready }
    }

    /// Hands the interface a frame.
    pub fn inject(&self, frame: &[u8]) {
        let Ok(mut buffer) = self.frames.bytes(frame.len().max(1)) else { return };
        buffer[..frame.len()].copy_from_slice(frame);
        let frame = Frame::new(buffer, 0..frame.len() as u16).unwrap();
        self.wire.lock().unwrap().inbox.push_back(frame);
        self.kernel.activate(self.arrived, 1).unwrap();
    }

    /// Injects a frame and lets the machine deal with it.
    pub fn take(&self, frame: &[u8]) {
        self.inject(frame);
        self.kernel.run_until_idle();
    }

    /// What has been sent and not been taken yet.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        let mut wire = self.wire.lock().unwrap();
        wire.backlog.clear();
        wire.free = wire.buffers;
        wire.sent.drain(..).map(|(_, frame)| frame).collect()
    }

    /// The interface's addresses are others.
    pub fn readdress(&self, addresses: &[IpAddr]) {
        self.kernel.state(self.stack, |station| station.port.addresses_changed(addresses));
    }

    /// Buffers are free again, neighbours answer or do not. True when somebody waited for that.
    fn make_ready(&self) -> bool {
        {
            let mut guard = self.wire.lock().unwrap();
            let wire = &mut *guard;
            wire.proceed(self.kernel.now());
            if wire.free == 0 || !std::mem::take(&mut wire.waited) {
                return false;
            }
            let mut pending: Vec<IpAddr> = wire.hops.keys().copied().collect();
            pending.sort();
            for address in pending {
                let gone = wire.random.percent(wire.faults.gone);
                let hop = wire.hops.get_mut(&address).unwrap();
                if *hop == Hop::Pending {
                    *hop = if gone { Hop::Gone } else { Hop::Known(mac_of(address)) };
                }
            }
        }
        self.kernel.activate(self.ready, 1).unwrap();
        true
    }

    /// Memory of a pool that is used by nobody.
    pub fn bytes(&self, pool: &Domain, bytes: &[u8]) -> Lent<[u8]> {
        let mut lent = pool.bytes(bytes.len()).unwrap();
        lent.copy_from_slice(bytes);
        lent
    }
}

/// Machines on one link.
pub struct World {
    pub clock: Clock,
    pub hosts: Vec<Host>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Limits::default())
    }

    pub fn with(seed: u64, limits: Limits) -> Self {
        let clock = Clock::default();
        clock.set(Instant::from_nanos(1_000_000_000));
        let hosts = [1, 2].map(|number| Host::new(&clock, number, seed, limits));
        Self { clock, hosts: hosts.into() }
    }

    pub fn set_faults(&self, faults: Faults) {
        for host in &self.hosts {
            host.wire.lock().unwrap().faults = faults;
        }
    }

    /// Everything that happens without time passing.
    pub fn settle(&self) {
        loop {
            let mut quiet = true;
            let now = self.clock.now();
            for host in &self.hosts {
                host.kernel.fire_timers();
                host.kernel.run_until_idle();
                loop {
                    let frame = {
                        let mut wire = host.wire.lock().unwrap();
                        if wire.sent.first().is_none_or(|(due, _)| *due > now) {
                            break;
                        }
                        wire.sent.remove(0).1
                    };
                    quiet = false;
                    for other in &self.hosts {
                        if frame[..6] == mac_of(other.address) {
                            other.inject(&frame);
                        }
                    }
                }
                quiet &= !host.make_ready();
            }
            if quiet {
                return;
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let times = self.hosts.iter().flat_map(|host| {
            let wire = host.wire.lock().unwrap();
            let sent = wire.sent.first().map(|(due, _)| *due);
            let taken = wire.backlog.front().filter(|_| wire.waited).copied();
            [sent, taken, host.kernel.next_timer()]
        });
        times.flatten().min()
    }

    /// Runs until `done`, or until `limit` has passed: then false.
    pub fn run_until(&self, limit: Duration, mut done: impl FnMut() -> bool) -> bool {
        let end = self.clock.now() + limit;
        loop {
            self.settle();
            if done() {
                return true;
            }
            match self.next() {
                Some(at) if at <= end => self.clock.set(at.max(self.clock.now())),
                _ => {
                    self.clock.set(end);
                    return false;
                }
            }
        }
    }

    pub fn run_for(&self, time: Duration) {
        self.run_until(time, || false);
    }
}
