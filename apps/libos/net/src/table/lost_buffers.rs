//! How many buffers of received frames do not come back, and how many others there are for them.

use reflex_memory::Pool;

/// Buffers of the first pool.
const FIRST: usize = 8;

/// How many buffers do not come back, and how many others there are for them.
#[derive(Clone, Copy, Default)]
pub(crate) struct LostBuffers {
    lost: usize,
    pub(crate) replaced: usize,
    /// Bytes of the largest, and where the last was of.
    bytes: usize,
    pool: Option<&'static Pool>,
}

impl LostBuffers {
    /// One more is lost.
    pub(crate) fn lose(&mut self, pool: &'static Pool, bytes: usize) {
        self.lost += 1;
        self.pool = Some(pool);
        self.bytes = self.bytes.max(bytes);
    }

    /// How many are to be made, of how many bytes each, and in the place of what pool's; `None` when there
    /// are enough.
    pub(crate) fn wanted(&self) -> Option<(usize, usize, &'static Pool)> {
        let pool = self.pool.filter(|_| self.lost > self.replaced)?;
        Some((self.replaced.max(FIRST), self.bytes, pool))
    }
}
