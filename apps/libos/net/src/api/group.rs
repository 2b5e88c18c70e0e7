//! The owners of connections: what a listener and a connector have in common.

use crate::api::connection::Connection;
use crate::ip::endpoint::Endpoint;
use crate::path::stack::Stack;
use crate::table::connection_record::WriteQueue;
use crate::table::handle::Net;
use crate::table::records::Records;
use crate::table::tables::{Group, Register};
use crate::types::error::Error;
use crate::types::settings::{BufferMemory, TcpSettings};
use alloc::boxed::Box;
use alloc::sync::Arc;
use reflex_event::{Accumulation, Context, ContextId, Kernel, Owner, Priority, Registration};
use reflex_memory::Pool;

/// How connections are registered.
pub(crate) struct Registering {
    pub(crate) register: Arc<Register>,
    /// Bytes that the handler of one takes of its context's event memory.
    handler: usize,
}

/// How connections are registered, those of each place with a handler of its own that `make` makes of the
/// handle of what is connected there. That is code of `context`, which the stack calls, too: when it fails,
/// so does the context.
pub(crate) fn register_by<K: Kernel, S: 'static, F>(
    net: &Net<K>,
    context: Context<S>,
    make: impl Fn(Connection<K>) -> Result<F, reflex_event::Error> + Send + Sync + 'static,
) -> Registering
where
    F: Fn(&mut S) + Send + 'static,
{
    let net = net.clone();
    let register = Arc::new(move |priority, index, slot| {
        let connection = Connection::of_place(net.clone(), index, slot);
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let made = net.kernel().contained(context.id(), (), |()| make(connection));
        let ((), handler) = made.map_err(|_| reflex_event::Error::Busy)?;
        let handler = handler?;
        net.kernel().register(context, registration, move |state: &mut S, _| handler(state))
    });
    Registering { register, handler: handler_footprint::<F>() }
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
        registering: Registering,
    ) -> Result<(u32, Owner), Error> {
        self.kernel().guarded(|| self.make_group(port, settings, context, registering))
    }

    fn make_group<S>(
        &self,
        port: Option<u16>,
        settings: TcpSettings,
        context: Context<S>,
        Registering { register, handler }: Registering,
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
        let pool = match settings.memory {
            BufferMemory::SetAside => self.set_aside(owner.context, &settings, (pool, handler))?,
            BufferMemory::OnDemand => pool,
        };
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

impl<K: Kernel> Net<K> {
    /// Sets memory aside for the buffers and queues of all connections, and sees to it that there is some for
    /// their handlers, which take so many bytes each of their owner's own.
    fn set_aside(
        &self,
        owner: ContextId,
        settings: &TcpSettings,
        (own, handler): (&'static Pool, usize),
    ) -> Result<&'static Pool, Error> {
        let connections = settings.connections as usize;
        let (needed, free) = (handler.saturating_mul(connections), own.available());
        if needed > free {
            return Err(Error::HandlerMemory { needed, free });
        }
        let (one, largest) = footprint(settings);
        // Blocks that are never given back leave less than two of a size free when one of that is refused.
        let blocks = one.saturating_mul(connections).saturating_add(2 * largest);
        let needed = blocks.saturating_add(blocks / GRANULE * 5 + 8 * GRANULE);
        let extend = self.kernel().extend(owner, needed);
        extend.map_err(|free| Error::BufferMemory { needed, free })
    }
}

/// The smallest block of event memory, which has 5 bytes of bookkeeping.
const GRANULE: usize = 32;

/// Bytes that a connection takes of a pool, and the largest block among them.
fn footprint(settings: &TcpSettings) -> (usize, usize) {
    let queue = match settings.queue {
        0 => [0, 0],
        bytes => [bytes.next_power_of_two(), size_of::<WriteQueue>().next_power_of_two()],
    };
    let (receive, send) = (settings.receive_buffer, settings.send_buffer);
    let all = Endpoint::footprint(receive, send) + queue.iter().sum::<usize>();
    (all, receive.max(send).max(settings.queue).next_power_of_two().max(1 << 10))
}

/// Bytes that a handler takes of its context's event memory, with what the kernel puts in front of it.
const fn handler_footprint<F>() -> usize {
    let bytes = (size_of::<F>() + HANDLER_HEADER).next_power_of_two();
    if bytes < GRANULE { GRANULE } else { bytes }
}

/// Bytes in front of a handler.
const HANDLER_HEADER: usize = 16;

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
