//! Serving on when a context is replaced by another implementation: what connections and sockets
//! have registered with it, and with which context they register from then on.

use crate::api::connection::Connection;
use crate::api::connector::Connector;
use crate::api::group::register_by;
use crate::api::listener::Listener;
use crate::api::service::UdpService;
use crate::api::udp::UdpSocket;
use crate::table::handle::Net;
use crate::table::records::Records;
use crate::table::tables::Register;
use alloc::sync::Arc;
use reflex_event::{Context, EventId, Kernel, Owner};

/// The connections of a listener or a connector, as a replacement of the context that serves them
/// sees them.
pub struct Served<K: Kernel> {
    net: Net<K>,
    group: u32,
    owner: Owner,
}

/// How further connections will be registered.
pub struct Successor {
    register: Arc<Register>,
}

impl<K: Kernel> Served<K> {
    /// The registration of the first connection at the place `from` or behind, the connection that
    /// its handler is to [be told of](Connection::deliver), and the place to go on at.
    pub fn next(&self, from: u32) -> Option<(EventId, Connection<K>, u32)> {
        let mut at = from;
        loop {
            // A section each: there may be many not made yet.
            let index = Records::index(self.group, at);
            let (slot, event) = self.net.with(|shared| {
                if !shared.groups[self.group as usize].is_of(self.owner) {
                    return None;
                }
                let record = shared.records.get(index)?;
                let served = record.life == shared.groups[self.group as usize].life;
                let events = record.events.filter(|_| served);
                Some((record.slot, events.map(|events| events.application)))
            })?;
            at += 1;
            if let Some(event) = event {
                return Some((event, Connection::of_place(self.net.clone(), index, slot), at));
            }
        }
    }

    /// Prepares that further connections are served by `context`, which serves them already, with handlers
    /// of their places that `make` makes.
    ///
    /// # Errors
    /// [`Foreign`](reflex_event::Error::Foreign) when another serves them, or the context was given up
    /// since.
    pub fn prepare<S: 'static, F>(
        &self,
        context: Context<S>,
        make: impl Fn(Connection<K>) -> Result<F, reflex_event::Error> + Send + Sync + 'static,
    ) -> Result<Successor, reflex_event::Error>
    where
        F: Fn(&mut S) + Send + 'static,
    {
        let own = self.owner.context == context.id();
        if own && self.net.with(|shared| shared.groups[self.group as usize].is_of(self.owner)) {
            Ok(Successor { register: register_by(&self.net, context, make).register })
        } else {
            Err(reflex_event::Error::Foreign)
        }
    }

    /// From now on further connections are served as was prepared. Returns how it was before,
    /// which had better be dropped outside of sections.
    #[must_use]
    pub fn hand_over(&self, to: Successor) -> Successor {
        self.net.with(|shared| {
            let group = &mut shared.groups[self.group as usize];
            if !group.is_of(self.owner) {
                return to;
            }
            Successor { register: core::mem::replace(&mut group.register, to.register) }
        })
    }
}

impl<K: Kernel> Listener<K> {
    /// What its connections have registered.
    pub fn served(&self) -> Served<K> {
        Served { net: self.net.clone(), group: self.group, owner: self.owner }
    }
}

impl<K: Kernel> Connector<K> {
    /// What its connections have registered.
    pub fn served(&self) -> Served<K> {
        Served { net: self.net.clone(), group: self.group, owner: self.owner }
    }
}

impl<K: Kernel> UdpSocket<K> {
    /// What it has registered with the context that serves it; `None` while it is being opened, and
    /// when that context has been given up.
    pub fn registration(&self) -> Option<EventId> {
        self.record(|record| record.receive_event).ok()?
    }

    /// Hands received datagrams to `service`: what the handler of the socket's registration does.
    pub fn deliver<S: UdpService<K>>(&self, service: &mut S) {
        self.hand_datagrams(service);
    }
}
