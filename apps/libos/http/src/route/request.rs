//! A request, as a handler sees it.

use crate::route::method::Method;
use crate::route::pattern::{MOST_PARAMETERS, names};
use crate::route::query;
use crate::route::refusal::Refusal;
use alloc::borrow::Cow;
use alloc::string::ToString as _;
use core::str::FromStr;
use serde::Deserialize;

/// A part of a request's memory.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Span {
    pub(crate) at: u32,
    pub(crate) length: u32,
}

impl Span {
    pub(crate) fn new(at: usize, length: usize) -> Self {
        Self { at: at as u32, length: length as u32 }
    }

    fn of(self, memory: &[u8]) -> &[u8] {
        memory
            .get(self.at as usize..)
            .and_then(|rest| rest.get(..self.length as usize))
            .unwrap_or(&[])
    }
}

/// Where the parts of a request lie in its memory: the head, as it came; its path, if that had to be decoded; the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meta {
    pub(crate) method: Method,
    pub(crate) is_head: bool,
    pub(crate) pattern: &'static str,
    pub(crate) head: Span,
    pub(crate) target: Span,
    pub(crate) parameters: [Span; MOST_PARAMETERS],
    pub(crate) body: Span,
    /// How many bytes of body the client has declared, if it has.
    pub(crate) declared: Option<u64>,
}

/// A request, where it lies: everything is looked up when it is asked for, and nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    meta: &'a Meta,
    memory: &'a [u8],
}

impl<'a> Request<'a> {
    /// The request of which `meta` says where it lies in `memory`.
    pub fn new(meta: &'a Meta, memory: &'a [u8]) -> Self {
        Self { meta, memory }
    }

    /// The route's method.
    pub fn method(&self) -> Method {
        self.meta.method
    }

    /// Whether it was a HEAD: a body that is large need not be made.
    pub fn is_head(&self) -> bool {
        self.meta.is_head
    }

    /// The target, as it came: path and query.
    pub fn target(&self) -> &'a str {
        core::str::from_utf8(self.meta.target.of(self.memory)).unwrap_or_default()
    }

    /// A parameter of the path, or the tail, percent-decoded.
    ///
    /// # Errors
    /// [`Refusal::NoSuchPath`], 404, when it is not of type `T`: such a path names nothing that is there.
    pub fn path<T: FromStr>(&self, name: &str) -> Result<T, Refusal> {
        self.parameter(name).and_then(|text| text.parse().ok()).ok_or(Refusal::NoSuchPath)
    }

    /// A parameter of the path, or the tail, percent-decoded; `None` when the route has none of that name, and when
    /// what is there is not UTF-8.
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        let at = names(self.meta.pattern).position(|there| there == name)?;
        core::str::from_utf8(self.meta.parameters[at].of(self.memory)).ok()
    }

    /// The query, as it came, without the question mark.
    pub fn raw_query(&self) -> Option<&'a str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// A parameter of the query, decoded; the first, when there are several.
    ///
    /// # Errors
    /// [`Refusal::Query`], 400, when there is none, or it is not of type `T`.
    pub fn query<T: FromStr>(&self, name: &'static str) -> Result<T, Refusal> {
        self.query_or_none(name)?.ok_or(Refusal::Query(name))
    }

    /// [`query`](Self::query), of one that may be left out.
    ///
    /// # Errors
    /// [`Refusal::Query`], 400, when it is there and not of type `T`.
    pub fn query_or_none<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, Refusal> {
        match self.query_values(name).next() {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| Refusal::Query(name)),
        }
    }

    /// All values of a parameter of the query, decoded, in their order.
    pub fn query_values(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        query::values(self.raw_query().unwrap_or_default(), name)
    }

    /// All parameters of the query, decoded, in their order.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + Clone {
        query::pairs(self.raw_query().unwrap_or_default())
    }

    /// The value of a header field, whatever the case of its name; the first, when there are several.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.field_values(name).next()
    }

    /// The value of a header field that is text.
    pub fn text_field(&self, name: &str) -> Option<&'a str> {
        self.field(name).and_then(|value| core::str::from_utf8(value).ok())
    }

    /// All values of a header field, in their order.
    pub fn field_values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields();
        fields.filter(move |(there, _)| there.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All header fields, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + Clone {
        // The head was parsed when it came: lines end in CRLF, and all but the first have a colon.
        let lines = self.meta.head.of(self.memory).split(|&byte| byte == b'\n');
        lines.skip(1).filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name = core::str::from_utf8(&line[..colon]).ok()?;
            Some((name, line[colon + 1..].trim_ascii()))
        })
    }

    /// The body; empty when there is none, and when the route takes it [in pieces](crate::Route::in_pieces).
    pub fn body(&self) -> &'a [u8] {
        self.meta.body.of(self.memory)
    }

    /// How many bytes of body the client has declared. None when it sends chunks.
    pub fn declared_length(&self) -> Option<u64> {
        self.meta.declared
    }

    /// The value that the body has as JSON. Strings without escapes may be borrowed from it.
    ///
    /// # Errors
    /// [`Refusal::MediaType`], 415, when it does not say that it is JSON; [`Refusal::Body`], 400, with line and
    /// column when it is none, or not that of a `T`.
    pub fn json<T: Deserialize<'a>>(&self) -> Result<T, Refusal> {
        const JSON: &str = "application/json";
        let told = self.field("content-type").is_some_and(|value| {
            let name = media_type(value);
            let suffix = name.len().checked_sub(5).map(|at| &name[at..]);
            name.eq_ignore_ascii_case(JSON.as_bytes())
                || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
        });
        if !told {
            return Err(Refusal::MediaType(JSON));
        }
        serde_json::from_slice(self.body()).map_err(|error| Refusal::Body(error.to_string()))
    }
}

/// A media type without its parameters.
pub(crate) fn media_type(value: &[u8]) -> &[u8] {
    value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii()
}
