//! What is not a request, or one with an end that two readers could see in two places: an answer
//! that says so, and the end of the connection.

use crate::common;
use crate::routes::driver as routed;
use common::{Outcome, responses, talk};
use reflex_http::{HEAD_LIMIT, Wants};

/// The only response to `input`, after which nothing of it is taken for a request: of a site, of a site beside routes,
/// and of a route.
#[track_caller]
fn refused(input: &str, status: u16) {
    refused_by(talk, input, status);
    refused_by(routed::talk, input, status);
    let routed =
        input.replacen("POST / ", "POST /v1/echo ", 1).replacen("GET / ", "GET /v1/notes/7 ", 1);
    // A route takes chunks.
    if status != 411 {
        refused_by(routed::talk, &routed, status);
    }
}

#[track_caller]
fn refused_by(talk: fn(String) -> Outcome, input: &str, status: u16) {
    let outcome = talk(input.to_owned() + "GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
    let responses = responses(&outcome.sent, &["GET"]);
    assert_eq!(responses[0].status, status, "{input:?}");
    assert_eq!(responses[0].field("connection"), Some("close"), "{input:?}");
    assert_eq!(outcome.wants, Wants::Close, "{input:?}");
}

#[test]
fn ambiguous_framing() {
    for (fields, status) in [
        ("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 5, 5\r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: -5\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: 5 5\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length : 5\r\n", 400),
        (" Content-Length: 5\r\n", 400),
        ("X: y\r\n Content-Length: 5\r\n", 400),
        ("X: y\r\n\tfolded\r\n", 400),
        ("X: y\nContent-Length: 5\r\n", 400),
        ("X: y\rContent-Length: 5\r\n", 400),
        ("X: \0\r\n", 400),
        ("X\0: y\r\n", 400),
        (": y\r\n", 400),
        ("no colon\r\n", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", 411),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: chunked, identity\r\n", 501),
        ("Transfer-Encoding:\r\n", 501),
        ("Content-Length: 65537\r\n", 413),
        ("Content-Length: 99999999999999999999999999\r\n", 413),
        ("Expect: 100-continue\r\nContent-Length: 65537\r\n", 413),
    ] {
        refused(&format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"), status);
    }
    refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

#[test]
fn hosts() {
    for fields in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: u@a\r\n",
        "Host: \u{e9}\r\n",
    ] {
        refused(&format!("GET / HTTP/1.1\r\n{fields}\r\n"), 400);
    }
    refused("GET http://h/ HTTP/1.1\r\n\r\n", 400);
    for fields in ["Host:\r\n", "Host: a:80\r\n", "HOST: [::1]:80\r\n", "host: a.b-c_d\r\n"] {
        let outcome = talk(format!("GET / HTTP/1.1\r\n{fields}\r\n"));
        assert_eq!(responses(&outcome.sent, &["GET"])[0].status, 200, "{fields}");
    }
}

#[test]
fn request_lines() {
    for (line, status) in [
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/3.1", 505),
        ("GET / HTTP/1.x", 400),
        ("GET / HTTP/1.2 ", 400),
        ("GET / HTTP/1.22", 400),
        ("GET  / HTTP/1.2", 400),
        ("GET /\x7f HTTP/1.2", 400),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/1.", 400),
        ("GET / HTTP/11", 400),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1.10", 400),
        ("GET / ICY/1.0", 400),
        ("GET /", 400),
        ("GET", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET /  HTTP/1.1", 400),
        (" GET / HTTP/1.1", 400),
        ("GET\t/\tHTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET /a b HTTP/1.1", 400),
        ("GET /\x7f HTTP/1.1", 400),
        ("/ GET HTTP/1.1", 400),
        ("\rGET / HTTP/1.1", 400),
        ("\nGET / HTTP/1.1", 400),
        ("PRI * HTTP/2.0", 505),
        ("\x16\x03\x01\x02", 400),
    ] {
        refused(&format!("{line}\r\nHost: h\r\n\r\n"), status);
    }
    refused("GET / HTTP/1.1\nHost: h\r\n\r\n", 400);
}

#[test]
fn lengths() {
    let fill = |count: usize| "x".repeat(count);
    // Exactly at the limit and one beyond it.
    let shell = "GET / HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n".len();
    let request = |extra: usize| format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", fill(extra));
    let outcome = talk(request(HEAD_LIMIT - shell));
    assert_eq!(responses(&outcome.sent, &["GET"])[0].status, 200);
    refused(&request(HEAD_LIMIT - shell + 1), 431);
    refused(&format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", fill(3 * HEAD_LIMIT)), 431);
    refused(&format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", fill(HEAD_LIMIT)), 414);
    refused(&fill(2 * HEAD_LIMIT), 414);
    let fields = "X: y\r\n".repeat(63);
    let outcome = talk(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
    assert_eq!(responses(&outcome.sent, &["GET"])[0].status, 200);
    refused(&format!("GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n{fields}\r\n"), 431);
    // A long target that fits is a matter of the site.
    let outcome = talk(format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", fill(HEAD_LIMIT / 2)));
    assert_eq!(responses(&outcome.sent, &["GET"])[0].status, 404);
    let dots = format!("GET {}/../index.html HTTP/1.1\r\nHost: h\r\n\r\n", "/.".repeat(3000));
    assert_eq!(responses(&talk(dots).sent, &["GET"])[0].status, 200);
}
