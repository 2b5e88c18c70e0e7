//! Two communication managers, each with a notebook of what it sent and told.
#![allow(dead_code, reason = "each test uses its part")]

use reflex_rdma_engine::Instant;
use reflex_rdma_engine::cm::*;
use reflex_rdma_wire::cm::*;
use reflex_rdma_wire::{AckTimeout, Gid, Packet, Psn, QKey, Qpn};

/// An event, kept.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Told {
    Request { listener: ListenerId, ip: Option<IpHeader>, parameters: Parameters, data: Vec<u8> },
    Reply { parameters: Parameters, data: Vec<u8> },
    Established { data: Vec<u8> },
    Rejected { reason: RejectReason, info: Vec<u8>, data: Vec<u8> },
    Failed(Failure),
    Disconnected { cause: Cause, data: Vec<u8> },
    Resolution { listener: ListenerId, ip: Option<IpHeader>, data: Vec<u8> },
    Resolved { qpn: Qpn, qkey: QKey, data: Vec<u8> },
    ResolutionRejected { status: SidrStatus, data: Vec<u8> },
    Released,
}

impl Told {
    fn of(event: &Event<'_>) -> Self {
        // Private data up to the zeros that follow it.
        let kept = |data: &[u8]| {
            let end = data.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            data[..end].to_vec()
        };
        match *event {
            Event::ConnectionRequest(ConnectionRequest {
                listener,
                ip,
                parameters,
                private_data,
                ..
            }) => Self::Request { listener, ip, parameters, data: kept(private_data) },
            Event::ResolutionRequest(ResolutionRequest { listener, ip, private_data, .. }) => {
                Self::Resolution { listener, ip, data: kept(private_data) }
            }
            Event::Reply { parameters, private_data, .. } => {
                Self::Reply { parameters, data: kept(private_data) }
            }
            Event::Established { private_data, .. } => {
                Self::Established { data: kept(private_data) }
            }
            Event::Rejected { reason, info, private_data, .. } => {
                Self::Rejected { reason, info: info.to_vec(), data: kept(private_data) }
            }
            Event::Failed { failure, .. } => Self::Failed(failure),
            Event::Disconnected { cause, private_data, .. } => {
                Self::Disconnected { cause, data: kept(private_data) }
            }
            Event::Resolved { qpn, qkey, private_data, .. } => {
                Self::Resolved { qpn, qkey, data: kept(private_data) }
            }
            Event::ResolutionRejected { status, private_data, .. } => {
                Self::ResolutionRejected { status, data: kept(private_data) }
            }
            Event::Released { .. } => Self::Released,
        }
    }
}

pub(crate) type Datagram = (Route, [u8; Mad::LENGTH]);

/// What was sent and told and not looked at yet.
#[derive(Clone, Default, Debug)]
pub(crate) struct Notebook {
    pub(crate) sent: Vec<Datagram>,
    pub(crate) told: Vec<(CommId, Told)>,
}

impl Actions for Notebook {
    fn send(&mut self, route: &Route, mad: &[u8; Mad::LENGTH]) {
        Mad::parse(mad).expect("what is sent is well formed");
        self.sent.push((*route, *mad));
    }

    fn tell(&mut self, event: Event<'_>) {
        self.told.push((event.id(), Told::of(&event)));
    }
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) agent: Agent,
    pub(crate) book: Notebook,
    pub(crate) route: Route,
    pub(crate) now: Instant,
}

pub(crate) fn address(last: u8) -> Gid {
    Gid::from_ipv4_bytes([10, 0, 0, last])
}

pub(crate) fn config(which: u8) -> Config {
    let guid = 0x5054_00ff_fe00_0000 | u64::from(which);
    Config {
        communications: 8,
        listeners: 4,
        ..Config::new(guid, [which; 16], 0x1111_1111 * u32::from(which))
    }
}

impl Side {
    pub(crate) fn new(which: u8) -> Self {
        Self::with(which, &config(which))
    }

    pub(crate) fn with(which: u8, config: &Config) -> Self {
        let route = Route { local: address(which), remote: address(3 - which) };
        let (agent, book) = (Agent::new(config), Notebook::default());
        Self { agent, book, route, now: Instant::from_nanos(1) }
    }

    pub(crate) fn receive(&mut self, datagram: &Datagram) {
        let (route, mad) = datagram;
        let route = Route { local: route.remote, remote: route.local };
        self.agent.receive_mad(&route, mad, self.now, &mut self.book);
    }

    pub(crate) fn receive_packet(&mut self, bytes: &[u8]) {
        let packet = Packet::parse(bytes).expect("a packet");
        self.agent.receive(&packet, self.now, &mut self.book);
    }

    /// The next time-out passes. False when there is none.
    pub(crate) fn expire(&mut self) -> bool {
        let Some(deadline) = self.agent.deadline() else { return false };
        self.now = self.now.max(deadline);
        self.agent.expire(self.now, &mut self.book);
        true
    }

    /// Seconds until the next time-out.
    pub(crate) fn wait(&self) -> f64 {
        let deadline = self.agent.deadline().expect("something is waited for");
        (deadline.as_nanos() - self.now.as_nanos()) as f64 / 1e9
    }

    pub(crate) fn told(&mut self) -> Vec<(CommId, Told)> {
        std::mem::take(&mut self.book.told)
    }

    /// The one event that was told.
    pub(crate) fn one(&mut self) -> (CommId, Told) {
        let mut told = self.told();
        assert_eq!(told.len(), 1, "{told:?}");
        told.remove(0)
    }

    pub(crate) fn sent(&mut self) -> Vec<Datagram> {
        std::mem::take(&mut self.book.sent)
    }

    /// The one message that was sent.
    pub(crate) fn only(&mut self) -> Datagram {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    pub(crate) fn refused(&self, refusal: Refusal) -> u32 {
        self.agent.counters().refused(refusal)
    }

    pub(crate) fn connect(&mut self, qpn: u32, data: &[u8]) -> CommId {
        let (qpn, psn) = (Qpn::new(qpn), Psn::new(0xaaaa00 + qpn));
        let connect = Connect {
            source_port: 7,
            responder_resources: 3,
            initiator_depth: 5,
            private_data: data,
            ..Connect::port(self.route, 7174, qpn, psn)
        };
        self.agent.connect(&connect, self.now, &mut self.book).expect("a place")
    }

    pub(crate) fn listen(&mut self, backlog: u16) -> ListenerId {
        self.agent.listen(&Listen::port(7174, backlog)).expect("a place")
    }

    pub(crate) fn accept(&mut self, id: CommId, qpn: u32, data: &[u8]) -> Parameters {
        let accept =
            Accept { private_data: data, ..Accept::new(Qpn::new(qpn), Psn::new(0xbbbb00 + qpn)) };
        self.agent.accept(id, &accept, self.now, &mut self.book).expect("it waits for it")
    }

    pub(crate) fn establish(&mut self, id: CommId, data: &[u8]) {
        self.agent.establish(id, data, &mut self.book).expect("it waits for it");
    }

    pub(crate) fn disconnect(&mut self, id: CommId, data: &[u8]) {
        self.agent.disconnect(id, data, self.now, &mut self.book).expect("it stands");
    }

    pub(crate) fn reject(&mut self, id: CommId, data: &[u8]) {
        let reason = RejectReason::CONSUMER;
        self.agent.reject(id, reason, data, self.now, &mut self.book).expect("it waits for it");
    }

    pub(crate) fn abandon(&mut self, id: CommId) {
        self.agent.abandon(id, self.now, &mut self.book).expect("it is there");
    }

    pub(crate) fn state(&self, id: CommId) -> Option<State> {
        self.agent.state(id)
    }
}

/// A message, for those tests that look into one.
pub(crate) fn message(datagram: &Datagram) -> Message<'_> {
    Mad::parse(&datagram.1).expect("a message").message
}

pub(crate) fn transaction(datagram: &Datagram) -> u64 {
    Mad::parse(&datagram.1).expect("a message").transaction
}

/// The datagram with its message changed.
pub(crate) fn changed(datagram: &Datagram, change: impl FnOnce(&mut Message<'_>)) -> Datagram {
    let mut mad = Mad::parse(&datagram.1).expect("a message");
    change(&mut mad.message);
    let mut bytes = [0; Mad::LENGTH];
    mad.emit(&mut bytes).expect("a message still");
    (datagram.0, bytes)
}

pub(crate) fn code(code: u8) -> AckTimeout {
    AckTimeout::from_code(code)
}

/// Two machines, the second of which listens.
pub(crate) fn pair() -> (Side, Side) {
    let mut passive = Side::new(2);
    passive.listen(4);
    (Side::new(1), passive)
}

/// A connection that stands, by the names it has on both sides.
pub(crate) fn connected() -> (Side, CommId, Side, CommId) {
    let (mut active, mut passive) = pair();
    let id = active.connect(0x11, b"");
    passive.receive(&active.only());
    let (other, _) = passive.one();
    passive.accept(other, 0x22, b"");
    active.receive(&passive.only());
    active.one();
    active.establish(id, b"");
    passive.receive(&active.only());
    passive.one();
    assert_eq!(
        (active.state(id), passive.state(other)),
        (Some(State::Established), Some(State::Established))
    );
    (active, id, passive, other)
}
