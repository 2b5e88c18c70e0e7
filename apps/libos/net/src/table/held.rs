//! How many frames are held by applications that have not read them: see `ip/tcp/ahead.rs`.

use crate::ip::endpoint::Endpoint;
use reflex_memory::Lent;

/// How many frames are held, and how many may be: others' frames need buffers, too.
pub(crate) struct Held {
    frames: u32,
    most: u32,
}

impl Held {
    /// None, of so many that may wait in queues.
    pub(crate) fn new(frames: u32) -> Self {
        Self { frames: 0, most: frames / 4 }
    }

    /// Whether there may be one more.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.frames < self.most
    }

    /// An endpoint is put back into its record: counts the frame it holds, or no longer holds.
    #[inline]
    pub(crate) fn count(&mut self, endpoint: &mut Option<Lent<Endpoint>>) {
        let Some(endpoint) = endpoint else { return };
        let holds = endpoint.lead.holds();
        if holds != core::mem::replace(&mut endpoint.lead.counted, holds) {
            self.frames = if holds { self.frames + 1 } else { self.frames.saturating_sub(1) };
        }
    }
}
