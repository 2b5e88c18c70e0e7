//! Attaching a protocol beside the stack.

use crate::path::stack::Stack;
use crate::table::handle::Net;
use crate::types::error::Error;
use alloc::boxed::Box;
use reflex_event::{Accumulation, EventId, Kernel, Priority, Registration};
use reflex_hil::AttachedProtocol;

/// A protocol's place beside the stack. Its events run in the stack's context.
pub struct Attachment<K: Kernel> {
    net: Net<K>,
}

impl<K: Kernel> Clone for Attachment<K> {
    fn clone(&self) -> Self {
        Self { net: self.net.clone() }
    }
}

impl<K: Kernel> Net<K> {
    /// Hands `protocol` the frames of a UDP port from now on, also when a socket is bound to it.
    /// There can be one only.
    ///
    /// # Errors
    /// [`Error::PortInUse`] when there is one, [`Error::NotStarted`], [`Error::Event`].
    pub fn attach(
        &self,
        port: u16,
        protocol: Box<dyn AttachedProtocol>,
    ) -> Result<Attachment<K>, Error> {
        let stack = self.stack()?;
        let mut protocol = Some(protocol);
        self.with(|shared| {
            if shared.attached_port.is_some() {
                return Err(Error::PortInUse);
            }
            (shared.attached_port, shared.arriving) = (Some(port), protocol.take());
            Ok(())
        })?;
        let registration = Registration { accumulation: Accumulation::Count, ..Default::default() };
        let ready = self.kernel().register(stack, registration, |stack, _| stack.attached_ready());
        let ready = ready.inspect_err(|_| {
            let _protocol = self.with(|shared| {
                shared.attached_port = None;
                shared.arriving.take()
            });
        })?;
        self.with(|shared| shared.attached_ready = Some(ready));
        self.activate(ready);
        Ok(Attachment { net: self.clone() })
    }
}

impl<K: Kernel> Attachment<K> {
    /// Registers an event that has the protocol run under `number` when it occurs. The frames of
    /// the interface are received at the highest priority that anybody has.
    ///
    /// # Errors
    /// [`Error::NotStarted`], [`Error::Event`].
    pub fn event(&self, priority: Priority, number: u32) -> Result<EventId, Error> {
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let level = priority.level();
        let run = move |stack: &mut Stack<K>, _| stack.run_attached(number, level);
        let event = self.net.kernel().register(self.net.stack()?, registration, run)?;
        self.net.with(|shared| shared.priorities.add(priority));
        self.net.follow_priorities();
        Ok(event)
    }

    /// Ends an event that was registered at this priority.
    pub fn end(&self, event: EventId, priority: Priority) {
        // It can have ended before only by this call, which tells its caller nothing new.
        if self.net.kernel().unregister(event).is_ok() {
            self.net.with(|shared| shared.priorities.remove(priority));
            self.net.follow_priorities();
        }
    }
}
