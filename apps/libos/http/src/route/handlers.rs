//! What the driver does for routes: memory for requests, and calling handlers.

use crate::route::reply::{Content, Reply};
use crate::route::request::{Meta, Request};
use core::ops::DerefMut;

/// The driver's part. Handlers may run anywhere and at any time: what they answer comes back by
/// [`Service::answer`](crate::Service::answer).
pub trait Handlers {
    /// Memory of a request.
    type Block: DerefMut<Target = [u8]>;

    /// So many bytes; `None` when there are none, and then the client is told 503.
    fn block(&mut self, bytes: usize) -> Option<Self::Block>;

    /// Has the handler of a route called, on behalf of the connection in `slot`. A connection has one call at a time:
    /// the next one follows the handler's answer. [`Call::Room`] alone may come while a piece is with the handler.
    ///
    /// # Errors
    /// When the route has no handler at present; the client is told 503.
    fn call(&mut self, slot: usize, call: Call<Self::Block>) -> Result<(), Unavailable>;

    /// What was called on behalf of the connection in `slot` is over: the reply has been written, the connection has
    /// failed, or the reply took too long. No answer is to come for it from now on.
    fn gone(&mut self, slot: usize);
}

/// A route has no handler at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unavailable;

/// What a handler is called with.
#[derive(Debug)]
pub enum Call<B> {
    /// A request: all of it, or all but the body when the route takes that in pieces. The answer is
    /// [`Answered::Reply`]; of a route in pieces, [`Answered::Ready`] first.
    Request(Incoming<B>),
    /// The next bytes of a body. To be answered with [`Answered::Ready`] when there may be more.
    Piece {
        /// The route.
        route: usize,
        /// The bytes are the first part of it.
        block: B,
        /// So many.
        length: usize,
        /// They are the last.
        last: bool,
    },
    /// All that was replied has been written: there is room for the next piece.
    Room {
        /// The route.
        route: usize,
    },
}

impl<B> Call<B> {
    /// The number of the route: its place among those the server was made with.
    pub fn route(&self) -> usize {
        match self {
            Self::Request(incoming) => incoming.route,
            Self::Piece { route, .. } | Self::Room { route } => *route,
        }
    }
}

/// A request in its memory.
#[derive(Debug)]
pub struct Incoming<B> {
    /// The route.
    pub route: usize,
    /// Where everything lies.
    pub meta: Meta,
    /// The memory.
    pub block: B,
}

impl<B: DerefMut<Target = [u8]>> Incoming<B> {
    /// The request.
    pub fn request(&self) -> Request<'_> {
        Request::new(&self.meta, &self.block)
    }
}

/// What a handler has answered.
#[derive(Debug)]
pub enum Answered {
    /// The reply, or its head when it is [streamed](Reply::streamed).
    Reply(Reply),
    /// The next piece of a streamed reply.
    Piece {
        /// Its bytes; there may be none.
        content: Content,
        /// It is the last.
        last: bool,
    },
    /// The handler is done with what it was called with; more of the body may come.
    Ready,
    /// There will be no reply: the handler failed, or the right to reply was dropped.
    Failed,
}
