//! The priorities that anybody has asked for, to know the highest.

use reflex_event::Priority;

/// How many ports and connections there are of each priority.
pub(crate) struct Priorities {
    counts: [u32; Priority::LEVELS],
    used: u64,
}

impl Priorities {
    pub(crate) const NONE: Self = Self { counts: [0; Priority::LEVELS], used: 0 };

    pub(crate) fn add(&mut self, priority: Priority) {
        self.counts[usize::from(priority.level())] += 1;
        self.used |= 1 << priority.level();
    }

    /// Takes back one that was added.
    pub(crate) fn remove(&mut self, priority: Priority) {
        let count = &mut self.counts[usize::from(priority.level())];
        *count -= 1;
        if *count == 0 {
            self.used &= !(1 << priority.level());
        }
    }

    pub(crate) fn highest(&self) -> Option<Priority> {
        Priority::new(self.used.checked_ilog2()? as u8)
    }
}
