//! A block device that runs.

use crate::Error;
use crate::inner::{Events, Inner};
use crate::state::{Counters, State};
use alloc::boxed::Box;
use alloc::sync::Arc;
use reflex_event::{Activation, Ceiling, Context, EventId, Kernel, Registration};
use reflex_hil::{Block, BlockInfo};
use spin::Once;

/// A block device. Copies are of the same.
pub struct Device<K: Kernel>(pub(crate) Arc<Inner<K>>);

impl<K: Kernel> Clone for Device<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Kernel> Device<K> {
    /// The device of that driver.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(kernel: K, device: Box<dyn Block>) -> Result<Self, Error> {
        let info = *device.info();
        let (state, events) = (Ceiling::new(State::new(device)?), Once::new());
        Ok(Self(Arc::new(Inner { kernel, info, state, events })))
    }

    /// The event by which `devices` are told of contexts that have come to their end: one for all, since a context
    /// tells of its end a few times only.
    ///
    /// # Errors
    /// [`Error::Event`].
    pub fn ends(
        kernel: &K,
        context: Context<()>,
        devices: impl IntoIterator<Item = Self>,
    ) -> Result<EventId, Error> {
        let devices: Box<[Self]> = devices.into_iter().collect();
        let tell = move |_: &mut (), _| devices.iter().for_each(|device| device.0.sweep_soon());
        Ok(kernel.register(context, Registration::default(), tell)?)
    }

    /// Starts it, with its work done in `context`: the event that its interrupt is to activate, once at the
    /// beginning too. By `ended` it [is told](Self::ends) of contexts that have come to their end.
    ///
    /// # Errors
    /// [`Error::Event`].
    pub fn start(&self, context: Context<()>, ended: EventId) -> Result<EventId, Error> {
        let inner = &self.0;
        let served = self.handler(context, |device, _| device.serve())?;
        let timed = self.handler(context, |device, _| device.expire())?;
        let swept = self.handler(context, |device, activation| device.sweep(activation.count))?;
        let timer = inner.kernel.timer(timed)?;
        inner.events.call_once(|| Events { served, timer, swept, ended });
        Ok(served)
    }

    fn handler(
        &self,
        context: Context<()>,
        run: fn(&Self, Activation),
    ) -> Result<EventId, reflex_event::Error> {
        let device = self.clone();
        self.0.kernel.register(context, Registration::default(), move |(), activation| {
            run(&device, activation)
        })
    }

    /// What it is like.
    pub fn info(&self) -> &BlockInfo {
        &self.0.info
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.0.with(|state| Counters { device: state.device.counters(), ..state.counters })
    }
}
