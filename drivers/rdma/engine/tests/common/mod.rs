//! Stand-ins for what a device provides: registered memory, a port, a place for reports.

pub(crate) mod capture;
pub(crate) mod craft;
pub(crate) mod link;

use reflex_rdma_engine::*;
use reflex_rdma_wire::RKey;

/// One registration.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) key: RKey,
    pub(crate) domain: Domain,
    pub(crate) address: u64,
    pub(crate) access: Access,
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_gone: bool,
    pub(crate) is_invalid: bool,
}

/// Registered memory; a region's name is its index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ram {
    pub(crate) regions: Vec<Registered>,
    /// Bytes copied in either direction: each byte of a message should be, once.
    pub(crate) written: u64,
}

impl Ram {
    pub(crate) fn register(
        &mut self,
        key: u32,
        address: u64,
        access: Access,
        bytes: Vec<u8>,
    ) -> Region {
        let domain = Domain(1);
        let key = RKey(key);
        let new =
            Registered { key, domain, address, access, bytes, is_gone: false, is_invalid: false };
        self.regions.push(new);
        Region(self.regions.len() as u64 - 1)
    }

    pub(crate) fn bytes(&self, region: Region) -> &[u8] {
        &self.regions[region.0 as usize].bytes
    }

    fn range(&self, place: Place, length: usize) -> Result<(usize, std::ops::Range<usize>), Gone> {
        let index = usize::try_from(place.region.0).map_err(|_| Gone)?;
        let region = self.regions.get(index).ok_or(Gone)?;
        let start = usize::try_from(place.offset).map_err(|_| Gone)?;
        let end = start.checked_add(length).ok_or(Gone)?;
        let is_there = !region.is_gone && end <= region.bytes.len();
        if is_there { Ok((index, start..end)) } else { Err(Gone) }
    }
}

impl Memory for Ram {
    fn find(
        &self,
        domain: Domain,
        key: RKey,
        address: u64,
        length: u32,
        access: Access,
    ) -> Option<Place> {
        let index = self.regions.iter().position(|region| {
            !region.is_gone && !region.is_invalid && region.key == key && region.domain == domain
        })?;
        let region = &self.regions[index];
        let offset = address.checked_sub(region.address)?;
        let end = offset.checked_add(u64::from(length))?;
        let fits = end <= region.bytes.len() as u64 && region.access.contains(access);
        fits.then_some(Place { region: Region(index as u64), offset })
    }

    fn read(&self, place: Place, into: &mut [u8]) -> Result<(), Gone> {
        let (index, range) = self.range(place, into.len())?;
        into.copy_from_slice(&self.regions[index].bytes[range]);
        Ok(())
    }

    fn write(&mut self, place: Place, bytes: &[u8]) -> Result<(), Gone> {
        let (index, range) = self.range(place, bytes.len())?;
        self.written += bytes.len() as u64;
        self.regions[index].bytes[range].copy_from_slice(bytes);
        Ok(())
    }

    fn update(&mut self, place: Place, operation: Atomic) -> Result<u64, Gone> {
        let (index, range) = self.range(place, 8)?;
        let word = &mut self.regions[index].bytes[range];
        let original = u64::from_ne_bytes(word.try_into().expect("eight bytes"));
        word.copy_from_slice(&operation.apply(original).to_ne_bytes());
        Ok(original)
    }

    fn invalidate(&mut self, domain: Domain, key: RKey) -> Result<(), Gone> {
        let found = |region: &&mut Registered| {
            region.key == key && region.domain == domain && !region.is_gone && !region.is_invalid
        };
        self.regions.iter_mut().find(found).ok_or(Gone)?.is_invalid = true;
        Ok(())
    }
}

/// Keeps what it is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) completions: Vec<Completion>,
    pub(crate) events: Vec<Event>,
}

impl Report for Log {
    fn complete(&mut self, completion: Completion) {
        self.completions.push(completion);
    }

    fn raise(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// A port with a number of free buffers; what it sends is kept.
pub(crate) struct Port<'a> {
    pub(crate) memory: &'a Ram,
    pub(crate) frames: &'a mut Vec<Vec<u8>>,
    pub(crate) room: usize,
}

impl Transmit for Port<'_> {
    fn transmit(&mut self, packet: &Outgoing<'_>) -> Result<(), TransmitError> {
        if self.room == 0 {
            return Err(TransmitError::Full);
        }
        // What lies in a buffer must not matter, nor how long it is.
        let mut buffer = vec![0xa5; packet.length() + 3];
        let length = packet.emit(self.memory, &mut buffer)?;
        assert_eq!(length, packet.length());
        buffer.truncate(length);
        self.frames.push(buffer);
        self.room -= 1;
        Ok(())
    }
}

/// A small generator of random numbers (Vigna's splitmix64), so that a seed says everything.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// So often of a thousand times.
    pub(crate) fn often(&mut self, of_thousand: u64) -> bool {
        self.below(1000) < of_thousand
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        bytes
    }
}

/// The seed that `REFLEX_SEED` gives, or one from the clock. It is printed.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| now.as_nanos() as u64)
    });
    println!("seed {seed} (repeat with REFLEX_SEED={seed})");
    seed
}
