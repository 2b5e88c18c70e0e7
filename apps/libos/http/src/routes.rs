//! What a server does with requests that are not for its site.
//!
//! A server of a site alone has [`SiteAlone`], which leaves nothing of all this in its code.

use crate::Counters;
use crate::date::Date;
use crate::fields::Fields;
use crate::output::Output;
use crate::plan::{Answer, Body, Persistence, Plan};
use crate::route::Turn;
use core::convert::Infallible;
use httparse::Header;

/// Requests that are looked at before the site is: those of [`Routed`](crate::Routed). It is implemented here alone.
pub trait Routes: Sized {
    /// Whether there can be any.
    const ROUTED: bool;
    /// A request in hand.
    type Exchange;
    /// What the driver is to call a handler with.
    type Call;
    /// What that one answers.
    type Answer;

    /// Whether a request is for a route.
    fn find(&mut self, arrival: &Arrival<'_>, scratch: &mut [u8]) -> Result<Found<Self>, Plan>;
    /// A request has been found.
    fn begin(exchange: &mut Self::Exchange) -> Turn;
    /// Bytes behind its head have come; says how many are its.
    fn input(&mut self, exchange: &mut Self::Exchange, bytes: &[u8]) -> (usize, Turn);
    /// There may be room.
    fn output(exchange: &mut Self::Exchange, desk: &mut Desk<'_>, out: &mut impl Output) -> Turn;
    /// A handler has answered.
    fn answer(
        exchange: &mut Self::Exchange,
        answer: Self::Answer,
        desk: &mut Desk<'_>,
        out: &mut impl Output,
    ) -> Turn;
    /// It takes too long.
    fn expire(exchange: &Self::Exchange) -> Turn;
    /// Its call was refused.
    fn unavailable(exchange: &Self::Exchange) -> Turn;
    /// Whether bytes of its body are missing.
    fn is_incomplete(exchange: &Self::Exchange) -> bool;
    /// How many bytes of its body have come.
    fn arrived(exchange: &Self::Exchange) -> u64;
    /// Whether something is unsent.
    fn has_unsent(exchange: &Self::Exchange) -> bool;
    /// What a handler is to be called with, once.
    fn take_call(exchange: &mut Self::Exchange) -> Option<Self::Call>;
    /// Has the handler called; false when there is none.
    fn call(&mut self, slot: usize, call: Self::Call) -> bool;
    /// What was called on behalf of that slot is of no use any more.
    fn gone(&mut self, slot: usize);
}

/// What of the server a reply is written with.
pub struct Desk<'a> {
    pub(crate) counters: &'a mut Counters,
    pub(crate) date: &'a Date,
    /// As long as a head may be.
    pub(crate) scratch: &'a mut [u8],
    /// Every response is its connection's last.
    pub(crate) shutting_down: bool,
}

/// A request with a complete head.
pub struct Arrival<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a [u8],
    pub(crate) headers: &'a [Header<'a>],
    /// All of these, where they lie.
    pub(crate) head: &'a [u8],
    pub(crate) fields: &'a Fields<'a>,
    pub(crate) is_old: bool,
    pub(crate) persistence: Persistence,
    pub(crate) body: Body,
}

/// What a request is.
pub enum Found<R: Routes> {
    /// Not one for a route.
    Nothing,
    /// One for a route, which has this answer without a handler.
    Answer(Answer),
    /// One for a handler.
    Exchange(R::Exchange),
}

/// No routes: a site alone.
#[derive(Clone, Copy, Default, Debug)]
pub struct SiteAlone;

impl Routes for SiteAlone {
    const ROUTED: bool = false;
    type Exchange = Infallible;
    type Call = Infallible;
    type Answer = Infallible;

    #[inline]
    fn find(&mut self, _: &Arrival<'_>, _: &mut [u8]) -> Result<Found<Self>, Plan> {
        Ok(Found::Nothing)
    }

    fn begin(exchange: &mut Infallible) -> Turn {
        match *exchange {}
    }

    fn input(&mut self, exchange: &mut Infallible, _: &[u8]) -> (usize, Turn) {
        match *exchange {}
    }

    fn output(exchange: &mut Infallible, _: &mut Desk<'_>, _: &mut impl Output) -> Turn {
        match *exchange {}
    }

    fn answer(
        exchange: &mut Infallible,
        _: Infallible,
        _: &mut Desk<'_>,
        _: &mut impl Output,
    ) -> Turn {
        match *exchange {}
    }

    fn expire(exchange: &Infallible) -> Turn {
        match *exchange {}
    }

    fn unavailable(exchange: &Infallible) -> Turn {
        match *exchange {}
    }

    fn is_incomplete(exchange: &Infallible) -> bool {
        match *exchange {}
    }

    fn arrived(exchange: &Infallible) -> u64 {
        match *exchange {}
    }

    fn has_unsent(exchange: &Infallible) -> bool {
        match *exchange {}
    }

    fn take_call(exchange: &mut Infallible) -> Option<Infallible> {
        match *exchange {}
    }

    fn call(&mut self, _: usize, call: Infallible) -> bool {
        match call {}
    }

    fn gone(&mut self, _: usize) {}
}
