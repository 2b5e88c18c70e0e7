//! The fields of a request head that make a difference to the server.

use crate::plan::Persistence;
use crate::status::Status;
use httparse::Header;

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
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) content_length: Option<&'a [u8]>,
    pub(crate) transfer_encoding: Option<&'a [u8]>,
    pub(crate) expect: Option<&'a [u8]>,
    pub(crate) range: Option<&'a [u8]>,
    pub(crate) if_range: Option<&'a [u8]>,
    pub(crate) has_if_match: bool,
    pub(crate) has_if_none_match: bool,
    wants_close: bool,
    wants_keep_alive: bool,
}

impl<'a> Fields<'a> {
    #[inline]
    pub(crate) fn collect(headers: &[Header<'a>]) -> Result<Self, Status> {
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
    pub(crate) fn persistence(&self, is_old: bool) -> Persistence {
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
    pub(crate) fn body_length(&self, is_old: bool) -> Result<u64, Status> {
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
pub(crate) const fn is_authority(byte: u8) -> bool {
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
