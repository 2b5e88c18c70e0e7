//! Packets made by hand, and a pair of sides to try them on.

use super::Random;
use super::link::{Link, Plan, Side, Weather};
use reflex_rdma_engine::*;
use reflex_rdma_wire::*;

/// What a packet says, beginning with what the queue pair on side 1 would take.
#[derive(Clone)]
pub(crate) struct Craft {
    pub(crate) envelope: Envelope,
    pub(crate) bth: Bth,
    pub(crate) extension: Extension,
    pub(crate) payload: Vec<u8>,
}

impl Craft {
    /// For side 1, from side 0.
    pub(crate) fn new(plan: &Plan, opcode: Opcode, psn: u32) -> Self {
        let [from, to] = plan.addresses();
        let mut bth = Bth::new(opcode, Qpn::new(0x22), plan.psn[0].plus(psn));
        bth.acknowledge = true;
        let reth = Reth { address: ADDRESS, key: KEY, length: 8 };
        let immediate = ImmDt([1, 2, 3, 4]);
        let deth = Deth { key: QKey(0x1111), source: Qpn::new(0x11) };
        let atomic = AtomicEth { address: ADDRESS, key: KEY, swap_or_add: 1, compare: 0 };
        let aeth = Aeth { syndrome: Syndrome::Ack(Credits::UNLIMITED), msn: 0 };
        let extension = match opcode.layout() {
            Layout::None => Extension::None,
            Layout::Immediate => Extension::Immediate(immediate),
            Layout::Invalidate => Extension::Invalidate(Ieth(KEY)),
            Layout::Reth => Extension::Reth(reth),
            Layout::RethImmediate => Extension::RethImmediate(reth, immediate),
            Layout::Aeth => Extension::Aeth(aeth),
            Layout::AethAtomicAck => Extension::AethAtomicAck(aeth, AtomicAckEth { original: 0 }),
            Layout::Atomic => Extension::Atomic(atomic),
            Layout::Deth => Extension::Deth(deth),
            Layout::DethImmediate => Extension::DethImmediate(deth, immediate),
        };
        let full = plan.mtu.bytes();
        let payload = match (opcode.has_payload(), opcode.payload_rule()) {
            (false, _) => Vec::new(),
            (true, PayloadRule::Full) => vec![7; full],
            _ => vec![7; 8],
        };
        Self { envelope: Envelope::new(from, to, 0xc000), bth, extension, payload }
    }

    pub(crate) fn payload(mut self, length: usize) -> Self {
        self.payload = vec![7; length];
        self
    }

    pub(crate) fn bth(mut self, change: impl FnOnce(&mut Bth)) -> Self {
        change(&mut self.bth);
        self
    }

    pub(crate) fn reth(mut self, change: impl FnOnce(&mut Reth)) -> Self {
        match &mut self.extension {
            Extension::Reth(reth) | Extension::RethImmediate(reth, _) => change(reth),
            _ => panic!("no RETH"),
        }
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let length = self.payload.len();
        let mut buffer = vec![0; packet_length(&self.envelope, &self.extension, length)];
        let (bth, extension) = (&self.bth, &self.extension);
        let mut emitter =
            Emitter::new(&mut buffer, &self.envelope, bth, extension, length).expect("a packet");
        emitter.append(&self.payload).expect("room");
        emitter.finish().expect("whole");
        buffer
    }
}

/// Where side 1's memory of a kibibyte is for side 0, and its key.
pub(crate) const ADDRESS: u64 = 0x7000;
pub(crate) const KEY: RKey = RKey(0x5151);

/// A queue pair, on side 1, with a kibibyte the peer may do everything with.
pub(crate) struct Bench {
    pub(crate) plan: Plan,
    pub(crate) link: Link,
    pub(crate) region: Region,
    next: u64,
}

impl Bench {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut link = plan.link(Weather::default(), Random(1));
        let access = Access::REMOTE_WRITE | Access::REMOTE_READ | Access::REMOTE_ATOMIC;
        let region = link.sides[1].memory.register(KEY.0, ADDRESS, access, vec![0; 1024]);
        Self { plan, link, region, next: 0 }
    }

    pub(crate) fn reliable() -> Self {
        Self::new(Plan { mtu: PathMtu::B256, ..Plan::new(Transport::Reliable) })
    }

    pub(crate) fn side(&mut self) -> &mut Side {
        &mut self.link.sides[1]
    }

    /// Posts a receive of that many bytes on side 1.
    pub(crate) fn receive(&mut self, length: u32) -> Region {
        let id = self.next;
        self.next += 1;
        let side = self.side();
        let bytes = vec![0; length as usize];
        let region = side.memory.register(0, 0, Access::LOCAL_WRITE, bytes);
        side.post_receive(&ReceiveRequest {
            id,
            segments: &[Segment { region, offset: 0, length }],
        });
        region
    }

    pub(crate) fn craft(&self, opcode: Opcode, psn: u32) -> Craft {
        Craft::new(&self.plan, opcode, psn)
    }

    /// What side 1 answers to a packet: number and syndrome of its acknowledge, if it sends one.
    pub(crate) fn answer(&mut self, craft: &Craft) -> Option<(u32, Syndrome)> {
        let first = self.plan.psn[0];
        let packet = self.answers(craft).pop()?;
        let packet = Packet::parse(&packet).expect("a packet");
        let aeth = packet.extension().aeth().expect("an acknowledge");
        Some((packet.bth().psn.since(first), aeth.syndrome))
    }

    /// All that side 1 sends after a packet.
    pub(crate) fn answers(&mut self, craft: &Craft) -> Vec<Vec<u8>> {
        self.side().receive(&craft.bytes(), 0).expect("a packet");
        let mut frames = Vec::new();
        self.side().transmit(0, u32::MAX, &mut frames);
        frames
    }

    pub(crate) fn refused(&self, refusal: Refusal) -> u32 {
        self.link.sides[1].pair.counters().refused(refusal)
    }

    pub(crate) fn state(&self) -> State {
        self.link.sides[1].pair.state()
    }

    /// The statuses of side 1's completions, receives and sends together, in order.
    pub(crate) fn statuses(&self) -> Vec<Status> {
        self.link.sides[1].log.completions.iter().map(|it| it.status).collect()
    }

    pub(crate) fn events(&self) -> &[Event] {
        &self.link.sides[1].log.events
    }

    pub(crate) fn memory(&self, region: Region) -> &[u8] {
        self.link.sides[1].memory.bytes(region)
    }
}
