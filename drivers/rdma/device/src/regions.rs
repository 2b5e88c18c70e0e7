//! Registered memory, found by the key a peer gives.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use reflex_memory::Exposed;
use reflex_rdma_engine::{Access, Domain, Gone, Place, Region};
use reflex_rdma_wire::RKey;

/// Bits of a key that say where in the table its region is; the others are random.
const INDEX_BITS: u32 = 12;
/// Bits of an address that are inside of a region: so each has addresses of its own.
const OFFSET_BITS: u32 = 32;

/// What a region is registered with.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The domain in which its key is valid.
    pub domain: Domain,
    /// What it permits.
    pub access: Access,
    /// The bytes.
    pub memory: Arc<Exposed>,
    /// The address of the first, as peers name it; of its own if there is none.
    pub address: Option<u64>,
}

/// What a region is known by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Named {
    /// To this side's work.
    pub region: Region,
    /// To peers.
    pub key: RKey,
    /// The address of its first byte, as peers name it. It says nothing of where the memory is.
    pub address: u64,
}

/// The table has no free place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegionsFull;

impl fmt::Display for RegionsFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no more memory can be registered")
    }
}

impl core::error::Error for RegionsFull {}

struct Slot {
    /// Grows with every registration in this place: names are never used again.
    generation: u64,
    next_free: Option<u16>,
    entry: Option<Entry>,
}

struct Entry {
    registration: Registration,
    address: u64,
    /// `None` once the peer has taken it back.
    key: Option<RKey>,
}

/// The registered memory of a port.
pub struct Regions {
    slots: Box<[Slot]>,
    free: Option<u16>,
    count: u32,
}

impl Regions {
    /// Most regions that a table can have.
    pub const MOST: u16 = 1 << INDEX_BITS;

    /// A table for so many regions.
    pub fn new(regions: u16) -> Self {
        let regions = regions.min(Self::MOST);
        let slot = |index: u16| {
            let next_free = (index + 1 < regions).then_some(index + 1);
            Slot { generation: 0, next_free, entry: None }
        };
        Self { slots: (0..regions).map(slot).collect(), free: (regions > 0).then_some(0), count: 0 }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Registers memory under a key that is made from `random`.
    ///
    /// # Errors
    /// [`RegionsFull`].
    pub fn register(
        &mut self,
        registration: Registration,
        random: u32,
    ) -> Result<Named, RegionsFull> {
        let index = self.free.ok_or(RegionsFull)?;
        let slot = &mut self.slots[usize::from(index)];
        self.free = slot.next_free.take();
        slot.generation += 1;
        let key = RKey(random << INDEX_BITS | u32::from(index));
        let own = (u64::from(index) + 1) << OFFSET_BITS;
        let address = registration.address.unwrap_or(own);
        slot.entry = Some(Entry { registration, address, key: Some(key) });
        self.count += 1;
        Ok(Named { region: name(index, slot.generation), key, address })
    }

    /// Takes a region out, for good: work that is in flight finds it gone. The memory is returned,
    /// to be dropped where that may take its time.
    pub fn deregister(&mut self, region: Region) -> Option<Registration> {
        let index = index(region);
        let slot = self.slots.get_mut(usize::from(index))?;
        let current = name(index, slot.generation) == region;
        let entry = slot.entry.take_if(|_| current)?;
        slot.next_free = self.free.replace(index);
        self.count -= 1;
        Some(entry.registration)
    }

    /// The region in a place of the table, if there is one, and its domain.
    pub fn at(&self, place: u16) -> Option<(Region, Domain)> {
        let slot = self.slots.get(usize::from(place))?;
        let entry = slot.entry.as_ref()?;
        Some((name(place, slot.generation), entry.registration.domain))
    }

    /// How many places there are.
    pub fn places(&self) -> u16 {
        self.slots.len() as u16
    }

    fn entry(&self, region: Region) -> Option<&Entry> {
        let index = index(region);
        let slot = self.slots.get(usize::from(index))?;
        slot.entry.as_ref().filter(|_| name(index, slot.generation) == region)
    }

    /// Whether a region is of that domain, and permits the access.
    pub fn permits(&self, region: Region, domain: Domain, access: Access) -> bool {
        self.entry(region).is_some_and(|entry| {
            let registration = &entry.registration;
            registration.domain == domain && registration.access.contains(access)
        })
    }

    /// The bytes of a region.
    #[inline]
    pub fn memory(&self, region: Region) -> Option<&Arc<Exposed>> {
        self.entry(region).map(|entry| &entry.registration.memory)
    }

    /// Where `address` lies, if `key` names a region of the domain that covers `length` bytes from
    /// there and permits the access.
    #[inline]
    pub fn find(
        &self,
        domain: Domain,
        key: RKey,
        address: u64,
        length: u32,
        access: Access,
    ) -> Option<Place> {
        let index = key.0 as u16 & (Self::MOST - 1);
        let slot = self.slots.get(usize::from(index))?;
        let entry = slot.entry.as_ref().filter(|entry| entry.key == Some(key))?;
        let registration = &entry.registration;
        let region = name(index, slot.generation);
        let offset = address.checked_sub(entry.address)?;
        let end = offset.checked_add(u64::from(length))?;
        let covered = end <= registration.memory.len() as u64;
        let permitted = registration.domain == domain && registration.access.contains(access);
        (covered && permitted).then_some(Place { region, offset })
    }

    /// Takes a key back; the region stays for this side's own requests.
    ///
    /// # Errors
    /// [`Gone`] when the domain has no such key.
    pub fn invalidate(&mut self, domain: Domain, key: RKey) -> Result<(), Gone> {
        let index = key.0 as u16 & (Self::MOST - 1);
        let slot = self.slots.get_mut(usize::from(index)).ok_or(Gone)?;
        let entry = slot.entry.as_mut().filter(|entry| entry.key == Some(key)).ok_or(Gone)?;
        if entry.registration.domain != domain {
            return Err(Gone);
        }
        entry.key = None;
        Ok(())
    }
}

fn name(index: u16, generation: u64) -> Region {
    Region(generation << 16 | u64::from(index))
}

fn index(region: Region) -> u16 {
    region.0 as u16
}
