//! The owners of connections: what a listener and a connector have in common.

use crate::connection::Connection;
use crate::queue::Queue;
use crate::record::List;
use crate::service::deliver;
use crate::settings::Settings;
use crate::shared::Group;
use crate::{Error, Net, Stack, TcpService};
use alloc::sync::Arc;
use reflex_event::{Accumulation, Context, Kernel, Priority, Registration};

/// Parameters of a UDP socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UdpSettings {
    pub(crate) priority: Priority,
    /// Received datagrams that may wait.
    pub(crate) receive_queue: u16,
    /// Bytes of the send queue.
    pub(crate) send_buffer: usize,
}

impl Default for UdpSettings {
    fn default() -> Self {
        Self { priority: Priority::DEFAULT, receive_queue: 32, send_buffer: 16 * 1024 }
    }
}

impl<K: Kernel> Net<K> {
    /// Makes a group whose connections are served by `context`. A cold path.
    pub(crate) fn group<S: TcpService<K>>(
        &self,
        port: Option<u16>,
        settings: Settings,
        context: Context<S>,
    ) -> Result<u32, Error> {
        let usable = 1..=1 << 30;
        if port == Some(0)
            || settings.connections == 0
            || settings.backlog == 0
            || !usable.contains(&settings.receive_buffer)
            || !usable.contains(&settings.send_buffer)
        {
            return Err(Error::BadParameter);
        }
        let stack = self.stack()?;
        let kernel = self.kernel();
        let pool = kernel.pool(context)?;
        let priority = settings.priority;
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let register = move |net: &Net<K>, index: u32, slot: u32| {
            let connection = Connection::new(net.clone(), index, slot, 0);
            net.kernel().register(context, registration, move |service: &mut S, _| {
                deliver(service, &connection);
            })
        };
        let group = self.with(|shared| {
            if let Some(port) = port
                && let Err(at) = shared.ports.binary_search_by_key(&port, |(port, _)| *port)
            {
                shared.ports.insert(at, (port, shared.groups.len() as u32));
            } else if port.is_some() {
                return Err(Error::PortInUse);
            }
            shared.reserve(settings.connections as usize, 0);
            shared.groups.push(Group {
                listening: false,
                settings,
                register: Arc::new(register),
                pool,
                openings: Queue::new(settings.backlog.clamp(16, 1024) as u16),
                opening_event: None,
                flush_event: None,
                free: List::EMPTY,
                time_wait: List::EMPTY,
                unbuilt: None,
                made: 0,
                half_open: 0,
                queued: 0,
            });
            Ok(shared.groups.len() as u32 - 1)
        })?;
        let flush =
            kernel.register(stack, registration, |stack: &mut Stack<K>, _| stack.flush())?;
        self.with(|shared| shared.groups[group as usize].flush_event = Some(flush));
        if port.is_some() {
            let openings = move |stack: &mut Stack<K>, _| stack.openings(group);
            let event = kernel.register(stack, registration, openings)?;
            self.with(|shared| {
                let group = &mut shared.groups[group as usize];
                (group.opening_event, group.listening) = (Some(event), true);
            });
        }
        Ok(group)
    }
}
