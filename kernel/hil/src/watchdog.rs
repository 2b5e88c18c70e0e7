//! What ends a standstill.

/// A timer that resets the machine when it has not been fed for a time that its driver was told.
pub trait Watchdog: Send {
    /// Begins the time again. Takes a bounded time; called with dispatch deferred.
    fn feed(&mut self);
}
