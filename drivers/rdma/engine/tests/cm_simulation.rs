//! Two communication managers on a link that loses, doubles, delays and reorders, with
//! applications that connect, accept, reject, wait, disconnect and go away at random. Every
//! communication has exactly one outcome and one end, both sides come to agree, and all places
//! come back. `REFLEX_SEED=N` repeats a run.

use crate::cm;
use crate::common;
use cm::{Datagram, Notebook, Side, Told, address, code, config};
use common::{Random, seed};
use reflex_rdma_engine::Instant;
use reflex_rdma_engine::cm::*;
use reflex_rdma_wire::cm::*;
use reflex_rdma_wire::{PathMtu, Psn, QKey, Qpn};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Games of the ordinary run, about 400 datagrams each.
const GAMES: u64 = 5000;
const SECOND: u64 = 1_000_000_000;
/// The longest that a packet is under way: less than the packet lifetime of 1.07 s.
const LATEST: u64 = SECOND;

/// What an application knows of a communication of its.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// It asked, and waits.
    Asked,
    /// It is to answer a reply.
    Replied,
    /// It is to answer a request.
    Requested,
    /// It accepted.
    Accepted,
    /// The connection stands.
    Established,
    /// It asked for the end.
    Leaving,
    /// The outcome is known; what is left is the end.
    Over,
}

#[derive(Clone, Debug)]
struct Known {
    phase: Phase,
    is_resolution: bool,
    /// The number of the attempt that it is part of, told by private data.
    attempt: u32,
    qpn: Option<u32>,
    established: u32,
    disconnected: u32,
}

/// An application on one side, with the communications it knows.
#[derive(Default)]
struct Application {
    known: HashMap<CommId, Known>,
    listeners: Vec<ListenerId>,
    free: Vec<u32>,
    /// Communications that were, by how they ended.
    outcomes: HashMap<&'static str, u64>,
    /// Attempts that it abandoned when the peer could already take it for connected.
    unsettled: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    lost: u64,
    doubled: u64,
    delayed: u64,
    /// At times nothing at all gets through.
    blackouts: bool,
}

/// When, a count that keeps the order, the receiving side, and the bytes.
type Arrival = (u64, u64, usize, Vec<u8>);

struct Game {
    sides: [Side; 2],
    applications: [Application; 2],
    random: Random,
    weather: Weather,
    wire: BinaryHeap<Reverse<Arrival>>,
    now: u64,
    count: u64,
    dark_until: u64,
    attempts: u32,
    datagrams: u64,
}

fn tag(attempt: u32) -> Vec<u8> {
    [&attempt.to_be_bytes()[..], &[0xff]].concat()
}

fn tagged(data: &[u8]) -> u32 {
    let (bytes, rest) = data.split_first_chunk().expect("a number");
    assert_eq!(rest, [0xff], "nothing else");
    u32::from_be_bytes(*bytes)
}

impl Game {
    fn new(weather: Weather, mut random: Random) -> Self {
        let mut sides = [1, 2].map(|which| {
            let communications = 1 + random.below(12) as u32;
            let first_id = random.next() as u32;
            Side::with(
                which,
                &Config { communications, first_id, mtu: PathMtu::B4096, ..config(which) },
            )
        });
        let mut applications = <[Application; 2]>::default();
        for application in &mut applications {
            application.free = (0x11..0x31).rev().collect();
        }
        for (side, application) in sides.iter_mut().zip(&mut applications) {
            for port in 1..4 {
                let listen = [Listen::port(port, 5), Listen::datagram_port(port, 5)];
                let listen = listen[random.below(2) as usize];
                application.listeners.push(side.agent.listen(&listen).expect("a place"));
            }
        }
        Self {
            sides,
            applications,
            random,
            weather,
            wire: BinaryHeap::new(),
            now: 1,
            count: 0,
            dark_until: 0,
            attempts: 0,
            datagrams: 0,
        }
    }

    /// Carries what a side has sent, and lets its application hear what it was told. One call
    /// may have sent so many messages.
    fn settle(&mut self, which: usize, most: usize) {
        let Notebook { sent, told } = std::mem::take(&mut self.sides[which].book);
        assert!(sent.len() <= most, "too much at once: {sent:?}");
        for (route, mad) in sent {
            assert_eq!(route.remote, address(2 - which as u8));
            self.carry(1 - which, &mad);
        }
        for (id, told) in told {
            self.hear(which, id, told);
        }
    }

    fn carry(&mut self, to: usize, mad: &[u8; Mad::LENGTH]) {
        self.datagrams += 1;
        let copies = 1 + u64::from(self.random.often(self.weather.doubled));
        for _ in 0..copies {
            if self.random.often(self.weather.lost) || self.now < self.dark_until {
                continue;
            }
            let late = self.random.often(self.weather.delayed);
            let delay = if late { self.random.below(LATEST) } else { 50_000 };
            self.count += 1;
            self.wire.push(Reverse((self.now + delay, self.count, to, mad.to_vec())));
        }
    }

    fn hear(&mut self, which: usize, id: CommId, told: Told) {
        let application = &mut self.applications[which];
        if let Told::Request { .. } | Told::Resolution { .. } = &told {
            let (data, is_resolution) = match &told {
                Told::Request { data, .. } => (data, false),
                Told::Resolution { data, .. } => (data, true),
                _ => unreachable!("just looked"),
            };
            let known = Known {
                phase: Phase::Requested,
                is_resolution,
                attempt: tagged(data),
                qpn: None,
                established: 0,
                disconnected: 0,
            };
            assert!(application.known.insert(id, known).is_none(), "a name that is in use");
            return;
        }
        let known = application.known.get_mut(&id);
        let known = known.unwrap_or_else(|| panic!("{told:?} of a communication that was over"));
        let outcome = match &told {
            Told::Reply { parameters, data } => {
                assert_eq!((known.phase, tagged(data)), (Phase::Asked, known.attempt));
                assert_eq!(Some(parameters.local_qpn.get()), known.qpn);
                known.phase = Phase::Replied;
                return;
            }
            Told::Established { data } => {
                assert_eq!((known.phase, tagged(data)), (Phase::Accepted, known.attempt));
                known.phase = Phase::Established;
                known.established += 1;
                return;
            }
            Told::Rejected { reason, .. } => {
                let phases = [Phase::Asked, Phase::Replied, Phase::Requested, Phase::Accepted];
                assert!(phases.contains(&known.phase) && !known.is_resolution, "{known:?}");
                if *reason == RejectReason::STALE_CONNECTION { "stale" } else { "rejected" }
            }
            Told::Failed(failure) => {
                // An application that has its own answer under way may be overtaken.
                let phases = [Phase::Asked, Phase::Replied, Phase::Requested, Phase::Accepted];
                assert!(phases.contains(&known.phase), "{known:?}");
                match (failure, known.phase) {
                    (Failure::Stale, _) => "superseded",
                    (_, Phase::Accepted) => "unconfirmed",
                    _ => "unheard",
                }
            }
            Told::Disconnected { cause, .. } => {
                let phases = [Phase::Replied, Phase::Accepted, Phase::Established, Phase::Leaving];
                assert!(phases.contains(&known.phase), "{known:?}");
                known.disconnected += 1;
                match cause {
                    Cause::Peer => "ended by the peer",
                    Cause::Local => "ended",
                    Cause::Unanswered => "unanswered",
                    Cause::Rejected(_) => "rejected late",
                    Cause::Stale => "stale",
                }
            }
            Told::Resolved { qpn, data, .. } => {
                assert!(known.is_resolution && known.phase == Phase::Asked);
                assert_eq!((tagged(data), qpn.get()), (known.attempt, known.attempt));
                "resolved"
            }
            Told::ResolutionRejected { .. } => {
                assert!(known.is_resolution && known.phase == Phase::Asked);
                "not resolved"
            }
            Told::Released => {
                assert_eq!(known.phase, Phase::Over, "an end without an outcome");
                assert!(known.established <= 1 && known.disconnected <= 1);
                assert!(known.established <= known.disconnected, "{known:?}");
                application.free.extend(known.qpn);
                application.known.remove(&id);
                *application.outcomes.entry("released").or_default() += 1;
                return;
            }
            Told::Request { .. } | Told::Resolution { .. } => unreachable!("looked at above"),
        };
        assert_ne!(known.phase, Phase::Over, "a second outcome: {told:?}");
        known.phase = Phase::Over;
        *application.outcomes.entry(outcome).or_default() += 1;
    }

    /// The application begins something, if there is room for it.
    fn begin(&mut self, which: usize) {
        let port = 1 + self.random.below(3) as u16;
        let is_resolution = self.random.often(250);
        self.attempts += 1;
        let attempt = self.attempts;
        let data = tag(attempt);
        let Self { sides, applications, .. } = self;
        let (side, application) = (&mut sides[which], &mut applications[which]);
        let now = Instant::from_nanos(self.now);
        let qpn = if is_resolution { None } else { application.free.pop() };
        let result = if is_resolution {
            let service = ServiceId::ip(PortSpace::Udp, port);
            let resolve =
                Resolve { route: side.route, service, source_port: 5, private_data: &data };
            side.agent.resolve(&resolve, now, &mut side.book)
        } else {
            let Some(qpn) = qpn else { return };
            let (route, psn) = (side.route, Psn::new(self.random.next() as u32));
            let connect =
                Connect { private_data: &data, ..Connect::port(route, port, Qpn::new(qpn), psn) };
            side.agent.connect(&connect, now, &mut side.book)
        };
        match result {
            Ok(id) => {
                let phase = Phase::Asked;
                let known =
                    Known { phase, is_resolution, attempt, qpn, established: 0, disconnected: 0 };
                assert!(application.known.insert(id, known).is_none(), "a name that is in use");
            }
            Err(error) => {
                assert_eq!(error, Error::TableFull);
                application.free.extend(qpn);
            }
        }
        self.settle(which, 1);
    }

    /// The application does something about one communication.
    fn act(&mut self, which: usize, id: CommId, is_end: bool) {
        let Self { sides, applications, random, .. } = self;
        let (side, application) = (&mut sides[which], &mut applications[which]);
        let now = Instant::from_nanos(self.now);
        let known = application.known.get_mut(&id).expect("chosen among them");
        let (agent, book) = (&mut side.agent, &mut side.book);
        let data = tag(known.attempt);
        let choice = if is_end { 999 } else { random.below(1000) };
        match known.phase {
            Phase::Over | Phase::Leaving => {
                assert!(agent.abandon(id, now, book).is_ok(), "it is there until released");
            }
            Phase::Requested if known.is_resolution => {
                // It is released by the call itself.
                known.phase = Phase::Over;
                if choice < 700 {
                    let qpn = Qpn::new(known.attempt);
                    let answer = Answer { qpn, qkey: QKey::IP_CM, private_data: &data };
                    agent.answer(id, &answer, book).expect("it waits");
                } else {
                    agent.reject(id, RejectReason::CONSUMER, &[], now, book).expect("it waits");
                }
            }
            Phase::Requested | Phase::Replied if choice < 200 => {
                // Long enough that the peer does not give up on an application that dawdles.
                let time = code(24 + random.below(8) as u8);
                agent.delay(id, time, book).expect("it waits");
            }
            Phase::Requested if choice < 700 => {
                let Some(qpn) = application.free.pop() else { return };
                let accept = Accept {
                    private_data: &data,
                    ..Accept::new(Qpn::new(qpn), Psn::new(random.next() as u32))
                };
                agent.accept(id, &accept, now, book).expect("it waits");
                known.phase = Phase::Accepted;
                known.qpn = Some(qpn);
            }
            Phase::Replied if choice < 850 => {
                agent.establish(id, &data, book).expect("it waits");
                known.phase = Phase::Established;
                known.established += 1;
            }
            Phase::Requested | Phase::Replied => {
                known.phase = Phase::Over;
                agent.reject(id, RejectReason::CONSUMER, &[], now, book).expect("it waits");
            }
            Phase::Established if choice < 600 => {
                agent.disconnect(id, &data, now, book).expect("it stands");
                known.phase = Phase::Leaving;
            }
            Phase::Established => {
                // Its end is told.
                agent.abandon(id, now, book).expect("it stands");
                known.phase = Phase::Leaving;
            }
            Phase::Asked | Phase::Accepted if choice < 950 => {}
            Phase::Asked | Phase::Accepted => {
                application.unsettled += u64::from(known.phase == Phase::Accepted);
                known.phase = Phase::Over;
                agent.abandon(id, now, book).expect("it is there");
            }
        }
        self.settle(which, 1);
    }

    /// Somebody does something.
    fn play(&mut self) {
        let which = self.random.below(2) as usize;
        match self.random.below(20) {
            0 => {
                let port = 1 + self.random.below(3) as u16;
                let backlog = self.random.below(6) as u16;
                let listen = match self.random.below(2) {
                    0 => Listen::port(port, backlog),
                    _ => Listen::datagram_port(port, backlog),
                };
                if let Ok(listener) = self.sides[which].agent.listen(&listen) {
                    self.applications[which].listeners.push(listener);
                }
            }
            1 if self.random.often(300) => {
                let listeners = &mut self.applications[which].listeners;
                if let Some(listener) = listeners.pop() {
                    self.sides[which].agent.close(listener).expect("it listens");
                }
            }
            2 if self.weather.blackouts && self.random.often(200) => {
                self.dark_until = self.now + self.random.below(200 * SECOND);
            }
            3..10 => self.begin(which),
            _ => {
                let mut ids: Vec<CommId> = self.applications[which].known.keys().copied().collect();
                ids.sort_by_key(|id| id.0);
                if !ids.is_empty() {
                    let id = ids[self.random.below(ids.len() as u64) as usize];
                    self.act(which, id, false);
                }
            }
        }
    }

    /// What is under way arrives and what is due happens, until that time. False when nothing
    /// is left to happen.
    fn pass(&mut self, until: u64) -> bool {
        loop {
            let arrival = self.wire.peek().map(|Reverse((at, ..))| *at);
            let deadlines = [0, 1].map(|which| self.sides[which].agent.deadline());
            let deadline = deadlines.iter().flatten().map(|at| at.as_nanos()).min();
            let next = match (arrival, deadline) {
                (Some(one), Some(other)) => one.min(other),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => return false,
            };
            if next > until {
                self.now = until;
                return true;
            }
            self.now = self.now.max(next);
            let now = Instant::from_nanos(self.now);
            if arrival == Some(next) {
                let Some(Reverse((_, _, to, mad))) = self.wire.pop() else { return false };
                let side = &mut self.sides[to];
                let (route, mad): Datagram = (side.route, mad.try_into().expect("a datagram"));
                side.agent.receive_mad(&route, &mad, now, &mut side.book);
                self.settle(to, 1);
                continue;
            }
            for which in 0..2 {
                let side = &mut self.sides[which];
                side.agent.expire(now, &mut side.book);
                self.settle(which, 32);
            }
        }
    }

    /// Connections that one side takes for standing, and the other does not.
    fn disagreements(&self) -> u64 {
        let standing = |which: usize| {
            let known = self.applications[which].known.iter();
            let standing = known.filter(|(_, known)| known.phase == Phase::Established);
            let mut pairs: Vec<_> = standing
                .map(|(id, known)| {
                    let parameters = self.sides[which].agent.parameters(*id).expect("it stands");
                    let psn = [parameters.receive_psn, parameters.send_psn].map(Psn::get);
                    let qpn = [parameters.local_qpn, parameters.remote_qpn].map(Qpn::get);
                    let mut ends = [(qpn[0], psn[0]), (qpn[1], psn[1])];
                    if which == 1 {
                        ends.reverse();
                    }
                    (known.attempt, ends)
                })
                .collect();
            pairs.sort();
            pairs
        };
        let [one, other] = [standing(0), standing(1)];
        type Ends = (u32, [(u32, u32); 2]);
        let missing =
            |from: &[Ends], of: &[Ends]| from.iter().filter(|it| !of.contains(it)).count();
        (missing(&one, &other) + missing(&other, &one)) as u64
    }

    fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            let wait = match self.random.below(10) {
                0 => self.random.below(20 * SECOND),
                1..4 => self.random.below(2 * SECOND),
                _ => self.random.below(SECOND / 10),
            };
            self.pass(self.now + wait);
            self.play();
        }
        // Everybody answers, and nobody asks any more.
        self.weather.blackouts = false;
        self.dark_until = 0;
        for _ in 0..4 {
            for which in 0..2 {
                let known = &self.applications[which].known;
                let mut ids: Vec<CommId> = known
                    .iter()
                    .filter(|(_, known)| matches!(known.phase, Phase::Requested | Phase::Replied))
                    .map(|(id, _)| *id)
                    .collect();
                ids.sort_by_key(|id| id.0);
                for id in ids {
                    self.answer(which, id);
                }
            }
            self.pass(self.now + 400 * SECOND);
        }
    }

    /// A request or reply is answered for good.
    fn answer(&mut self, which: usize, id: CommId) {
        let phase = |game: &Self| game.applications[which].known.get(&id).map(|it| it.phase);
        for _ in 0..1000 {
            if !matches!(phase(self), Some(Phase::Requested | Phase::Replied)) {
                return;
            }
            self.act(which, id, false);
        }
        self.act(which, id, true);
    }

    fn finish(&mut self) {
        for which in 0..2 {
            let mut ids: Vec<CommId> = self.applications[which].known.keys().copied().collect();
            ids.sort_by_key(|id| id.0);
            for id in ids {
                self.act(which, id, true);
            }
        }
        // Requests that were still under way come to their listeners.
        for _ in 0..100 {
            if !self.pass(self.now + 500 * SECOND)
                && self.applications.iter().all(|it| it.known.is_empty())
            {
                break;
            }
            for which in 0..2 {
                let known = &self.applications[which].known;
                let waits =
                    |phase| matches!(phase, Phase::Requested | Phase::Replied | Phase::Established);
                let mut ids: Vec<CommId> =
                    known.iter().filter(|(_, it)| waits(it.phase)).map(|(id, _)| *id).collect();
                ids.sort_by_key(|id| id.0);
                for id in ids {
                    self.act(which, id, true);
                }
            }
        }
        for (side, application) in self.sides.iter().zip(&self.applications) {
            assert!(application.known.is_empty(), "{:?}", application.known);
            assert_eq!((side.agent.count(), side.agent.deadline()), (0, None));
            assert_eq!(application.free.len(), 0x20, "queue pairs are lost");
            for listener in &application.listeners {
                assert_eq!(side.agent.waiting(*listener), Some(0), "places are lost");
            }
        }
    }

    fn outcome(&self, name: &str) -> u64 {
        self.applications.iter().map(|it| it.outcomes.get(name).copied().unwrap_or(0)).sum()
    }
}

#[test]
fn every_communication_has_one_outcome_and_both_sides_agree() {
    let mut random = Random(seed());
    let mut sums: HashMap<&'static str, u64> = HashMap::new();
    let (mut datagrams, mut refused) = (0, HashMap::new());
    for number in 0..GAMES {
        let is_bad = number % 3 == 0;
        let weather = Weather {
            // So little that sixteen tries do not all fail.
            lost: random.below(if is_bad { 600 } else { 100 }),
            doubled: random.below(300),
            delayed: random.below(1000),
            blackouts: is_bad,
        };
        let mut game = Game::new(weather, Random(random.next()));
        game.run(250);
        let unsettled: u64 = game.applications.iter().map(|it| it.unsettled).sum();
        if !is_bad && unsettled == 0 {
            assert_eq!(game.disagreements(), 0);
            for name in ["stale", "unconfirmed", "unanswered", "rejected late"] {
                assert_eq!(game.outcome(name), 0, "{name}, without a cause");
            }
        }
        game.finish();
        datagrams += game.datagrams;
        for (side, application) in game.sides.iter().zip(&game.applications) {
            for (name, count) in &application.outcomes {
                *sums.entry(name).or_default() += count;
            }
            for refusal in Refusal::ALL {
                *refused.entry(refusal).or_insert(0) += u64::from(side.refused(*refusal));
            }
        }
    }
    println!("{datagrams} datagrams, {sums:?}, {refused:?}");
    for name in [
        "rejected",
        "ended",
        "ended by the peer",
        "resolved",
        "not resolved",
        "unheard",
        "unanswered",
        "unconfirmed",
        "superseded",
        "rejected late",
    ] {
        assert!(sums.get(name).is_some_and(|&count| count > 0), "{name} never happened");
    }
    assert!(sums["ended"] > 1000, "connections were rare");
}
