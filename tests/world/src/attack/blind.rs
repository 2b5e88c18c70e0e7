//! Segments of established connections, made by somebody that is not their peer: with numbers that are out of the
//! window, or within it by luck (RFC 5961).
//!
//! What the image says last on the wire tells what it expects: the attacker here has all the luck there is.

use super::siege::{Siege, frames};
use super::victim::ECHO;
use rand::RngExt;
use reflex_wire::{Seen, Segment, flags};

/// Beyond the next byte that the image expects, within its window of 2,048 bytes, and never what it expects by the time
/// that it comes there: messages have 64 bytes.
const INSIDE: u32 = 1_001;

/// Frames that are looked at for each that is sent.
const LOOK: usize = 20;

/// What is wrong with a segment.
#[derive(Clone, Copy)]
enum Lie {
    /// Of these flags, with numbers from nowhere.
    Anywhere(u8),
    /// Of these flags, within the window, with an acknowledgement from nowhere.
    Inside(u8),
    /// Within the window, with an acknowledgement of long ago.
    Old,
    /// Out of the window, with the right acknowledgement.
    Outside,
}

const RESET: u8 = flags::RESET | flags::ACK;
const TEXT: u8 = flags::PUSH | flags::ACK;
const LIES: [Lie; 9] = [
    Lie::Anywhere(RESET),
    Lie::Anywhere(flags::SYN),
    Lie::Anywhere(TEXT),
    Lie::Anywhere(TEXT | flags::FIN),
    Lie::Inside(RESET),
    Lie::Inside(flags::SYN),
    Lie::Inside(TEXT),
    Lie::Old,
    Lie::Outside,
];

/// Resets, openings and text for connections that are being used.
pub(crate) fn segments(siege: &mut Siege) {
    let clients = siege.clients();
    let mut last = None;
    siege.endures("blind segments", frames(), &["resets_ignored", "challenges"], |siege| {
        let seen = loop {
            for frame in siege.wire.received(LOOK).expect("there is a wire") {
                last = Seen::of(&frame).filter(is_of_the_image).or(last);
            }
            if let Some(seen) = last {
                break seen;
            }
        };
        let random = &mut siege.random;
        let (anything, nothing) = (random.random::<u32>(), random.random::<u32>());
        let (expected, sent) = (seen.acknowledgement, seen.sequence.wrapping_add(seen.text as u32));
        let inside = expected.wrapping_add(INSIDE);
        let (sequence, acknowledgement, flags) = match LIES[random.random_range(0..LIES.len())] {
            Lie::Anywhere(flags) => (anything, nothing, flags),
            Lie::Inside(flags) => (inside, nothing, flags),
            Lie::Old => (inside, sent.wrapping_sub(1 << 20), TEXT),
            Lie::Outside => (expected.wrapping_add(1 << 20), sent, TEXT),
        };
        let text: &[u8] = if flags & flags::PUSH == 0 { b"" } else { b"a message of nobody's" };
        let (from, to) = (seen.to.port(), seen.from.port());
        let segment = Segment { from, to, sequence, acknowledgement, flags, text };
        siege.from(clients).tcp(&segment)
    });
}

/// Whether a segment was sent by the image, on a connection that is open.
fn is_of_the_image(seen: &Seen) -> bool {
    let opening = seen.flags & (flags::SYN | flags::RESET) != 0;
    seen.from.port() == ECHO && seen.flags & flags::ACK != 0 && !opening
}
