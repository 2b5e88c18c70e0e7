//! Handlers that write down what they are told.

#![allow(dead_code, reason = "no test uses all of it")]

use reflex_event::{Context, Error, EventId, EventSystem, Priority};
use reflex_kind::{
    Accumulate, Delivered, Delivery, Kind, Options, Source, Terms, Trigger, subscribe,
};
use reflex_testkit::{Clock, SimKernel};
use std::sync::{Arc, Mutex};

/// What was told: which handler, with what data, how many occurrences.
pub(crate) type Log<T> = Arc<Mutex<Vec<(u32, Option<T>, u32)>>>;

pub(crate) fn level(level: u8) -> Priority {
    Priority::new(level).expect("below 64")
}

/// A kernel, and a context for relays.
pub(crate) fn kernel() -> (SimKernel, Context<()>) {
    let kernel = SimKernel::new(Clock::default(), 1);
    let relay = kernel.context((), 1 << 16);
    (kernel, relay)
}

/// A registration that writes to `log` under `name`, in a context of its own.
pub(crate) struct Teller<T: Send + 'static> {
    pub(crate) kernel: SimKernel,
    pub(crate) context: Context<()>,
    pub(crate) event: EventId,
    pub(crate) delivery: Delivery<SimKernel, T>,
}

pub(crate) struct Registering<'a, X: Kind<SimKernel>> {
    pub(crate) kernel: &'a SimKernel,
    pub(crate) kind: &'a X,
    pub(crate) log: &'a Log<X::Data>,
    pub(crate) terms: Terms,
}

impl<'a, X: Kind<SimKernel>> Registering<'a, X> {
    pub(crate) fn new(kernel: &'a SimKernel, kind: &'a X, log: &'a Log<X::Data>) -> Self {
        Self { kernel, kind, log, terms: Terms::default() }
    }

    pub(crate) fn priority(mut self, priority: u8) -> Self {
        self.terms.priority = level(priority);
        self
    }

    pub(crate) fn options(mut self, options: Options) -> Self {
        self.terms.options = options;
        self
    }

    pub(crate) fn level(mut self) -> Self {
        self.terms.trigger = Trigger::Level;
        self
    }

    pub(crate) fn on<A: Accumulate<X::Data>>(self, name: u32) -> Result<Teller<X::Data>, Error> {
        self.filtered::<A>(name, None::<fn(&X::Data) -> bool>, |_| {})
    }

    pub(crate) fn doing<A: Accumulate<X::Data>>(
        self,
        name: u32,
        then: impl Fn(&Delivered<X::Data>) + Send + 'static,
    ) -> Result<Teller<X::Data>, Error> {
        self.filtered::<A>(name, None::<fn(&X::Data) -> bool>, then)
    }

    pub(crate) fn filtered<A: Accumulate<X::Data>>(
        self,
        name: u32,
        filter: Option<impl Fn(&X::Data) -> bool + Send + 'static>,
        then: impl Fn(&Delivered<X::Data>) + Send + 'static,
    ) -> Result<Teller<X::Data>, Error> {
        let (kernel, log) = (self.kernel.clone(), self.log.clone());
        let context = kernel.context((), 1 << 14);
        let kind = self.kind.clone();
        let (event, delivery) = subscribe::<_, X, A, _, _, _>(
            &kernel,
            context,
            kind,
            self.terms,
            filter,
            move |(), _, _, told| {
                then(&told);
                if let Delivered::Occurred(data, count) = told {
                    log.lock().unwrap().push((name, data, count));
                }
            },
        )?;
        Ok(Teller { kernel, context, event, delivery })
    }
}

impl<T: Send + 'static> Teller<T> {
    pub(crate) fn unregister(&self) {
        self.kernel.unregister(self.event).unwrap();
    }

    /// Blocks of the owner's event memory that are in use.
    pub(crate) fn blocks(&self) -> usize {
        self.kernel.pool(self.context).unwrap().stats().blocks
    }
}

/// What was told since this was last asked.
pub(crate) fn told<T>(log: &Log<T>) -> Vec<(u32, Option<T>, u32)> {
    core::mem::take(&mut *log.lock().unwrap())
}

/// A source of the last occurrence.
pub(crate) fn latest<T: Clone + Send + 'static>(
    kernel: &SimKernel,
    relay: Context<()>,
) -> Source<SimKernel, T> {
    Source::latest(kernel, relay).unwrap()
}
