//! hping3: packets that no stack would send, each with the answer it is due, or with none.
//!
//! What is answered is seen on the wire: hping3 gives up after a second, which a busy computer may need.

use super::tools::Attack;
use reflex_wire::{IPV4, Seen, TRANSPORT, Wire, flags};

/// Packets of each kind.
const COUNT: usize = 5;
/// The port that the first is sent from; each has the next one.
const FROM: u16 = 20_000;

/// An answer of the image's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    /// A segment with these flags.
    Segment(u8),
    Datagram,
    EchoReply,
}

const OPEN: Answer = Answer::Segment(flags::SYN | flags::ACK);
const CLOSED: Answer = Answer::Segment(flags::RESET | flags::ACK);
const RESET: Answer = Answer::Segment(flags::RESET);

/// The answer in a frame, unless it is something else; of one in fragments the first counts.
fn answer(frame: &[u8]) -> Option<Answer> {
    let ours = FROM..FROM + COUNT as u16;
    let half = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let later_part = half(IPV4 + 6)? & 0x1fff != 0;
    if half(12)? != 0x0800 || later_part {
        return None;
    }
    let is_ours = half(TRANSPORT + 2).is_some_and(|port| ours.contains(&port));
    match frame.get(IPV4 + 9)? {
        1 if *frame.get(TRANSPORT)? == 0 => Some(Answer::EchoReply),
        6 if is_ours => Seen::of(frame).map(|seen| Answer::Segment(seen.flags)),
        17 if is_ours => Some(Answer::Datagram),
        _ => None,
    }
}

/// Programs that send, and the wire on which the answers are seen.
struct Exchange {
    attack: Attack,
    wire: Wire,
}

impl Exchange {
    fn begin() -> Option<Self> {
        let mut attack = Attack::on("echo", "")?;
        attack.victim.echoes();
        let wire = attack.victim.wire();
        Some(Self { attack, wire })
    }

    /// Sends packets: each is answered so, or none is.
    #[track_caller]
    fn answers(&mut self, packets: &[&str], expected: Option<Answer>) {
        let (count, from) = (COUNT.to_string(), FROM.to_string());
        let host = self.attack.address().to_string();
        let arguments = ["-n", "-c", &count, "-i", "u2000", "-s", &from];
        let (report, _) = self.attack.run("hping3", &[&arguments, packets, &[&host]].concat());
        assert!(report.contains(&format!("{COUNT} packets transmitted")), "{packets:?}\n{report}");
        // It tells of itself when there is nothing more urgent, as an answer is.
        self.attack.victim.report();
        let mut answers = Vec::new();
        for frame in self.wire.received(usize::MAX).expect("there is a wire") {
            answers.extend(answer(&frame));
        }
        let expected: Vec<Answer> = expected.into_iter().cycle().take(COUNT).collect();
        assert_eq!(answers, expected, "{packets:?}\n{report}");
    }
}

#[test]
fn hping3_gets_the_answers_that_are_due() {
    let Some(mut to) = Exchange::begin() else { return };
    to.answers(&["-S", "-p", "7"], Some(OPEN));
    to.answers(&["-S", "-p", "8"], Some(CLOSED));
    // With data, which is kept until the handshake is over or sent again (RFC 9293, 3.10.7.2).
    to.answers(&["-S", "-p", "7", "-d", "1400"], Some(OPEN));
    to.answers(&["-S", "-p", "8", "-d", "1400"], Some(CLOSED));
    // In fragments of 16 bytes, the header in two.
    to.answers(&["-S", "-p", "7", "-d", "100", "-f"], Some(OPEN));
    // An option that is not spoken.
    to.answers(&["-S", "-p", "7", "--tcp-timestamp"], Some(OPEN));
    // A window that is closed from the start.
    to.answers(&["-S", "-p", "7", "-w", "0"], Some(OPEN));
    to.answers(&["-A", "-p", "7"], Some(RESET));
    to.answers(&["-S", "-A", "-p", "7"], Some(RESET));
    to.answers(&["-F", "-p", "7"], Some(CLOSED));
    to.answers(&["-F", "-P", "-U", "-p", "8"], Some(CLOSED));
    // A reset is never answered, whatever else it says.
    to.answers(&["-R", "-p", "7"], None);
    to.answers(&["-R", "-p", "8"], None);
    to.answers(&["-X", "-Y", "-S", "-F", "-R", "-P", "-A", "-U", "-p", "7"], None);
    // Wrong in its checksum; with a header shorter than one is.
    to.answers(&["-S", "-p", "7", "-b"], None);
    to.answers(&["-S", "-p", "7", "-O", "3"], None);
    // Datagrams and echo requests of every size, the last in fragments.
    for size in ["0", "1", "1400"] {
        to.answers(&["-2", "-p", "7", "-d", size], Some(Answer::Datagram));
        to.answers(&["-1", "-d", size], Some(Answer::EchoReply));
    }
    to.answers(&["-1", "-d", "5000"], Some(Answer::EchoReply));
    to.attack.victim.echoes();
    to.attack.victim.end(&[]);
}

/// From the image to itself, port and all: what made stacks answer themselves for ever in 1997.
#[test]
fn hping3_cannot_have_an_image_talk_to_itself() {
    let Some(mut attack) = Attack::on("echo", "") else { return };
    attack.victim.echoes();
    let before = attack.victim.report();
    let (own, count) = (attack.address().to_string(), COUNT.to_string());
    for kind in [&["-S", "-p", "7", "-s", "7", "-k"][..], &["-2", "-p", "7", "-s", "7", "-k"]] {
        let packets = ["-n", "-c", &count, "-i", "u2000", "-a", &own];
        let (report, _) = attack.run("hping3", &[&packets, kind, &[&own]].concat());
        assert!(report.contains(&format!("{COUNT} packets transmitted")), "{report}");
    }
    let dropped = before.count("malformed") + 2 * COUNT as u64;
    let after = attack.victim.until("all are dropped", |now| now.count("malformed") >= dropped);
    assert_eq!(after.connections(), before.connections());
    assert_eq!(after.count("openings"), before.count("openings"));
    attack.victim.echoes();
    attack.victim.end(&[]);
}
