//! Long values, in chunks: none needs one large block, and none is copied while it grows.

use crate::bytes::{append, push};
use crate::failure::Failure;
use reflex_collections::{Memory, Vec};

/// Bytes of a chunk.
pub(crate) const CHUNK: usize = 4 << 10;

/// A blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BlobId(pub(crate) u32);

/// The end of the list of free places.
const NONE: u32 = u32::MAX;

struct Blob {
    /// All but the last one are full.
    chunks: Vec<Vec<u8>>,
    length: usize,
    /// Values that it is, and replies that it is in. In a free place: the next free one.
    references: u32,
}

/// All long values. One is there as long as a key, a command that comes or a reply that goes refers to it; it only
/// ever grows while it is shared, so that a reply has what there was when it was asked for.
pub struct Blobs {
    memory: Memory,
    places: Vec<Blob>,
    free: u32,
}

impl Blobs {
    pub(crate) fn new(memory: Memory) -> Self {
        Self { memory, places: memory.vec(), free: NONE }
    }

    /// An empty one, with a reference.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`].
    pub(crate) fn begin(&mut self) -> Result<BlobId, Failure> {
        let place = self.free;
        if place == NONE {
            let blob = Blob { chunks: self.memory.vec(), length: 0, references: 1 };
            push(&mut self.places, blob)?;
            return Ok(BlobId(self.places.len() as u32 - 1));
        }
        let blob = &mut self.places[place as usize];
        self.free = core::mem::replace(&mut blob.references, 1);
        Ok(BlobId(place))
    }

    /// One with these bytes, and a reference.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`].
    pub(crate) fn of(&mut self, bytes: &[u8]) -> Result<BlobId, Failure> {
        let id = self.begin()?;
        self.append(id, bytes, 0).inspect_err(|_| self.release(id))?;
        Ok(id)
    }

    /// Puts bytes behind it, of which as many more are expected as `expected` says: a chunk is made for what is to
    /// be in it.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`]; it is as before.
    pub(crate) fn append(
        &mut self,
        id: BlobId,
        bytes: &[u8],
        expected: usize,
    ) -> Result<(), Failure> {
        let memory = self.memory;
        let blob = &mut self.places[id.0 as usize];
        let before = blob.length;
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = blob.length % CHUNK;
            let (piece, behind) = rest.split_at(rest.len().min(CHUNK - used));
            let to_come = (rest.len() + expected).min(CHUNK - used);
            let put = match blob.chunks.last_mut() {
                Some(last) if used > 0 => append(last, piece),
                _ => chunk(memory, piece, to_come).and_then(|chunk| push(&mut blob.chunks, chunk)),
            };
            if let Err(failure) = put {
                self.truncate(id, before);
                return Err(failure);
            }
            blob.length += piece.len();
            rest = behind;
        }
        Ok(())
    }

    /// Puts the bytes of another one behind it.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`]; it is as before.
    pub(crate) fn append_blob(&mut self, id: BlobId, from: BlobId) -> Result<(), Failure> {
        let before = self.length(id);
        let mut left = self.length(from);
        let chunks = &mut self.places[from.0 as usize].chunks;
        let chunks = core::mem::replace(chunks, self.memory.vec());
        let appended = chunks.iter().try_for_each(|chunk| {
            left -= chunk.len();
            self.append(id, chunk, left)
        });
        self.places[from.0 as usize].chunks = chunks;
        appended.inspect_err(|_| self.truncate(id, before))
    }

    /// The bytes from `at` to the end of their chunk.
    pub(crate) fn from(&self, id: BlobId, at: usize) -> &[u8] {
        let chunk = self.places[id.0 as usize].chunks.get(at / CHUNK);
        chunk.and_then(|chunk| chunk.get(at % CHUNK..)).unwrap_or(&[])
    }

    pub(crate) fn length(&self, id: BlobId) -> usize {
        self.places[id.0 as usize].length
    }

    /// One reference more.
    pub(crate) fn retain(&mut self, id: BlobId) {
        self.places[id.0 as usize].references += 1;
    }

    /// One reference less; without any it is gone.
    pub(crate) fn release(&mut self, id: BlobId) {
        let blob = &mut self.places[id.0 as usize];
        blob.references -= 1;
        if blob.references == 0 {
            blob.chunks = self.memory.vec();
            blob.length = 0;
            blob.references = self.free;
            self.free = id.0;
        }
    }

    fn truncate(&mut self, id: BlobId, length: usize) {
        let blob = &mut self.places[id.0 as usize];
        blob.chunks.truncate(length.div_ceil(CHUNK));
        if let Some(last) = blob.chunks.last_mut().filter(|_| !length.is_multiple_of(CHUNK)) {
            last.truncate(length % CHUNK);
        }
        blob.length = length;
    }
}

/// A chunk that begins with `bytes`, with room for `room`.
fn chunk(memory: Memory, bytes: &[u8], room: usize) -> Result<Vec<u8>, Failure> {
    let mut chunk = memory.vec();
    chunk.try_reserve_exact(room).map_err(|_| Failure::OutOfMemory)?;
    append(&mut chunk, bytes)?;
    Ok(chunk)
}
