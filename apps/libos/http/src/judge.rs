//! The semantics of a request: what it is answered with and how much body follows it.

use crate::conditional::{Comparison, is_exactly, list_has};
use crate::plan::{Answer, Body, Persistence, Plan};
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

/// Whether `100 Continue` is due (RFC 9110, section 10.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Interim {
    /// It is.
    Due,
    /// It is not.
    No,
}

/// The fields that matter, each a reference into the head.
#[derive(Default)]
pub(crate) struct Fields<'a> {
    host: Option<&'a [u8]>,
    pub(crate) content_length: Option<&'a [u8]>,
    pub(crate) transfer_encoding: Option<&'a [u8]>,
    pub(crate) expect: Option<&'a [u8]>,
    range: Option<&'a [u8]>,
    if_range: Option<&'a [u8]>,
    has_if_match: bool,
    has_if_none_match: bool,
    wants_close: bool,
    wants_keep_alive: bool,
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

impl<'a> Fields<'a> {
    #[inline]
    fn collect(headers: &[Header<'a>]) -> Result<Self, Status> {
        let mut fields = Self::default();
        for Header { name, value } in headers {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            match name.len() {
                4 if is("host") => {
                    once(&mut fields.host, value)?;
                    if !value.iter().all(|&byte| is_authority(byte)) {
                        return Err(Status::BadRequest);
                    }
                }
                5 if is("range") => {
                    // Several lines are one list, and several ranges are ignored.
                    fields.range = Some(if fields.range.is_none() { *value } else { b"" });
                }
                6 if is("expect") => once(&mut fields.expect, value)?,
                8 if is("if-range") => once(&mut fields.if_range, value)?,
                8 if is("if-match") => fields.has_if_match = true,
                10 if is("connection") => fields.connection(value),
                13 if is("if-none-match") => fields.has_if_none_match = true,
                14 if is("content-length") => once(&mut fields.content_length, value)?,
                17 if is("transfer-encoding") => once(&mut fields.transfer_encoding, value)?,
                _ => {}
            }
        }
        Ok(fields)
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            self.wants_close |= option.eq_ignore_ascii_case(b"close");
            self.wants_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// What becomes of the connection (RFC 9112, section 9.3).
    #[inline]
    fn persistence(&self, is_old: bool) -> Persistence {
        match (is_old, self.wants_close, self.wants_keep_alive) {
            (_, true, _) | (true, false, false) => Persistence::Closed,
            (true, false, true) => Persistence::KeptAlive,
            (false, false, _) => Persistence::Open,
        }
    }

    /// Whether the client waits before it sends a body, or why its expectation cannot be met.
    #[inline]
    pub(crate) fn interim(&self, is_old: bool) -> Result<Interim, Status> {
        match self.expect {
            None => Ok(Interim::No),
            Some(_) if is_old => Ok(Interim::No),
            // Said before a body that is waited for; there may be none.
            Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(Interim::Due),
            Some(_) => Err(Status::ExpectationFailed),
        }
    }

    /// How many bytes of body follow (RFC 9112, section 6.3), or why that is not for this server.
    #[inline]
    fn body_length(&self, is_old: bool) -> Result<u64, Status> {
        match (self.transfer_encoding, self.content_length) {
            (None, None) => Ok(0),
            (None, Some(digits)) => decimal(digits).ok_or(Status::BadRequest),
            (Some(_), Some(_)) => Err(Status::BadRequest),
            (Some(_), None) if is_old => Err(Status::BadRequest),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => {
                Err(Status::LengthRequired)
            }
            (Some(_), None) => Err(Status::NotImplemented),
        }
    }
}

/// Takes a field that may be there once only.
fn once<'a>(place: &mut Option<&'a [u8]>, value: &'a [u8]) -> Result<(), Status> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Status::BadRequest),
    }
}

/// A number of one digit or more; too large a one is the largest.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, &digit| {
        digit
            .is_ascii_digit()
            .then(|| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

/// Whether a Host field may have `byte` (RFC 3986, section 3.2, without user information).
fn is_authority(byte: u8) -> bool {
    const MARKS: u128 = {
        let (marks, mut set, mut at) = (b"-._~%!$&'()*+,;=:[]", 0, 0);
        while at < marks.len() {
            set |= 1 << marks[at];
            at += 1;
        }
        set
    };
    byte.is_ascii_alphanumeric() || byte < 128 && MARKS >> byte & 1 != 0
}
