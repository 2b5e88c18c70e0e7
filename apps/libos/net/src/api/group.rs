//! The owners of connections: what a listener and a connector have in common.

use crate::api::connection::Connection;
use crate::api::service::{TcpService, deliver};
use crate::path::stack::Stack;
use crate::table::handle::Net;
use crate::table::records::Records;
use crate::table::tables::{Group, Register};
use crate::types::error::Error;
use crate::types::settings::TcpSettings;
use alloc::boxed::Box;
use alloc::sync::Arc;
use reflex_event::{Accumulation, Context, Kernel, Owner, Priority, Registration};

/// How connections are registered that are served by `context`.
pub(crate) fn register_with<K: Kernel, S: TcpService<K> + 'static>(
    net: &Net<K>,
    context: Context<S>,
) -> Arc<Register> {
    register_by(net, context, |connection| Ok(move |service: &mut S| deliver(service, &connection)))
}

/// How connections are registered, those of each place with a handler of its own that `make` makes of the
/// handle of what is connected there. That is code of `context`, which the stack calls, too: when it fails,
/// so does the context.
pub(crate) fn register_by<K: Kernel, S: 'static, F>(
    net: &Net<K>,
    context: Context<S>,
    make: impl Fn(Connection<K>) -> Result<F, reflex_event::Error> + Send + Sync + 'static,
) -> Arc<Register>
where
    F: Fn(&mut S) + Send + 'static,
{
    let net = net.clone();
    Arc::new(move |priority, index, slot| {
        let connection = Connection::of_place(net.clone(), index, slot);
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let made = net.kernel().contained(context.id(), (), |()| make(connection));
        let ((), handler) = made.map_err(|_| reflex_event::Error::Busy)?;
        let handler = handler?;
        net.kernel().register(context, registration, move |state: &mut S, _| handler(state))
    })
}

impl<K: Kernel> Net<K> {
    /// Makes a group with connections that are registered with `context` as `register` does, or
    /// takes one over that it had in an earlier life. Returns it, and its owner in the present
    /// life. A cold path.
    pub(crate) fn group<S>(
        &self,
        port: Option<u16>,
        settings: TcpSettings,
        context: Context<S>,
        register: Arc<Register>,
    ) -> Result<(u32, Owner), Error> {
        self.kernel().guarded(|| self.make_group(port, settings, context, register))
    }

    fn make_group<S>(
        &self,
        port: Option<u16>,
        settings: TcpSettings,
        context: Context<S>,
        register: Arc<Register>,
    ) -> Result<(u32, Owner), Error> {
        check(port, &settings)?;
        // A port is opened for a stack that works.
        self.stack()?;
        let kernel = self.kernel();
        kernel.permit(context.id(), "tcp")?;
        let pool = kernel.pool(context)?;
        let owner = self.owner(context.id())?;
        kernel.on_end(context.id(), self.owner_gone()?)?;
        if let Some(port) = port
            && let Some(before) = self.with(|shared| shared.ports.get(port))
        {
            // It is free if its owner has been given up, and the stack has not noticed yet.
            self.check_owner(before);
            if self.with(|shared| shared.ports.get(port)).is_some() {
                return Err(Error::PortInUse);
            }
        }
        if let Some(group) = self.reclaim(owner, port, &settings, (&register, pool))? {
            return Ok((group, owner));
        }
        let group = Box::new(Group::new(owner, port, settings, register, pool));
        let group = self.add_group(port, group)?;
        self.follow_priorities();
        self.serve_group(group, port.is_some(), settings.priority)?;
        Ok((group, owner))
    }

    /// Registers a group with the stack, which has its connections run from now on, and accepts others
    /// if it listens.
    fn serve_group(&self, group: u32, listens: bool, priority: Priority) -> Result<(), Error> {
        let (stack, kernel) = (self.stack()?, self.kernel());
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let runs = move |stack: &mut Stack<K>, _| stack.run_listed(group);
        let runs = kernel.register(stack, registration, runs)?;
        self.with(|shared| shared.groups[group as usize].run_event = Some(runs));
        if listens {
            let openings = move |stack: &mut Stack<K>, _| stack.openings(group);
            let event = kernel.register(stack, registration, openings)?;
            self.with(|shared| {
                let group = &mut shared.groups[group as usize];
                (group.opening_event, group.listening) = (Some(event), true);
            });
        }
        Ok(())
    }
}

/// Refuses what no group can be made with.
fn check(port: Option<u16>, settings: &TcpSettings) -> Result<(), Error> {
    let usable = 1..=1 << 30;
    let fits = port != Some(0)
        && (1..=Records::MOST).contains(&settings.connections)
        && settings.backlog > 0
        && usable.contains(&settings.receive_buffer)
        && usable.contains(&settings.send_buffer)
        && settings.queue <= *usable.end();
    if fits { Ok(()) } else { Err(Error::BadParameter) }
}
