//! The handle of the tables, by which the stack and the applications have them: all in short sections.

use crate::table::flow::FlowHash;
use crate::table::tables::Shared;
use crate::types::settings::{Config, Transport};
use alloc::sync::Arc;
use reflex_event::{Ceiling, ContextId, EventId, Kernel};
use spin::Once;

/// A network stack: what applications open sockets with.
///
/// ```text
/// let (net, stack) = Net::new(kernel, receive, transmit, config);
/// let context = /* a context of its own with the state `stack` */;
/// let interrupts = net.start(context, priority)?;
/// /* from then on, each interrupt of the interface is an occurrence of one of `interrupts` */
/// ```
pub struct Net<K: Kernel> {
    inner: Arc<Inner<K>>,
}

struct Inner<K: Kernel> {
    kernel: K,
    hash: FlowHash,
    shared: Ceiling<Shared>,
    /// The stack's context, once it has been started, and its registrations.
    stack: Once<ContextId>,
    events: Once<StackEvents>,
    opened: Option<fn(Transport, u16)>,
}

/// The stack's own registrations.
#[derive(Clone, Copy)]
pub(crate) struct StackEvents {
    pub(crate) received: EventId,
    pub(crate) transmit_ready: EventId,
    pub(crate) tick_timer: reflex_event::TimerId,
    /// Activated by the kernel when a context has been given up.
    pub(crate) owner_gone: EventId,
    /// Activated when a buffer of a frame does not come back.
    pub(crate) replace_buffers: EventId,
}

impl<K: Kernel> Net<K> {
    /// A handle of tables that nothing has been put into.
    pub(crate) fn of(kernel: K, hash: FlowHash, shared: Shared, config: &Config) -> Self {
        let inner = Inner {
            kernel,
            hash,
            shared: Ceiling::new(shared),
            stack: Once::new(),
            events: Once::new(),
            opened: config.opened,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The stack has been started in a context, with these registrations.
    pub(crate) fn started(&self, stack: ContextId, events: StackEvents) {
        self.inner.stack.call_once(|| stack);
        self.inner.events.call_once(|| events);
    }

    /// The stack's context, once it has been started.
    pub(crate) fn stack_context(&self) -> Option<ContextId> {
        self.inner.stack.get().copied()
    }

    /// Tells that a port is open, if that was asked for.
    pub(crate) fn announce(&self, transport: Transport, port: u16) {
        if let Some(opened) = self.inner.opened {
            opened(transport, port);
        }
    }

    pub(crate) fn kernel(&self) -> &K {
        &self.inner.kernel
    }

    /// The hash of 4-tuples.
    pub(crate) fn hash(&self) -> &FlowHash {
        &self.inner.hash
    }

    pub(crate) fn events(&self) -> Option<&StackEvents> {
        self.inner.events.get()
    }

    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Shared) -> R) -> R {
        self.inner.shared.with(&self.inner.kernel, work)
    }

    /// Activates an event of ours. It can only be refused when its registration has ended or
    /// four billion occurrences are pending; either way there is nobody to tell.
    #[inline]
    pub(crate) fn activate(&self, event: EventId) {
        let _ = self.inner.kernel.activate(event, 1);
    }
}

impl<K: Kernel> Clone for Net<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<K: Kernel> Net<K> {
    /// Cuts short the oldest TIME-WAIT of `group`, and takes its record.
    pub(crate) fn take_oldest_time_wait(&self, group: u32) -> Option<u32> {
        if !self.with(|shared| shared.cut_short(group)) {
            return None;
        }
        self.drop_dead();
        self.with(|shared| shared.take_free(group))
    }
}
