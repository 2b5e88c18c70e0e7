//! Mutual exclusion around a pool's state: what a pool asks of its surroundings.

use crate::Pool;

/// Mutual exclusion that lasts a few dozen instructions: dispatch deferral in an image, a lock
/// on the host.
///
/// # Safety
/// From the return of [`enter`](Self::enter) to the call of the matching
/// [`leave`](Self::leave) no other flow of control (thread, handler, job) gets past `enter` of
/// the same value. What was written before a `leave` is visible after the next `enter`; on one
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

    /// The pool of the [owner](crate::Pool::set_owner) of this number had no room for so many bytes.
    /// Called outside of the exclusion.
    fn refused(&self, _owner: u32, _pool: &Pool, _bytes: usize) {}
}
