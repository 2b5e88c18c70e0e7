//! Replacing one context's implementation while the others serve (A-2.4).
//!
//! ```
//! # use reflex::{prelude::*, testing::Simulation};
//! # struct WebOne(u32);
//! # struct WebTwo(u32);
//! # impl From<WebOne> for WebTwo {
//! #     fn from(old: WebOne) -> Self {
//! #         WebTwo(old.0)
//! #     }
//! # }
//! # impl WebTwo {
//! #     fn tick(&mut self) {
//! #         self.0 += 100;
//! #     }
//! # }
//! # macro_rules! greets { ($($web:ident $text:literal),*) => { $(impl TcpService for $web {
//! #     fn accepted(&mut self, connection: &Connection) {
//! #         connection.write($text);
//! #     }
//! #     fn received(&mut self, _: &Connection) {}
//! # })* } }
//! # greets!(WebOne b"one", WebTwo b"two");
//! # let mut sim = Simulation::new(|system| {
//! # let web = system.context("web", WebOne(0)).build()?;
//! let tick = system.every(secs(1)).on(web, |web: &mut WebOne, _| web.0 += 1)?;
//! let listener = system.tcp(80).serve(web)?;
//! # let main = system.context("main", ()).priority(Priority::LOW).build()?;
//! # system.after(millis(2500)).on(main, move |_, _| {
//! # let upgrade = || -> Result {
//! // Later:
//! let web = system
//!     .replace::<WebTwo>(web)
//!     .serve(&listener)
//!     .bind(tick.event(), |web: &mut WebTwo, _| web.tick())
//!     .apply(|old: WebOne| Ok(WebTwo::from(old)))?;
//! # Ok(())
//! # };
//! # upgrade().unwrap();
//! # })?;
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! # for greeting in ["one", "two"] {
//! #     let client = sim.connect(80);
//! #     sim.run();
//! #     assert_eq!(client.received(), greeting.as_bytes());
//! #     sim.advance(secs(3));
//! # }
//! # assert_eq!(sim.state("web", |web: &mut WebTwo| web.0), 2 + 4 * 100);
//! ```

use crate::net::{Connection, Connector, Listener, TcpService, UdpService, UdpSocket};
use crate::{Context, Error, System};
use core::marker::PhantomData;
use reflex_event::{Activation, Error as EventError, EventId, Priority};
use reflex_net::{Served, Successor};
use reflex_runtime::{Pending, Rebinding, ReplaceError, Runtime, Service};

/// A context about to be replaced; see [`System::replace`].
#[must_use = "a context is replaced by `apply` or `submit`"]
pub struct Replacement<New: 'static> {
    inner: Result<reflex_runtime::Replacement<New>, EventError>,
    priority: Priority,
}

impl System {
    /// Prepares to replace the implementation of `context` by one with a state of type `New` and
    /// handlers of its own: while all others serve, and without losing anything that occurs for it.
    ///
    /// Every registration of the context is to be given a new handler by
    /// [`bind`](Replacement::bind) or [`serve`](Replacement::serve), or to be
    /// [ended](Replacement::end).
    pub fn replace<New: 'static>(self, context: Context<impl Sized>) -> Replacement<New> {
        Replacement { inner: self.kernel().replacement(context.id()), priority: context.priority }
    }
}

impl<New: 'static> Replacement<New> {
    fn with(
        mut self,
        work: impl FnOnce(&mut reflex_runtime::Replacement<New>) -> Result<(), EventError>,
    ) -> Self {
        self.inner = self.inner.and_then(|mut inner| work(&mut inner).map(|()| inner));
        self
    }

    /// Gives a registration a new handler. Its source, its timer and what is pending stay.
    pub fn bind<F>(self, event: EventId, handler: F) -> Self
    where
        F: Fn(&mut New, Activation) + Send + 'static,
    {
        self.with(|inner| inner.rebinding().bind(event, handler))
    }

    /// Ends a registration with the old implementation.
    pub fn end(self, event: EventId) -> Self {
        self.with(|inner| inner.rebinding().end(event))
    }

    /// Ends all registrations that are not named.
    pub fn end_others(self) -> Self {
        self.with(|inner| {
            inner.end_others();
            Ok(())
        })
    }

    /// Has the new implementation serve what the old one served: the connections of a listener or
    /// a connector, those under way included, or a UDP socket.
    pub fn serve<T: Serving<New>>(self, what: &T) -> Self {
        self.with(|inner| {
            inner.service(what.taking_part());
            Ok(())
        })
    }

    /// The priority of the replacement: as high as that of the context's highest registration,
    /// unless said here.
    pub fn priority(self, priority: Priority) -> Self {
        self.with(|inner| {
            inner.priority(priority);
            Ok(())
        })
    }

    /// Replaces the context, and waits until that is done: as soon as no handler of it is under
    /// way. `convert` makes the new state of the old one, or declines by giving it back: then
    /// nothing has changed. It runs in the context itself: when it fails, so has the context, with
    /// its old state lost.
    ///
    /// Handles of the old type are refused from then on.
    ///
    /// # Errors
    /// [`ReplaceError`]; unless it says `Stopped` the old implementation is in place.
    pub fn apply<Old, C>(self, convert: C) -> Result<Context<New>, ReplaceError>
    where
        Old: 'static,
        C: FnOnce(Old) -> Result<New, Old> + Send + 'static,
    {
        let Self { inner, priority } = self;
        Ok(Context { inner: inner?.apply(convert)?, priority })
    }

    /// Has the context replaced, without waiting; also by one of its own handlers.
    ///
    /// # Errors
    /// When it cannot begin; nothing has changed.
    pub fn submit<Old, C>(self, convert: C) -> Result<Pending<New>, Error>
    where
        Old: 'static,
        C: FnOnce(Old) -> Result<New, Old> + Send + 'static,
    {
        Ok(self.inner?.submit(convert)?)
    }
}

/// What a context serves, with registrations that come as they are needed.
pub trait Serving<New: 'static> {
    /// Its part in the replacement.
    fn taking_part(&self) -> impl Service<New> + 'static;
}

impl<New: TcpService> Serving<New> for Listener {
    fn taking_part(&self) -> impl Service<New> + 'static {
        Tcp::<New>::new(self.0.served())
    }
}

impl<New: TcpService> Serving<New> for Connector {
    fn taking_part(&self) -> impl Service<New> + 'static {
        Tcp::<New>::new(self.0.served())
    }
}

impl<New: UdpService> Serving<New> for UdpSocket {
    fn taking_part(&self) -> impl Service<New> + 'static {
        Udp { socket: self.clone(), of: PhantomData }
    }
}

/// The connections of a listener or a connector.
struct Tcp<New> {
    served: Served<Runtime>,
    successor: Option<Successor>,
    of: PhantomData<fn() -> New>,
}

impl<New: TcpService> Tcp<New> {
    fn new(served: Served<Runtime>) -> Self {
        Self { served, successor: None, of: PhantomData }
    }
}

impl<New: TcpService> Service<New> for Tcp<New> {
    fn bind(&mut self, rebinding: &mut Rebinding<New>) -> Result<(), EventError> {
        if self.successor.is_none() {
            let make = |connection| {
                let connection = Connection(connection);
                Ok(move |service: &mut New| connection.deliver(service))
            };
            self.successor = Some(self.served.prepare(rebinding.context(), make)?);
        }
        let mut at = 0;
        while let Some((event, connection, next)) = self.served.next(at) {
            let connection = Connection(connection);
            rebinding.bind(event, move |service, _| connection.deliver(service))?;
            at = next;
        }
        Ok(())
    }

    fn hand_over(&mut self, _: reflex_event::Context<New>) {
        // What it was goes with this.
        self.successor = self.successor.take().map(|next| self.served.hand_over(next));
    }
}

/// A UDP socket.
struct Udp<New> {
    socket: UdpSocket,
    of: PhantomData<fn() -> New>,
}

impl<New: UdpService> Service<New> for Udp<New> {
    fn bind(&mut self, rebinding: &mut Rebinding<New>) -> Result<(), EventError> {
        let Some(event) = self.socket.0.registration() else { return Ok(()) };
        let socket = self.socket.clone();
        rebinding.bind(event, move |service, _| socket.deliver(service))
    }

    fn hand_over(&mut self, _: reflex_event::Context<New>) {}
}
