//! Events with handlers that run in a context of their own, made for one occurrence (A-3.1.6,
//!

use crate::policy::{Requested, resolve};
use crate::{Context, Error, Registered, Signal, System};
use core::ops::Deref;
use core::time::Duration;
use reflex_boot::context_config::ContextConfig;
use reflex_event::{
    Accumulation, Activation, ContextId, EventSystem as Kernel, Executors, Instant, Limits,
    Priority, Registration,
};
use reflex_runtime::{ClonerOptions, ContextOptions, Origin, Reuse, Runtime};

/// A cloner about to be made; see [`System::cloner`].
#[must_use = "a cloner is made by `on`, `fed` or `with`"]
pub struct ClonerBuilder<S> {
    kernel: Runtime,
    config: ContextConfig<'static>,
    options: ClonerOptions,
    template: S,
}

impl System {
    /// An event with a handler that runs in a context of its own each time: a child that begins
    /// with a copy of `template`, its own stack and its own event memory, and ends when the handler
    /// has returned; or, when it has registered something itself, as soon as nothing of that is
    /// left. `name` is what it and its children are called.
    ///
    /// Several children may be under way at a time, at any point of their handlers. While all are,
    /// further occurrences wait, in order.
    pub fn cloner<S: Clone + Send + 'static>(
        self,
        name: &'static str,
        template: S,
    ) -> ClonerBuilder<S> {
        let registration =
            Registration { priority: Priority::DEFAULT, accumulation: Accumulation::Each };
        let child = ContextOptions::new(name);
        let options = ClonerOptions { child, children: 1, registration, inherits_from: None };
        let config = self.machine().arguments.context(name);
        ClonerBuilder { kernel: self.kernel(), config, options, template }
    }

    /// Ends the registrations of a cloner's child, so that it ends as soon as none of its handlers
    /// is under way.
    ///
    /// # Errors
    /// When it has ended already, or is no child of a cloner.
    pub fn end(self, child: impl Into<ContextId>) -> Result<(), Error> {
        Ok(self.kernel().end(child.into())?)
    }

    /// The calling context, if its state is an `S`: how a child registers handlers with itself.
    ///
    /// # Errors
    /// Of the event system: `WrongState` when it is not.
    pub fn this<S: 'static>(self) -> Result<Context<S>, Error> {
        Ok(Context { inner: self.kernel().this()?, priority: Priority::DEFAULT })
    }
}

impl<S: Clone + Send + 'static> ClonerBuilder<S> {
    /// How many children there may be at a time: 1 unless said here. So many stacks and pools are
    /// set aside.
    pub fn children(mut self, most: u16) -> Self {
        self.options.children = most;
        self
    }

    /// The priority at which children run; [`Priority::DEFAULT`] unless said here.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.options.registration.priority = priority;
        self
    }

    /// One child for all occurrences that have accumulated, not one for each.
    pub fn counted(mut self) -> Self {
        self.options.registration.accumulation = Accumulation::Count;
        self
    }

    /// Bytes of each child's stack; 16 KiB unless said here.
    pub fn stack(mut self, bytes: usize) -> Self {
        self.options.child.stack = bytes;
        self
    }

    /// Bytes of each child's event memory; 64 KiB unless said here.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.options.child.memory = bytes;
        self
    }

    /// How much of the event system each child may use. One registration is what starts it.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.child.limits = limits;
        self
    }

    /// Where the children's handlers may run: all executors, unless said here.
    pub fn executors(mut self, executors: Executors) -> Self {
        self.options.child.policy.executors = executors;
        self
    }

    /// Time that one run of a child's handler may take, not counting what it is preempted for.
    pub fn budget(mut self, time: Duration) -> Self {
        self.options.child.policy.budget = Some(time);
        self
    }

    /// A child that fails (see [`supervise`](crate::supervise)) ends, and nothing else; unless said
    /// here the image does.
    pub fn contained(mut self) -> Self {
        self.options.child.on_failure = crate::supervise::OnFailure::Ignore;
        self
    }

    /// Whether a child's memory may be used again when it has been given up. Unless said here it is
    /// [quarantined](System::quarantine). [`Reuse`] says what there is to be looked at for another answer.
    pub fn after_failure(mut self, reuse: Reuse) -> Self {
        self.options.child.reuse = reuse;
        self
    }

    /// The children are those of `parent`, and never have more than that. Unless said here they
    /// are the calling context's.
    pub fn child_of(mut self, parent: impl Into<ContextId>) -> Self {
        self.options.child.origin = Origin::ChildOf(parent.into());
        self
    }

    /// Each child inherits, when it begins, the registrations of `parent` that were
    /// [made inheritable](System::make_inheritable), and lives until they have ended. The children are
    /// those of `parent`.
    pub fn inherit(mut self, parent: Context<S>) -> Self {
        self.options.inherits_from = Some(parent.id());
        self.child_of(parent)
    }

    /// Makes a cloner with a handler that is told what has occurred.
    ///
    /// # Errors
    /// When memory or a table does not allow it, or the parent's policy.
    pub fn on<H>(self, handler: H) -> Result<Cloner<Activation>, Error>
    where
        H: Fn(&mut S, Activation) + Clone + Send + 'static,
    {
        self.fed(Some, handler)
    }

    /// Makes a cloner with a handler that is given data. When its event has occurred `pull` builds
    /// the data, in the child; without data the child ends at once.
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn fed<D, P, H>(self, pull: P, handler: H) -> Result<Cloner<D>, Error>
    where
        D: Send + 'static,
        P: Fn(Activation) -> Option<D> + Clone + Send + 'static,
        H: Fn(&mut S, D) + Clone + Send + 'static,
    {
        let Self { kernel, config, mut options, template } = self;
        let ClonerOptions { child, registration, .. } = &mut options;
        let requested = Requested { config, ..Requested::default() };
        resolve(kernel, &requested, child, &mut registration.priority)?;
        Ok(Cloner(reflex_runtime::Cloner::new(kernel, options, template, pull, handler)?))
    }

    /// Makes a cloner that is started with data by any code that has the cloner; see
    /// [`start`](reflex_runtime::Cloner::start) and [`start_with`](reflex_runtime::Cloner::start_with).
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn with<D, H>(self, handler: H) -> Result<Cloner<D>, Error>
    where
        D: Send + 'static,
        H: Fn(&mut S, D) + Clone + Send + 'static,
    {
        self.fed(|_| None, handler)
    }
}

/// An event with a handler that runs in a child of its own for each occurrence; see [`System::cloner`]. Copies are of
/// the same one.
pub struct Cloner<D: Send + 'static>(reflex_runtime::Cloner<D>);

impl<D: Send + 'static> Cloner<D> {
    /// The registration, for control.
    pub fn registration(&self) -> Registered {
        Registered::new(self.kernel(), self.event())
    }

    /// A signal, each firing of which makes a child.
    pub fn signal(&self) -> Signal {
        Signal::of(self.kernel(), self.event())
    }

    /// Makes a child every `period`, first one period from now.
    ///
    /// # Errors
    /// When it is timed already, or memory or a table does not allow it.
    pub fn every(&self, period: Duration) -> Result<(), Error> {
        let kernel = self.kernel();
        let timer = kernel.timer(self.event())?;
        Ok(kernel.arm(timer, kernel.now() + period, Some(period))?)
    }

    /// Makes a child once, at `deadline`.
    ///
    /// # Errors
    /// As [`every`](Self::every).
    pub fn at(&self, deadline: Instant) -> Result<(), Error> {
        let kernel = self.kernel();
        let timer = kernel.timer(self.event())?;
        Ok(kernel.arm(timer, deadline, None)?)
    }
}

impl<D: Send + 'static> Deref for Cloner<D> {
    type Target = reflex_runtime::Cloner<D>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<D: Send + 'static> Clone for Cloner<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: Send + 'static> Copy for Cloner<D> {}
