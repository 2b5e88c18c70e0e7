//! Signals that any number of handlers may be told of; see [`SignalBuilder::shared`](crate::SignalBuilder::shared).

use super::source_event::SourceEvent;
use super::{Counted, Kind, Source};
use crate::{Activation, Error, Priority, Runtime, SignalMode, System};
use alloc::sync::Arc;
use reflex_runtime::Signal;

/// A signal, shared: `fire` has every registration told, from any handler and any interrupt. Copies
/// are of the same signal.
///
/// A registration by [`each`](crate::Subscription::each) runs once a firing, as a semaphore would
/// have it, only as long as firings are told one at a time; the count says what they amount to.
#[derive(Clone)]
pub struct SharedSignal(Arc<SignalShared>);

/// What its copies share.
struct SignalShared {
    signal: Signal,
    source: Source<()>,
    _event: SourceEvent,
}

impl SharedSignal {
    pub(crate) fn new(system: System, mode: SignalMode) -> Result<Self, Error> {
        let source: Source<()> = system.plain_source()?;
        let system_context = system.system_context()?;
        let told = source.clone();
        let handler = move |_: &mut (), activation: Activation| {
            // Such a source takes everything.
            let _ = told.deliver_counted((), activation.count);
        };
        let signal =
            Signal::new(system.kernel(), system_context, Priority::DEFAULT, mode, handler)?;
        let event = SourceEvent::over(system, &source, signal.event());
        Ok(Self(Arc::new(SignalShared { signal, source, _event: event })))
    }

    /// Fires the signal. Constant time; legal in interrupt context.
    pub fn fire(&self) {
        // It is registered as long as this is there.
        let _ = self.0.signal.fire();
    }
}

impl Kind<Runtime> for SharedSignal {
    const NAME: &str = "signal";
    type Data = ();
    type Accumulation = Counted;

    fn source(&self) -> &Source<()> {
        &self.0.source
    }
}
