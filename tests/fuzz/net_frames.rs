//! Frames to the stack: whatever comes, of a connection's stream no byte is wrong and none that was acknowledged
//! is lost.

use bolero::check;
use common::raw::{ACK, MAC, PEER, PSH, RST, SYN, Segment, arp, checksum, ipv4, pseudo, udp};
use common::{Host, SimConnection};
use reflex_event::{Context, Instant};
use reflex_net::{ConnectionError, Datagram, TcpService, UdpService, UdpSocket};
use reflex_testkit::{Clock, SimKernel};
use std::time::Duration;

#[path = "../../apps/libos/net/tests/common/mod.rs"]
#[allow(dead_code, reason = "shared with the stack's own tests")]
mod common;
mod dice;
use dice::Bytes;

const AS_A_TEST: Duration = Duration::from_secs(5);
const PORT: u16 = 80;
const FROM: u16 = 4000;
/// The number of the peer's SYN: its stream wraps around.
const ISN: u32 = u32::MAX - 3000;

/// The byte at an offset of either stream.
fn byte(side: u8, at: u32) -> u8 {
    (at.wrapping_mul(0x9e37_79b1) >> 23) as u8 ^ side
}

fn stream(side: u8, from: u32, length: usize) -> Vec<u8> {
    (from..).take(length).map(|at| byte(side, at)).collect()
}

/// The application: checks what it reads, and sends a stream of its own.
#[derive(Default)]
struct Application {
    last: Option<SimConnection>,
    deaf: bool,
    read: u32,
    sent: u32,
    over: bool,
    closed: bool,
}

impl Application {
    fn read(&mut self, connection: &SimConnection) {
        let read = &mut self.read;
        while connection
            .receive(|bytes| {
                assert_eq!(bytes, stream(0, *read, bytes.len()), "a byte is wrong, from {read} on");
                *read += bytes.len() as u32;
                bytes.len()
            })
            .is_ok_and(|count| count > 0)
        {}
    }
}

impl TcpService<SimKernel> for Application {
    fn accepted(&mut self, connection: &SimConnection) {
        // Another connection than the first has another stream: it is not read.
        if connection.peer().is_ok_and(|peer| peer.port() == FROM && *peer.ip() == PEER) {
            *self = Self { last: Some(connection.clone()), deaf: self.deaf, ..Self::default() };
        }
    }

    fn received(&mut self, connection: &SimConnection) {
        if !self.deaf && self.is_mine(connection) {
            self.read(connection);
        }
    }

    fn closed(&mut self, connection: &SimConnection) {
        self.closed |= self.is_mine(connection);
    }

    fn failed(&mut self, connection: &SimConnection, _: ConnectionError) {
        self.over |= self.is_mine(connection);
    }

    fn ended(&mut self, connection: &SimConnection) {
        self.over |= self.is_mine(connection);
    }
}

impl Application {
    fn is_mine(&self, connection: &SimConnection) -> bool {
        self.last.as_ref().is_some_and(|last| last == connection)
    }
}

impl UdpService<SimKernel> for Application {
    fn datagram(&mut self, _: &UdpSocket<SimKernel>, _: Datagram<'_>) {}
}

/// A peer in good faith, and everybody else on the link.
struct Game {
    clock: Clock,
    host: Host,
    application: Context<Application>,
    /// What our stream begins with, once the handshake is done.
    ours: u32,
    /// The stack has acknowledged so much of the peer's stream, and announced room up to there.
    acknowledged: u32,
    edge: u32,
    /// So much of ours has come without a gap.
    heard: u32,
    shift: u8,
}

impl Game {
    /// With an established connection and a receive buffer of a size.
    fn new(bytes: &mut Bytes<'_>) -> Self {
        let clock = Clock::default();
        clock.set(Instant::from_nanos(1_000_000_000));
        let host = Host::new(&clock, 1, bytes.below(100));
        let application = host.kernel.context(Application::default(), 2 << 20);
        let buffer = 1024 << bytes.below(9);
        let listen = host.net.listen(PORT).connections(3).buffers(buffer, 4096);
        listen.serve(application).unwrap();
        host.net.udp(7).serve(application).unwrap();
        let mut game = Self {
            clock,
            host,
            application,
            ours: 0,
            acknowledged: 0,
            edge: 0,
            heard: 0,
            shift: 0,
        };
        game.feed(&arp([0xff; 6], 1, (MAC, PEER), ([0; 6], game.host.address)));
        // With a window scale, so that large buffers are announced.
        let opening = game.segment(SYN, ISN, 0, &[2, 4, 5, 180, 3, 3, 7, 1], &[]);
        game.host.inject(&opening);
        game.host.kernel.run_until_idle();
        let answer = game.host.sent(&game.clock).pop().expect("an answer to a SYN");
        // Its options end with the scale, if it has one.
        game.shift = if answer.len() > 60 { answer[60] & 15 } else { 0 };
        let answer = Segment::parse(&answer).expect("a segment");
        assert_eq!((answer.flags, answer.acknowledgement), (SYN | ACK, ISN.wrapping_add(1)));
        game.ours = answer.sequence.wrapping_add(1);
        game.edge = answer.window.into();
        let done = game.segment(ACK, ISN.wrapping_add(1), game.ours, &[], &[]);
        game.feed(&done);
        game
    }

    fn segment(&self, flags: u8, sequence: u32, ack: u32, options: &[u8], text: &[u8]) -> Vec<u8> {
        self.segment_from(FROM, flags, sequence, ack, options, text)
    }

    fn segment_from(
        &self,
        from: u16,
        flags: u8,
        sequence: u32,
        ack: u32,
        options: &[u8],
        text: &[u8],
    ) -> Vec<u8> {
        let mut bytes = from.to_be_bytes().to_vec();
        bytes.extend(PORT.to_be_bytes());
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(ack.to_be_bytes());
        bytes.extend([(5 + options.len() as u8 / 4) << 4, flags, 32, 0, 0, 0, 0, 0]);
        bytes.extend(options);
        bytes.extend(text);
        let sum = checksum(&pseudo(PEER, self.host.address, 6, &bytes));
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        ipv4(self.host.mac, PEER, self.host.address, 6, &bytes)
    }

    /// Bytes of the peer's stream, and what it has heard.
    fn text(&self, from: u32, length: usize) -> Vec<u8> {
        let ack = self.ours.wrapping_add(self.heard);
        let text = stream(0, from, length);
        self.segment(ACK | PSH, ISN.wrapping_add(1).wrapping_add(from), ack, &[], &text)
    }

    fn feed(&mut self, frame: &[u8]) {
        self.host.inject(frame);
        self.host.kernel.run_until_idle();
        self.collect();
    }

    /// Looks at everything that was sent.
    fn collect(&mut self) {
        for frame in self.host.sent(&self.clock) {
            assert!(frame.len() <= 1514);
            let Some(segment) = Segment::parse(&frame) else { continue };
            let ours = (segment.source, segment.target) == (PORT, FROM);
            if !ours || segment.flags & (RST | SYN) != 0 {
                continue;
            }
            let begin = segment.sequence.wrapping_sub(self.ours);
            let sent = self.host.kernel.state(self.application, |app| app.sent);
            // A keep-alive repeats a byte that was acknowledged.
            if segment.payload.len() > 1 {
                assert_eq!(segment.payload, stream(1, begin, segment.payload.len()));
                assert!(begin + segment.payload.len() as u32 <= sent);
            }
            if begin <= self.heard {
                self.heard = self.heard.max(begin + segment.payload.len() as u32).min(sent);
            }
            let acknowledged = segment.acknowledgement.wrapping_sub(ISN.wrapping_add(1));
            // Forged segments may carry on the stream, and end it; what is acknowledged never goes back.
            if segment.flags & ACK != 0 && acknowledged < 1 << 30 {
                assert!(acknowledged >= self.acknowledged, "{acknowledged} {}", self.acknowledged);
                self.acknowledged = acknowledged;
                self.edge = acknowledged + (u32::from(segment.window) << self.shift);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.clock.now() + time;
        while let Some(due) = self.host.kernel.next_timer().filter(|due| *due <= end) {
            self.clock.set(due.max(self.clock.now()));
            self.host.kernel.fire_timers();
            self.host.kernel.run_until_idle();
            self.collect();
        }
        self.clock.set(end.max(self.clock.now()));
    }

    fn over(&self) -> bool {
        self.host.kernel.state(self.application, |app| app.over || app.closed)
    }

    /// Lets the application do something with its connection.
    fn call(&mut self, call: impl FnOnce(&mut Application, &SimConnection)) {
        self.host.kernel.state(self.application, |app| {
            if let Some(connection) = app.last.clone() {
                call(app, &connection);
            }
        });
        self.host.kernel.run_until_idle();
        self.collect();
    }

    fn round(&mut self, bytes: &mut Bytes<'_>) {
        let base = self.acknowledged;
        match bytes.below(16) {
            // The next bytes; some that came before, or come too early.
            0..=3 => {
                let frame = self.text(base, 1 + bytes.below(1460) as usize);
                self.feed(&frame);
            }
            4 | 5 => {
                let from = (base + bytes.below(8000) as u32).saturating_sub(3000);
                let frame = self.text(from, bytes.below(1461) as usize);
                self.feed(&frame);
            }
            // A damaged bit: nothing of it is heard.
            6 => {
                let mut frame = self.text(base, 1 + bytes.below(200) as usize);
                let at = bytes.below(frame.len() as u64) as usize;
                frame[at] ^= 1 << bytes.below(8);
                self.feed(&frame);
            }
            7 => self.anything(bytes),
            // Somebody else's segments for this connection, and for others.
            8 => {
                let sequence = ISN.wrapping_add(u32::from_be_bytes(bytes.array()) >> 8);
                let offset = sequence.wrapping_sub(ISN.wrapping_add(1));
                let text = stream(0, offset, bytes.below(100) as usize);
                let ack = self.ours.wrapping_add(bytes.below(5000) as u32).wrapping_sub(500);
                let frame = self.segment(bytes.byte(), sequence, ack, &[], &text);
                self.feed(&frame);
            }
            9 => {
                let (from, flags) = (5000 + bytes.below(4) as u16, bytes.byte());
                let sequence = bytes.below(3000) as u32;
                let frame = self.segment_from(from, flags, sequence, 0, &[], b"others");
                self.feed(&frame);
            }
            10 => self.error(bytes),
            11 => self.fragments(bytes),
            12 => self.pass(Duration::from_millis(1 << bytes.below(13))),
            13 => {
                let count = 1 + bytes.below(3000) as usize;
                self.call(|app, connection| {
                    let text = stream(1, app.sent, count);
                    app.sent += connection.send(&text).unwrap_or(0) as u32;
                });
            }
            14 => {
                let deaf = bytes.below(2) == 1;
                self.call(|app, connection| {
                    app.deaf = deaf;
                    if !deaf {
                        app.read(connection);
                    }
                });
            }
            _ => {
                let frame = self.segment(
                    ACK,
                    ISN.wrapping_add(1).wrapping_add(base),
                    self.ours.wrapping_add(self.heard),
                    &[],
                    &[],
                );
                self.feed(&frame);
            }
        }
    }

    /// Bytes, mostly with our address in front.
    fn anything(&mut self, bytes: &mut Bytes<'_>) {
        let length = bytes.below(120) as usize;
        let mut frame = bytes.take(length).to_vec();
        if bytes.below(8) != 0 && frame.len() >= 14 {
            frame[..6].copy_from_slice(&self.host.mac);
            let kinds = [[8, 0], [8, 6], [0x86, 0xdd], [0x81, 0]];
            frame[12..14].copy_from_slice(&kinds[bytes.below(4) as usize]);
        }
        // Not of the connection: its stream is the peer's to say.
        let protocol = frame.get(23).copied();
        if protocol != Some(6) {
            self.feed(&frame);
        }
    }

    /// An ICMP message about a segment of the connection, or about something.
    fn error(&mut self, bytes: &mut Bytes<'_>) {
        let mut message = vec![bytes.byte() % 16, bytes.byte() % 16, 0, 0, 0, 0];
        message.extend(bytes.array::<2>());
        message.extend([0x45, 0]);
        message.extend(bytes.array::<2>());
        message.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        message.extend(self.host.address.octets());
        message.extend(PEER.octets());
        message.extend(PORT.to_be_bytes());
        message.extend(FROM.to_be_bytes());
        let sequence = self.ours.wrapping_add(self.heard).wrapping_add(bytes.below(4000) as u32);
        message.extend(sequence.wrapping_sub(1000).to_be_bytes());
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let frame = ipv4(self.host.mac, PEER, self.host.address, 1, &message);
        self.feed(&frame);
    }

    /// Fragments of a datagram, or of a segment with the next bytes.
    fn fragments(&mut self, bytes: &mut Bytes<'_>) {
        let whole = if bytes.below(2) == 0 {
            self.text(self.acknowledged, 1 + bytes.below(1400) as usize)
        } else {
            udp(self.host.mac, self.host.address, (5000, 7), &stream(0, 0, 1400))
        };
        let payload = &whole[34..];
        let id = bytes.byte() % 4;
        for _ in 0..1 + bytes.below(4) {
            let begin = bytes.below(payload.len() as u64 / 8 + 1) as usize * 8;
            let end = (begin + 8 * bytes.below(200) as usize).min(payload.len());
            let mut frame = whole[..34].to_vec();
            frame.extend(&payload[begin..end]);
            frame[16..18].copy_from_slice(&((20 + end - begin) as u16).to_be_bytes());
            let more = if end < payload.len() { 0x2000 } else { 0 };
            frame[18..20].copy_from_slice(&[0, id]);
            frame[20..22].copy_from_slice(&(more | (begin / 8) as u16).to_be_bytes());
            frame[24..26].fill(0);
            let sum = checksum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            self.feed(&frame);
        }
    }

    /// What was acknowledged has been received, and a peer that goes on is heard.
    fn finish(mut self) {
        self.call(|app, connection| {
            app.deaf = false;
            app.read(connection);
        });
        // Forged segments may have ended it, or run ahead of the peer: then nothing more is to be had.
        let before = self.acknowledged;
        for _ in 0..4 {
            if !self.over() {
                let frame = self.text(self.acknowledged, 500);
                self.feed(&frame);
                self.pass(Duration::from_millis(300));
            }
        }
        if !self.over() {
            let read = self.host.kernel.state(self.application, |app| app.read);
            assert_eq!(read, self.acknowledged, "acknowledged, and not delivered");
            assert!(self.acknowledged > before, "the connection stands still at {before}");
        }
        self.call(|_, connection| connection.abort());
        self.pass(Duration::from_secs(200));
        let counted = self.host.net.counters();
        assert!(counted.frames > 0 && counted.half_open == 0, "{counted:?}");
        assert_eq!(self.host.wire.outstanding(), 0, "buffers are held");
    }
}

#[test]
fn net_frames() {
    let bytes = dice::bytes(2048);
    check!().with_generator(bytes).with_test_time(AS_A_TEST).for_each(|bytes: &Vec<u8>| {
        let mut bytes = Bytes::new(bytes);
        let mut game = Game::new(&mut bytes);
        while !bytes.is_empty() && !game.over() {
            game.round(&mut bytes);
        }
        game.finish();
    });
}
