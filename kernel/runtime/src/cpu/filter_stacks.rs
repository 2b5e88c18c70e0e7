//! Stacks for filters, since the frames of one that is given up may be pointed to for ever, and the stack
//! of whichever context has activated the event goes on.
//!
//! Filters nest and do nothing else, as dispatch is deferred in them: so the stacks in use are the first
//! ones of a table, each a filter's that was called by the one before.

use super::home::RESERVE;
use core::ops::Range;

/// How many filters that can be given up may be called in one another.
pub(crate) const MOST: usize = 4;

/// Bytes of such a stack; a reserve is below it.
pub(crate) const BYTES: usize = 8 << 10;

/// The stacks of a core.
pub(crate) struct FilterStacks {
    /// Their lower and upper ends.
    stacks: [(usize, usize); MOST],
    used: usize,
    there: usize,
}

impl FilterStacks {
    /// None.
    pub(crate) const fn new() -> Self {
        Self { stacks: [(0, 0); MOST], used: 0, there: 0 }
    }

    /// Takes the next stack; `None` when all are in use.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Option<(usize, usize)> {
        if self.used == self.there {
            return None;
        }
        let stack = *self.stacks.get(self.used)?;
        self.used += 1;
        Some(stack)
    }

    /// Gives the stack back that was taken last.
    #[inline(always)]
    pub(crate) fn give_back(&mut self) {
        self.used -= 1;
    }

    /// Leaves the stack that was taken last to what may point to it.
    pub(crate) fn leave(&mut self) {
        self.used -= 1;
        self.there -= 1;
        self.stacks[self.used] = self.stacks[self.there];
    }

    /// Whether another is to be [added](Self::add).
    pub(crate) fn lack(&self) -> bool {
        self.there < MOST
    }

    /// Adds a stack, on which nothing is. True when it was lacking.
    pub(crate) fn add(&mut self, stack: Range<usize>) -> bool {
        let lacking = self.lack();
        if lacking {
            self.stacks[self.there] = (stack.start, stack.end);
            self.there += 1;
        }
        lacking
    }

    /// The reserve that an address is in, if it is that of a stack in use.
    pub(crate) fn reserve_of(&self, address: usize) -> Option<Range<usize>> {
        let used = self.stacks.iter().take(self.used);
        let mut reserves = used.map(|(start, _)| start - RESERVE..*start);
        reserves.find(|reserve| reserve.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_taken_in_one_another_and_never_twice() {
        let mut stacks = FilterStacks::new();
        assert_eq!(stacks.take(), None);
        for number in 1..=MOST {
            assert!(stacks.lack());
            assert!(stacks.add(number * 0x10000..number * 0x10000 + BYTES));
        }
        assert!(!stacks.lack() && !stacks.add(0x90000..0x90000 + BYTES));
        let first = stacks.take();
        let second = stacks.take();
        assert_eq!((first, second), (Some((0x10000, 0x12000)), Some((0x20000, 0x22000))));
        // The second is given up, and is never taken again.
        stacks.leave();
        let others = [stacks.take(), stacks.take()];
        assert_eq!(others, [Some((0x40000, 0x42000)), Some((0x30000, 0x32000))]);
        assert_eq!(stacks.take(), None);
        stacks.give_back();
        stacks.give_back();
        stacks.give_back();
        assert_eq!(stacks.take(), first);
        assert!(stacks.lack());
    }

    #[test]
    fn a_reserve_is_found_while_its_stack_is_in_use() {
        let mut stacks = FilterStacks::new();
        stacks.add(0x10000..0x12000);
        assert_eq!(stacks.reserve_of(0xfff8), None);
        stacks.take();
        assert_eq!(stacks.reserve_of(0xfff8), Some(0x10000 - RESERVE..0x10000));
        assert_eq!(stacks.reserve_of(0x10000), None);
        assert_eq!(stacks.reserve_of(0x10000 - RESERVE - 1), None);
    }
}
