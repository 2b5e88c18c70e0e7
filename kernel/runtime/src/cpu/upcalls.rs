//! What a lower part of the kernel has an upper one do: the calls that lead upwards, all of them. They
//! are set when the kernel is started.

use super::deferral::Outermost;
use super::handler::Handler;
use reflex_event::Error;

/// The calls that lead upwards.
pub(crate) struct Upcalls {
    /// From where a handler returns, when it has been ended meanwhile: drops what it has captured.
    ///
    /// # Safety
    /// The event core gave it back.
    pub(crate) finish: unsafe fn(Outermost, Handler) -> Outermost,
    /// From where a section ends that was opened in a filter: gives that up, if it has used up its time, and
    /// then does not return.
    pub(crate) look_at_filter: fn(),
    /// From where a context is made that fails alone: makes the supervisor, unless there is one.
    pub(crate) ensure_supervisor: fn() -> Result<(), Error>,
    /// From where application's code is called that has panicked.
    #[cfg(feature = "hosted")]
    pub(crate) panicked: super::contain::Crash,
}
