//! Listening on a TCP port.

use crate::api::connection::Connection;
use crate::api::group::register_by;
use crate::api::service::TcpService;
use crate::table::handle::Net;
use crate::table::tables::Group;
use crate::types::counters::Refusals;
use crate::types::error::Error;
use crate::types::settings::{TcpSettings, Transport};
use reflex_event::{Context, Kernel, Owner};

/// How a port is to be served; [`serve`](Self::serve) opens it.
#[must_use = "nothing listens before `serve`"]
pub struct ListenBuilder<K: Kernel> {
    net: Net<K>,
    port: u16,
    settings: TcpSettings,
}

impl<K: Kernel> ListenBuilder<K> {
    pub(crate) fn new(net: Net<K>, port: u16) -> Self {
        Self { net, port, settings: TcpSettings::default() }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    priority_setting!();
    connection_settings!();
    listen_settings!();

    /// Takes settings over that were put together elsewhere.
    pub fn with(self, settings: TcpSettings) -> Self {
        Self { settings, ..self }
    }

    /// Opens the port: its connections are served by the state of `context`.
    ///
    /// # Errors
    /// [`Error::PortInUse`], [`Error::BadParameter`], [`Error::NotStarted`],
    /// [`Error::OutOfMemory`], [`Error::Event`].
    pub fn serve<S: TcpService<K> + 'static>(
        self,
        context: impl Into<Context<S>>,
    ) -> Result<Listener<K>, Error> {
        let settings = TcpSettings { together: true, ..self.settings };
        Self { settings, ..self }
            .serve_by(context, |connection| Ok(move |service: &mut S| connection.deliver(service)))
    }

    /// Opens the port for connections that are told to handlers of their places: `make` makes one of the
    /// place's handle whenever there are more connections at a time than there have been, in a section. When
    /// it fails, the context is given up. [`Connection::deliver`] says what there is to tell.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub fn serve_by<S: 'static, F>(
        self,
        context: impl Into<Context<S>>,
        make: impl Fn(Connection<K>) -> Result<F, reflex_event::Error> + Send + Sync + 'static,
    ) -> Result<Listener<K>, Error>
    where
        F: Fn(&mut S) + Send + 'static,
    {
        let context = context.into();
        let registering = register_by(&self.net, context, make);
        let (group, owner) =
            self.net.group(Some(self.port), self.settings, context, registering)?;
        self.net.announce(Transport::Tcp, self.port);
        Ok(Listener { net: self.net, port: self.port, group, owner })
    }
}

/// An open TCP port. Dropping it changes nothing; the port stays open until
/// [`close`](Self::close), or until the context that serves it is given up: then this is a handle of
/// nothing, also when the context opens the port again in its next life.
pub struct Listener<K: Kernel> {
    pub(crate) net: Net<K>,
    port: u16,
    pub(crate) group: u32,
    pub(crate) owner: Owner,
}

impl<K: Kernel> Listener<K> {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections that are half open now.
    pub fn half_open(&self) -> u32 {
        self.look(|group| group.half_open)
    }

    /// Records made so far: the most connections there have been at a time.
    pub fn peak(&self) -> u32 {
        self.look(|group| group.made)
    }

    /// Connections of the context's earlier lives that were reset as it was given up, on this port and with these
    /// settings: in all, as far as the stack has come with that.
    pub fn cut_off(&self) -> u32 {
        self.look(|group| group.cut_off)
    }

    /// Openings that found no place so far. The owner is told of the first, and of the first again after one
    /// that did find one, as of [`Trouble::LimitReached`](reflex_event::Trouble::LimitReached).
    pub fn refusals(&self) -> Refusals {
        self.look(|group| group.refusals)
    }

    /// What there is to see of the group; 0 when it is not this one's any more.
    fn look<R: Default>(&self, look: impl FnOnce(&Group) -> R) -> R {
        self.net.with(|shared| {
            let group = &shared.groups[self.group as usize];
            if group.is_of(self.owner) { look(group) } else { R::default() }
        })
    }

    /// Accepts no more connections; those there are go on. The port can be listened on again,
    /// with another limit or context.
    pub fn close(&self) {
        self.net.with(|shared| {
            let group = &mut shared.groups[self.group as usize];
            if group.is_of(self.owner) {
                group.listening = false;
                shared.ports.close(self.port, self.group);
            }
        });
    }
}
