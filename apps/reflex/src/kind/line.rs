//! A condition that holds or does not, as a wire is up or down.

use super::{Counted, Kind, Source};
use crate::{Error, Runtime, System};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A line that is asserted and deasserted. A handler registered by edge is told each time it is
/// asserted; one registered by [level](crate::Subscription::level) is told again and again while it
/// is. Copies are of the same line.
#[derive(Clone)]
pub struct Line {
    source: Source<()>,
    asserted: Arc<AtomicBool>,
}

impl Line {
    /// A line that is not asserted.
    ///
    /// # Errors
    /// When memory or a table does not allow one more.
    pub fn new(system: System) -> Result<Self, Error> {
        Ok(Self { source: system.plain_source()?, asserted: Arc::default() })
    }

    /// Asserts the line.
    pub fn assert(&self) {
        if !self.asserted.swap(true, Relaxed) {
            // Such a source takes everything.
            let _ = self.source.deliver(());
        }
    }

    /// Deasserts the line.
    pub fn deassert(&self) {
        self.asserted.store(false, Relaxed);
    }

    /// Whether it is asserted.
    pub fn is_asserted(&self) -> bool {
        self.asserted.load(Relaxed)
    }
}

impl Kind<Runtime> for Line {
    const NAME: &str = "line";
    type Data = ();
    type Accumulation = Counted;

    fn source(&self) -> &Source<()> {
        &self.source
    }

    fn ready(&self) -> Option<()> {
        self.is_asserted().then_some(())
    }
}
