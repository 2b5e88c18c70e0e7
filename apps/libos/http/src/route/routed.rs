//! Routes beside a site: which requests are theirs.

use crate::judge::{Fields, Interim, decimal};
use crate::plan::{Answer, Body, Persistence, Plan};
use crate::route::body::Framing;
use crate::route::chunked::Chunked;
use crate::route::declared::Route;
use crate::route::error::RouteError;
use crate::route::exchange::{Exchange, INTERIM, Inbound, Outbound, Turn, ahead};
use crate::route::handlers::{Answered, Call, Handlers, Incoming};
use crate::route::method::Method;
use crate::route::pattern::{Segment, segments};
use crate::route::request::{Meta, Span, media_type};
use crate::route::table::{Resource, Table};
use crate::routes::{Arrival, Found, Routes};
use crate::status::Status;
use crate::target;
use crate::{Output, Server};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

/// Routes, by their paths, and what calls their handlers.
pub struct Routed<H> {
    table: Table,
    pub(crate) routes: Box<[Route]>,
    /// The field that says what a route consumes.
    accepts: Box<[&'static str]>,
    /// The driver's part.
    pub handlers: H,
}

impl<H: Handlers> Routed<H> {
    /// Lays `routes` out. The number of each is its place among them.
    ///
    /// # Errors
    /// [`RouteError`], with the paths.
    pub fn new(routes: &[(Method, Route)], handlers: H) -> Result<Self, RouteError> {
        let paths: Vec<_> = routes.iter().map(|(method, route)| (*method, route.path)).collect();
        let table = Table::new(&paths)?;
        let accept = |(_, route): &(Method, Route)| -> Result<&'static str, RouteError> {
            let Some(name) = route.consumes else { return Ok("") };
            let visible = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
            if !visible || !name.contains('/') {
                return Err(RouteError::MediaType(name));
            }
            Ok(format!("Accept: {name}\r\n").leak())
        };
        let accepts = routes.iter().map(accept).collect::<Result<Box<[_]>, _>>()?;
        let routes = routes.iter().map(|(_, route)| *route).collect();
        Ok(Self { table, routes, accepts, handlers })
    }

    /// What a request for a resource is answered with without a handler, or the route that it is for.
    fn choose(&self, name: &str, resource: &Resource) -> Result<(Method, u16), Answer> {
        let method = Method::serving(name);
        match method.and_then(|method| Some((method, resource.route(method)?))) {
            Some(found) => Ok(found),
            None if name == "OPTIONS" => Err(Answer::Told(Status::NoContent, resource.allow)),
            None => Err(Answer::Told(Status::MethodNotAllowed, resource.allow)),
        }
    }

    /// Whether the client says that a body is what the route takes.
    fn consumes(&self, route: u16, arrival: &Arrival<'_>) -> bool {
        let Some(wanted) = self.routes[usize::from(route)].consumes else { return true };
        let fields = arrival.headers.iter();
        let mut told = fields.filter(|field| field.name.eq_ignore_ascii_case("content-type"));
        told.next()
            .is_some_and(|field| media_type(field.value).eq_ignore_ascii_case(wanted.as_bytes()))
    }
}

impl<H: Handlers> Routes for Routed<H> {
    const ROUTED: bool = true;
    type Exchange = Exchange<H::Block>;
    type Call = Call<H::Block>;
    type Answer = Answered;

    fn find(&mut self, arrival: &Arrival<'_>, scratch: &mut [u8]) -> Result<Found<Self>, Plan> {
        let name = arrival.method;
        let target = arrival.target;
        let (path, decoded) = match target::plain(target) {
            Some(path) => (path, false),
            None => match target::path(target)
                .and_then(|path| target::normalise_segments(path, scratch))
            {
                Ok(path) => (path, true),
                Err(target::Malformed) => return Ok(Found::Nothing),
            },
        };
        let Some(resource) = self.table.find(path) else { return Ok(Found::Nothing) };
        let (pattern, choice) = (resource.pattern, self.choose(name, resource));
        let (method, route) = match choice {
            Ok(found) => found,
            // The body is not read, so the connection ends unless there is none.
            Err(answer)
                if arrival.fields.expect.is_some()
                    || arrival.fields.transfer_encoding.is_some() =>
            {
                return Err(Plan { answer, persistence: Persistence::Closed, body: arrival.body });
            }
            Err(answer) => return Ok(Found::Answer(answer)),
        };
        let refuse = |answer| Plan { answer, persistence: Persistence::Closed, body: arrival.body };
        let status = |status| refuse(Answer::Status(status));
        let interim = arrival.fields.interim(arrival.is_old).map_err(status)?;
        let framing = framing(arrival).map_err(status)?;
        let declared = match framing {
            Framing::Length(bytes) => Some(bytes),
            Framing::Chunks(_) => None,
        };
        let (limit, in_pieces) = {
            let route = &self.routes[usize::from(route)];
            (route.body_limit, route.in_pieces)
        };
        if declared.is_some_and(|bytes| bytes > limit) {
            return Err(status(Status::ContentTooLarge));
        }
        let has_body = declared != Some(0);
        if has_body && !self.consumes(route, arrival) {
            let accept = self.accepts[usize::from(route)];
            return Err(refuse(Answer::Told(Status::UnsupportedMediaType, accept)));
        }
        let room = if in_pieces { 0 } else { ahead(&framing).min(limit as usize) };
        let length = arrival.head.len() + if decoded { path.len() } else { 0 };
        let Some(mut block) = self.handlers.block(length + room) else {
            return Err(status(Status::ServiceUnavailable));
        };
        let (head, rest) = block.split_at_mut(arrival.head.len());
        head.copy_from_slice(arrival.head);
        let at = if decoded {
            rest[..path.len()].copy_from_slice(path);
            head.len()
        } else {
            offset(arrival.head, path)
        };
        let path = Span::new(at, path.len());
        let mut meta = Meta {
            method,
            is_head: arrival.body == Body::Omitted,
            pattern,
            head: Span::new(0, arrival.head.len()),
            target: Span::new(offset(arrival.head, target), target.len()),
            parameters: Default::default(),
            body: Span::new(length, 0),
            declared,
        };
        capture(&mut meta, path, &mut block);
        let incoming = Incoming { route: usize::from(route), meta, block };
        let (inbound, call) = if in_pieces {
            (Inbound::Pieces { framing, left: limit, busy: true }, Some(Call::Request(incoming)))
        } else {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            (Inbound::Whole { framing, incoming, limit }, None)
        };
        Ok(Found::Exchange(Exchange {
            route,
            persistence: arrival.persistence,
            body: arrival.body,
            is_old: arrival.is_old,
            interim: if interim == Interim::Due && has_body { INTERIM } else { b"" },
            inbound,
            outbound: Outbound::Awaiting,
            call,
        }))
    }

    fn begin(exchange: &mut Self::Exchange) -> Turn {
        exchange.begin()
    }

    fn input(
        exchange: &mut Self::Exchange,
        bytes: &[u8],
        server: &mut Server<Self>,
    ) -> (usize, Turn) {
        exchange.input(bytes, &mut server.routes.handlers)
    }

    fn output(
        exchange: &mut Self::Exchange,
        server: &mut Server<Self>,
        out: &mut impl Output,
    ) -> Turn {
        exchange.output(server, out)
    }

    fn answer(
        exchange: &mut Self::Exchange,
        answer: Answered,
        server: &mut Server<Self>,
        out: &mut impl Output,
    ) -> Turn {
        exchange.answer(answer, server, out)
    }

    fn expire(exchange: &Self::Exchange) -> Turn {
        exchange.expire()
    }

    fn unavailable(exchange: &Self::Exchange) -> Turn {
        exchange.unavailable()
    }

    fn is_incomplete(exchange: &Self::Exchange) -> bool {
        exchange.is_incomplete()
    }

    fn has_unsent(exchange: &Self::Exchange) -> bool {
        exchange.has_unsent()
    }

    fn take_call(exchange: &mut Self::Exchange) -> Option<Self::Call> {
        exchange.call.take()
    }

    fn call(&mut self, slot: usize, call: Self::Call) -> bool {
        self.handlers.call(slot, call).is_ok()
    }

    fn gone(&mut self, slot: usize) {
        self.handlers.gone(slot);
    }
}

/// How the request's body ends (RFC 9112, section 6.3).
fn framing(arrival: &Arrival<'_>) -> Result<Framing, Status> {
    let Fields { transfer_encoding, content_length, .. } = arrival.fields;
    match (transfer_encoding, content_length) {
        (Some(coding), None) if !arrival.is_old && coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(Framing::Chunks(Chunked::new()))
        }
        (None, Some(digits)) => decimal(digits).map(Framing::Length).ok_or(Status::BadRequest),
        (None, None) => Ok(Framing::Length(0)),
        (Some(_), None) if !arrival.is_old => Err(Status::NotImplemented),
        _ => Err(Status::BadRequest),
    }
}

/// Where `part` lies in `whole`, of which it is a part.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize).min(whole.len())
}

/// Finds the parameters of the path that lies in `memory`, and decodes what is still encoded of them, in place.
fn capture(meta: &mut Meta, path: Span, memory: &mut [u8]) {
    let mut at = path.at as usize + 1;
    let end = (path.at + path.length) as usize;
    let mut next = 0;
    for segment in segments(meta.pattern) {
        let rest = &memory[at.min(end)..end];
        let length = match segment {
            Segment::Tail(_) => rest.len(),
            _ => rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len()),
        };
        if segment.name().is_some() {
            let decoded = target::decode_in_place(&mut memory[at.min(end)..][..length]);
            meta.parameters[next] = Span::new(at.min(end), decoded);
            next += 1;
        }
        at += length + 1;
    }
}
