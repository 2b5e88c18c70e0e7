//! Whatever a peer sends, in whatever order: the application reads the peer's bytes as they were, from the first
//! on, and nothing else.

use crate::common::pattern;
use crate::common::raw::{ACK, FIN, PSH, RST, SYN, Segment, introduce};
use crate::common::server::{PORT, Server};
use reflex_testkit::Random;
use std::time::Duration;

/// The peer's stream.
const STREAM: usize = 400_000;
const BUFFERS: [usize; 10] = [1, 2, 100, 1000, 4096, 8192, 65_535, 65_536, 100_000, 200_000];
const FIRST: u32 = 0xffff_f000;

struct Peer {
    server: Server,
    random: Random,
    stream: Vec<u8>,
    /// The server's first number behind its SYN.
    base: u32,
    read: usize,
    /// Bytes of the server's buffer.
    room: usize,
    /// What the server has acknowledged of the stream.
    acknowledged: usize,
    /// What the server has sent, and the peer has seen.
    seen: u32,
}

impl Peer {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut pick = |of: &[usize]| of[random.below(of.len() as u64) as usize];
        let (receive, send) = (pick(&BUFFERS), pick(&BUFFERS));
        let options: &[u8] = [&[][..], &[3, 3, 7, 0], &[3, 3, 0, 0, 4, 2, 1, 1], &[2, 4, 0, 0]]
            [random.below(4) as usize];
        let server = Server::with(
            |service| (service.deaf, service.stay) = (true, true),
            |listening| listening.buffers(receive, send).connections(2),
        );
        let syn = Segment::new(4000, PORT, SYN, FIRST.wrapping_sub(1), 0).options(options);
        let answer = server.feed(&syn).remove(0);
        let base = answer.sequence.wrapping_add(1);
        let (read, room, acknowledged, seen) = (0, receive, 0, 0);
        let stream = pattern(STREAM, seed);
        let mut peer = Self { server, random, stream, base, read, room, acknowledged, seen };
        peer.say(Segment::new(4000, PORT, ACK, FIRST, base));
        peer
    }

    fn say(&mut self, segment: Segment) {
        let answers = self.server.feed(&segment);
        self.hear(&answers);
    }

    fn hear(&mut self, answers: &[Segment]) {
        for answer in answers.iter().filter(|answer| answer.flags & RST == 0) {
            let told = answer.acknowledgement.wrapping_sub(FIRST) as usize;
            assert!(told >= self.acknowledged && told <= STREAM, "it goes back or makes bytes up");
            self.acknowledged = told;
            let end = answer.sequence.wrapping_add(answer.payload.len() as u32);
            self.seen = self.seen.max(end.wrapping_sub(self.base));
        }
    }

    /// A segment of the stream's own bytes, from about what is expected on, with fields that may be anything.
    fn any_segment(&mut self) -> Segment {
        let near = self.random.below(6) as i64;
        let about = match near {
            0 => 0,
            1 => self.random.below(3000) as i64 - 1500,
            2 => self.random.below(70_000) as i64,
            3 => self.random.below(280_000) as i64 - 70_000,
            _ => self.random.below(200) as i64 * 1400,
        };
        let from = (self.acknowledged as i64 + about).clamp(0, STREAM as i64 - 1) as usize;
        let length = [0, 1, 2, 1400, 1460][self.random.below(5) as usize];
        let text = self.stream[from..(from + length).min(STREAM)].to_vec();
        let flags = match self.random.below(40) {
            0 => SYN,
            1 => SYN | ACK,
            2 => 0,
            3 => ACK | FIN | SYN,
            // Not exact: it is one behind, or beyond what there is room for.
            4 => RST,
            5..10 => ACK | PSH,
            _ => ACK,
        };
        let sequence = match flags {
            RST => FIRST.wrapping_add(self.acknowledged as u32).wrapping_sub(1),
            _ => FIRST.wrapping_add(from as u32),
        };
        let ack = match self.random.below(8) {
            0 => self.random.below(1 << 32) as u32,
            1 => self.base.wrapping_add(self.seen).wrapping_add(self.random.below(9000) as u32),
            2 => self.base.wrapping_sub(self.random.below(9000) as u32),
            _ => self.base.wrapping_add(self.seen),
        };
        let window = [0, 1, 500, 8000, 65_535][self.random.below(5) as usize];
        Segment::new(4000, PORT, flags, sequence, ack).window(window).with(&text)
    }

    /// The application reads some, and writes some.
    fn use_it(&mut self) {
        let connection = self.server.state(|state| state.last.clone());
        let Some(connection) = connection else { return };
        let most = self.random.below(5000) as usize;
        let (stream, read) = (&self.stream, &mut self.read);
        let _ = connection.receive(|bytes| {
            let some = bytes.len().min(most);
            assert!(bytes == &stream[*read..*read + bytes.len()], "other bytes than were sent");
            *read += some;
            some
        });
        if self.random.below(4) == 0 {
            let _ = connection.send(&pattern(most, 1));
        }
        self.server.host.kernel.run_until_idle();
        self.server.host.inject(&introduce(self.server.host.address));
        let time = Duration::from_millis(self.random.below(3) * self.random.below(600));
        let answers = self.server.pass(time);
        self.hear(&answers);
    }

    /// All the rest, in order, as a peer in good faith sends it.
    fn finish(&mut self) {
        let end = (self.acknowledged + 5000.min(40 * self.room)).min(STREAM);
        for _ in 0..200_000 {
            if self.acknowledged >= end && self.read >= end {
                return;
            }
            let from = self.acknowledged;
            let text = self.stream[from..(from + 1000).min(STREAM)].to_vec();
            let ack = self.base.wrapping_add(self.seen);
            let sequence = FIRST.wrapping_add(from as u32);
            self.say(Segment::new(4000, PORT, ACK, sequence, ack).window(8000).with(&text));
            self.use_it();
        }
        panic!("it stands still: {} of {end} acknowledged, {} read", self.acknowledged, self.read);
    }
}

#[test]
fn whatever_is_sent_what_is_read_is_the_peers() {
    let given = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok());
    let (seed, rounds) = given.map_or((1, 60), |seed| (seed, 1));
    for round in 0..rounds {
        let seed = seed + round;
        println!("REFLEX_SEED={seed}");
        let mut peer = Peer::new(seed);
        for _ in 0..400 {
            let segment = peer.any_segment();
            peer.say(segment);
            if peer.random.below(3) == 0 {
                peer.use_it();
            }
        }
        peer.finish();
    }
}
