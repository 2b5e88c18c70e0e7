//! What messages cost: N of a kind from one queue pair to another, with nothing around them. To be
//! run under a profiler that counts instructions:
//!
//! ```text
//! CARGO_PROFILE_RELEASE_OPT_LEVEL=3 cargo build --release -p reflex-rdma-engine --example messages
//! valgrind --tool=callgrind target/release/examples/messages send 64 10000
//! ```
//! Two runs with different numbers of messages tell the cost of one.

use reflex_rdma_engine::*;
use reflex_rdma_wire::*;
use std::collections::VecDeque;
use std::env::args;

/// One region a side.
struct Flat(Vec<u8>);

impl Memory for Flat {
    #[inline]
    fn find(&self, _: Domain, key: RKey, address: u64, length: u32, _: Access) -> Option<Place> {
        let fits = key.0 == 1 && address + u64::from(length) <= self.0.len() as u64;
        fits.then_some(Place { region: Region(0), offset: address })
    }

    #[inline]
    fn read(&self, place: Place, into: &mut [u8]) -> Result<(), Gone> {
        let start = place.offset as usize;
        into.copy_from_slice(self.0.get(start..start + into.len()).ok_or(Gone)?);
        Ok(())
    }

    #[inline]
    fn write(&mut self, place: Place, bytes: &[u8]) -> Result<(), Gone> {
        let start = place.offset as usize;
        self.0.get_mut(start..start + bytes.len()).ok_or(Gone)?.copy_from_slice(bytes);
        Ok(())
    }

    fn update(&mut self, place: Place, operation: Atomic) -> Result<u64, Gone> {
        let start = place.offset as usize;
        let bytes = self.0.get_mut(start..start + 8).ok_or(Gone)?;
        let was = u64::from_ne_bytes(bytes.try_into().map_err(|_| Gone)?);
        bytes.copy_from_slice(&operation.apply(was).to_ne_bytes());
        Ok(was)
    }

    fn invalidate(&mut self, _: Domain, _: RKey) -> Result<(), Gone> {
        Err(Gone)
    }
}

struct Queue(VecDeque<Completion>);

impl Report for Queue {
    #[inline]
    fn complete(&mut self, completion: Completion) {
        self.0.push_back(completion);
    }

    fn raise(&mut self, event: Event) {
        panic!("{event:?}");
    }
}

/// Buffers that are read by the other side when all are written.
struct Wire<'a> {
    memory: &'a Flat,
    frames: &'a mut [[u8; 4400]],
    lengths: &'a mut Vec<usize>,
}

impl Transmit for Wire<'_> {
    #[inline]
    fn transmit(&mut self, packet: &Outgoing<'_>) -> Result<(), TransmitError> {
        let frame = self.frames.get_mut(self.lengths.len()).ok_or(TransmitError::Full)?;
        let length = packet.emit(self.memory, frame)?;
        self.lengths.push(length);
        Ok(())
    }
}

struct Side {
    pair: QueuePair,
    memory: Flat,
    queue: Queue,
    frames: Vec<[u8; 4400]>,
    lengths: Vec<usize>,
}

impl Side {
    fn new(which: usize) -> Self {
        let number = [Qpn::new(1), Qpn::new(2)];
        let gid = [1, 2].map(|last| Gid::from_ipv4_bytes([10, 0, 0, last]));
        let config = Config::new(Transport::Reliable, number[which], Domain(1));
        let mut pair = QueuePair::new(&config);
        let mut queue = Queue(VecDeque::with_capacity(1024));
        let none = Attributes::default();
        let access = Access::REMOTE_WRITE | Access::REMOTE_READ | Access::REMOTE_ATOMIC;
        let steps = [
            Attributes { partition: Some(PKey::DEFAULT), access: Some(access), ..none },
            Attributes {
                path: Some(Envelope::new(gid[which], gid[1 - which], 0xc000)),
                mtu: Some(PathMtu::B1024),
                destination: Some(number[1 - which]),
                receive_psn: Some(Psn::new(0)),
                max_reads_in: Some(16),
                rnr_timer: Some(RnrTimer::from_code(12)),
                ..none
            },
            Attributes {
                send_psn: Some(Psn::new(0)),
                timeout: Some(AckTimeout::from_code(14)),
                retries: Some(7),
                rnr_retries: Some(7),
                max_reads_out: Some(16),
                ..none
            },
        ];
        for (state, step) in [State::Init, State::Rtr, State::Rts].into_iter().zip(steps) {
            pair.modify(state, &step, &mut queue).expect("legal");
        }
        let frames = vec![[0; 4400]; 256];
        let memory = Flat(vec![7; 1 << 17]);
        Self { pair, memory, queue, frames, lengths: Vec::with_capacity(256) }
    }

    #[inline(never)]
    fn transmit(&mut self) {
        let Self { pair, memory, queue, frames, lengths } = self;
        lengths.clear();
        pair.transmit(Instant::from_nanos(1), 256, &mut Wire { memory, frames, lengths }, queue);
    }

    #[inline(never)]
    fn receive(&mut self, from: &Side) {
        for (frame, &length) in from.frames.iter().zip(&from.lengths) {
            let packet = Packet::parse(&frame[..length]).expect("a packet");
            let Self { pair, memory, queue, .. } = self;
            pair.receive(&packet, Instant::from_nanos(2), memory, None, queue);
        }
    }
}

fn main() {
    let words: Vec<String> = args().skip(1).collect();
    let kind = words.first().map_or("send", String::as_str);
    let length = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(64);
    let count: u64 = words.get(2).and_then(|word| word.parse().ok()).unwrap_or(10_000);
    let (address, key) = (4096, RKey(1));
    let work = match kind {
        "send" => Work::Send(Attachment::None),
        "write" => Work::Write { address, key, immediate: None },
        "read" => Work::Read { address, key },
        "atomic" => Work::FetchAdd { address, key, add: 1 },
        _ => panic!("send, write, read or atomic"),
    };
    let (mut one, mut two) = (Side::new(0), Side::new(1));
    let segments = [Segment { region: Region(0), offset: 64, length }];
    for id in 0..count {
        if kind == "send" {
            let request = ReceiveRequest { id, segments: &segments };
            two.pair.post_receive(&request, &mut two.queue).expect("room");
        }
        let flags = Flags::SIGNALLED;
        let request = SendRequest { id, work, segments: &segments, flags, destination: None };
        one.pair.post_send(&request, &mut one.queue).expect("room");
        one.transmit();
        two.receive(&one);
        two.transmit();
        one.receive(&two);
        assert_eq!(
            one.queue.0.pop_front().map(|it| (it.id, it.status)),
            Some((id, Status::Success))
        );
        assert_eq!(two.queue.0.pop_front().is_some(), kind == "send");
    }
    println!("{count} of {kind}, {length} bytes");
}
