//! Memory of computations that were given up, which is not used again.
//!
//! A computation that is given up is one that never goes on. Whatever was borrowed for it stays
//! borrowed, and whatever it had pinned stays where it is: somebody may have pointers to its frames,
//! by right, that only its destructors would have taken back. So its stack, its context's event memory
//! and the captures of the handler that ran stay as they are for as long as the image runs. That is
//! counted, told, and bounded: beyond the bound the image ends.
//!
//! The next life of the context gets another stack and other event memory from the machine's; when
//! there are none, it does not begin. Only the maker of a context can know that nobody has such pointers, and
//! say so: see [`Reuse`](crate::Reuse).
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::{kill, registry};
use crate::cpu;
use crate::cpu::filter_stacks;
use crate::cpu::home::{Home, Quarantine, RESERVE};
use crate::cpu::options::GRANULE;
use crate::cpu::runtime::Runtime;
use crate::cpu::shared::SHARED;
use crate::cpu::supervision::{Life, Supervision};
use crate::dispatch::event_core::{tell, with_core};
use crate::dispatch::memory;
use crate::dispatch::section::{Section, section};
use reflex_event::{ContextId, Error, Trouble};
use reflex_memory::{Content, Pool};

/// The part of the machine's free memory that may be in quarantine when nothing is said.
const SHARE: u64 = 2;

/// Sets the bound.
pub(crate) fn init(cs: &Section, bound: Option<u64>) {
    let bound = bound.unwrap_or(memory::available() as u64 / SHARE);
    SHARED.quarantine.with(cs, |all| *all = Quarantine { bound, ..Quarantine::default() });
}

/// Puts memory of a computation into quarantine.
///
/// # Panics
/// When there is more than there may be: not where that would be contained.
pub(crate) fn add(bytes: u64) {
    if bytes != 0 {
        count(1, bytes);
    }
}

/// Puts memory of a pool into quarantine that a computation had borrowed which was given up; its owner is
/// told. When that is the computation's context, the whole pool is to be [added](add).
///
/// # Panics
/// As [`add`].
pub(crate) fn add_borrowed(pool: &'static Pool, bytes: u64) {
    let own = section(|cs| {
        let owner = pool.owner().and_then(|owner| registry::name(cs, owner as u16).ok())?;
        let (present, _) = registry::state_and_pool(cs, owner).ok()?;
        let supervision = registry::supervision(cs, owner).ok().flatten();
        let whole = supervision
            .is_some_and(|owner| owner.life.get() == Life::Dying && !owner.home.reuse.is_at_once());
        if whole && core::ptr::eq(present, pool) {
            return Some(());
        }
        tell(cs, owner, Trouble::MemoryQuarantined);
        None
    });
    if own.is_none() {
        count(0, bytes);
    }
}

fn count(computations: u64, bytes: u64) {
    let all = section(|cs| {
        SHARED.quarantine.with(cs, |all| {
            all.computations += computations;
            all.bytes = all.bytes.saturating_add(bytes);
            *all
        })
    });
    assert!(
        all.bytes <= all.bound,
        "{} bytes of {} computations that were given up are in quarantine, and {} may be (quarantine=)",
        all.bytes,
        all.computations,
        all.bound
    );
}

impl Home {
    /// Moves to another stack, on which nothing is.
    fn move_to(&self, cs: &Section, context: ContextId, stack: (usize, usize)) {
        self.stack.set(stack);
        with_core(cs, |core| core.machine(context).top = stack.1);
        kill::set_reserve(context, self.reserve().start);
    }
}

impl Supervision {
    /// The context's memory is not used again, if it was not said that it may be: nothing of the
    /// context is under way.
    ///
    /// # Panics
    /// As [`add`].
    pub(crate) fn quarantine(&self, pool: &'static Pool) {
        let home = &self.home;
        if home.reuse.is_at_once() {
            return home.lost.set(0);
        }
        home.left.set(true);
        let (stack, reserve) = (home.stack(), home.reserve());
        let own = (stack.len() + reserve.len() + pool.region().len()) as u64;
        let bytes = own + home.filter_stacks.take();
        home.lost.set(bytes);
        add(bytes);
    }

    /// Gives a context that begins another life another stack and other event memory, if its own are
    /// in quarantine. It is held, and has neither registrations nor a handler under way.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when there are none to be had.
    pub(crate) fn move_house(&self, context: ContextId) -> Result<(), Error> {
        let home = &self.home;
        if !home.left.get() {
            return Ok(());
        }
        let stack = match home.next.take() {
            Some(stack) => stack,
            None => {
                let stack = memory::stack_above(home.stack_bytes, RESERVE);
                stack.map(|stack| (stack.start, stack.end)).ok_or(Error::OutOfMemory)?
            }
        };
        // Should there be no memory for the rest, it is for the next try.
        home.next.set(Some(stack));
        let bytes = home.pool_bytes.ok_or(Error::OutOfMemory)?;
        let pool = memory::pool(bytes, GRANULE, Content::Objects)?;
        pool.set_owner(context.index.into());
        section(|cs| {
            registry::get(cs, context)?.pool.set(cs, pool);
            home.next.set(None);
            home.move_to(cs, context, stack);
            home.left.set(false);
            Ok(())
        })
    }

    /// Tells the contexts that answer for this one that memory of its has been quarantined.
    pub(crate) fn tell_quarantined(&self, cs: &Section) {
        if self.home.lost.get() == 0 {
            return;
        }
        let context = self.context(cs);
        let owner = registry::get(cs, context).ok().and_then(|place| place.lineage.get(cs).parent);
        let watcher = self.watcher_context(cs).filter(|watcher| Some(*watcher) != owner);
        for told in [owner, watcher].into_iter().flatten() {
            tell(cs, told, Trouble::MemoryQuarantined);
        }
    }
}

/// Makes the stacks for filters that there lack; false when there is no memory for all. Not in a section.
pub(crate) fn ready_filter_stacks() -> bool {
    while section(|cs| cpu::this().filter_stacks.with(cs, |stacks| stacks.lack())) {
        let Some(stack) = memory::stack_above(filter_stacks::BYTES, RESERVE) else { return false };
        // No filter is under way: this is not one, and they end before others run.
        section(|cs| cpu::this().filter_stacks.with(cs, |stacks| stacks.add(stack)));
    }
    true
}

/// Bytes of the supervisor's stack.
pub(crate) const SUPERVISOR_STACK: usize = 16 << 10;

/// Makes a stack for the supervisor to go on with, unless there is one; false when there is no memory
/// for it.
pub(crate) fn ready_spare() -> bool {
    if section(|cs| cpu::this().spare.get(cs).is_some()) {
        return true;
    }
    let Some(stack) = memory::stack_above(SUPERVISOR_STACK, RESERVE) else { return false };
    section(|cs| cpu::this().spare.set(cs, Some((stack.start, stack.end))));
    true
}

/// The supervisor has been given up and goes on: on another stack, if its own may be pointed to.
/// There is one, or it would not have done what it was given up for.
pub(crate) fn change_stack(cs: &Section, supervisor: &Supervision) {
    let spare = cpu::this().spare.get(cs);
    cpu::this().spare.set(cs, None);
    let home = &supervisor.home;
    let stack = spare.expect("made before anything was called that may fail");
    home.lost.set((home.stack().len() + home.reserve().len()) as u64);
    home.move_to(cs, supervisor.context(cs), stack);
}

impl Runtime {
    /// How much memory of computations that were given up is not used again.
    pub fn quarantine(self) -> Quarantine {
        section(|cs| SHARED.quarantine.with(cs, |all| *all))
    }
}
