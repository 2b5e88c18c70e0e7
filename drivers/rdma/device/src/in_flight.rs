//! Memory that came with posted work: this crate's own until the work is complete.

use alloc::boxed::Box;
use alloc::vec::Vec;
use reflex_memory::Lent;
use reflex_rdma_engine::{Gone, Region, Segment};

/// Pieces of memory that a request may have: a header of the application's, and its payload.
pub const MAX_SGE: usize = 2;

/// What marks the name of a piece of posted memory, in place of a registered region's.
const POSTED: u64 = 1 << 63;
/// And of these, what came with a receive.
const RECEIVE: u64 = 1 << 62;

/// A piece of a request's memory: a scatter/gather element (SGE).
#[derive(Debug, Default)]
pub enum Sge {
    /// None.
    #[default]
    None,
    /// Memory that came with the request, and returns with its completion; how many bytes of it are
    /// sent or received.
    Bytes(Lent<[u8]>, u32),
    /// A part of a registered region.
    Region(Segment),
}

/// A request's memory, in order: its scatter/gather list.
pub type SgList = [Sge; MAX_SGE];

impl Sge {
    /// Bytes.
    pub fn length(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Bytes(_, length) => *length as usize,
            Self::Region(segment) => segment.length as usize,
        }
    }
}

/// The requests of a work queue that the engine has, with their memory, by the number that the
/// engine knows them by.
pub struct InFlight<T> {
    slots: Box<[Option<(T, SgList)>]>,
    free: Vec<u16>,
    mark: u64,
}

impl<T> InFlight<T> {
    /// Room for so many requests, at most 2^16, of a send queue or a receive queue.
    pub fn new(requests: u32, receives: bool) -> Self {
        let requests = requests.min(1 << 16);
        let mark = if receives { POSTED | RECEIVE } else { POSTED };
        let slots = (0..requests).map(|_| None).collect();
        Self { slots, free: (0..requests).rev().map(|slot| slot as u16).collect(), mark }
    }

    /// Keeps a request. Returns its number, its segments, and how many of these there are; the
    /// request when there is no room.
    #[inline]
    pub fn keep(
        &mut self,
        tag: T,
        sges: SgList,
    ) -> Result<(u64, [Segment; MAX_SGE], usize), (T, SgList)> {
        let Some(slot) = self.free.pop() else { return Err((tag, sges)) };
        let (mut segments, mut count) = ([Segment::default(); MAX_SGE], 0);
        for (sge, at) in sges.iter().zip(0_u64..) {
            let name = Region(self.mark | at << 16 | u64::from(slot));
            segments[count] = match sge {
                Sge::None => continue,
                Sge::Bytes(_, length) => Segment { region: name, offset: 0, length: *length },
                Sge::Region(segment) => *segment,
            };
            count += 1;
        }
        self.slots[usize::from(slot)] = Some((tag, sges));
        Ok((u64::from(slot), segments, count))
    }

    /// The request of that number, which is complete.
    #[inline]
    pub fn finish(&mut self, number: u64) -> Option<(T, SgList)> {
        let slot = number as u16;
        let request = self.slots.get_mut(usize::from(slot))?.take()?;
        self.free.push(slot);
        Some(request)
    }

    /// The bytes of a piece, if it is one of these.
    #[inline]
    pub(crate) fn bytes(&self, region: Region) -> Result<&[u8], Gone> {
        let (slot, sge) = place(region);
        match self.slots.get(slot) {
            Some(Some((_, sges))) => match sges.get(sge) {
                Some(Sge::Bytes(bytes, _)) => Ok(bytes),
                _ => Err(Gone),
            },
            _ => Err(Gone),
        }
    }

    /// As [`bytes`](Self::bytes), to be written.
    #[inline]
    pub(crate) fn bytes_mut(&mut self, region: Region) -> Result<&mut [u8], Gone> {
        let (slot, sge) = place(region);
        match self.slots.get_mut(slot) {
            Some(Some((_, sges))) => match sges.get_mut(sge) {
                Some(Sge::Bytes(bytes, _)) => Ok(bytes),
                _ => Err(Gone),
            },
            _ => Err(Gone),
        }
    }
}

fn place(region: Region) -> (usize, usize) {
    (usize::from(region.0 as u16), (region.0 >> 16 & 0xff) as usize)
}

/// What a region's name says it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    Registered,
    Send,
    Receive,
}

#[inline]
pub(crate) fn origin(region: Region) -> Origin {
    match region.0 & (POSTED | RECEIVE) {
        POSTED => Origin::Send,
        0 => Origin::Registered,
        _ => Origin::Receive,
    }
}
