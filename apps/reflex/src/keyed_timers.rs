//! Many deadlines of one registration.

use crate::{Context, Error, Registered, System};
use core::ops::Deref;
use reflex_event::Priority;
use reflex_runtime::Runtime;

/// Deadlines, each under a key and with a payload; see [`System::timers`]. Copies are of the same ones.
pub struct KeyedTimers<P: Copy + Send + Default + 'static> {
    inner: reflex_keyed_timers::KeyedTimers<Runtime, P>,
    kernel: Runtime,
}

impl<P: Copy + Send + Default + 'static> KeyedTimers<P> {
    /// The registration that is told of all of them, for control.
    pub fn registration(&self) -> Registered {
        Registered::new(self.kernel, self.inner.event())
    }
}

impl<P: Copy + Send + Default + 'static> Deref for KeyedTimers<P> {
    type Target = reflex_keyed_timers::KeyedTimers<Runtime, P>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl<P: Copy + Send + Default + 'static> Clone for KeyedTimers<P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), kernel: self.kernel }
    }
}

/// Timers about to be registered; see [`System::timers`].
#[must_use = "timers are registered by `on`"]
#[derive(Clone, Copy, Debug)]
pub struct KeyedTimersBuilder {
    kernel: Runtime,
    capacity: usize,
    priority: Option<Priority>,
}

impl System {
    /// Up to `capacity` deadlines of one registration, each under a key and with a payload: at most 64 bytes each,
    /// of the global heap, which are all taken when they are registered.
    ///
    /// ```
    /// # use reflex::{prelude::*, testing::Simulation};
    /// # const PATIENCE: core::time::Duration = secs(30);
    /// # #[derive(Default)]
    /// # struct Sessions(Vec<(u64, usize)>);
    /// # impl Sessions {
    /// #     fn idle(&mut self, number: u64, place: usize) {
    /// #         self.0.push((number, place));
    /// #     }
    /// # }
    /// # struct Session { number: u64, place: usize }
    /// # let session = Session { number: 7, place: 3 };
    /// # let mut sim = Simulation::new(move |system| {
    /// # let sessions = system.context("sessions", Sessions::default()).build()?;
    /// let idle = system.timers(16_000).on(sessions, Sessions::idle)?;
    /// idle.set(session.number, system.now() + PATIENCE, session.place)?;
    /// # system.after(secs(10)).on(sessions, move |_, _| {
    /// // A handler that has heard of the session:
    /// if let Err(refused) = idle.move_to(session.number, system.now() + PATIENCE) {
    ///     warn!("{refused}");
    /// }
    /// # })?;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// # sim.advance(secs(39));
    /// # assert_eq!(sim.state("sessions", |sessions: &mut Sessions| sessions.0.clone()), []);
    /// # sim.advance(secs(2));
    /// # assert_eq!(sim.state("sessions", |sessions: &mut Sessions| sessions.0.clone()), [(7, 3)]);
    /// ```
    pub fn timers(self, capacity: usize) -> KeyedTimersBuilder {
        KeyedTimersBuilder { kernel: self.kernel(), capacity, priority: None }
    }
}

impl KeyedTimersBuilder {
    /// The priority of the handler's runs; the context's unless said here.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    /// Registers `handler` with `context`: it is told the key and the payload of each deadline that is due.
    ///
    /// # Errors
    /// When memory, a table or the context's policy does not allow it.
    pub fn on<S, P, F>(self, context: Context<S>, handler: F) -> Result<KeyedTimers<P>, Error>
    where
        S: 'static,
        P: Copy + Send + Default + 'static,
        F: Fn(&mut S, u64, P) + Send + 'static,
    {
        let Self { kernel, capacity, priority } = self;
        let priority = priority.unwrap_or(context.priority);
        let inner =
            reflex_keyed_timers::KeyedTimers::new(&kernel, context, priority, capacity, handler)?;
        Ok(KeyedTimers { inner, kernel })
    }
}
