//! From received bytes to one request head.
//!
//! The outcome depends on the bytes alone and never on how they arrived: a head is judged when
//! the line feed of a line has arrived that decides it, even if an offending byte is already
//! there before.

use crate::limits::FIELD_LIMIT;
use crate::status::Status;
use crate::{HEAD_LIMIT, plan::Plan};
use core::mem::MaybeUninit;
use httparse::{Error, Request};

/// What `window` begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reading<T> {
    /// The first part of a request head.
    Incomplete,
    /// Something that ends the connection, with this as the last response.
    Refused(Plan),
    /// A request head of that many bytes, and what became of it.
    Complete(usize, T),
}

/// Reads one request head from the start of `window`, which is not longer than [`HEAD_LIMIT`],
/// and has `judge` judge it.
#[inline]
pub(crate) fn read<T>(
    window: &[u8],
    judge: impl FnOnce(&Request<'_, '_>, &[u8]) -> Result<T, Plan>,
) -> Reading<T> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELD_LIMIT];
    let mut request = Request::new(&mut []);
    match request.parse_with_uninit_headers(window, &mut fields) {
        Ok(httparse::Status::Complete(length)) if !ends_its_lines(&request, &window[..length]) => {
            Reading::Refused(Plan::refusal(Status::BadRequest))
        }
        Ok(httparse::Status::Complete(length)) => match judge(&request, &window[..length]) {
            Ok(verdict) => Reading::Complete(length, verdict),
            Err(plan) => Reading::Refused(plan),
        },
        Ok(httparse::Status::Partial) => unfinished(window),
        Err(Error::Version) => {
            let line = (request.method, request.path);
            later(window, line, judge).unwrap_or_else(|| offending(window))
        }
        Err(_) => offending(window),
    }
}

/// A request of a later minor version is one of the highest that we know (RFC 9110, section 2.5;
/// RFC 9112, section 2.3). `line`: what its first line begins with. `None` when it is none.
#[cold]
fn later<T>(
    window: &[u8],
    line: (Option<&str>, Option<&str>),
    judge: impl FnOnce(&Request<'_, '_>, &[u8]) -> Result<T, Plan>,
) -> Option<Reading<T>> {
    // Lines in front of the first are empty.
    let empty = window.iter().position(|&byte| !matches!(byte, b'\r' | b'\n'))?;
    let begin = empty + window[empty..].iter().position(|&byte| byte == b'\n')? + 1;
    match window[empty..begin].rsplit(|&byte| byte == b' ').next()? {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9', b'\r', b'\n'] => {}
        _ => return None,
    }
    let end = window.iter().rposition(|&byte| byte == b'\n')? + 1;
    let mut fields = [httparse::EMPTY_HEADER; FIELD_LIMIT];
    let (length, count) = match httparse::parse_headers(&window[begin..end], &mut fields) {
        Ok(httparse::Status::Complete((length, fields))) => (begin + length, fields.len()),
        Ok(httparse::Status::Partial) => return Some(unfinished(window)),
        Err(Error::TooManyHeaders) => {
            return Some(Reading::Refused(Plan::refusal(Status::FieldsTooLarge)));
        }
        Err(_) => return None,
    };
    if has_bare_line_feed(&window[..length]) {
        return None;
    }
    let mut request = Request::new(&mut fields[..count]);
    (request.method, request.path, request.version) = (line.0, line.1, Some(1));
    Some(match judge(&request, &window[..length]) {
        Ok(verdict) => Reading::Complete(length, verdict),
        Err(plan) => Reading::Refused(plan),
    })
}

/// Whether each line of a head that was parsed ends in CRLF: [`has_bare_line_feed`], looking at the ends of lines
/// alone, as the parser lets no line feed be anywhere else.
#[inline]
fn ends_its_lines(request: &Request<'_, '_>, head: &[u8]) -> bool {
    let at = |text: &str| (text.as_ptr() as usize).wrapping_sub(head.as_ptr() as usize);
    let begins = request.method.map_or(head.len(), at);
    // Empty lines in front of the first one are seldom.
    let empty = begins == 0 || !has_bare_line_feed(&head[..begins.min(head.len())]);
    let ended =
        |begin: usize| begin.checked_sub(2).is_some_and(|end| head[end..].starts_with(b"\r\n"));
    empty
        && head.ends_with(b"\r\n\r\n")
        && request.headers.iter().all(|field| ended(at(field.name).min(head.len())))
}

/// A line feed alone ends a line for some and not for others: two that disagree see different
/// requests (RFC 9112, sections 2.2 and 11.2).
fn has_bare_line_feed(head: &[u8]) -> bool {
    head.iter().zip(&head[1..]).fold(head[0] == b'\n', |found, (&before, &byte)| {
        found | ((byte == b'\n') & (before != b'\r'))
    })
}

#[cold]
fn unfinished<T>(window: &[u8]) -> Reading<T> {
    if window.len() < HEAD_LIMIT {
        return Reading::Incomplete;
    }
    Reading::Refused(Plan::refusal(if window.contains(&b'\n') {
        Status::FieldsTooLarge
    } else {
        Status::UriTooLong
    }))
}

/// Something in `window` is wrong; if it is in a line that is not yet complete, that line's end is
/// awaited.
#[cold]
fn offending<T>(window: &[u8]) -> Reading<T> {
    let lines = window.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let mut fields = [const { MaybeUninit::uninit() }; FIELD_LIMIT];
    let mut request = Request::new(&mut []);
    let status = match request.parse_with_uninit_headers(&window[..lines], &mut fields) {
        Ok(_) => return unfinished(window),
        Err(Error::TooManyHeaders) => Status::FieldsTooLarge,
        Err(Error::Version) if names_other_version(window) => Status::VersionNotSupported,
        Err(_) => Status::BadRequest,
    };
    Reading::Refused(Plan::refusal(status))
}

/// Whether the request line ends in `HTTP/` and a version with another major number (RFC 9112,
/// section 2.3).
fn names_other_version(window: &[u8]) -> bool {
    let Some(line) = window.split(|&byte| byte == b'\n').find(|line| line.trim_ascii() != b"")
    else {
        return false;
    };
    let mut words = line.trim_ascii_end().split(|&byte| byte == b' ');
    let version = (words.next(), words.next(), words.next(), words.next());
    match version {
        (_, Some(target), Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None) => {
            !target.is_empty() && major.is_ascii_digit() && minor.is_ascii_digit() && *major != b'1'
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{ends_its_lines, has_bare_line_feed};
    use alloc::string::String;
    use alloc::vec::Vec;
    use httparse::{EMPTY_HEADER, Request, Status};
    use proptest::prelude::*;

    fn line_end() -> impl Strategy<Value = &'static str> {
        prop_oneof![8 => Just("\r\n"), 1 => Just("\n")]
    }

    proptest! {
        /// Looking at the ends of lines finds what looking at every byte does, in all that the parser takes.
        #[test]
        fn bare_line_feeds_are_found_at_the_ends_of_lines(
            empty in prop::collection::vec(line_end(), 0..3),
            first in line_end(),
            fields in prop::collection::vec(("[a-z]{1,8}", "[ -~]{0,12}", line_end()), 0..6),
            last in line_end(),
        ) {
            let mut text: String = empty.concat();
            text += "GET /a HTTP/1.1";
            text += first;
            for (name, value, end) in &fields {
                text += &[name, ": ", value, end].concat();
            }
            text += last;
            let mut room = [EMPTY_HEADER; 8];
            let mut request = Request::new(&mut room);
            let head = Vec::from(text);
            if let Ok(Status::Complete(length)) = request.parse(&head) {
                prop_assert_eq!(length, head.len());
                prop_assert_eq!(ends_its_lines(&request, &head), !has_bare_line_feed(&head));
            }
        }
    }
}
