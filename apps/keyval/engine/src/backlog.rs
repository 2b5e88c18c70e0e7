//! What of a connection's replies waits for room to send.

use crate::blobs::{BlobId, Blobs};
use crate::bytes::{append, push};
use crate::failure::Failure;
use reflex_collections::{Memory, Vec};

/// Bytes for which there always is room: those of a short reply, or of an error.
pub(crate) const RESERVE: usize = 128;
/// Bytes that are kept of what was used.
const KEPT: usize = 1 << 10;

/// A blob among the text.
struct Piece {
    /// The text in front of it ends here.
    behind: usize,
    id: BlobId,
    at: usize,
    end: usize,
}

/// Text, with blobs in between.
pub(crate) struct Backlog {
    text: Vec<u8>,
    /// What of the text has been sent.
    sent: usize,
    pieces: Vec<Piece>,
    /// The first piece that has not been sent.
    first: usize,
}

impl Backlog {
    /// # Errors
    /// [`Failure::OutOfMemory`].
    pub(crate) fn new(memory: Memory) -> Result<Self, Failure> {
        let mut text = memory.vec();
        text.try_reserve_exact(RESERVE).map_err(|_| Failure::OutOfMemory)?;
        Ok(Self { text, sent: 0, pieces: memory.vec(), first: 0 })
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.pieces.is_empty()
    }

    pub(crate) fn text(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        append(&mut self.text, bytes)
    }

    /// A blob as it is now; holds a reference to it.
    pub(crate) fn blob(&mut self, id: BlobId, blobs: &mut Blobs) -> Result<(), Failure> {
        let end = blobs.length(id);
        push(&mut self.pieces, Piece { behind: self.text.len(), id, at: 0, end })?;
        blobs.retain(id);
        Ok(())
    }

    /// The bytes that are to be sent next, in one piece; none when all have been.
    pub(crate) fn front<'a>(&'a self, blobs: &'a Blobs) -> &'a [u8] {
        match self.pieces.get(self.first) {
            Some(piece) if piece.behind == self.sent => {
                let bytes = blobs.from(piece.id, piece.at);
                &bytes[..bytes.len().min(piece.end - piece.at)]
            }
            Some(piece) => &self.text[self.sent..piece.behind],
            None => &self.text[self.sent..],
        }
    }

    /// So many of these have been sent.
    pub(crate) fn advance(&mut self, sent: usize, blobs: &mut Blobs) {
        match self.pieces.get_mut(self.first) {
            Some(piece) if piece.behind == self.sent => {
                piece.at += sent;
                if piece.at == piece.end {
                    blobs.release(piece.id);
                    self.first += 1;
                }
            }
            _ => self.sent += sent,
        }
        if self.sent == self.text.len() && self.first == self.pieces.len() {
            self.forget();
        }
    }

    /// Forgets all of it.
    pub(crate) fn clear(&mut self, blobs: &mut Blobs) {
        self.pieces[self.first..].iter().for_each(|piece| blobs.release(piece.id));
        self.forget();
    }

    fn forget(&mut self) {
        self.text.clear();
        self.pieces.clear();
        if self.text.capacity() > KEPT {
            self.text.shrink_to(RESERVE);
        }
        if self.pieces.capacity() * size_of::<Piece>() > KEPT {
            self.pieces.shrink_to_fit();
        }
        (self.sent, self.first) = (0, 0);
    }
}
