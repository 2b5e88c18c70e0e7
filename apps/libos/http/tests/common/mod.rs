//! A small site and a connection to it, for all test files.

use reflex_http::{Entry, File, Limits, Output, Server, Session, Site, Target, Wants};

pub(crate) const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
pub(crate) const NOON: u64 = 784_111_777;
pub(crate) const ETAG: &str = "\"0123456789abcdef\"";

/// 20,000 bytes: more than is joined to a head.
pub(crate) static BIG: [u8; 20_000] = {
    let mut bytes = [0; 20_000];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = b'a' + (at % 26) as u8;
        at += 1;
    }
    bytes
};

static FILES: [File; 5] = [
    File { content: b"<p>hello\n", content_type: "text/html; charset=utf-8", etag: ETAG },
    File { content: &BIG, content_type: "application/octet-stream", etag: "\"big\"" },
    File { content: b"", content_type: "text/plain", etag: "\"empty\"" },
    File { content: b"not here\n", content_type: "text/html", etag: "\"404\"" },
    File { content: b"spaced\n", content_type: "text/plain", etag: "\"spaced\"" },
];

static ENTRIES: [Entry; 8] = [
    Entry { path: "/", target: Target::File(0) },
    Entry { path: "/big", target: Target::File(1) },
    Entry { path: "/docs", target: Target::Directory("/docs/") },
    Entry { path: "/a b/c", target: Target::File(4) },
    Entry { path: "/docs/", target: Target::File(0) },
    Entry { path: "/empty", target: Target::File(2) },
    Entry { path: "/404.html", target: Target::File(3) },
    Entry { path: "/index.html", target: Target::File(0) },
];

pub(crate) const SITE: Site = Site { files: &FILES, entries: &ENTRIES, not_found: Some(3) };

pub(crate) fn server() -> Server {
    Server::new(SITE, Limits::default(), Some(NOON)).expect("a good site")
}

/// A send buffer with a given room.
pub(crate) struct Buffer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) room: usize,
}

impl Buffer {
    pub(crate) fn unlimited() -> Self {
        Self { bytes: Vec::new(), room: usize::MAX }
    }
}

impl Output for Buffer {
    fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room);
        self.room -= count;
        self.bytes.extend_from_slice(&bytes[..count]);
        count
    }
}

/// What came of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) sent: Vec<u8>,
    pub(crate) wants: Wants,
}

/// A connection on which `input` arrives in the given pieces, and the peer reads everything at
/// once.
pub(crate) fn converse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut server = server();
    let mut session = Session::default();
    session.open(&mut server);
    let mut out = Buffer::unlimited();
    for piece in pieces {
        let mut taken = 0;
        while taken < piece.len() {
            let step = session.input(&piece[taken..], &mut server, &mut out);
            assert_ne!(step, 0, "with unlimited room everything is taken");
            taken += step;
        }
    }
    Outcome { sent: out.bytes, wants: session.wants() }
}

pub(crate) fn talk(input: impl AsRef<[u8]>) -> Outcome {
    converse([input.as_ref()])
}

/// A response, taken apart.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().skip(1).filter_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        });
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {}", self.head);
        value
    }
}

/// Takes apart what was sent in answer to requests of the given methods.
pub(crate) fn responses(mut sent: &[u8], methods: &[&str]) -> Vec<Response> {
    let mut responses = Vec::new();
    for method in methods {
        let end = sent.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(sent[..end].to_vec()).expect("a head is ASCII");
        let status = head.strip_prefix("HTTP/1.1 ").expect("a status line")[..3].parse();
        let status = status.expect("a status");
        let mut response = Response { status, head, body: Vec::new() };
        sent = &sent[end..];
        let length = response.field("content-length").map_or(0, |value| value.parse().unwrap());
        let has_body = *method != "HEAD" && status != 304 && status >= 200;
        if has_body {
            response.body = sent[..length].to_vec();
            sent = &sent[length..];
        }
        responses.push(response);
    }
    assert!(sent.is_empty(), "more was sent: {}", String::from_utf8_lossy(sent));
    responses
}

/// The response to a single request.
pub(crate) fn answer(request: &str) -> Response {
    let method = request.trim_start().split(' ').next().unwrap_or_default();
    responses(&talk(request).sent, &[method]).remove(0)
}
