//! Messages and publications over TCP and RDMA, in pages of event memory; see [`System::netio`]. `docs/netio.md` has
//! the whole of it.

use crate::{Context, Error, Priority, System};
use core::time::Duration;
use reflex_messaging::Carrier;
use reflex_runtime::Runtime;

#[doc(inline)]
pub use reflex_messaging::{
    Counters, Down, Error as NetioError, Event, MOST_LINKS, Malformed, Memory, Publication,
    Refusal, Role, Settings, Slow, Socket, Tags,
};

/// Sends, receives, publishes and subscribes for one context.
pub type Endpoint = reflex_messaging::Endpoint<Runtime>;
/// Sends to a listening port.
pub type SendSocket = reflex_messaging::SendSocket<Runtime>;
/// Publishes to all that have asked for a message's tag.
pub type PublishSocket = reflex_messaging::PublishSocket<Runtime>;
/// Receives from a publisher what it has asked for.
pub type SubscribeSocket = reflex_messaging::SubscribeSocket<Runtime>;

/// What carries an endpoint's connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Over {
    /// TCP.
    #[default]
    Tcp,
    /// Reliable connections of RDMA.
    Rdma,
}

impl Over {
    /// By its name on a command line: `tcp` or `rdma`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "tcp" => Some(Self::Tcp),
            "rdma" => Some(Self::Rdma),
            _ => None,
        }
    }
}

/// An endpoint about to be made; see [`System::netio`].
#[must_use = "an endpoint is made by `on`"]
#[derive(Clone, Copy)]
pub struct EndpointBuilder<S> {
    system: System,
    context: Context<S>,
    settings: Settings,
    over: Over,
}

impl System {
    /// Messages and publications for a context: what it sends is put together in pages of its event memory, and what
    /// happens is told to one handler.
    ///
    /// ```
    /// # use core::net::{Ipv4Addr, SocketAddr};
    /// # use reflex::netio::{Event, Publication, Tags};
    /// # use reflex::{prelude::*, testing::Simulation};
    /// #[derive(Default)]
    /// struct Thermometer {
    ///     measured: u64,
    /// }
    ///
    /// #[derive(Default)]
    /// struct Display {
    ///     shown: Vec<u64>,
    /// }
    ///
    /// impl Display {
    ///     fn happened(&mut self, event: Event<'_>) {
    ///         if let Event::Message { bytes: [degrees, ..], .. } = event {
    ///             self.shown.push(u64::from(*degrees));
    ///         }
    ///     }
    /// }
    ///
    /// /// Its messages have the room's number as their tags.
    /// const ROOM: u64 = 7;
    ///
    /// # let mut sim = Simulation::new(|system| {
    /// # system.enable_loopback();
    /// let thermometer = system.context("thermometer", Thermometer::default()).build()?;
    /// let endpoint = system.netio(thermometer).on(|_, event| debug!("{event:?}"))?;
    /// let publisher = endpoint.publish(Publication::new(7000))?;
    /// system.every(secs(1)).on(thermometer, move |thermometer, _| {
    ///     thermometer.measured += 1;
    ///     // Sent with others when their page is full, or after two milliseconds.
    ///     if let Err(error) = publisher.publish(ROOM, &[20, 0]) {
    ///         warn!("not published: {error}");
    ///     }
    /// })?;
    ///
    /// // On another machine, or here:
    /// let display = system.context("display", Display::default()).build()?;
    /// let endpoint = system.netio(display).on(Display::happened)?;
    /// let subscription = endpoint.subscribe(SocketAddr::from((Ipv4Addr::LOCALHOST, 7000)))?;
    /// subscription.add(Tags::exact(ROOM))?;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// # sim.advance(secs(5) + millis(500));
    /// # let shown = sim.state("display", |display: &mut Display| display.shown.len());
    /// # assert!((4..=5).contains(&shown), "{shown}");
    /// ```
    pub fn netio<S>(self, context: Context<S>) -> EndpointBuilder<S> {
        let settings = Settings { priority: context.priority, ..Settings::default() };
        EndpointBuilder { system: self, context, settings, over: Over::Tcp }
    }
}

impl<S: 'static> EndpointBuilder<S> {
    /// What carries its connections: TCP, unless said otherwise.
    pub fn over(self, over: Over) -> Self {
        Self { over, ..self }
    }

    /// All that it is made for; what is not said elsewhere is as in [`Settings::default`].
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Links at a time: 16 unless said otherwise.
    pub fn links(mut self, links: u16) -> Self {
        self.settings.links = links;
        self
    }

    /// Pages of `bytes`, so many to be filled and so many to receive in, of each link: 4096, 8 and 8 unless said
    /// otherwise. One that is filled to seven eighths is sent.
    pub fn pages(mut self, bytes: u32, filled: u16, received: u16) -> Self {
        self.settings = Settings {
            page: bytes,
            pages: filled,
            receives: received,
            watermark: bytes - bytes / 8,
            ..self.settings
        };
        self
    }

    /// How long a message may wait for its page to fill: 2 ms unless said otherwise.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// The priority of all work for it, handlers included: the context's unless said here.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.settings.priority = priority;
        self
    }

    /// Makes the endpoint; `handler` is told what happens, with the state of the context.
    ///
    /// # Errors
    /// [`NetioError::BadParameter`]; those of [`System::net`] and [`System::rdma`]; others when memory or a table does
    /// not allow it.
    pub fn on<H>(self, handler: H) -> Result<Endpoint, Error>
    where
        H: Fn(&mut S, Event<'_>) + Send + Sync + 'static,
    {
        let Self { system, context, settings, over } = self;
        let kernel = system.kernel();
        let carrier = match over {
            Over::Tcp => Carrier::Tcp(&system.net()?.0),
            Over::Rdma => Carrier::Rdma(system.rdma()?),
        };
        Ok(Endpoint::start(&kernel, context, carrier, settings, handler)?)
    }
}
