//! Requests with bodies that come, and replies that go, in pieces.

use crate::http::calls::{Calls, Key};
use crate::http::handler::{Kind, register, step};
use crate::http::{Answered, Content, Gone, Reply, Request};
use crate::{Context, Error};
use alloc::boxed::Box;
use core::cell::{Cell, RefCell};
use core::fmt;
use reflex_event::EventSystem as _;
use reflex_memory::{Lent, Pool};

/// What is kept of one request, in the event memory of the context with the state `S` that answers it: made when its
/// head is there, and dropped when it is over.
///
/// ```
/// # use reflex::http::{Dialogue, Exchange, Flow, Method, Reply, Request};
/// # use reflex::{prelude::*, testing::Simulation};
/// # struct Store;
/// /// Counts what is uploaded.
/// struct Upload(usize);
///
/// impl Exchange<Store> for Upload {
///     fn opened(_: &mut Store, _: &Request<'_>, _: &Dialogue) -> Self {
///         Upload(0)
///     }
///
///     fn received(&mut self, _: &mut Store, dialogue: &Dialogue, piece: &[u8], last: bool) -> Flow {
///         self.0 += piece.len();
///         if last {
///             let _ = dialogue.reply(Reply::ok().text(format!("{} bytes", self.0)));
///         }
///         Flow::More
///     }
/// }
///
/// # let mut sim = Simulation::new(|system| {
/// # let store = system.context("store", Store).build()?;
/// system.http(80).each::<Upload, _>(Method::Put, "/v1/files/:name", store).serve()?;
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// # let client = sim.connect(80);
/// # client.send("PUT /v1/files/a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
/// # sim.run();
/// # assert!(client.received().ends_with(b"\r\n\r\n5 bytes"));
/// ```
pub trait Exchange<S>: Send + Sized + 'static {
    /// A request has come. Its body follows by [`received`](Self::received), if there is one; a reply may be given at
    /// any time from now on.
    fn opened(service: &mut S, request: &Request<'_>, dialogue: &Dialogue) -> Self;

    /// Bytes of the body, at most 4 KiB. While this has not said that there may be [more](Flow::More) none is taken
    /// from the client, so that it waits.
    fn received(&mut self, service: &mut S, dialogue: &Dialogue, piece: &[u8], last: bool) -> Flow {
        let _ = (service, dialogue, piece, last);
        Flow::More
    }

    /// All that was given of a [streamed](Reply::streamed) reply has been written: the next
    /// [piece](Dialogue::send) may be given, now or later.
    fn room(&mut self, service: &mut S, dialogue: &Dialogue) {
        let _ = (service, dialogue);
    }

    /// It is over: the reply has been written, or the client is gone, or was told that it took too long.
    fn over(self, service: &mut S) {
        let _ = service;
    }
}

/// Whether the next piece of a body may come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// It may.
    More,
    /// Not before [`Dialogue::more`].
    Hold,
}

/// The way to reply to a request, and to have its body go on. Copies are of the same request, and may be with any
/// context.
#[derive(Clone)]
pub struct Dialogue(Key);

impl Dialogue {
    /// Replies: once.
    ///
    /// # Errors
    /// [`Gone`] when the client is, or has a reply; this one is dropped.
    pub fn reply(&self, reply: impl Into<Reply>) -> Result<(), Gone> {
        self.0.answer(Answered::Reply(reply.into()))
    }

    /// Gives the next piece of a streamed reply. There is room for one after each [`room`](Exchange::room).
    ///
    /// # Errors
    /// [`Gone`] when the client is, or when there is no [room](Self::has_room); the piece is dropped.
    pub fn send(&self, piece: impl Into<Content>) -> Result<(), Gone> {
        self.0.answer(Answered::Piece { content: piece.into(), last: false })
    }

    /// Gives the last piece of a streamed reply, which may have no bytes.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn finish(&self, piece: impl Into<Content>) -> Result<(), Gone> {
        self.0.answer(Answered::Piece { content: piece.into(), last: true })
    }

    /// Has the next piece of the body come, after [`Flow::Hold`].
    ///
    /// # Errors
    /// [`Gone`] when the client is.
    pub fn more(&self) -> Result<(), Gone> {
        self.0.answer(Answered::Ready)
    }

    /// Whether a piece of a streamed reply may be given.
    pub fn has_room(&self) -> bool {
        self.0.has_room()
    }

    /// Whether the client is waiting.
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }
}

impl fmt::Debug for Dialogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dialogue({}.{})", self.0.slot, self.0.generation)
    }
}

/// What is kept of requests, by their slots. Borrowed while one works: no other handler of the context runs meanwhile.
type Kept<T> = RefCell<Box<[Option<Lent<T>>]>>;

/// Has each request for a route served by a `T`.
pub(super) fn attach<T, S>(
    calls: &'static Calls,
    route: usize,
    context: Context<S>,
) -> Result<(), Error>
where
    T: Exchange<S>,
    S: 'static,
{
    let pool = calls.kernel.pool(context.inner)?;
    let kept: Kept<T> = RefCell::new((0..calls.slots()).map(|_| None).collect());
    register(calls, route, context, move |state, event| {
        if let Some(slot) = calls.next_ended(route) {
            let over = kept.borrow_mut()[slot].take();
            if let Some(over) = over {
                over.into_inner().over(state);
            }
            return true;
        }
        step(calls, route, event, |key, kind, bytes| {
            let mut kept = kept.borrow_mut();
            serve(&mut kept[key.slot as usize], (state, pool), key, kind, bytes)
        })
    })
}

/// Serves a call; says what is to be answered by itself.
fn serve<T: Exchange<S>, S>(
    kept: &mut Option<Lent<T>>,
    (state, pool): (&mut S, &'static Pool),
    key: Key,
    kind: Kind,
    bytes: &[u8],
) -> Option<Answered> {
    let dialogue = Dialogue(key);
    match (kind, kept) {
        (Kind::Request(meta), kept) => {
            let is_taken = Cell::new(true);
            let request = Request::new(reflex_http::Request::new(&meta, bytes), key, &is_taken);
            let exchange = T::opened(state, &request, &dialogue);
            match pool.alloc(exchange) {
                Ok(exchange) => *kept = Some(exchange),
                Err(refused) => {
                    refused.value.over(state);
                    return Some(Answered::Failed);
                }
            }
            Some(Answered::Ready)
        }
        (Kind::Piece { last }, Some(exchange)) => {
            let flow = exchange.received(state, &dialogue, bytes, last);
            (flow == Flow::More).then_some(Answered::Ready)
        }
        (Kind::Room, Some(exchange)) => {
            exchange.room(state, &dialogue);
            None
        }
        // It ended with an earlier life of the context.
        (_, None) => Some(Answered::Failed),
    }
}
