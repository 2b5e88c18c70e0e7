//! Inheritance: a context made from another has none of its registrations, or its own ones of
//! those that were made inheritable.
//!
//! What is inherited is not a handler, which is bound to its context's state, but the way of
//! registering it: that gives the child a registration of its own with the same source.

use crate::context::registry;
use crate::cpu::context::Recipe;
use crate::cpu::runtime::Runtime;
use crate::dispatch::event_core::with_core;
use crate::dispatch::section::section;
use alloc::sync::Arc;
use reflex_event::{Context, ContextId, Error, EventId};

/// Registers with `to` all that `from` has made inheritable and still has registered itself.
pub(crate) fn all(from: ContextId, to: ContextId) -> Result<(), Error> {
    let mut next = 0;
    while let Some((event, recipe)) = section(|cs| {
        let found = registry::get(cs, from).ok()?.inheritable.with(cs, |inheritable| {
            inheritable.0.get(next).map(|(event, recipe)| (*event, recipe.clone()))
        });
        next += 1;
        found
    }) {
        if section(|cs| with_core(cs, |core| core.look_up(event))).is_ok() {
            recipe(to)?;
        }
    }
    Ok(())
}

/// Forgets what has ended: a section each.
fn prune(owner: ContextId) {
    let mut at = 0;
    while let Some(ended) = section(|cs| {
        let inheritable = &registry::get(cs, owner).ok()?.inheritable;
        let event =
            inheritable.with(cs, |inheritable| inheritable.0.get(at).map(|(event, _)| *event))?;
        let ended = with_core(cs, |core| core.look_up(event)).is_err();
        Some(ended.then(|| inheritable.with(cs, |inheritable| inheritable.0.remove(at))))
    }) {
        at += usize::from(ended.is_none());
    }
}

impl Runtime {
    /// Makes a registration inheritable: a child that is to inherit from its owner calls `recipe`
    /// with its own handle, to register the like with the same source. When the registration has
    /// ended it is not inherited any more.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::HeapExhausted`].
    pub fn make_inheritable<S: 'static>(
        self,
        event: EventId,
        recipe: impl Fn(Context<S>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let recipe: Arc<Recipe> = Arc::new(move |child| recipe(Context::new(child)));
        let owner = section(|cs| with_core(cs, |core| core.look_up(event)))?.context;
        prune(owner);
        section(|cs| {
            registry::get(cs, owner)?.inheritable.with(cs, |inheritable| {
                inheritable.0.try_reserve(1).map_err(|_| Error::HeapExhausted)?;
                inheritable.0.push((event, recipe));
                Ok(())
            })
        })
    }

    /// Gives `child` the registrations that `parent` has made inheritable.
    ///
    /// # Errors
    /// [`Error::WrongState`] when their states differ; those of the recipes.
    pub fn inherit<S: 'static>(self, child: Context<S>, parent: Context<S>) -> Result<(), Error> {
        all(parent.id(), child.id())
    }
}
