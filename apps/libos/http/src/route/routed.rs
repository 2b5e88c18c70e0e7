//! Routes beside a site: which requests are theirs.

use crate::fields::{Fields, Interim, decimal};
use crate::output::Output;
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
use crate::routes::{Arrival, Desk, Found, Routes};
use crate::status::Status;
use crate::target;
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

    /// Takes a request for a route; otherwise says how it is refused, and its connection ended.
    fn accept(
        &mut self,
        arrival: &Arrival<'_>,
        number: u16,
        (method, pattern): (Method, &'static str),
        path: &Path<'_>,
    ) -> Result<Exchange<H::Block>, Answer> {
        let route = &self.routes[usize::from(number)];
        let interim = arrival.fields.interim(arrival.is_old).map_err(Answer::Status)?;
        let framing = framing(arrival).map_err(Answer::Status)?;
        let declared = match framing {
            Framing::Length(bytes) => Some(bytes),
            Framing::Chunks(_) => None,
        };
        if declared.is_some_and(|bytes| bytes > route.body_limit) {
            return Err(Answer::Status(Status::ContentTooLarge));
        }
        let has_body = declared != Some(0);
        if has_body && !route.takes(arrival) {
            let accept = self.accepts[usize::from(number)];
            return Err(Answer::Told(Status::UnsupportedMediaType, accept));
        }
        let limit = usize::try_from(route.body_limit).unwrap_or(usize::MAX);
        let room = if route.in_pieces { 0 } else { ahead(&framing).min(limit) };
        let begin = arrival.head.len() + if path.is_decoded { path.text.len() } else { 0 };
        let block = self.handlers.block(begin + room);
        let mut block = block.ok_or(Answer::Status(Status::ServiceUnavailable))?;
        let mut meta = Meta {
            method,
            is_head: arrival.body == Body::Omitted,
            pattern,
            head: Span::new(0, arrival.head.len()),
            target: Span::new(offset(arrival.head, arrival.target), arrival.target.len()),
            parameters: Default::default(),
            body: Span::new(begin, 0),
            declared,
        };
        let path = path.put(arrival.head, &mut block);
        capture(&mut meta, path, &mut block);
        let incoming = Incoming { route: usize::from(number), meta, block };
        let (inbound, call) = if route.in_pieces {
            let inbound = Inbound::Pieces { framing, left: route.body_limit, busy: true };
            (inbound, Some(Call::Request(incoming)))
        } else {
            (Inbound::Whole { framing, incoming, limit }, None)
        };
        Ok(Exchange {
            route: number,
            persistence: arrival.persistence,
            body: arrival.body,
            is_old: arrival.is_old,
            in_pieces: route.in_pieces,
            interim: if interim == Interim::Due && has_body { INTERIM } else { b"" },
            inbound,
            outbound: Outbound::Awaiting,
            call,
            room_due: false,
            arrived: 0,
        })
    }
}

/// The path of a request.
struct Path<'a> {
    /// Percent-decoded, but for slashes and percent signs that are data.
    text: &'a [u8],
    /// It is not a part of the head.
    is_decoded: bool,
}

impl<'a> Path<'a> {
    /// The path of a target, decoded in `scratch` when it has to be; none of a target that names no path.
    fn of(target: &'a [u8], scratch: &'a mut [u8]) -> Option<Self> {
        if let Some(text) = target::plain(target) {
            return Some(Self { text, is_decoded: false });
        }
        let path = target::path(target).ok()?;
        let text = target::normalise_segments(path, scratch).ok()?;
        Some(Self { text, is_decoded: true })
    }

    /// Puts it into the memory of a request, behind the head, which it may be a part of; says where it lies.
    fn put(&self, head: &[u8], memory: &mut [u8]) -> Span {
        let (place, rest) = memory.split_at_mut(head.len());
        place.copy_from_slice(head);
        if !self.is_decoded {
            return Span::new(offset(head, self.text), self.text.len());
        }
        rest[..self.text.len()].copy_from_slice(self.text);
        Span::new(head.len(), self.text.len())
    }
}

impl Arrival<'_> {
    /// The answer to it, after which the connection ends.
    fn last(&self, answer: Answer) -> Plan {
        Plan { answer, persistence: Persistence::Closed, body: self.body }
    }
}

impl Route {
    /// Whether the client says that the body is what the route consumes.
    fn takes(&self, arrival: &Arrival<'_>) -> bool {
        let Some(wanted) = self.consumes else { return true };
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
        let Some(path) = Path::of(arrival.target, scratch) else { return Ok(Found::Nothing) };
        let Some(resource) = self.table.find(path.text) else { return Ok(Found::Nothing) };
        let pattern = resource.pattern;
        match self.choose(arrival.method, resource) {
            Ok((method, route)) => {
                let exchange = self.accept(arrival, route, (method, pattern), &path);
                exchange.map(Found::Exchange).map_err(|answer| arrival.last(answer))
            }
            // The body is not read, so the connection ends unless there is none.
            Err(answer)
                if arrival.fields.expect.is_some()
                    || arrival.fields.transfer_encoding.is_some() =>
            {
                Err(arrival.last(answer))
            }
            Err(answer) => Ok(Found::Answer(answer)),
        }
    }

    fn begin(exchange: &mut Self::Exchange) -> Turn {
        exchange.begin()
    }

    fn input(&mut self, exchange: &mut Self::Exchange, bytes: &[u8]) -> (usize, Turn) {
        exchange.input(bytes, &mut self.handlers)
    }

    fn output(exchange: &mut Self::Exchange, desk: &mut Desk<'_>, out: &mut impl Output) -> Turn {
        exchange.output(desk, out)
    }

    fn answer(
        exchange: &mut Self::Exchange,
        answer: Answered,
        desk: &mut Desk<'_>,
        out: &mut impl Output,
    ) -> Turn {
        exchange.answer(answer, desk, out)
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

    fn arrived(exchange: &Self::Exchange) -> u64 {
        exchange.arrived
    }

    fn has_unsent(exchange: &Self::Exchange) -> bool {
        exchange.has_unsent()
    }

    fn take_call(exchange: &mut Self::Exchange) -> Option<Self::Call> {
        exchange.take_call()
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
