//! What a context may do, and how much of it: said where it is made, and on the kernel command line
//!
//!
//! The words of the command line are `context.NAME.KEY=VALUE`, with the keys that
//! [`ContextConfig`] lists; they have the last word over what the code says. A context that
//! is made by another's handler is that one's child and never has more than its parent.

use crate::{Context, ContextBuilder, Error, System};
use core::time::Duration;
use reflex_boot::context_config::{ContextConfig, names};
use reflex_event::{ContextId, Executors, NameSet, Priority};
use reflex_runtime::{ContextInfo, ContextOptions, Origin, Protected, Runtime, Usage};

/// What code and command line ask for, to be resolved when the context is made.
#[derive(Clone, Copy, Default)]
pub(crate) struct Requested {
    pub(crate) config: ContextConfig<'static>,
    pub(crate) kinds: Option<&'static [&'static str]>,
}

impl<S, O> ContextBuilder<S, O> {
    /// The kinds of events it may register for, by name: `timer`, `signal`, `tcp`, `udp`,
    /// `console`, `memory`, and those of the application's own kinds. All, unless said here.
    pub fn kinds(mut self, names: &'static [&'static str]) -> Self {
        self.requested.kinds = Some(names);
        self
    }

    /// Where its handlers may run: all executors, unless said here.
    pub fn executors(mut self, executors: Executors) -> Self {
        self.options.policy.executors = executors;
        self
    }

    /// Its handlers may not interrupt `section`, whichever context [runs](System::protect) it;
    /// besides other sections that were named before.
    pub fn not_during(mut self, section: Protected) -> Self {
        let sections = &mut self.options.policy.not_during;
        *sections = sections.with(section.place());
        self
    }

    /// How many contexts made by it there may be at a time, its cloners' children and one for each
    /// cloner included.
    pub fn children(mut self, most: u16) -> Self {
        self.options.policy.children = most;
        self
    }

    /// Time that one run of a handler may take, not counting what it is preempted for; without
    /// limit, unless said here. One that takes longer is a failure of the context.
    pub fn budget(mut self, time: Duration) -> Self {
        self.options.policy.budget = Some(time);
        self
    }

    /// It is a child of `parent`, and never has more than that or the calling context. Unless said
    /// here it is the calling context's.
    pub fn child_of(mut self, parent: impl Into<ContextId>) -> Self {
        self.options.origin = Origin::ChildOf(parent.into());
        self
    }
}

impl<S: Send + 'static> ContextBuilder<S> {
    /// It inherits the registrations of `parent` that were
    /// [made inheritable](System::make_inheritable), and is its child. Unless said here it starts without
    /// any.
    pub fn inherit(mut self, parent: Context<S>) -> Self {
        self.inherits_from = Some(parent);
        self.child_of(parent.id())
    }
}

impl<S> From<Context<S>> for ContextId {
    fn from(context: Context<S>) -> Self {
        context.id()
    }
}

/// Resolves what a context is made with: the command line before the code.
pub(crate) fn resolve(
    kernel: Runtime,
    requested: &Requested,
    options: &mut ContextOptions,
    priority: &mut Priority,
) -> Result<(), Error> {
    let ContextOptions { policy, limits, .. } = options;
    let config = &requested.config;
    match (config.kinds, requested.kinds) {
        (Some(list), _) => policy.kinds = kernel.kinds(names(list))?,
        (None, Some(kinds)) => policy.kinds = kernel.kinds(kinds.iter().copied())?,
        (None, None) => {}
    }
    if let Some(sections) = config.not_during {
        policy.not_during = names(sections).try_fold(NameSet::NONE, |set, name| {
            kernel.protected(name).map(|section| set.with(section.place()))
        })?;
    }
    let set = |of: &mut u32, to: Option<u32>| *of = to.unwrap_or(*of);
    set(&mut limits.registrations, config.registrations);
    set(&mut limits.activations, config.activations);
    limits.overload = config.overload.unwrap_or(limits.overload);
    policy.executors = config.executors.unwrap_or(policy.executors);
    policy.children = config.children.unwrap_or(policy.children);
    policy.budget = config.budget.or(policy.budget);
    options.memory = config.memory.unwrap_or(options.memory);
    options.stack = config.stack.unwrap_or(options.stack);
    *priority = config.priority.unwrap_or(*priority);
    Ok(())
}

/// Refuses a command line that says something of contexts which makes no sense.
pub(crate) fn start(system: System) -> Result<(), Error> {
    system.machine().arguments.check_contexts().map_err(Error::Configuration)
}

/// Warns of what is said of contexts that `main` has not made.
pub(crate) fn review(system: System) {
    for name in system.machine().arguments.context_names() {
        if !system.contexts().any(|context| context.name == name) {
            log::warn!("command line: context.{name}: there is no context of that name");
        }
    }
}

impl System {
    /// The protected section called `name`: a piece of work that chosen contexts' handlers may not
    /// interrupt, see [`ContextBuilder::not_during`].
    ///
    /// # Errors
    /// When there are 64 of other names.
    pub fn protected(self, name: &'static str) -> Result<Protected, Error> {
        Ok(self.kernel().protected(name)?)
    }

    /// Runs `work` as the protected section `which`. Contexts that may not interrupt it wait until
    /// it is done, and lend it their priority; all others interrupt it as ever.
    ///
    /// # Errors
    /// Of the event system: `Busy` when another section that was interrupted holds one of the
    /// contexts, or dispatch is deferred. The work has not been done.
    pub fn protect<R>(self, which: Protected, work: impl FnOnce() -> R) -> Result<R, Error> {
        Ok(self.kernel().protect(which, work)?)
    }

    /// What a context has taken of the machine: event memory, stack, and of the global heap.
    ///
    /// # Errors
    /// When there is no such context.
    pub fn usage(self, context: ContextId) -> Result<Usage, Error> {
        Ok(self.kernel().usage(context)?)
    }

    /// What there is to see of each context: name, parent, what it is doing.
    pub fn contexts(self) -> impl Iterator<Item = ContextInfo> {
        self.kernel().contexts()
    }
}
