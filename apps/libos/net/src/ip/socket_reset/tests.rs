//! A recycled socket is compared with a new one, field by field, through its `Debug` output.

use super::{PEER, PORT, segment};
use crate::ip::endpoint::Endpoint;
use crate::ip::header::{ACK, FIN, RST, SYN, word};
use crate::ip::interface::Engine;
use crate::ip::rate_limit::Limiter;
use crate::ip::routes::Routes;
use crate::ip::time::time;
use crate::types::settings::{InterfaceAddress, TcpSettings};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;
use reflex_event::Instant;
use reflex_hil::Frame;
use reflex_memory::{Lent, Pool};
use reflex_testkit::{Clock, Nic, pool};
use smoltcp::socket::tcp::State;

const OWN: [u8; 4] = [10, 0, 0, 1];
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

struct Bench {
    engine: Engine,
    pool: &'static Pool,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let pool = pool(1 << 20);
        let (nic, _) = Nic::new(MAC, 64, pool, Clock::default(), 1);
        let now = Instant::from_nanos(1_000_000_000);
        let mut engine = Engine::new(Box::new(nic), 1, [&[0; 16]; 2], Limiter::new(1, now), now);
        let address = Ipv4Addr::from(OWN);
        let own = InterfaceAddress { address, prefix: 24, gateway: None };
        engine.set_network(Some(own), Routes::configured(&own));
        Self { engine, pool, now }
    }

    fn endpoint(&self) -> Lent<Endpoint> {
        Endpoint::new(self.pool, 1000, 1000).unwrap()
    }

    fn ready(&mut self, endpoint: &mut Endpoint) {
        let settings = TcpSettings::default();
        self.engine.recycle(endpoint, &settings, time(self.now));
        endpoint.socket().listen(PORT).unwrap();
    }

    /// Feeds a segment of the peer's, then lets the socket send all it wants to.
    fn feed(&mut self, endpoint: &mut Endpoint, flags: u8, seq: u32, ack: u32, data: &[u8]) {
        let mut packet = segment(OWN, flags, seq, ack).to_vec();
        packet.extend_from_slice(data);
        packet[3] += data.len() as u8;
        let payload = &mut packet[20..];
        let addresses: [u8; 8] = [PEER, OWN].concat().try_into().unwrap();
        let sum = crate::ip::checksum::Sum::ZERO.bytes(payload).pseudo_header(
            &addresses,
            6,
            payload.len() as u16,
        );
        payload[16..18].copy_from_slice(&sum.finish());
        let mut buffer = self.pool.bytes(14 + packet.len()).unwrap();
        buffer[14..].copy_from_slice(&packet);
        let length = buffer.len() as u16;
        let frame = Frame::new(buffer, 0..length).unwrap();
        let closing = [State::FinWait1, State::Closing, State::LastAck];
        let fin_sent = closing.contains(&endpoint.socket().state());
        self.engine.room = 64;
        self.engine.segment(frame, endpoint, (None, time(self.now)), false);
        self.egress(endpoint, fin_sent);
    }

    fn egress(&mut self, endpoint: &mut Endpoint, fin_sent: bool) {
        self.engine.room = 64;
        self.engine.egress(endpoint, None, time(self.now), fin_sent);
    }

    /// Opens a connection; returns our first sequence number.
    fn open(&mut self, endpoint: &mut Endpoint, first: u32) -> u32 {
        self.feed(endpoint, SYN, first, 0, &[]);
        // Everything sent ends in the scratch buffer.
        let isn = word(self.engine.scratch(), 24);
        self.feed(endpoint, ACK, first.wrapping_add(1), isn.wrapping_add(1), &[]);
        assert_eq!(endpoint.socket().state(), State::Established);
        isn
    }
}

/// The socket's fields, one a line, without the buffers' bytes; our random first sequence
/// number and its successors by name.
fn fields(endpoint: &mut Endpoint, isn: Option<u32>) -> Vec<String> {
    let mut text = format!("{:#?}", endpoint.socket());
    while let Some(start) = text.find("Borrowed([") {
        let end = start + text[start..].find("])").unwrap();
        text.replace_range(start..end + 2, "bytes");
    }
    for offset in 0..3 {
        if let Some(isn) = isn {
            let number = isn.wrapping_add(offset) as i32;
            text = text.replace(&number.to_string(), &format!("ISN+{offset}"));
        }
    }
    // Sequence numbers are shown as unsigned by some, signed by others.
    if let Some(isn) = isn {
        for offset in 0..3 {
            text = text.replace(&isn.wrapping_add(offset).to_string(), &format!("ISN+{offset}"));
        }
    }
    // One line a field of the socket itself.
    let mut fields: Vec<String> = Vec::new();
    for line in text.lines() {
        let top = line.starts_with("    ") && !line.starts_with("     ") && line.contains(": ");
        match fields.last_mut() {
            Some(last) if !top => last.push_str(line.trim()),
            _ => fields.push(line.trim().into()),
        }
    }
    fields
}

fn differences(used: &mut Endpoint, new: &mut Endpoint, isn: Option<(u32, u32)>) -> Vec<String> {
    let used = fields(used, isn.map(|isn| isn.0));
    let new = fields(new, isn.map(|isn| isn.1));
    assert_eq!(used.len(), new.len());
    assert!(used.len() > 25, "the fields were not told apart: {used:?}");
    let pairs = used.into_iter().zip(new);
    let differing = pairs.filter(|(used, new)| used != new);
    differing.map(|(used, _)| used.split(':').next().unwrap().into()).collect()
}

/// A life that leaves as many traces as possible: data both ways, holes, repeated
/// acknowledgements, a FIN that is retransmitted fast.
fn wear(bench: &mut Bench, endpoint: &mut Endpoint) {
    let isn = bench.open(endpoint, 70_000);
    bench.feed(endpoint, ACK, 70_001, isn + 1, b"in order");
    bench.feed(endpoint, ACK, 70_100, isn + 1, b"behind a hole");
    endpoint.socket().send_slice(&[7; 900]).unwrap();
    endpoint.socket().recv(|bytes| (3, bytes.len())).unwrap();
    bench.egress(endpoint, false);
    for _ in 0..5 {
        bench.feed(endpoint, ACK, 70_009, isn + 1, &[]);
    }
    bench.feed(endpoint, ACK, 70_009, isn + 901, &[]);
    endpoint.socket().close();
    bench.egress(endpoint, false);
    for _ in 0..3 {
        bench.feed(endpoint, ACK, 70_009, isn + 901, &[]);
    }
    bench.now = bench.now + Duration::from_secs(1);
}

#[test]
fn a_worn_socket_is_like_new() {
    let mut bench = Bench::new();
    for end in [FIN | ACK, RST, 0] {
        let (mut used, mut new) = (bench.endpoint(), bench.endpoint());
        bench.ready(&mut used);
        wear(&mut bench, &mut used);
        let worn = fields(&mut used, None);
        assert!(worn.iter().any(|field| field == "pending_fast_retransmit: true,"), "{worn:?}");
        assert!(used.needs_reset, "nobody has noticed the mark");
        if end != 0 {
            bench.feed(&mut used, end, 70_009, 0, &[]);
        }
        bench.ready(&mut used);
        bench.ready(&mut new);
        let allowed = ["local_rx_last_seq", "local_rx_last_ack", "local_rx_dup_acks"];
        let found = differences(&mut used, &mut new, None);
        assert!(found.iter().all(|field| allowed.contains(&&**field)), "{found:?}");
        assert!(!used.needs_reset && !used.fin_received && !used.started);

        // The rest is overwritten by the next handshake.
        let isn = (bench.open(&mut used, 5000), bench.open(&mut new, 5000));
        let found = differences(&mut used, &mut new, Some(isn));
        let allowed = ["local_rx_last_seq"; 1];
        assert!(found.iter().all(|field| allowed.contains(&&**field)), "{found:?}");
        bench.feed(&mut used, ACK, 5001, isn.0 + 1, b"x");
        bench.feed(&mut new, ACK, 5001, isn.1 + 1, b"x");
        assert_eq!(differences(&mut used, &mut new, Some(isn)), [""; 0]);
    }
}

#[test]
fn sockets_that_never_opened_or_wait_are_like_new_too() {
    let mut bench = Bench::new();
    let (mut used, mut new) = (bench.endpoint(), bench.endpoint());
    bench.ready(&mut new);
    bench.ready(&mut used);
    // That of the connection that was played to it.
    let played = ["local_rx_last_ack"];
    assert_eq!(differences(&mut used, &mut new, None), played, "still listening");
    bench.feed(&mut used, SYN, 9, 0, &[]);
    bench.ready(&mut used);
    assert_eq!(differences(&mut used, &mut new, None), played, "half open");
    let isn = bench.open(&mut used, 5000);
    used.socket().close();
    bench.egress(&mut used, false);
    bench.feed(&mut used, FIN | ACK, 5001, isn + 2, &[]);
    assert_eq!(used.socket().state(), State::TimeWait);
    bench.ready(&mut used);
    let allowed = ["local_rx_last_seq", "local_rx_last_ack"];
    let found = differences(&mut used, &mut new, None);
    assert!(found.iter().all(|field| allowed.contains(&&**field)), "{found:?}");
}
