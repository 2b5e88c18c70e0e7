//! Outgoing TCP connections.

use crate::api::connection::Connection;
use crate::api::group::register_by;
use crate::api::service::TcpService;
use crate::ip::header::LOOPBACK;
use crate::table::connection_record::{Events, Phase};
use crate::table::flow_key::FlowKey;
use crate::table::handle::Net;
use crate::types::error::Error;
use crate::types::settings::TcpSettings;
use core::net::SocketAddrV4;
use reflex_event::{Context, Kernel, Owner};

/// Ephemeral ports (RFC 6335, 6).
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49152..=65535;
/// Ports tried for one connection, or one socket.
pub(super) const TRIES: u16 = 64;

/// One of the ephemeral ports, all of which are met from a number on to 2^14 further ones.
pub(super) fn ephemeral(number: u16) -> u16 {
    EPHEMERAL.start() + number % (EPHEMERAL.end() - EPHEMERAL.start() + 1)
}

/// How outgoing connections are to behave; [`serve`](Self::serve) readies them.
#[must_use = "nothing can connect before `serve`"]
pub struct ConnectBuilder<K: Kernel> {
    net: Net<K>,
    settings: TcpSettings,
}

impl<K: Kernel> ConnectBuilder<K> {
    pub(crate) fn new(net: Net<K>) -> Self {
        Self { net, settings: TcpSettings::default() }
    }

    priority_setting!();
    connection_settings!();

    /// Takes settings over that were put together elsewhere.
    pub fn with(self, settings: TcpSettings) -> Self {
        Self { settings, ..self }
    }

    /// Has the connections served by the state of `context`.
    ///
    /// # Errors
    /// [`Error::BadParameter`], [`Error::NotStarted`], [`Error::OutOfMemory`],
    /// [`Error::Event`].
    pub fn serve<S: TcpService<K> + 'static>(
        self,
        context: impl Into<Context<S>>,
    ) -> Result<Connector<K>, Error> {
        let settings = TcpSettings { together: true, ..self.settings };
        Self { settings, ..self }
            .serve_by(context, |connection| Ok(move |service: &mut S| connection.deliver(service)))
    }

    /// Has the connections told to handlers of their places, which `make` makes, as for
    /// [`ListenBuilder::serve_by`](crate::ListenBuilder::serve_by).
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub fn serve_by<S: 'static, F>(
        self,
        context: impl Into<Context<S>>,
        make: impl Fn(Connection<K>) -> Result<F, reflex_event::Error> + Send + Sync + 'static,
    ) -> Result<Connector<K>, Error>
    where
        F: Fn(&mut S) + Send + 'static,
    {
        let context = context.into();
        let registering = register_by(&self.net, context, make);
        let (group, owner) = self.net.group(None, self.settings, context, registering)?;
        Ok(Connector { net: self.net, group, owner })
    }
}

/// Opens connections for one context. Their places are recycled, as a listener's are.
pub struct Connector<K: Kernel> {
    pub(crate) net: Net<K>,
    pub(crate) group: u32,
    pub(crate) owner: Owner,
}

impl<K: Kernel> Clone for Connector<K> {
    fn clone(&self) -> Self {
        Self { net: self.net.clone(), group: self.group, owner: self.owner }
    }
}

impl<K: Kernel> Connector<K> {
    /// Begins to connect to `peer`, from an ephemeral port.
    /// [`TcpService::connected`] or [`TcpService::failed`] says what became of it.
    ///
    /// # Errors
    /// [`Error::Closed`] when the context that served the connections has been given up;
    /// [`Error::BadDestination`], [`Error::NoAddress`], [`Error::NoPort`],
    /// [`Error::LimitReached`], [`Error::OutOfMemory`], [`Error::Event`].
    pub fn connect(&self, peer: SocketAddrV4) -> Result<Connection<K>, Error> {
        // Guarded: cut off in between, the place would be lost.
        self.net.kernel().guarded(|| self.begin(peer))
    }

    fn begin(&self, peer: SocketAddrV4) -> Result<Connection<K>, Error> {
        let remote = *peer.ip();
        if peer.port() == 0
            || remote.is_unspecified()
            || remote.is_multicast()
            || remote.is_broadcast()
        {
            return Err(Error::BadDestination);
        }
        if !self.net.with(|shared| shared.groups[self.group as usize].is_of(self.owner)) {
            return Err(Error::Closed);
        }
        let mut random = [0; 2];
        self.net.kernel().random(&mut random);
        let start = u16::from_ne_bytes(random);
        let index = match self.net.with(|shared| shared.take_free(self.group)) {
            Some(index) => index,
            None => match self.net.make(self.group) {
                Ok(index) => index,
                Err(error) => self.net.take_oldest_time_wait(self.group).ok_or(error)?,
            },
        };
        let index = self.net.ready(self.group, index)?;
        let opened = self.outgoing(index, &peer, start);
        if opened.is_err() {
            self.net.with(|shared| shared.give_back(index));
        }
        let (generation, slot, events) = opened?;
        if let Some(events) = events {
            self.net.activate(events.segment);
        }
        Ok(Connection::new(self.net.clone(), index, slot, generation))
    }

    /// Opens the record under a free 4-tuple towards `peer`: from a random port on, the next that is
    /// free (RFC 6056, 3.3.1).
    fn outgoing(
        &self,
        index: u32,
        peer: &SocketAddrV4,
        start: u16,
    ) -> Result<(u64, u32, Option<Events>), Error> {
        let own = self.net.address().ok_or(Error::NoAddress)?;
        let mut key = FlowKey {
            remote: seen_from(u32::from(own.address), u32::from(*peer.ip())),
            local: u32::from(own.address),
            remote_port: peer.port(),
            local_port: 0,
        };
        for offset in 0..TRIES {
            key.local_port = ephemeral(start.wrapping_add(offset));
            let hash = self.net.hash().of(&key);
            // A section each.
            let opened = self.net.with(|shared| {
                if shared.flows.find(&shared.records, &key, hash).is_some() {
                    return None;
                }
                shared.open(index, key, hash, Phase::Connecting);
                let record = &shared.records[index];
                Some((record.generation, record.slot, record.events))
            });
            if let Some(opened) = opened {
                return Ok(opened);
            }
        }
        Err(Error::NoPort)
    }
}

/// The address of `peer` for connections from `own`: one's own is that of the loopback, or another one of its network.
fn seen_from(own: u32, peer: u32) -> u32 {
    match peer == own {
        true => LOOPBACK + u32::from(own == LOOPBACK),
        false => peer,
    }
}
