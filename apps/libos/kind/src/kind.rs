//! A kind of event.

use crate::{Accumulate, Latest, Source};
use reflex_event::{Error, Kernel};

/// What can occur: a timer's expiry, bytes at the console, scarce memory. A value of it is a small
/// handle of one place where it can occur; copies are of the same place.
///
/// A kind consists of data of a type, a [`Source`] that says which handlers may be told, and code
/// that calls [`Source::deliver`] when something has occurred. The rest is here for those that need
/// it.
pub trait Kind<K: Kernel>: Clone + Send + 'static {
    /// What the kind is called by a context's policy, which may not allow it.
    const NAME: &'static str;

    /// What a handler is told of an occurrence: all there is to know.
    type Data: Send + 'static;

    /// How occurrences are kept for a registration that does not say.
    type Accumulation: Accumulate<Self::Data>;

    /// Where the occurrences come from.
    fn source(&self) -> &Source<K, Self::Data>;

    /// Takes what is there already, without having occurred: what an operation that waits for it
    /// has at once, and what makes a registration by level run again.
    fn ready(&self) -> Option<Self::Data> {
        None
    }

    /// There is one registration more, the `registrations`th at present. When that is an error the
    /// registration ends.
    ///
    /// # Errors
    /// Whatever the kind's own preparations lead to.
    fn attached(&self, registrations: u32) -> Result<(), Error> {
        let _ = registrations;
        Ok(())
    }

    /// There is one registration less. Called in a section.
    fn detached(&self, registrations: u32) {
        let _ = registrations;
    }
}

/// Anything that occurs when code that has the source says so.
impl<K: Kernel, T: Send + 'static> Kind<K> for Source<K, T> {
    const NAME: &'static str = "source";

    type Data = T;
    type Accumulation = Latest;

    fn source(&self) -> &Source<K, T> {
        self
    }
}
