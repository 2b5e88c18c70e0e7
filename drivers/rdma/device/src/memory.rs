//! The memory of a queue pair as the engine sees it.

use crate::Regions;
use crate::in_flight::{InFlight, Origin, origin};
use alloc::sync::Arc;
use core::cell::RefCell;
use core::ops::Range;
use reflex_memory::Exposed;
use reflex_rdma_engine::{Access, Atomic, Domain, Gone, Memory, Place, Region};
use reflex_rdma_wire::RKey;

/// The registered regions: shared with applications, so looked at in sections.
pub trait Lookup {
    /// Runs `work` on them, with everybody else excluded.
    fn regions<R>(&self, work: impl FnOnce(&mut Regions) -> R) -> R;
}

/// What a queue pair can reach: what was posted to it, and what is registered.
pub struct PairMemory<'a, L, S, R> {
    /// The registered regions.
    pub regions: &'a L,
    /// What its sends came with.
    pub sends: &'a RefCell<InFlight<S>>,
    /// What its receives came with.
    pub receives: &'a RefCell<InFlight<R>>,
}

impl<L: Lookup, S, R> PairMemory<'_, L, S, R> {
    /// The bytes of a registered region. They stay as long as this is held, deregistered or not.
    #[inline]
    fn registered(&self, region: Region) -> Result<Arc<Exposed>, Gone> {
        self.regions.regions(|regions| regions.memory(region).map(Arc::clone)).ok_or(Gone)
    }
}

#[inline]
fn range(offset: u64, length: usize) -> Result<Range<usize>, Gone> {
    let start = usize::try_from(offset).map_err(|_| Gone)?;
    Ok(start..start.checked_add(length).ok_or(Gone)?)
}

/// Copies bytes of a piece that was posted.
#[inline]
fn read_posted<T>(
    in_flight: &RefCell<InFlight<T>>,
    piece: Region,
    range: Range<usize>,
    into: &mut [u8],
) -> Result<(), Gone> {
    into.copy_from_slice(in_flight.borrow().bytes(piece)?.get(range).ok_or(Gone)?);
    Ok(())
}

/// Copies bytes into a piece that was posted.
#[inline]
fn write_posted<T>(
    in_flight: &RefCell<InFlight<T>>,
    piece: Region,
    range: Range<usize>,
    bytes: &[u8],
) -> Result<(), Gone> {
    in_flight.borrow_mut().bytes_mut(piece)?.get_mut(range).ok_or(Gone)?.copy_from_slice(bytes);
    Ok(())
}

impl<L: Lookup, S, R> Memory for PairMemory<'_, L, S, R> {
    #[inline]
    fn find(
        &self,
        domain: Domain,
        key: RKey,
        address: u64,
        length: u32,
        access: Access,
    ) -> Option<Place> {
        self.regions.regions(|regions| regions.find(domain, key, address, length, access))
    }

    #[inline]
    fn read(&self, place: Place, into: &mut [u8]) -> Result<(), Gone> {
        let range = range(place.offset, into.len())?;
        match origin(place.region) {
            Origin::Registered => {
                self.registered(place.region)?.read(range.start, into).map_err(|_| Gone)
            }
            Origin::Send => read_posted(self.sends, place.region, range, into),
            Origin::Receive => read_posted(self.receives, place.region, range, into),
        }
    }

    #[inline]
    fn write(&mut self, place: Place, bytes: &[u8]) -> Result<(), Gone> {
        let range = range(place.offset, bytes.len())?;
        match origin(place.region) {
            Origin::Registered => {
                self.registered(place.region)?.write(range.start, bytes).map_err(|_| Gone)
            }
            Origin::Send => write_posted(self.sends, place.region, range, bytes),
            Origin::Receive => write_posted(self.receives, place.region, range, bytes),
        }
    }

    fn update(&mut self, place: Place, operation: Atomic) -> Result<u64, Gone> {
        let start = range(place.offset, size_of::<u64>())?.start;
        // With everybody excluded: it is atomic to applications, too.
        self.regions.regions(|regions| {
            let memory = regions.memory(place.region).ok_or(Gone)?;
            let mut bytes = [0; size_of::<u64>()];
            memory.read(start, &mut bytes).map_err(|_| Gone)?;
            let original = u64::from_ne_bytes(bytes);
            let value = operation.apply(original);
            memory.write(start, &value.to_ne_bytes()).map_err(|_| Gone)?;
            Ok(original)
        })
    }

    fn invalidate(&mut self, domain: Domain, key: RKey) -> Result<(), Gone> {
        self.regions.regions(|regions| regions.invalidate(domain, key))
    }
}
