//! Replay of connection management: given one machine's frames of a capture, the communication
//! manager sends the other machine's, byte for byte.
//!
//! **Inputs**, taken from the capture: addresses, UDP source port, the name of the channel adapter,
//! the first communication ID and the upper half of the transaction IDs, and what the application
//! asked for (service, source port, queue pair, initial sequence number, resources, retries, path
//! MTU and flow label, private data, and when it accepted or disconnected). All other fields come from the
//! communication manager's settings, which are those of Linux.
//! **Times**: a time-out passes when a frame shows that it did.
//! **Free fields**: the IPv4 identification and the IPv6 flow label, and what is computed over them:
//! header checksum and ICRC, which are compared after they were set.
//!
//! The parameters of the connection are held against the packets of its queue pairs.

use crate::cm;
use crate::common;
use cm::{Notebook, Told};
use common::Log;
use common::capture::{Capture, are_ours, captures};
use reflex_rdma_engine::cm::{
    Accept, Agent, Answer, Config, Connect, GeneralService, Listen, Parameters, Resolve, Route,
};
use reflex_rdma_engine::{Domain, Instant, QueuePair, State};
use reflex_rdma_wire::cm::*;
use reflex_rdma_wire::*;

/// Private data without the zeros at its end.
fn trimmed(data: &[u8]) -> &[u8] {
    let end = data.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &data[..end]
}

fn mad<'a>(packet: &'a Packet<'_>) -> Option<Mad<'a>> {
    let is_management = packet.bth().destination == Qpn::GENERAL_SERVICE;
    if is_management { Mad::parse(packet.payload()).ok() } else { None }
}

/// The communication manager in the place of one of a capture's machines.
struct Replay<'a> {
    name: &'a str,
    machine: Gid,
    agent: Agent,
    service: GeneralService,
    book: Notebook,
    now: Instant,
    /// What was told of the communication last.
    id: CommId,
    parameters: Option<Parameters>,
    told: Vec<Told>,
}

impl<'a> Replay<'a> {
    /// With what the machine's own frames say of it. None if it sent no message.
    fn new(capture: &'a Capture, machine: Gid) -> Option<Self> {
        let mut first_id = None;
        let mut ca_guid = 0;
        let mut transaction = 0;
        let mut source_port = None;
        for bytes in &capture.packets {
            let packet = Packet::parse(bytes).expect("checked by the codec's tests");
            let Some(mad) = mad(&packet) else { continue };
            if packet.datagram().source() != machine {
                continue;
            }
            source_port.get_or_insert(packet.datagram().envelope().source_port);
            let own = match mad.message {
                Message::Req(req) => {
                    (ca_guid, transaction) = (req.ca_guid, mad.transaction >> 32);
                    Some(req.local_id)
                }
                Message::SidrReq(req) => {
                    transaction = mad.transaction >> 32;
                    Some(req.request_id)
                }
                Message::Mra(mra) => Some(mra.local_id),
                Message::Rep(rep) => {
                    ca_guid = rep.ca_guid;
                    Some(rep.local_id)
                }
                _ => None,
            };
            first_id = first_id.or(own);
        }
        let config = Config {
            transaction: transaction as u32,
            mtu: PathMtu::B4096,
            ..Config::new(ca_guid, [9; 16], first_id.unwrap_or(CommId(1)).0)
        };
        Some(Self {
            name: &capture.name,
            machine,
            agent: Agent::new(&config),
            service: GeneralService::new(source_port?),
            book: Notebook::default(),
            now: Instant::from_nanos(1),
            id: CommId(0),
            parameters: None,
            told: Vec::new(),
        })
    }

    fn run(&mut self, capture: &Capture) -> usize {
        self.listen(capture);
        let mut compared = 0;
        for (number, bytes) in capture.packets.iter().enumerate() {
            let packet = Packet::parse(bytes).expect("checked by the codec's tests");
            let Some(mad) = mad(&packet) else { continue };
            let is_own = packet.datagram().source() == self.machine;
            if !is_own {
                // Frames that were dropped on arrival draw no answer: the machine sends none.
                if !self.was_dropped(&capture.packets, number) {
                    self.agent.receive(&packet, self.now, &mut self.book);
                }
                self.listen_to_events();
                continue;
            }
            if self.book.sent.is_empty() {
                self.act(&packet, &mad);
            }
            assert!(!self.book.sent.is_empty(), "{}: nothing is sent for {mad:?}", self.name);
            let (route, payload) = self.book.sent.remove(0);
            let mut buffer = [0xa5; GeneralService::LENGTH];
            let length = self.service.emit(&route, &payload, &mut buffer).expect("room");
            let sent = with_free_fields_of(&buffer[..length], &packet);
            assert!(
                sent == *bytes,
                "{}, {number}:\n{:?}\n{mad:?}",
                self.name,
                Mad::parse(&payload)
            );
            compared += 1;
        }
        assert!(self.book.sent.is_empty(), "{}: more is sent than was", self.name);
        compared
    }

    /// Whether a request went unheard: the peer sent it again, and this machine nothing meanwhile.
    /// What it asks patience for, it had heard the first time.
    fn was_dropped(&self, packets: &[Vec<u8>], number: usize) -> bool {
        let packet = Packet::parse(&packets[number]).expect("checked");
        let later = packets[number + 1..].iter().map(|b| Packet::parse(b).expect("checked"));
        let mut messages = later.filter(|later| mad(later).is_some());
        let is_again = |later: &Packet<'_>| later.payload() == packet.payload();
        messages.next().is_some_and(|later| is_again(&later))
            && messages
                .find(|later| !is_again(later))
                .and_then(|answer| mad(&answer).map(|mad| !matches!(mad.message, Message::Mra(_))))
                .unwrap_or(true)
    }

    /// Services that the machine's answers show it to offer.
    fn listen(&mut self, capture: &Capture) {
        let packets: Vec<_> =
            capture.packets.iter().map(|bytes| Packet::parse(bytes).expect("checked")).collect();
        let rejects =
            packets.iter().filter(|it| it.datagram().source() == self.machine).any(|it| {
                matches!(mad(it), Some(Mad { message: Message::Rej(rej), .. })
                if rej.reason == RejectReason::INVALID_SERVICE_ID)
            });
        for packet in packets.iter().filter(|it| it.datagram().destination() == self.machine) {
            let (service, transport) = match mad(packet).map(|mad| mad.message) {
                Some(Message::Req(req)) => (req.service, Transport::Reliable),
                Some(Message::SidrReq(req)) => (req.service, Transport::Datagram),
                _ => continue,
            };
            if !rejects {
                // Twice if it was sent twice: the second is refused.
                let _ = self.agent.listen(&Listen { service, transport, backlog: 4 });
            }
        }
    }

    fn listen_to_events(&mut self) {
        for (id, told) in std::mem::take(&mut self.book.told) {
            self.id = id;
            if let Told::Reply { parameters, .. } = &told {
                self.parameters = Some(*parameters);
            }
            self.told.push(told);
        }
    }

    /// The application does what the machine's frame shows that it did.
    fn act(&mut self, packet: &Packet<'_>, mad: &Mad<'_>) {
        let datagram = packet.datagram();
        let route = Route { local: datagram.source(), remote: datagram.destination() };
        let now = self.now;
        match mad.message {
            // The same again: a time-out has passed.
            Message::Req(_) | Message::SidrReq(_) | Message::Dreq(_)
                if self.id != CommId(0) && self.is_waiting() =>
            {
                self.now = self.agent.deadline().expect("it waits");
                self.agent.expire(self.now, &mut self.book);
            }
            Message::Req(req) => {
                let (ip, rest) = IpHeader::parse(req.private_data).expect("RDMA IP CM");
                let connect = Connect {
                    service: req.service,
                    source_port: ip.source_port,
                    mtu: req.mtu,
                    responder_resources: req.responder_resources,
                    initiator_depth: req.initiator_depth,
                    retries: req.retries,
                    rnr_retries: req.rnr_retries,
                    shared_receive_queue: req.shared_receive_queue,
                    flow_label: req.primary.flow_label,
                    private_data: trimmed(rest),
                    ..Connect::port(route, 0, req.qpn, req.psn)
                };
                self.id = self.agent.connect(&connect, now, &mut self.book).expect("a place");
            }
            Message::SidrReq(req) => {
                let (ip, rest) = IpHeader::parse(req.private_data).expect("RDMA IP CM");
                let resolve = Resolve {
                    route,
                    service: req.service,
                    source_port: ip.source_port,
                    private_data: trimmed(rest),
                };
                self.id = self.agent.resolve(&resolve, now, &mut self.book).expect("a place");
            }
            Message::Rep(rep) => {
                let accept = Accept {
                    responder_resources: rep.responder_resources,
                    initiator_depth: rep.initiator_depth,
                    rnr_retries: rep.rnr_retries,
                    shared_receive_queue: rep.shared_receive_queue,
                    private_data: trimmed(rep.private_data),
                    ..Accept::new(rep.qpn, rep.psn)
                };
                let accepted = self.agent.accept(self.id, &accept, now, &mut self.book);
                self.parameters = Some(accepted.expect("it waits for it"));
            }
            Message::Rtu(rtu) => {
                let data = trimmed(rtu.private_data);
                self.agent.establish(self.id, data, &mut self.book).expect("it waits for it");
            }
            Message::Dreq(dreq) => {
                let data = trimmed(dreq.private_data);
                self.agent.disconnect(self.id, data, now, &mut self.book).expect("it stands");
            }
            Message::SidrRep(rep) => {
                let private_data = trimmed(rep.private_data);
                let answer = Answer { qpn: rep.qpn, qkey: rep.qkey, private_data };
                self.agent.answer(self.id, &answer, &mut self.book).expect("it waits for it");
            }
            _ => panic!("{}: {mad:?} was not to be an application's doing", self.name),
        }
        self.listen_to_events();
    }

    fn is_waiting(&self) -> bool {
        use reflex_rdma_engine::cm::State;
        let state = self.agent.state(self.id);
        matches!(state, Some(State::ReqSent | State::SidrReqSent | State::DreqSent))
    }

    /// The connection's queue pair takes the parameters, and its packets keep to them.
    fn check_parameters(&self, capture: &Capture) {
        let Some(parameters) = self.parameters else { return };
        let config = reflex_rdma_engine::Config {
            mtu: PathMtu::B4096,
            ..reflex_rdma_engine::Config::new(parameters.transport, parameters.local_qpn, Domain(1))
        };
        let parameters = Parameters {
            responder_resources: parameters.responder_resources.min(config.reads),
            ..parameters
        };
        let mut pair = QueuePair::new(&config);
        let log = &mut Log::default();
        pair.modify(State::Init, &parameters.init(), log).expect("all it needs");
        pair.modify(State::Rtr, &parameters.rtr(0xc000), log).expect("all it needs");
        pair.modify(State::Rts, &parameters.rts(), log).expect("all it needs");
        assert_eq!(parameters.ack_timeout.code(), 19, "{}: what Linux has here", self.name);
        let mut firsts = [None, None];
        for bytes in &capture.packets {
            let packet = Packet::parse(bytes).expect("checked");
            let bth = packet.bth();
            if bth.destination == Qpn::GENERAL_SERVICE || bth.opcode.is_response() {
                continue;
            }
            let is_own = packet.datagram().source() == self.machine;
            let target = if is_own { parameters.remote_qpn } else { parameters.local_qpn };
            assert_eq!(bth.destination, target, "{}", self.name);
            firsts[usize::from(is_own)].get_or_insert(bth.psn);
        }
        let agreed = [parameters.receive_psn, parameters.send_psn];
        for (first, agreed) in firsts.into_iter().zip(agreed) {
            assert!(first.is_none_or(|first| first == agreed), "{}", self.name);
        }
    }
}

/// A frame with what is free in another one set as there.
fn with_free_fields_of(sent: &[u8], captured: &Packet<'_>) -> Vec<u8> {
    let packet = Packet::parse(sent).expect("the communication manager's own");
    let free = captured.datagram().envelope();
    let mut envelope = packet.datagram().envelope();
    (envelope.identification, envelope.flow_label) = (free.identification, free.flow_label);
    let payload = packet.payload();
    let mut buffer = vec![0; packet_length(&envelope, packet.extension(), payload.len())];
    let (bth, extension) = (packet.bth(), packet.extension());
    let mut emitter =
        Emitter::new(&mut buffer, &envelope, bth, extension, payload.len()).expect("it was parsed");
    emitter.append(payload).expect("room");
    emitter.finish().expect("whole");
    buffer
}

/// What the machine's application was told, in short.
fn outline(told: &[Told]) -> String {
    let words: Vec<&str> = told
        .iter()
        .map(|told| match told {
            Told::Request { .. } => "request",
            Told::Reply { .. } => "reply",
            Told::Established { .. } => "established",
            Told::Rejected { .. } => "rejected",
            Told::Failed(_) => "failed",
            Told::Disconnected { .. } => "disconnected",
            Told::Resolution { .. } => "resolution",
            Told::Resolved { .. } => "resolved",
            Told::ResolutionRejected { .. } => "no resolution",
            Told::Released => "released",
        })
        .collect();
    words.join(", ")
}

#[test]
fn captures_messages_are_replayed_byte_for_byte() {
    let mut outlines = Vec::new();
    let mut compared = 0;
    for capture in captures() {
        let mut machines: Vec<Gid> = Vec::new();
        let mut communications: Vec<CommId> = Vec::new();
        for bytes in &capture.packets {
            let packet = Packet::parse(bytes).expect("checked by the codec's tests");
            let Some(mad) = mad(&packet) else { continue };
            machines.push(packet.datagram().source());
            match mad.message {
                Message::Req(req) => communications.push(req.local_id),
                Message::SidrReq(req) => communications.push(req.request_id),
                _ => {}
            }
        }
        machines.sort();
        machines.dedup();
        communications.dedup();
        if machines.len() != 2 || communications.len() != 1 {
            if !machines.is_empty() {
                println!("{}: not one communication of two machines", capture.name);
            }
            continue;
        }
        for (which, machine) in machines.into_iter().enumerate() {
            let Some(mut replay) = Replay::new(&capture, machine) else { continue };
            let count = replay.run(&capture);
            replay.check_parameters(&capture);
            let outline = outline(&replay.told);
            let side = ["server", "client"][which];
            println!("{}, {side}: {count} frames compared: {outline}", capture.name);
            outlines.push((capture.name.clone(), side, outline));
            compared += count;
        }
    }
    println!("{compared} frames");
    if !are_ours() {
        return;
    }
    assert_eq!(compared, 37, "frames of the repository's captures");
    let expected = |name: &str, side| match (name, side) {
        ("udaddy", "server") => "resolution, released",
        ("udaddy", _) => "resolved, released",
        ("rping_reject", "server") => "",
        ("rping_reject", _) => "rejected",
        (_, "server") => "request, established, disconnected",
        _ => "reply, disconnected",
    };
    for (name, side, outline) in outlines {
        assert_eq!(outline, expected(&name, side), "{name}, {side}");
    }
}
