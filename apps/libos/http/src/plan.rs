//! What a request will be answered with, decided but not yet written.

use crate::status::Status;

/// What becomes of the connection after the response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    /// It stays open, as HTTP/1.1 has it by default.
    Open,
    /// It stays open because an HTTP/1.0 client asked for that, and is told so.
    KeptAlive,
    /// It is closed.
    Closed,
}

impl Persistence {
    /// How many there are.
    pub(crate) const COUNT: usize = 3;
    /// All of them, in the order of their discriminants.
    pub(crate) const ALL: [Self; Self::COUNT] = [Self::Open, Self::KeptAlive, Self::Closed];

    /// The Connection field, if one is due.
    pub(crate) const fn field(self) -> &'static [u8] {
        match self {
            Self::Open => b"",
            Self::KeptAlive => b"Connection: keep-alive\r\n",
            Self::Closed => b"Connection: close\r\n",
        }
    }
}

/// Whether the body follows the head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    /// It does.
    Sent,
    /// It does not: the request was a HEAD.
    Omitted,
}

/// The response's content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A whole file: 200.
    File(u16),
    /// Bytes `first` to `last` of a file: 206.
    Part {
        /// The file.
        file: u16,
        /// Offset of the first byte.
        first: usize,
        /// Offset of the last byte.
        last: usize,
    },
    /// The client has the file already: 304.
    NotModified(u16),
    /// The range lies outside the file: 416.
    Unsatisfiable(u16),
    /// The directory's path with its slash: 301.
    Moved(&'static str),
    /// Something else, with one field more.
    Told(Status, &'static str),
    /// Something else.
    Status(Status),
}

/// A response to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    pub(crate) answer: Answer,
    pub(crate) persistence: Persistence,
    pub(crate) body: Body,
}

impl Plan {
    /// The last response of a connection, when its requests can no longer be told apart.
    pub(crate) const fn refusal(status: Status) -> Self {
        Self { answer: Answer::Status(status), persistence: Persistence::Closed, body: Body::Sent }
    }
}
