//! Making contexts.

use crate::context::Context;
use crate::policy::{Requested, resolve};
use crate::setup::Setup;
use crate::{Error, System};
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use reflex_event::{Error as EventError, Limits, Priority};
use reflex_memory::Scheme;
use reflex_runtime::supervise::{Backoff, OnFailure};
use reflex_runtime::{ContextOptions, OwnScheme, Reuse, Runtime};

/// A context about to be made; see [`System::context`](crate::System::context) and
/// [`System::context_with`](crate::System::context_with).
#[must_use = "a context is made by `build`"]
pub struct ContextBuilder<S, O = Given<S>> {
    kernel: Runtime,
    pub(crate) options: ContextOptions,
    priority: Priority,
    pub(crate) requested: Requested,
    pub(crate) inherits_from: Option<Context<S>>,
    origin: O,
    scheme: OwnScheme,
    state: PhantomData<fn() -> S>,
}

/// The context is made on a core that was named.
#[derive(Clone, Copy, Debug)]
pub struct On<O> {
    core: u32,
    origin: O,
}

/// The state was given.
#[derive(Clone, Copy, Debug)]
pub struct Given<S>(S);

/// The state is made by a constructor, in the context itself.
#[derive(Clone, Copy, Debug)]
pub struct Constructed<C>(C);

/// The state is made of the context's handle.
#[derive(Clone, Copy, Debug)]
pub struct Made<F>(F);

impl<S: Send + 'static> ContextBuilder<S> {
    pub(crate) fn new(kernel: Runtime, name: &'static str, state: S) -> Self {
        Self::from(kernel, ContextOptions::new(name), Given(state))
    }

    /// Makes the context.
    ///
    /// # Errors
    /// When the machine's memory, or the number of contexts, does not allow it; and when it is to
    /// be restarted after failures, for which it takes
    /// [`System::context_with`](crate::System::context_with).
    pub fn build(self) -> Result<Context<S>, Error> {
        self.build_by(|Given(state), kernel, options, scheme, _| {
            kernel.context_by(options, scheme, state)
        })
    }
}

impl<S: Send + 'static, F: FnOnce(Context<S>) -> S> ContextBuilder<S, Made<F>> {
    pub(crate) fn knowing(kernel: Runtime, name: &'static str, make: F) -> Self {
        Self::from(kernel, ContextOptions::new(name), Made(make))
    }

    /// Makes the context, and its state.
    ///
    /// # Errors
    /// When the machine's memory, or the number of contexts, does not allow it; and when it is to
    /// be restarted after failures, for which it takes
    /// [`System::context_with`](crate::System::context_with).
    pub fn build(self) -> Result<Context<S>, Error> {
        self.build_by(|Made(make), kernel, options, scheme, priority| {
            kernel.context_knowing(options, scheme, |inner| make(Context { inner, priority }))
        })
    }
}

impl<S: Send + 'static> ContextBuilder<S, On<Given<S>>> {
    /// Makes the context on its core.
    ///
    /// # Errors
    /// As on this one; on another core also those of [`System::on_core`].
    pub fn build(self) -> Result<Context<S>, Error> {
        self.there(ContextBuilder::<S, Given<S>>::build)
    }
}

impl<S: Send + 'static, F> ContextBuilder<S, On<Made<F>>>
where
    F: FnOnce(Context<S>) -> S + Send + 'static,
{
    /// Makes the context on its core, and its state.
    ///
    /// # Errors
    /// As on this one; on another core also those of [`System::on_core`].
    pub fn build(self) -> Result<Context<S>, Error> {
        self.there(ContextBuilder::<S, Made<F>>::build)
    }
}

impl<S: 'static, C: Send + 'static> ContextBuilder<S, On<Constructed<C>>> {
    /// Makes the context on its core, where its constructor runs.
    ///
    /// # Errors
    /// As on this one; on another core also those of [`System::on_core`].
    pub fn build<E>(self) -> Result<Context<S>, Error>
    where
        C: Fn(Setup<'_, S>) -> Result<S, E> + Send + Sync + 'static,
        E: fmt::Display + 'static,
    {
        self.there(ContextBuilder::<S, Constructed<C>>::build)
    }
}

impl<S: 'static, O: Send + 'static> ContextBuilder<S, On<O>> {
    /// Builds it on its core.
    fn there(
        self,
        build: fn(ContextBuilder<S, O>) -> Result<Context<S>, Error>,
    ) -> Result<Context<S>, Error> {
        let kernel = self.kernel;
        let core = self.origin.core;
        let mut here = self.with_origin(|On { origin, .. }| origin);
        if core == kernel.core() {
            return build(here);
        }
        let charged = kernel.adopt_elsewhere(&mut here.options)?;
        let built = kernel.on_core(core, move || build(here));
        let built = built.map_err(Error::Event).and_then(|built| built);
        if built.is_err() {
            kernel.disown(charged);
        }
        built
    }
}

impl<S: 'static, O> ContextBuilder<S, O> {
    /// Makes a context that is not restarted.
    fn build_by(
        mut self,
        make: impl FnOnce(
            O,
            Runtime,
            ContextOptions,
            OwnScheme,
            Priority,
        ) -> Result<reflex_event::Context<S>, EventError>,
    ) -> Result<Context<S>, Error> {
        resolve(self.kernel, &self.requested, &mut self.options, &mut self.priority)?;
        if self.options.on_failure == OnFailure::Restart {
            return Err(Error::Event(EventError::NotAllowed));
        }
        let priority = self.priority;
        let inner = make(self.origin, self.kernel, self.options, self.scheme, priority)?;
        if let Some(parent) = self.inherits_from {
            self.kernel.inherit(inner, parent.inner)?;
        }
        Ok(Context { inner, priority })
    }
}

impl<S: 'static, C> ContextBuilder<S, Constructed<C>> {
    pub(crate) fn with(kernel: Runtime, name: &'static str, constructor: C) -> Self {
        let mut options = ContextOptions::new(name);
        options.on_failure = OnFailure::Restart;
        Self::from(kernel, options, Constructed(constructor))
    }

    /// How long to wait before a restart: `initial` the first time, twice as long each time from
    /// then on, up to `longest`; from 10 ms to 10 s unless said here. A life longer than `longest`
    /// begins the count anew.
    pub fn backoff(self, initial: Duration, longest: Duration) -> Self {
        let backoff = Backoff { initial, longest };
        Self { options: ContextOptions { backoff, ..self.options }, ..self }
    }

    /// Makes the context, and has its constructor run: before this returns, if the context's
    /// priority is above the caller's. When the constructor fails that is a failure of the context
    /// like any other.
    ///
    /// # Errors
    /// When the machine's memory, or the number of contexts, does not allow it.
    pub fn build<E>(self) -> Result<Context<S>, Error>
    where
        C: Fn(Setup<'_, S>) -> Result<S, E> + Send + Sync + 'static,
        E: fmt::Display,
    {
        let Self { kernel, requested, mut options, mut priority, scheme, .. } = self;
        let Constructed(constructor) = self.origin;
        resolve(kernel, &requested, &mut options, &mut priority)?;
        let inner = kernel.construct(options, scheme, priority, move |inner, own| {
            constructor(Setup { context: Context { inner, priority }, own, kernel })
        })?;
        Ok(Context { inner, priority })
    }
}

impl<S, O> ContextBuilder<S, O> {
    fn from(kernel: Runtime, options: ContextOptions, origin: O) -> Self {
        let (requested, inherits_from) = (Requested::default(), None);
        let priority = Priority::DEFAULT;
        let (scheme, state) = (None, PhantomData);
        Self { kernel, options, priority, requested, inherits_from, origin, scheme, state }
    }

    /// The same builder, of another origin.
    fn with_origin<P>(self, of: impl FnOnce(O) -> P) -> ContextBuilder<S, P> {
        let Self { kernel, options, priority, requested, inherits_from, origin, scheme, state } =
            self;
        let origin = of(origin);
        ContextBuilder {
            kernel,
            options,
            priority,
            requested,
            inherits_from,
            origin,
            scheme,
            state,
        }
    }

    /// Has the command line have the last word.
    pub(crate) fn configured(mut self, system: System) -> Self {
        self.requested.config = system.machine().arguments.context(self.options.name);
        self
    }

    /// The core on which it lives, by its number: its handlers run there, and there alone. Without this it is the core on
    /// which it is built. On another core it is made by a message, for which the calling handler waits.
    ///
    /// A handler that is registered with it, or is to be ended or changed, from another core is likewise looked after there. Activating
    /// its events and firing its signals waits for nothing.
    pub fn core(self, core: u32) -> ContextBuilder<S, On<O>> {
        self.with_origin(|origin| On { core, origin })
    }

    /// The priority of registrations that name none; [`Priority::DEFAULT`] unless said here.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Bytes of stack; 16 KiB unless said here. An overflow hits a guard page.
    pub fn stack(self, bytes: usize) -> Self {
        Self { options: ContextOptions { stack: bytes, ..self.options }, ..self }
    }

    /// Bytes of event memory; 64 KiB unless said here. The context's handlers, the buffers of its
    /// connections and its own boxes ([`Lent`](crate::Lent)) come from there.
    pub fn memory(self, bytes: usize) -> Self {
        Self { options: ContextOptions { memory: bytes, ..self.options }, ..self }
    }

    /// Event memory that is handed out by an allocation scheme of the context's own, from that one's
    /// region (A-3.4.1): instead of the pool of blocks of powers of two that it has otherwise.
    /// Everything else is as ever, restarts included.
    pub fn scheme(self, scheme: &'static mut dyn Scheme) -> Self {
        let bytes = scheme.region().len();
        Self { scheme: Some(scheme), ..self.memory(bytes) }
    }

    /// How much of the event system it may use; as much as there is unless said here.
    pub fn limits(self, limits: Limits) -> Self {
        Self { options: ContextOptions { limits, ..self.options }, ..self }
    }

    /// What becomes of it when it fails: the image halts, unless said here, or the state is
    /// [constructed](crate::System::context_with); then it is restarted.
    pub fn on_failure(self, on_failure: OnFailure) -> Self {
        Self { options: ContextOptions { on_failure, ..self.options }, ..self }
    }

    /// Whether its memory may be used again when it has been given up. Unless said here it is
    /// [quarantined](System::quarantine): the next life has another stack and other event memory, and what
    /// the handler that ran has captured stays where it is. [`Reuse`] says what there is to be looked at
    /// for another answer.
    pub fn after_failure(self, reuse: Reuse) -> Self {
        Self { options: ContextOptions { reuse, ..self.options }, ..self }
    }
}
