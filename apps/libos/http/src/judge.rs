//! The semantics of a request: what it is answered with and how much body follows it.

use crate::conditional::{Comparison, is_exactly, list_has};
use crate::fields::{Fields, Interim};
use crate::plan::{Answer, Body, Plan};
use crate::range::{Selection, select};
use crate::routes::{Arrival, Found, Routes};
use crate::status::Status;
use crate::target;
use crate::{Limits, Site, Target};
use httparse::{Header, Request};

/// What became of a request.
pub(crate) enum Verdict<E> {
    /// It has an answer.
    Planned {
        /// The response.
        plan: Plan,
        /// How many bytes of body follow the head, to be read and dropped before the response.
        body: u64,
        /// Whether the client waits to be told to send that body.
        interim: Interim,
    },
    /// It is for a handler.
    Routed(E),
}

/// Judges `request`, which lies in `head`; `scratch` is as long as its target at least.
///
/// # Errors
/// The last response, when what follows this head could not be told apart from its body.
#[inline]
pub(crate) fn judge<R: Routes>(
    request: &Request<'_, '_>,
    head: &[u8],
    (site, routes): (&Site, &mut R),
    limits: &Limits,
    scratch: &mut [u8],
) -> Result<Verdict<R::Exchange>, Plan> {
    let method = request.method.unwrap_or_default();
    let body = if method == "HEAD" { Body::Omitted } else { Body::Sent };
    let refuse = |status| Plan { body, ..Plan::refusal(status) };

    let fields = Fields::collect(request.headers).map_err(refuse)?;
    let is_old = request.version == Some(0);
    if fields.host.is_none() && !is_old {
        return Err(refuse(Status::BadRequest));
    }
    let mut known = None;
    if R::ROUTED {
        let arrival = Arrival {
            method,
            target: request.path.unwrap_or_default().as_bytes(),
            headers: request.headers,
            head,
            fields: &fields,
            is_old,
            persistence: fields.persistence(is_old),
            body,
        };
        match routes.find(&arrival, scratch)? {
            Found::Exchange(exchange) => return Ok(Verdict::Routed(exchange)),
            Found::Answer(answer) => known = Some(answer),
            Found::Nothing => {}
        }
    }
    let length = fields.body_length(is_old).map_err(refuse)?;
    if length > limits.body_bytes {
        return Err(refuse(Status::ContentTooLarge));
    }
    let interim = fields.interim(is_old).map_err(refuse)?;

    let answer = match (known, method) {
        (Some(answer), _) => answer,
        (None, "GET" | "HEAD") => find(request, &fields, body, site, scratch),
        (None, "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH") => {
            // Beside routes it makes a difference whether there is anything.
            let nothing = Answer::Status(Status::NotFound);
            if R::ROUTED && find(request, &fields, body, site, scratch) == nothing {
                nothing
            } else {
                Answer::Status(Status::MethodNotAllowed)
            }
        }
        (None, _) => Answer::Status(Status::NotImplemented),
    };
    let persistence = fields.persistence(is_old);
    Ok(Verdict::Planned { plan: Plan { answer, persistence, body }, body: length, interim })
}

/// The answer to a GET or HEAD.
fn find(
    request: &Request<'_, '_>,
    fields: &Fields<'_>,
    body: Body,
    site: &Site,
    scratch: &mut [u8],
) -> Answer {
    let target = request.path.unwrap_or_default().as_bytes();
    let found = match target::plain(target) {
        Some(path) => site.find(path),
        None => match target::path(target).and_then(|path| target::normalise(path, scratch)) {
            Ok(path) => path.and_then(|path| site.find(path)),
            Err(target::Malformed) => return Answer::Status(Status::BadRequest),
        },
    };
    match found {
        None => Answer::Status(Status::NotFound),
        Some(Target::Directory(location)) => Answer::Moved(location),
        Some(Target::File(index)) => {
            let plain = !fields.has_if_match && !fields.has_if_none_match;
            if plain && fields.range.is_none() {
                Answer::File(index)
            } else {
                select_content(request.headers, fields, body, site, index)
            }
        }
    }
}

/// Applies preconditions and the range, in the order of RFC 9110, section 13.2.2.
#[cold]
fn select_content(
    headers: &[Header<'_>],
    fields: &Fields<'_>,
    body: Body,
    site: &Site,
    index: u16,
) -> Answer {
    let file = site.file(index);
    let etag = file.etag.as_bytes();
    let lists = |name: &str, comparison| {
        headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .any(|field| list_has(field.value, etag, comparison))
    };
    if fields.has_if_match && !lists("if-match", Comparison::Strong) {
        return Answer::Status(Status::PreconditionFailed);
    }
    if fields.has_if_none_match && lists("if-none-match", Comparison::Weak) {
        return Answer::NotModified(index);
    }
    // A range is defined for GET only (RFC 9110, section 14.2).
    match (fields.range, body) {
        (Some(range), Body::Sent) if fields.if_range.is_none_or(|tag| is_exactly(tag, etag)) => {
            match select(range, file.content.len()) {
                Selection::Whole => Answer::File(index),
                Selection::Part { first, last } => Answer::Part { file: index, first, last },
                Selection::Unsatisfiable => Answer::Unsatisfiable(index),
            }
        }
        _ => Answer::File(index),
    }
}
