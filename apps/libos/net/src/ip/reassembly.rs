//! Putting IPv4 packets together that come in fragments (RFC 791, 3.2; RFC 1122, 3.3.2).
//!
//! A packet's bytes are collected in one buffer, where they are to be in the end: it leaves as a frame, as if it had
//! come whole. Everything is bounded: the memory is that of a pool for nothing else, so that nobody is starved; packets are
//! few, and the oldest makes room; a packet has a minute, and of a few runs of bytes.
//!
//! Fragments that overlap are no accident, but an attack on what looks at them apart: such a packet is
//! dropped, with all that comes of it (RFC 5722, 4, has it for IPv6). One that comes twice is ignored.

use crate::ip::checksum::Sum;
use crate::ip::header::{self, ADDRESSES, ETHERNET};
use crate::ip::runs::{Added, Runs};
use alloc::vec::Vec;
use core::time::Duration;
use reflex_event::Instant;
use reflex_hil::Frame;
use reflex_memory::{Lent, Pool};

/// How long the first fragment waits for the last (RFC 1122, 3.3.2: 60 to 120 s).
const PATIENCE: Duration = Duration::from_secs(60);
/// Packets that have been put together and not yet been taken, at most.
pub(crate) const ASSEMBLED: usize = 8;
/// Packets of which some fragments have come.
const PACKETS: usize = 16;
/// Where the bytes behind an IPv4 header without options are in a frame: options are not kept.
const HEAD: usize = ETHERNET + 20;
/// Most bytes behind that: a frame's length has sixteen bits.
const MOST: usize = u16::MAX as usize - HEAD;
/// Bytes of the smallest buffer: one full frame's.
const LEAST: usize = 2048;

/// Which packet a fragment is of (RFC 791, 2.3).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Name {
    addresses: [u8; 8],
    protocol: u8,
    identification: [u8; 2],
}

/// A packet of which some fragments have come.
struct Packet {
    name: Name,
    until: Instant,
    /// `None`: it is dropped, and so is what still comes of it.
    buffer: Option<Lent<[u8]>>,
    runs: Runs,
    /// Bytes behind the header, once the last fragment has come.
    length: Option<usize>,
}

/// A fragment, in a frame that was classified.
struct Fragment<'f> {
    frame: &'f [u8],
    name: Name,
    begin: usize,
    bytes: &'f [u8],
    more: bool,
}

/// Why a packet was dropped.
struct Dropped;

/// Packets that wait for the rest of their fragments.
pub(crate) struct Reassembly {
    pool: Option<&'static Pool>,
    packets: Vec<Packet>,
    /// Packets that were put together, since this was last looked at; and those that were dropped.
    pub(crate) assembled: u64,
    pub(crate) failed: u64,
}

impl Reassembly {
    /// With the memory of `pool`; without, nothing is put together.
    pub(crate) fn new(pool: Option<&'static Pool>) -> Self {
        let packets = Vec::with_capacity(if pool.is_some() { PACKETS } else { 0 });
        Self { pool, packets, assembled: 0, failed: 0 }
    }

    /// A fragment has come: the packet, if it is whole now.
    pub(crate) fn add(&mut self, frame: &[u8], now: Instant) -> Option<Frame> {
        let (Some(pool), Some(fragment)) = (self.pool, fragment(frame)) else {
            self.failed += 1;
            return None;
        };
        let at = self.place(fragment.name, now);
        match self.put(pool, at, &fragment) {
            Ok(false) => None,
            Ok(true) => {
                let packet = self.packets.swap_remove(at);
                let whole = packet.finish();
                *(if whole.is_some() { &mut self.assembled } else { &mut self.failed }) += 1;
                whole
            }
            Err(Dropped) => {
                let dropped = self.packets[at].buffer.take();
                self.failed += u64::from(dropped.is_some() || self.packets[at].runs.is_empty());
                None
            }
        }
    }

    /// Where the packet of that name is; when it is a new one, in the place of the oldest if there
    /// is no other.
    fn place(&mut self, name: Name, now: Instant) -> usize {
        if let Some(at) = self.packets.iter().position(|packet| packet.name == name) {
            return at;
        }
        if self.packets.len() == PACKETS {
            self.drop_oldest(None);
        }
        let until = now + PATIENCE;
        self.packets.push(Packet {
            name,
            until,
            buffer: None,
            runs: Runs::default(),
            length: None,
        });
        self.packets.len() - 1
    }

    /// Drops the packet that has waited longest, but not the one of `keep`. False when there is none.
    fn drop_oldest(&mut self, keep: Option<Name>) -> bool {
        let others = (0..self.packets.len()).filter(|at| Some(self.packets[*at].name) != keep);
        // Of those that hold memory, if that is what is wanted.
        let others = others.filter(|at| keep.is_none() || self.packets[*at].buffer.is_some());
        let Some(at) = others.min_by_key(|at| self.packets[*at].until) else { return false };
        let oldest = self.packets.remove(at);
        self.failed += u64::from(oldest.buffer.is_some());
        true
    }

    /// Puts a fragment into its packet: whether that is whole now.
    fn put(
        &mut self,
        pool: &'static Pool,
        at: usize,
        fragment: &Fragment<'_>,
    ) -> Result<bool, Dropped> {
        let end = fragment.begin + fragment.bytes.len();
        let packet = &mut self.packets[at];
        if packet.buffer.is_none() && !packet.runs.is_empty() {
            return Err(Dropped);
        }
        if !fragment.more && packet.length.replace(end).is_some_and(|before| before != end)
            || packet.length.is_some_and(|length| length < end.max(packet.runs.end()))
        {
            return Err(Dropped);
        }
        match packet.runs.add(fragment.begin, end) {
            Added::New => {}
            Added::Known => {
                let known = packet.buffer.as_deref().and_then(|b| b.get(HEAD + fragment.begin..));
                let same = known.is_some_and(|known| known.starts_with(fragment.bytes));
                return if same { Ok(false) } else { Err(Dropped) };
            }
            Added::Overlapping | Added::TooMany => return Err(Dropped),
        }
        let at = self.make_room(pool, at, HEAD + end).ok_or(Dropped)?;
        let packet = &mut self.packets[at];
        let buffer = packet.buffer.as_deref_mut().ok_or(Dropped)?;
        buffer[HEAD + fragment.begin..HEAD + end].copy_from_slice(fragment.bytes);
        if fragment.begin == 0 {
            buffer[..HEAD].copy_from_slice(&fragment.frame[..HEAD]);
        }
        Ok(packet.length.is_some_and(|length| packet.runs.is_whole(length)))
    }

    /// Has the packet at `at` have a buffer of `bytes` at least: where it is then.
    fn make_room(&mut self, pool: &'static Pool, at: usize, bytes: usize) -> Option<usize> {
        let held = self.packets[at].buffer.as_deref().map_or(0, <[u8]>::len);
        if held >= bytes {
            return Some(at);
        }
        let wanted = bytes.next_power_of_two().clamp(LEAST, u16::MAX as usize);
        let name = self.packets[at].name;
        let mut buffer = loop {
            match pool.bytes(wanted) {
                Ok(buffer) => break buffer,
                Err(_) if self.drop_oldest(Some(name)) => {}
                Err(_) => return None,
            }
        };
        let at = self.packets.iter().position(|packet| packet.name == name)?;
        let packet = &mut self.packets[at];
        if let Some(before) = packet.buffer.take() {
            buffer[..before.len()].copy_from_slice(&before);
        }
        packet.buffer = Some(buffer);
        Some(at)
    }

    /// When the oldest is given up.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.packets.iter().map(|packet| packet.until).min()
    }

    /// Gives up a packet of which the time is over: `None` when there is none, else the header and eight bytes of
    /// its first fragment, if that has come, for its sender to be told.
    pub(crate) fn give_up(&mut self, now: Instant) -> Option<Option<[u8; 28]>> {
        let at = self.packets.iter().position(|packet| packet.until <= now)?;
        let packet = self.packets.swap_remove(at);
        self.failed += u64::from(packet.buffer.is_some());
        let buffer = packet.buffer.filter(|_| packet.runs.begins_at_zero());
        Some(buffer.and_then(|buffer| buffer.get(ETHERNET..)?.first_chunk().copied()))
    }
}

impl Packet {
    /// The frame that it would have been.
    fn finish(self) -> Option<Frame> {
        let mut buffer = self.buffer?;
        let length = HEAD + self.length?;
        let header = buffer.get_mut(ETHERNET..)?.first_chunk_mut::<20>()?;
        header[0] = 0x45;
        header[2..4].copy_from_slice(&((length - ETHERNET) as u16).to_be_bytes());
        header[6..8].fill(0);
        header[10..12].fill(0);
        let sum = Sum::ZERO.bytes(&header[..]).finish();
        header[10..12].copy_from_slice(&sum);
        Frame::new(buffer, 0..length as u16)
    }
}

/// The fragment in a classified frame; `None` when it can be none.
fn fragment(frame: &[u8]) -> Option<Fragment<'_>> {
    let (packet, bytes) = header::packet(frame)?;
    let header = packet.first_chunk::<20>()?;
    let field = u16::from_be_bytes([header[6], header[7]]);
    let begin = usize::from(field & 0x1fff) * 8;
    let more = field & 0x2000 != 0;
    let addresses = *header[ADDRESSES..].first_chunk()?;
    let name = Name { addresses, protocol: header[9], identification: [header[4], header[5]] };
    // Only the last may end anywhere (RFC 791, 3.2).
    let possible = begin + bytes.len() <= MOST && !(more && bytes.len() % 8 != 0);
    (possible && !bytes.is_empty()).then_some(Fragment { frame, name, begin, bytes, more })
}

#[cfg(test)]
mod tests;
