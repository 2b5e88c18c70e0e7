//! Mutual exclusion around a pool's state, and which core runs: what a pool asks of its surroundings.

use crate::Pool;

/// Mutual exclusion that lasts a few dozen instructions: dispatch deferral in an image, a lock
/// on the host. It need not hold back other cores, where the pool can tell them by [`core`](Self::core).
///
/// # Safety
/// From the return of [`enter`](Self::enter) to the call of the matching
/// [`leave`](Self::leave) no other flow of control (thread, handler, job) of the same core gets past `enter` of
/// the same value; and [`core`](Self::core) tells the truth, as it says. What was written before a `leave` is visible after the next `enter`; on one
/// core that asks for compiler fences. Code that cannot be held back so, such as interrupt context
/// under dispatch deferral, must not use what the exclusion guards.
///
/// `enter` may be called by a flow that is inside already only if the implementation says that
/// it nests. A pool never does so by itself.
pub unsafe trait Exclusion: Sync {
    /// Begins the exclusion.
    fn enter(&self);

    /// Ends what the latest `enter` of this flow began.
    fn leave(&self);

    /// The number of the core that this runs on; `None` if no other core ever reaches what this guards, which is so for all
    /// that is made while it returns that, or if flows of all cores are held back. A pool asks once what core it is made on, and, if
    /// there was a number, then compares: from another core blocks are given back without the exclusion, and nothing else
    /// is done.
    fn core(&self) -> Option<u32> {
        None
    }

    /// The pool of the [owner](crate::Pool::set_owner) of this number had no room for so many bytes.
    /// Called outside of the exclusion.
    fn refused(&self, _owner: u32, _pool: &Pool, _bytes: usize) {}
}
