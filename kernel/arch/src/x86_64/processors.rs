//! Which processors a machine has: the identifiers of their local APICs.

/// The most processors that are kept: a bit for each in a word.
pub const MOST: usize = 64;

/// Processors that may be started, in the firmware's order, each once.
#[derive(Clone, Copy, Debug)]
pub struct Processors {
    ids: [u32; MOST],
    count: usize,
    beyond: u32,
}

impl Processors {
    /// None.
    pub const NONE: Self = Self { ids: [0; MOST], count: 0, beyond: 0 };

    /// The identifiers.
    pub fn ids(&self) -> &[u32] {
        &self.ids[..self.count]
    }

    /// How many there are besides, for which there is no room.
    pub fn beyond(&self) -> u32 {
        self.beyond
    }

    /// Adds one, unless the firmware has named it before.
    pub(super) fn add(&mut self, id: u32) {
        if self.ids().contains(&id) {
            return;
        }
        match self.ids.get_mut(self.count) {
            Some(place) => {
                *place = id;
                self.count += 1;
            }
            None => self.beyond = self.beyond.saturating_add(1),
        }
    }
}

impl Default for Processors {
    fn default() -> Self {
        Self::NONE
    }
}
