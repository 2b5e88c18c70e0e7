//! Cloners: events with handlers that run in a context of their own (A-3.1.6, A-3.4.2).
//!
//! A cloner's children are made when it is: their stacks, their pools and their copies of the
//! template lie in reserve, and nothing is allocated when the event occurs. An occurrence begins
//! on an idle child's empty stack; its data is built once, there or by the source in the child's
//! memory, and the child ends with it, leaving its pool whole, unless it has registered something
//! of its own.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::{create, guard, policy, registry};
use crate::cpu::local::Local;
use crate::cpu::loose::Loose;
use crate::cpu::options::{ContextOptions, Origin};
use crate::cpu::runtime::Runtime;
use crate::cpu::workers::WorkerPool;
use crate::dispatch::section::section;
use crate::dispatch::send;
use crate::event::table;
use crate::spawn::worker_pool;
use crate::spawn::worker_slot::{Makings, make_worker};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use reflex_event::{
    Activation, Claim, ContextId, Error, EventId, Executor, Priority, Registration,
};
use reflex_memory::Pool;

/// What a cloner is made with.
#[derive(Clone, Copy, Debug)]
pub struct ClonerOptions {
    /// What each child is made with.
    pub child: ContextOptions,
    /// How many children there may be at a time.
    pub children: u16,
    /// The event's priority, at which the children run, and what becomes of occurrences that wait.
    pub registration: Registration,
    /// The context from which each child inherits: it makes the [inheritable](Runtime::make_inheritable)
    /// registrations for itself when it begins; `None` to start without any.
    pub inherits_from: Option<ContextId>,
}

/// An event with a handler that runs in a new context each time, with a `D`. Copies are the same
/// cloner.
pub struct Cloner<D: 'static> {
    kernel: Runtime,
    workers: &'static Local<WorkerPool>,
    event: EventId,
    /// Where each child finds its data, in its own memory.
    data: &'static [&'static Local<Option<D>>],
}

impl<D> Clone for Cloner<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for Cloner<D> {}

impl<D: Send + 'static> Cloner<D> {
    /// Makes a cloner. Each occurrence of its event, or as many as have accumulated, makes a child
    /// with a copy of `template`, where `pull` builds the data and `handler` is called with both.
    /// Without data it is not called.
    ///
    /// The parent is the context that the options name as the origin, or the caller. The limit on
    /// a child's registrations includes the one that starts it.
    ///
    /// Neither template nor handler brings collections of another context's own:
    ///
    /// ```compile_fail,E0277
    /// # use reflex_event::{Activation, Error};
    /// # use reflex_memory::String;
    /// # use reflex_runtime::{Cloner, ClonerOptions, Runtime};
    /// fn cloner(kernel: Runtime, options: ClonerOptions, word: String) -> Result<Cloner<()>, Error> {
    ///     Cloner::new(kernel, options, word, |_: Activation| None, |_: &mut String, ()| {})
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotAllowed`] when the parent's policy knows no new contexts, [`Error::LimitReached`]
    /// when it may not have so many children; those of making contexts and registrations.
    pub fn new<S, P, H>(
        kernel: Runtime,
        options: ClonerOptions,
        template: S,
        pull: P,
        handler: H,
    ) -> Result<Self, Error>
    where
        S: Clone + Send + 'static,
        P: Fn(Activation) -> Option<D> + Clone + Send + 'static,
        H: Fn(&mut S, D) + Clone + Send + 'static,
    {
        let ClonerOptions { child, children, registration, inherits_from } = options;
        match child.origin {
            Origin::ChildOf(parent) => {
                section(|cs| policy::permit(cs, parent, Executor::NewContext))?;
            }
            Origin::Caller | Origin::System => policy::permit_running(Executor::NewContext)?,
        }
        let queueing = ContextOptions { stack: 0, memory: QUEUEING_MEMORY, ..child };
        let queueing = create::add(queueing, ())?.id();
        let priority = registration.priority;
        let workers = Box::leak(Box::new(Local::new(WorkerPool::new(
            queueing,
            children,
            priority,
            inherits_from,
        )?)));
        worker_pool::set_queueing(workers, queueing)?;
        let mut data = Vec::new();
        data.try_reserve_exact(usize::from(children)).map_err(|_| Error::HeapExhausted)?;
        for number in 0..children {
            let (template, pull) = (template.clone(), pull.clone());
            let makings = Makings { template, pull, handler: handler.clone() };
            data.push(make_worker(
                child,
                priority,
                workers,
                number,
                inherits_from.is_some(),
                makings,
            )?);
        }
        let (pool, _) = section(|cs| registry::state_and_pool(cs, queueing))?;
        let event = table::register(queueing, registration, Loose::nothing(pool)?)?;
        worker_pool::watch(event)?;
        Ok(Self { kernel, workers, event, data: data.leak() })
    }

    /// The event: whatever activates events makes children by it.
    pub fn event(&self) -> EventId {
        self.event
    }

    /// Makes a child now, with data that `build` makes in the child's memory.
    ///
    /// # Errors
    /// [`Error::OtherCore`] on another core than the cloner's; [`Error::Busy`] when all children are, or the one that the data was built for has been given
    /// up meanwhile; see [`Cloner::on_idle`]. What `build` says.
    pub fn start_with(
        &self,
        build: impl FnOnce(&'static Pool) -> Result<D, Error>,
    ) -> Result<ContextId, Error> {
        if send::is_elsewhere(self.event.core()) {
            return Err(Error::OtherCore);
        }
        let memory = Cell::new(None);
        let take = || {
            let (claim, pool) =
                worker_pool::claim(self.workers).map_err(|error| Err((error, None)))?;
            memory.set(Some(pool));
            Ok(Claimed { workers: self.workers, claim })
        };
        // Should the source fail while it builds, the child is not lost.
        let started = guard::keep(
            take,
            |_| &[],
            |claimed, _| claimed.give_back(),
            |_| memory.get().ok_or(Error::Busy).and_then(build),
            |claimed, built| match built {
                Ok(built) => {
                    self.call(claimed.claim, built).map_err(|built| (Error::Busy, Some(built)))
                }
                Err(error) => {
                    claimed.give_back();
                    Err((error, None))
                }
            },
        );
        // What was built in vain is dropped here, where nothing is guarded.
        started.map_err(|(error, _)| error)
    }

    /// Makes a child now, with `data`.
    ///
    /// # Errors
    /// The data, when all children are busy; see [`Cloner::on_idle`]; and on another core than the cloner's, where only its
    /// [event](Self::event) is of use.
    pub fn start(&self, data: D) -> Result<ContextId, D> {
        if send::is_elsewhere(self.event.core()) {
            return Err(data);
        }
        let Ok((claim, _)) = worker_pool::claim(self.workers) else { return Err(data) };
        self.call(claim, data)
    }

    /// Has a claimed child begin with `data`, which is given back if it has been given up.
    fn call(&self, claim: Claim, data: D) -> Result<ContextId, D> {
        let mut data = Some(data);
        let called = worker_pool::call(self.workers, claim, |cs| {
            // The child does not look before it has begun. What was there has been taken out when
            // it last began.
            self.data[usize::from(claim.child)].with(cs, |place| *place = data.take());
        });
        match (called, data) {
            (None, Some(data)) => Err(data),
            (Some(child), _) => Ok(child),
            (None, None) => unreachable!("it is put where the child begins with it"),
        }
    }

    /// From now on `event` is activated when a child has become idle after [`start`](Self::start)
    /// found none: the source may go on. On another core than the cloner's nothing is found, and nothing done.
    pub fn on_idle(&self, event: Option<EventId>) {
        if !send::is_elsewhere(self.event.core()) {
            worker_pool::set_freed(self.workers, event);
        }
    }

    /// Gives the event and its children another priority. Those under way keep theirs.
    ///
    /// # Errors
    /// [`Error::Stale`] when the event was unregistered; [`Error::OtherCore`] on another core than the cloner's.
    pub fn set_priority(&self, priority: Priority) -> Result<(), Error> {
        if send::is_elsewhere(self.event.core()) {
            return Err(Error::OtherCore);
        }
        worker_pool::set_priority(self.workers, self.event, priority)
    }

    /// The kernel it was made by.
    pub fn kernel(&self) -> Runtime {
        self.kernel
    }
}

/// A child that a source has claimed.
struct Claimed {
    workers: &'static Local<WorkerPool>,
    claim: Claim,
}

impl Claimed {
    fn give_back(self) {
        worker_pool::give_back(self.workers, self.claim);
    }
}

/// Bytes of the queueing context's event memory: a handler that is not called, a timer and a filter.
const QUEUEING_MEMORY: usize = 1 << 10;

impl Runtime {
    /// Ends the registrations of a cloner's child: it ends as soon as none of its handlers is
    /// under way. Without registrations it ends by itself.
    ///
    /// # Errors
    /// [`Error::NoContext`] when it has ended, [`Error::NotAllowed`] when it is no child of a
    /// cloner.
    pub fn end(self, child: ContextId) -> Result<(), Error> {
        section(|cs| registry::get(cs, child)?.worker_ref.get(cs).ok_or(Error::NotAllowed))?.leave()
    }
}
