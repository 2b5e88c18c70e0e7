//! The sockets that an endpoint makes, as applications have them.

use crate::Tags;
use crate::error::Error;
use crate::event::Socket;
use crate::memory::Memory;
use crate::record::Kind;
use crate::shared::Shared;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Range;
use reflex_event::Kernel;

/// Sends to a listening port; see [`Endpoint::connect`](crate::Endpoint::connect). Copies are of the same.
pub struct SendSocket<K: Kernel> {
    shared: Arc<Shared<K>>,
    socket: Socket,
}

/// Receives from a publisher; see [`Endpoint::subscribe`](crate::Endpoint::subscribe). Copies are of the same.
pub struct SubscribeSocket<K: Kernel> {
    shared: Arc<Shared<K>>,
    socket: Socket,
}

/// Publishes; see [`Endpoint::publish`](crate::Endpoint::publish). Copies are of the same.
pub struct PublishSocket<K: Kernel> {
    shared: Arc<Shared<K>>,
    publisher: usize,
}

macro_rules! socket {
    ($name:ident, $field:ident: $type:ty) => {
        impl<K: Kernel> $name<K> {
            pub(crate) fn new(shared: Arc<Shared<K>>, $field: $type) -> Self {
                Self { shared, $field }
            }
        }

        impl<K: Kernel> Clone for $name<K> {
            fn clone(&self) -> Self {
                Self::new(self.shared.clone(), self.$field)
            }
        }

        impl<K: Kernel> fmt::Debug for $name<K> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.$field)
            }
        }
    };
}

socket!(SendSocket, socket: Socket);
socket!(SubscribeSocket, socket: Socket);
socket!(PublishSocket, publisher: usize);

impl<K: Kernel> Shared<K> {
    /// What tells its memory from that of other endpoints.
    pub(crate) fn identity(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// Appends a message to a page. To be called guarded.
    #[inline]
    fn append(&self, socket: Socket, tag: u64, bytes: &[u8]) -> Result<(), Error> {
        let begun = self.with(|core| core.begin(socket, bytes.len()));
        let mut begun = begun.inspect_err(|_| self.finish())?;
        let was_empty = begun.page.used == 0;
        begun.page.append(Kind::Message, tag, bytes);
        let finished = self.with(|core| core.finish(begun, was_empty));
        if finished != Ok(false) {
            self.pump(socket.slot);
            self.finish();
        }
        finished.map(|_| ())
    }

    /// Hands an unbuffered message to links. To be called guarded.
    fn hand_out(
        &self,
        place: u16,
        (tag, memory, range): (u64, &Memory, Range<usize>),
        sockets: impl Iterator<Item = Socket>,
    ) -> Result<(), Error> {
        let mut result = Ok(());
        for socket in sockets {
            let source = memory.source(range.clone());
            let length = range.len();
            result = source.and_then(|source| {
                self.with(|core| core.add_unbuffered(socket, (place, tag, length), source))
            });
        }
        result
    }
}

impl<K: Kernel> SendSocket<K> {
    /// Its name in events.
    pub fn socket(&self) -> Socket {
        self.socket
    }

    /// Takes a message, which is sent with others: when their page is full, when the first of them has waited for
    /// the endpoint's [patience](crate::Settings::patience), or when it is [flushed](Self::flush).
    ///
    /// # Errors
    /// [`Error::Again`], after which `Room` is told; [`Error::NotConnected`], [`Error::TooLong`], [`Error::Busy`],
    /// [`Error::Gone`].
    pub fn send(&self, tag: u64, bytes: &[u8]) -> Result<(), Error> {
        let shared = &self.shared;
        shared.kernel.guarded(|| shared.append(self.socket, tag, bytes))
    }

    /// Sends a message from where it is, behind all that was taken before. `Sent` with `id` is told when its memory
    /// can be changed again.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Error::OutOfBounds`]; [`Error::BadParameter`] for memory of another endpoint.
    pub fn send_from(
        &self,
        tag: u64,
        memory: &Memory,
        range: Range<usize>,
        id: u64,
    ) -> Result<(), Error> {
        let shared = &self.shared;
        let registered = memory.registered(shared.identity())?;
        shared.kernel.guarded(|| {
            let place = shared.with(|core| {
                let place = core.fanouts.begin(id, registered);
                if place.is_none() {
                    core.fanouts.wanted = Some(self.socket);
                    core.counters.again += 1;
                }
                place.ok_or(Error::Again)
            })?;
            let sockets = core::iter::once(self.socket);
            let sent = shared.hand_out(place, (tag, memory, range), sockets);
            shared.with(|core| match sent {
                Ok(()) => core.fanouts.settle(place, &mut core.events),
                Err(_) => core.fanouts.cancel(place),
            });
            shared.finish();
            sent
        })
    }

    /// Has what was taken be sent now.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn flush(&self) -> Result<(), Error> {
        self.shared.act(|core| core.flush(self.socket))
    }
}

impl<K: Kernel> PublishSocket<K> {
    /// Takes a message for all subscribers that have asked for `tag`. They are sent it with others, as by
    /// [`SendSocket::send`]. Says for how many it was taken.
    ///
    /// # Errors
    /// [`Error::Again`], after which `Room` is told, when a subscriber has no room and is [waited
    /// for](crate::Slow::Wait): nobody is sent the message. [`Error::TooLong`], [`Error::Busy`].
    pub fn publish(&self, tag: u64, bytes: &[u8]) -> Result<u32, Error> {
        let shared = &self.shared;
        if bytes.len() + crate::record::HEADER > shared.settings.page as usize {
            return Err(Error::TooLong);
        }
        shared.kernel.guarded(|| {
            let audience = shared.with(|core| core.audience(self.publisher, tag, false));
            let Ok(audience) = audience else {
                shared.finish();
                return audience.map(|_| 0);
            };
            let mut taken = 0;
            for slot in audience.0 {
                let socket = shared.with(|core| core.socket(slot));
                // One that has gone meanwhile, or has shorter pages, goes without.
                let went = shared.append(socket, tag, bytes).is_ok();
                taken += u32::from(went);
            }
            shared.with(|core| core.handed_out(self.publisher));
            Ok(taken)
        })
    }

    /// Sends a message from where it is to all subscribers that have asked for `tag`, as [`SendSocket::send_from`]
    /// does; `Sent` is told when all have been sent it, also when there is none.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and as [`SendSocket::send_from`].
    pub fn publish_from(
        &self,
        tag: u64,
        memory: &Memory,
        range: Range<usize>,
        id: u64,
    ) -> Result<(), Error> {
        let shared = &self.shared;
        if range.len() + crate::record::HEADER > shared.settings.page as usize {
            return Err(Error::TooLong);
        }
        memory.source(range.clone())?;
        let registered = memory.registered(shared.identity())?;
        shared.kernel.guarded(|| {
            let begun = shared.with(|core| {
                let audience = core.audience(self.publisher, tag, true)?.0;
                let place = core.fanouts.begin(id, registered);
                if place.is_none() {
                    core.handed_out(self.publisher);
                    core.fanouts.wanted = audience.clone().next().map(|slot| core.socket(slot));
                    core.counters.again += 1;
                }
                Ok((place.ok_or(Error::Again)?, audience))
            });
            if let Ok((place, audience)) = begun {
                let sockets = audience.map(|slot| shared.with(|core| core.socket(slot)));
                // Those that have gone meanwhile go without.
                let _ = shared.hand_out(place, (tag, memory, range), sockets);
                shared.with(|core| {
                    core.fanouts.settle(place, &mut core.events);
                    core.handed_out(self.publisher);
                });
            }
            shared.finish();
            begun.map(|_| ())
        })
    }

    /// Has all that was taken be sent now.
    pub fn flush(&self) {
        let places = self.shared.settings.links;
        self.shared.kernel.guarded(|| {
            for slot in 0..places {
                self.shared.with(|core| core.flush_subscriber(self.publisher, slot));
                self.shared.run();
            }
        });
    }
}

impl<K: Kernel> SubscribeSocket<K> {
    /// Its name in events.
    pub fn socket(&self) -> Socket {
        self.socket
    }

    /// Asks for messages with these tags, now and on each connection to come. `Subscribed` or `Declined` is told.
    ///
    /// # Errors
    /// [`Error::Repeated`], also while [`remove`](Self::remove) of the same has not been answered;
    /// [`Error::LimitReached`], [`Error::Gone`].
    pub fn add(&self, tags: Tags) -> Result<(), Error> {
        self.shared.act(|core| {
            core.open(self.socket)?.asking.add(tags)?;
            core.ask(self.socket.slot);
            core.speak(self.socket.slot);
            Ok(())
        })
    }

    /// Asks for them no longer. `Unsubscribed` is told when the publisher has heard of it; some may come until then.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn remove(&self, tags: Tags) -> Result<(), Error> {
        self.shared.act(|core| core.unsubscribe(self.socket, tags))
    }
}
