//! HTTP by hand: what is sent is up to the test, byte for byte.

use crate::guest::PATIENCE;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A connection to a server.
pub(crate) struct Http(BufReader<TcpStream>);

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Status line and fields.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

impl Http {
    pub(crate) fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&server, PATIENCE);
        let stream = stream.unwrap_or_else(|error| panic!("{server}: {error}"));
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out");
        Self(BufReader::new(stream))
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }

    pub(crate) fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(text.as_ref()).expect("the server takes it");
    }

    /// The next response; that to a `HEAD` has no body.
    pub(crate) fn response(&mut self, method: &str) -> Response {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = self.0.read_line(&mut head).expect("a response");
            assert!(read > 0, "the connection ended in the middle of a head: {head:?}");
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {head:?}"));
        let mut response = Response { status, head, body: Vec::new() };
        let length = response.field("content-length").map(|length| length.parse::<usize>());
        if method != "HEAD" && status != 304 {
            let length = length.expect("a length").expect("a number");
            response.body.resize(length, 0);
            self.0.read_exact(&mut response.body).expect("a body");
        }
        response
    }

    /// Sends a request with these further fields, and takes its response.
    pub(crate) fn request(&mut self, method: &str, target: &str, fields: &str) -> Response {
        self.send(format!("{method} {target} HTTP/1.1\r\nHost: guest\r\n{fields}\r\n"));
        self.response(method)
    }

    /// Whether the server has ended the connection, and said nothing before.
    pub(crate) fn ended(mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }
}

/// The response to one request on a connection of its own.
pub(crate) fn get(server: SocketAddr, target: &str) -> Response {
    Http::connect(server).request("GET", target, "Connection: close\r\n")
}

/// A file of the site that `httpd` serves.
pub(crate) fn site(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../apps/httpd/site/");
    std::fs::read(format!("{folder}{name}")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Checks that the server serves its first page.
pub(crate) fn assert_serves(server: SocketAddr) {
    let response = get(server, "/");
    assert_eq!((response.status, response.body), (200, site("index.html")));
}
