//! How long and how large things may be.

/// The longest request head served, in bytes, its empty line included. A longer request line is
/// answered with 414, a longer head with 431.
pub const HEAD_LIMIT: usize = 8192;

/// How many header fields a request may have; with more it is answered with 431. Browsers send some
/// twenty; the table of so many takes 2 KiB of a handler's stack.
pub(crate) const FIELD_LIMIT: usize = 64;

/// What a session keeps without asking anyone: a request head that came in pieces, or the unsent
/// rest of a response head. Every connection has so much, so it is what an ordinary head takes.
pub(crate) const KEPT: usize = 1024;

/// A body of at most this many bytes is kept behind its rendered head, so that the whole response
/// is one write. With an ordinary head it still fits one Ethernet segment.
pub(crate) const JOINED_BODY: usize = 1024;

/// The limits that are the appliance's choice. Times are in seconds, and kept to within the
/// second that follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How long a connection may be silent between requests, or before the first.
    pub idle: u32,
    /// How long a request head may take from its first byte to its last.
    pub head: u32,
    /// How long a request body may take where the site answers. For a route it is the period in which
    /// [`progress`](Self::progress) bytes of it have to come, or all that is left.
    pub body: u32,
    /// The period in which the peer has to take some of a response: [`progress`](Self::progress)
    /// bytes, or all that is left when that is less.
    pub stall: u32,
    /// How many bytes the peer has to take in each [`stall`](Self::stall) seconds. A response of
    /// *n* bytes then occupies its connection for at most `stall * (n / progress + 1)` seconds. At
    /// least 1.
    pub progress: usize,
    /// How long a handler of a route may take to reply, from the last byte of the request or of the piece it was given
    /// last. Then the client is told 503, or the connection is reset if part of a reply has been sent.
    pub reply: u32,
    /// How long the peer's bytes are read and dropped after the last response, so that it sees
    /// the response before it sees a reset. It gets longer while it takes what was sent, as with
    /// [`stall`](Self::stall).
    pub linger: u32,
    /// The longest request body that is read (and dropped) where the site answers, in bytes; a longer one is answered
    /// with 413. Routes have limits of [their own](crate::Route::body_limit).
    pub body_bytes: u64,
    /// How many request heads of more than 1 KB may be in the receiving, piece by piece, at the
    /// same time. Beyond that such a request is answered with 503.
    pub large_heads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: 60,
            head: 10,
            body: 30,
            stall: 30,
            // 34 bytes a second: a ninth of what a satellite telephone of 2,400 bit/s takes. As it
            // is the sum of a period that counts, a link may fall silent for most of one.
            progress: 1024,
            reply: 60,
            linger: 5,
            body_bytes: 65_536,
            large_heads: 16,
        }
    }
}
