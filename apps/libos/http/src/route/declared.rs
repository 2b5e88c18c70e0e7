//! What is declared of a route.

/// The longest body a request may have, unless a route says otherwise.
const BODY: u64 = 64 << 10;

/// A path, and what is expected of requests for it.
///
/// The path's segments are literals, which are compared as they are after percent-decoding; `:name`, which is any
/// segment that is not empty; and, as the last one, `*name`, which is all that is left. Up to eight have names.
///
/// ```
/// # use reflex_http::Route;
/// let upload = Route::new("/v1/files/*name").body_limit(1 << 20).consumes("application/octet-stream");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a route is of use to a server only"]
pub struct Route {
    pub(crate) path: &'static str,
    pub(crate) body_limit: u64,
    pub(crate) consumes: Option<&'static str>,
    pub(crate) in_pieces: bool,
}

impl Route {
    /// A route with the usual limits.
    pub const fn new(path: &'static str) -> Self {
        Self { path, body_limit: BODY, consumes: None, in_pieces: false }
    }

    /// The path.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// Whether bodies are handed on as they come.
    pub const fn is_in_pieces(&self) -> bool {
        self.in_pieces
    }

    /// The longest body a request may have, in bytes; 64 KiB unless said here. A longer one is answered with 413:
    /// before any of it is read when the length is declared, or as soon as it is exceeded.
    pub const fn body_limit(self, bytes: u64) -> Self {
        Self { body_limit: bytes, ..self }
    }

    /// The media type that bodies are of, without parameters, such as `application/json`. Others are answered with
    /// 415, and so is a body of which nothing is said.
    pub const fn consumes(self, media_type: &'static str) -> Self {
        Self { consumes: Some(media_type), ..self }
    }

    /// Bodies are handed on as they come, instead of being put together first, and replies may go in pieces.
    pub const fn in_pieces(self) -> Self {
        Self { in_pieces: true, ..self }
    }

    /// Bodies are put together first: what is so unless [`in_pieces`](Self::in_pieces) was said.
    pub const fn whole(self) -> Self {
        Self { in_pieces: false, ..self }
    }
}

impl From<&'static str> for Route {
    fn from(path: &'static str) -> Self {
        Self::new(path)
    }
}
