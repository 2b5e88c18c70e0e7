//! What a handler answers with.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use reflex_memory::Lent;
use serde::Serialize;

/// Bytes that the fields of a reply may take beside those that the server sends by itself.
const MOST_FIELDS: usize = 4096;
/// Bytes that a field takes, mostly: room for one is asked for at once.
const LINE: usize = 64;

/// A reply: status, fields, body. `Date`, `Content-Length`, `Transfer-Encoding` and `Connection` are the server's
/// own.
///
/// What cannot be sent (a field with a line break, more than 4 KiB of fields, a value that is no JSON) makes it a
/// reply of status 500, which is [counted](crate::Counters::faulty_replies): a client never gets half of what was
/// meant.
#[derive(Debug)]
#[must_use = "a reply is sent when a handler returns it"]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Vec<u8>,
    pub(crate) body: Content,
    pub(crate) close: bool,
    fault: Option<Fault>,
}

/// Why a reply cannot be sent as it was meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The status is not one that ends an exchange: below 200 or above 999.
    Status(u16),
    /// A field that is the server's own, or with a name that is no token, or a value with characters that a field cannot
    /// have.
    Field(&'static str),
    /// The fields take more than 4 KiB.
    TooManyFields,
    /// A value that is no JSON, with the reason.
    Json(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status} is no status that ends an exchange"),
            Self::Field(name) => write!(f, "the field {name:?} cannot be sent with that value"),
            Self::TooManyFields => write!(f, "the fields take more than {MOST_FIELDS} bytes"),
            Self::Json(reason) => write!(f, "what was to be sent is no JSON: {reason}"),
        }
    }
}

/// The bytes of a body, or of a piece of one.
#[derive(Debug, Default)]
pub enum Content {
    /// None.
    #[default]
    Empty,
    /// Bytes that are always there.
    Static(&'static [u8]),
    /// Bytes of the heap.
    Heap(Vec<u8>),
    /// Bytes of a pool.
    Pool(Lent<[u8]>),
    /// They come later, in pieces: so many, if that is known.
    Streamed(Option<u64>),
}

impl Content {
    /// Those that there are.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Empty | Self::Streamed(_) => &[],
            Self::Static(bytes) => bytes,
            Self::Heap(bytes) => bytes,
            Self::Pool(bytes) => bytes,
        }
    }
}

impl From<&'static str> for Content {
    fn from(text: &'static str) -> Self {
        Self::Static(text.as_bytes())
    }
}

impl From<&'static [u8]> for Content {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Static(bytes)
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Heap(bytes)
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Heap(text.into_bytes())
    }
}

impl From<Lent<[u8]>> for Content {
    fn from(bytes: Lent<[u8]>) -> Self {
        Self::Pool(bytes)
    }
}

impl Reply {
    /// A reply of a status, without a body.
    pub const fn status(status: u16) -> Self {
        let fault = if status < 200 || status > 999 { Some(Fault::Status(status)) } else { None };
        Self { status, fields: Vec::new(), body: Content::Empty, close: false, fault }
    }

    /// 200.
    pub const fn ok() -> Self {
        Self::status(200)
    }

    /// 201, with the path at which there now is something.
    pub fn created(location: impl fmt::Display) -> Self {
        Self::status(201).field("Location", location)
    }

    /// 204.
    pub const fn no_content() -> Self {
        Self::status(204)
    }

    /// 404, and says so.
    pub fn not_found() -> Self {
        Self::status(404).text("404 Not Found\n")
    }

    /// Adds a field. There may be several of one name.
    pub fn field(self, name: &'static str, value: impl fmt::Display) -> Self {
        let is_allowed = is_name(name);
        self.line(name, is_allowed, |line| fmt::write(line, format_args!("{value}")))
    }

    fn media_type(self, media_type: &str) -> Self {
        self.line("Content-Type", true, |line| line.write_str(media_type))
    }

    /// Writes a field, and takes it back when it cannot be sent.
    fn line(
        mut self,
        name: &'static str,
        is_allowed: bool,
        value: impl FnOnce(&mut Line<'_>) -> fmt::Result,
    ) -> Self {
        let before = self.fields.len();
        self.fields.reserve(LINE);
        let mut line = Line(&mut self.fields);
        let written = line.write_str(name).and_then(|()| line.write_str(": "));
        let written = written.and_then(|()| value(&mut line));
        let line = &self.fields[before..];
        let is_value = |byte: u8| byte == b'\t' || byte >= b' ' && byte != 0x7f;
        let fault = if written.is_err() {
            Some(Fault::TooManyFields)
        } else if !is_allowed || !line.iter().all(|&byte| is_value(byte)) {
            Some(Fault::Field(name))
        } else {
            None
        };
        match fault {
            None => self.fields.extend_from_slice(b"\r\n"),
            Some(fault) => {
                self.fields.truncate(before);
                self.fault.get_or_insert(fault);
            }
        }
        self
    }

    /// Gives it a body of a media type.
    pub fn body(self, media_type: &str, body: impl Into<Content>) -> Self {
        Self { body: body.into(), ..self.media_type(media_type) }
    }

    /// Gives it a body of text.
    pub fn text(self, text: impl Into<Content>) -> Self {
        self.body("text/plain; charset=utf-8", text)
    }

    /// Gives it a value's JSON as its body. That is written to the heap, in blocks that double.
    pub fn json(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(text) => self.body("application/json", text),
            Err(error) => {
                self.fault.get_or_insert(Fault::Json(format!("{error}")));
                self
            }
        }
    }

    /// Gives it a body that comes in pieces, of a media type: of `length` bytes, or as many as come. Such a reply is
    /// for routes that [answer in pieces](crate::Route), and of 500 anywhere else.
    pub fn streamed(self, media_type: &str, length: Option<u64>) -> Self {
        Self { body: Content::Streamed(length), ..self.media_type(media_type) }
    }

    /// Ends the connection behind it.
    pub fn close(self) -> Self {
        Self { close: true, ..self }
    }

    /// Why it will be one of status 500 instead.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }
}

/// Fields, bounded.
struct Line<'a>(&'a mut Vec<u8>);

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MOST_FIELDS {
            return Err(fmt::Error);
        }
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Whether a reply may have a field of this name: a token (RFC 9110, section 5.6.2), and not of those that the server
/// sends by itself or that would change the framing.
fn is_name(name: &str) -> bool {
    const OWN: [&str; 8] = [
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "server",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty()
        && name.bytes().all(is_token)
        && !OWN.iter().any(|own| own.eq_ignore_ascii_case(name))
}
