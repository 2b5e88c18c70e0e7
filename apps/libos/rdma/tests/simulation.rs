//! Random programs on two machines over a bad link: whatever happens, each work that was posted is
//! complete exactly once, with its memory; what is received is what was sent, regions are what the
//! model says, every connection ends once, and in the end nothing is left.

#[path = "simulation/promises.rs"]
mod promises;
#[path = "simulation/told.rs"]
mod told;

use crate::common;
use common::{
    Connection, ConnectionEvent, Connections, Domain, Faults, Pair, Queue, Region, World,
};
use proptest::prelude::*;
use reflex_event::{Accumulation, Context, EventId, EventSystem, Priority, Registration};
use reflex_rdma::{
    Accept, Access, Completion, Connect, ConnectionChange, Error, Kind, Limits, PathMtu, Peer, Psn,
    QKey, RKey, ReceiveRequest, SendRequest, Status, Transport,
};
use reflex_testkit::Random;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Bytes of a region, and of these, what work is about.
const REGION: usize = 256;
const USED: usize = 192;
/// Sends and receives of a queue pair.
const DEPTH: u32 = 8;
const QUEUE: u32 = 256;
const PORT: u16 = 7000;
const LIMITS: Limits = Limits { queue_pairs: 64, queues: 64, regions: 128, connections: 24 };

struct Done {
    id: u64,
    kind: Kind,
    status: Status,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct App {
    done: Vec<Done>,
    happened: Vec<(Connection, ConnectionChange)>,
}

/// An application in one life of its context.
struct Life {
    host: usize,
    context: Context<App>,
    domain: Domain,
    queue: Queue,
    connections: Connections,
    free: usize,
    alive: bool,
}

/// What was posted.
struct Post {
    link: usize,
    end: usize,
    /// What an answer has to say.
    answer: Option<Vec<u8>>,
    sent: bool,
    life: usize,
}

/// Two queue pairs, or one and nobody.
struct Link {
    transport: Transport,
    lives: [usize; 2],
    pairs: [Option<Arc<Pair>>; 2],
    regions: [Option<Region>; 2],
    /// What the regions are if everything has succeeded.
    models: [Vec<u8>; 2],
    certain: bool,
    /// Sent to each end, and not received.
    on_the_way: [VecDeque<Vec<u8>>; 2],
}

#[derive(Debug)]
struct Talk {
    history: Vec<String>,
    life: usize,
    connection: Connection,
    link: usize,
    answered: bool,
    /// It was rejected here: it need not be told of any more, but may have ended otherwise before.
    rejected: bool,
    ended: bool,
}

impl Talk {
    fn new(life: usize, connection: Connection, link: usize, answered: bool) -> Self {
        Self {
            history: Vec::new(),
            life,
            connection,
            link,
            answered,
            rejected: false,
            ended: false,
        }
    }
}

type Deed = Box<dyn FnOnce() + Send>;

struct Program {
    world: World,
    random: Random,
    lives: Vec<Life>,
    links: Vec<Link>,
    posts: HashMap<u64, Post>,
    talks: Vec<Talk>,
    next: u64,
    /// Runs what is to be done in the middle of something else.
    urgent: [(EventId, Arc<Mutex<Vec<Deed>>>); 2],
}

const ALL: Access = Access::REMOTE_WRITE;

impl Program {
    fn new(seed: u64) -> Self {
        let world = World::with(seed, LIMITS);
        let urgent = [0, 1].map(|host| {
            let kernel = &world.hosts[host].kernel;
            let deeds: Arc<Mutex<Vec<Deed>>> = Arc::default();
            let context = kernel.context(deeds.clone(), 1 << 12);
            let registration =
                Registration { priority: Priority::HIGH, accumulation: Accumulation::Count };
            let run = |deeds: &mut Arc<Mutex<Vec<Deed>>>, _| {
                let all = std::mem::take(&mut *deeds.lock().unwrap());
                all.into_iter().for_each(|deed| deed());
            };
            (kernel.register(context, registration, run).unwrap(), deeds)
        });
        let mut program = Self {
            world,
            random: Random::new(seed),
            lives: Vec::new(),
            links: Vec::new(),
            posts: HashMap::new(),
            talks: Vec::new(),
            next: 1,
            urgent,
        };
        for life in 0..4 {
            program.live(life % 2);
        }
        program
    }

    /// A new application.
    fn live(&mut self, number: usize) {
        let host = &self.world.hosts[number];
        let context = host.kernel.context(App::default(), 1 << 19);
        let free = host.kernel.pool(context).unwrap().available();
        let domain = host.rdma.domain(context).unwrap();
        let note = |app: &mut App, done: &mut Completion| {
            let bytes = done.bytes().to_vec();
            app.done.push(Done { id: done.id, kind: done.kind, status: done.status, bytes });
        };
        let levels = [Priority::LOW, Priority::DEFAULT, Priority::HIGH];
        let level = levels[self.random.below(3) as usize];
        let queue = host.rdma.completion_queue(context, QUEUE, level, note).unwrap();
        let happened = |app: &mut App, event: ConnectionEvent| {
            app.happened.push((event.connection, event.what));
        };
        let connections = host.rdma.connections(context, Priority::DEFAULT, happened).unwrap();
        let life = self.lives.len() as u16;
        for transport in [Transport::Reliable, Transport::Unreliable] {
            connections.listen(transport, PORT + life, 2).unwrap();
        }
        self.lives.push(Life {
            host: number,
            context,
            domain,
            queue,
            connections,
            free,
            alive: true,
        });
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random.below(limit as u64) as usize
    }

    /// Any application that is alive, of that machine.
    fn somebody(&mut self, host: usize) -> usize {
        let all: Vec<_> = (0..self.lives.len())
            .filter(|at| self.lives[*at].alive && self.lives[*at].host == host)
            .collect();
        all[self.below(all.len())]
    }

    fn build(&mut self, life: usize, transport: Transport) -> Option<Arc<Pair>> {
        let levels = [Priority::LOW, Priority::DEFAULT, Priority::HIGH];
        let level = levels[self.below(3)];
        let Life { domain, queue, .. } = &self.lives[life];
        let builder = domain.queue_pair(transport, queue, queue).depth(DEPTH, DEPTH);
        let access = Access::REMOTE_WRITE | Access::REMOTE_READ | Access::REMOTE_ATOMIC;
        match builder.priority(level).access(access).build() {
            Ok(pair) => Some(Arc::new(pair)),
            Err(Error::CompletionsShort | Error::LimitReached) => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn region(&self, life: usize) -> Option<Region> {
        let domain = &self.lives[life].domain;
        let access = ALL | Access::REMOTE_READ | Access::REMOTE_ATOMIC | Access::LOCAL_WRITE;
        domain.register(domain.bytes(REGION).ok()?, access).ok()
    }

    fn link(&mut self, transport: Transport, lives: [usize; 2]) -> usize {
        let regions = lives.map(|life| self.region(life));
        self.links.push(Link {
            transport,
            lives,
            pairs: [None, None],
            regions,
            models: [vec![0; REGION], vec![0; REGION]],
            certain: true,
            on_the_way: Default::default(),
        });
        self.links.len() - 1
    }

    /// Two queue pairs that know each other without a connection manager.
    fn join(&mut self) {
        let transports = [Transport::Reliable, Transport::Unreliable, Transport::Datagram];
        let transport = transports[self.below(3)];
        let lives = [self.somebody(0), self.somebody(1)];
        let (Some(one), Some(other)) =
            (self.build(lives[0], transport), self.build(lives[1], transport))
        else {
            return;
        };
        if transport != Transport::Datagram {
            for (pair, peer, host) in [(&one, &other, 1), (&other, &one, 0)] {
                let peer = Peer {
                    address: self.world.hosts[host].address,
                    queue_pair: peer.number(),
                    receive_psn: Psn::new(0xff_fff0),
                    send_psn: Psn::new(0xff_fff0),
                    mtu: PathMtu::B256,
                    timeout: 8,
                    retries: 7,
                    rnr_retries: 5,
                    reads: 2,
                };
                pair.establish(peer).unwrap();
            }
        }
        let link = self.link(transport, lives);
        self.links[link].pairs = [Some(one), Some(other)];
    }

    fn ask(&mut self) {
        let from = self.below(2);
        let (active, passive) = (self.somebody(from), self.somebody(1 - from));
        let transport = [Transport::Reliable, Transport::Unreliable][self.below(2)];
        let Some(pair) = self.build(active, transport) else { return };
        let link = self.link(transport, [active, passive]);
        // Sometimes nobody listens.
        let port = if self.random.percent(10) { 9 } else { PORT + passive as u16 };
        let to = (self.world.hosts[1 - from].address, port);
        let connect = Connect::new().retries(7, 5).data(&(link as u32).to_ne_bytes()).unwrap();
        let asked = self.lives[active].connections.connect(&pair, to, connect);
        let connection = match asked {
            Ok(connection) => connection,
            Err(Error::LimitReached) => return,
            Err(error) => panic!("{error}"),
        };
        self.links[link].pairs[0] = Some(pair);
        self.talks.push(Talk::new(active, connection, link, true));
    }

    /// Answers a request, one way or another.
    fn answer(&mut self) {
        let open: Vec<_> = (0..self.talks.len())
            .filter(|at| !self.talks[*at].answered && self.lives[self.talks[*at].life].alive)
            .collect();
        if open.is_empty() {
            return;
        }
        let at = open[self.below(open.len())];
        let (life, connection) = (self.talks[at].life, self.talks[at].connection.clone());
        self.talks[at].answered = true;
        match self.below(8) {
            0 => {
                connection.reject(b"no").unwrap();
                self.talks[at].rejected = true;
            }
            1 => connection.disconnect().unwrap(),
            kind => {
                // Sometimes one that is not fit.
                let transport = if kind == 2 { Transport::Unreliable } else { Transport::Reliable };
                let Some(pair) = self.build(life, transport) else {
                    connection.reject(b"full").unwrap();
                    self.talks[at].rejected = true;
                    return;
                };
                let accept = Accept::new().rnr_retries(5);
                connection.accept(&pair, accept).unwrap();
                let link = self.talks[at].link;
                self.links[link].pairs[1] = Some(pair);
            }
        }
    }

    /// A random queue pair: its link and which end.
    fn any_end(&mut self) -> Option<(usize, usize, Arc<Pair>)> {
        let ends: Vec<_> = (0..self.links.len())
            .flat_map(|link| [(link, 0), (link, 1)])
            .filter(|(link, end)| self.links[*link].pairs[*end].is_some())
            .collect();
        let (link, end) = *ends.get(self.below(ends.len().max(1)))?;
        let pair = self.links[link].pairs[end].clone()?;
        Some((link, end, pair))
    }

    fn post_receive(&mut self) {
        let Some((link, end, pair)) = self.any_end() else { return };
        let life = self.links[link].lives[end];
        let host = self.lives[life].host;
        let length = 40 + self.below(600);
        let Ok(bytes) = self.lives[life].domain.bytes(length) else { return };
        let id = self.next;
        let receive = ReceiveRequest::bytes(bytes).id(id);
        let posted = self.interleave(host, move || pair.post_receive(receive).is_ok());
        self.note(posted, id, Post { link, end, answer: None, sent: false, life });
        self.collect();
    }

    /// Posts something, and says whether it was posted; in the middle of something else, if there is
    /// something.
    fn interleave(&mut self, host: usize, post: impl FnOnce() -> bool + Send + 'static) -> bool {
        if self.random.percent(50) {
            return post();
        }
        let posted: Arc<Mutex<Option<bool>>> = Arc::default();
        let result = posted.clone();
        let deed = move || *result.lock().unwrap() = Some(post());
        let nth = 1 + self.random.below(12) as u32;
        let (event, deeds) = &self.urgent[host];
        deeds.lock().unwrap().push(Box::new(deed));
        let kernel = &self.world.hosts[host].kernel;
        kernel.activate_in_section(*event, nth);
        self.world.settle();
        let _ = kernel.activate(*event, 1);
        kernel.run_until_idle();
        posted.lock().unwrap().take().unwrap()
    }

    fn note(&mut self, posted: bool, id: u64, post: Post) {
        self.next += 1;
        if posted {
            self.posts.insert(id, post);
        }
    }

    fn post_send(&mut self) {
        let Some((at, end, pair)) = self.any_end() else { return };
        let id = self.next;
        let life = self.links[at].lives[end];
        let domain = self.lives[life].domain.clone();
        let host = self.lives[life].host;
        let transport = self.links[at].transport;
        let mut length = 1 + self.below(700);
        if transport == Transport::Datagram {
            length = length.min(500);
        }
        let mut payload = vec![0; length];
        self.random.fill(&mut payload);
        let bytes = |content: &[u8]| {
            let mut bytes = domain.bytes(content.len()).ok()?;
            bytes.copy_from_slice(content);
            Some(bytes)
        };
        let reliable = transport == Transport::Reliable;
        let kind = self.below(if reliable { 7 } else { 2 });
        let place = self.below(USED / 8) * 8;
        let span = (1 + self.below(64)).min(USED - place);
        // One in a hundred goes wrong.
        let astray = self.random.percent(1);
        let wild = self.below(1 << 20) as u32;
        let number = self.random.word();
        let other = 1 - end;
        let link = &mut self.links[at];
        let Some((address, key)) = link.regions[other].as_ref().map(|it| (it.address(), it.key()))
        else {
            return;
        };
        let key = if astray { RKey(wild) } else { key };
        let to = address + place as u64;
        let model = &mut link.models[other];
        let before = model.clone();
        let old = |at: usize| u64::from_ne_bytes(before[at..at + 8].try_into().unwrap());
        let (mut answer, mut message) = (None, None);
        let send = match kind {
            0 | 1 => {
                message = Some(payload.clone());
                let Some(bytes) = bytes(&payload) else { return };
                let send = SendRequest::message().bytes(bytes);
                if transport == Transport::Datagram {
                    let address = self.world.hosts[1 - host].address;
                    let peer = link.pairs[other].as_ref().map(|it| it.number());
                    let Some(peer) = peer else { return };
                    send.to(address, peer, QKey::IP_CM)
                } else {
                    send
                }
            }
            2 | 3 => {
                model[place..place + span].copy_from_slice(&payload.repeat(64)[..span]);
                let Some(bytes) = bytes(&model[place..place + span]) else { return };
                SendRequest::write(to, key).bytes(bytes).fence()
            }
            4 => {
                answer = Some(before[place..place + span].to_vec());
                let Some(bytes) = bytes(&vec![0; span]) else { return };
                SendRequest::read(to, key).bytes(bytes)
            }
            5 => {
                answer = Some(before[place..place + 8].to_vec());
                let sum = old(place).wrapping_add(number);
                model[place..place + 8].copy_from_slice(&sum.to_ne_bytes());
                let Some(bytes) = bytes(&[0; 8]) else { return };
                SendRequest::fetch_add(to, key, number).bytes(bytes).fence()
            }
            _ => {
                answer = Some(before[place..place + 8].to_vec());
                let compare = if number.is_multiple_of(2) { old(place) } else { number };
                if compare == old(place) {
                    model[place..place + 8].copy_from_slice(&number.to_ne_bytes());
                }
                let Some(bytes) = bytes(&[0; 8]) else { return };
                SendRequest::compare_swap(to, key, compare, number).bytes(bytes).fence()
            }
        };
        let send = send.id(id);
        let posted = self.interleave(host, move || pair.post_send(send).is_ok());
        let link = &mut self.links[at];
        if posted {
            link.on_the_way[other].extend(message);
            link.certain &= !astray;
        } else {
            link.models[other] = before;
        }
        self.note(posted, id, Post { link: at, end, answer, sent: true, life });
        self.collect();
    }

    /// A context is given up, and another begins.
    fn kill(&mut self) {
        let host = self.below(2);
        let at = self.somebody(host);
        let life = &mut self.lives[at];
        life.alive = false;
        self.world.hosts[host].kernel.end(life.context);
        if self.random.percent(50) {
            self.world.hosts[host].kernel.run_until_idle();
        }
        for link in &mut self.links {
            link.certain &= !link.lives.contains(&at);
            for end in 0..2 {
                // Names of things that are gone, or will be.
                if link.lives[end] == at && self.random.percent(50) {
                    (link.pairs[end], link.regions[end]) = (None, None);
                }
            }
        }
        self.live(host);
    }

    fn end_something(&mut self) {
        match self.below(4) {
            0 => {
                let Some((link, end, pair)) = self.any_end() else { return };
                drop(pair);
                self.links[link].certain = false;
                self.links[link].pairs[end] = None;
            }
            1 => {
                let Some((link, _, pair)) = self.any_end() else { return };
                let _ = pair.fail();
                self.links[link].certain = false;
            }
            2 if !self.links.is_empty() => {
                let (link, end) = (self.below(self.links.len()), self.below(2));
                self.links[link].certain = false;
                self.links[link].regions[end] = None;
            }
            _ if !self.talks.is_empty() => {
                let talk = self.below(self.talks.len());
                self.talks[talk].connection.disconnect().unwrap();
                let link = self.talks[talk].link;
                self.links[link].certain = false;
            }
            _ => {}
        }
    }

    fn step(&mut self) {
        match self.below(100) {
            0..35 => self.post_send(),
            35..65 => self.post_receive(),
            65..70 => self.join(),
            70..76 => self.ask(),
            76..84 => self.answer(),
            84..87 => self.end_something(),
            87 => self.kill(),
            88..91 => {
                let percent = [0, 0, 2, 10][self.below(4)];
                let below = |random: &mut Random| random.below(percent + 1);
                let random = &mut self.random;
                let faults = Faults {
                    lost: below(random),
                    repeated: below(random),
                    delayed: below(random) * 3,
                    damaged: below(random),
                    forgotten: below(random),
                    gone: below(random) * 5,
                };
                let buffers = [64, 64, 3, 1][self.random.below(4) as usize];
                let level = [0, 31, 63][self.random.below(3) as usize];
                for host in &self.world.hosts {
                    let mut wire = host.wire.lock().unwrap();
                    (wire.faults, wire.buffers, wire.level) = (faults, buffers, level);
                }
            }
            91..95 => {
                let time = Duration::from_micros(self.random.below(5000));
                self.world.run_for(time);
            }
            95 => self.world.run_for(Duration::from_secs(2)),
            _ => self.world.settle(),
        }
        self.collect();
        self.check_regions();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn nothing_is_lost_doubled_or_left_behind(seed: u64, steps in 1_usize..600) {
        let mut program = Program::new(seed);
        for _ in 0..steps {
            program.step();
        }
        program.finish();
    }
}
