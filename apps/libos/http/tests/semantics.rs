//! One request, one response: statuses, fields, bodies.

use crate::common;
use common::{BIG, DATE, ETAG, answer, responses, talk};
use reflex_http::{Limits, Wants};

fn get(target: &str, fields: &str) -> common::Response {
    answer(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"))
}

#[test]
fn a_file_byte_for_byte() {
    let outcome = talk("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let expected = format!(
        "HTTP/1.1 200 OK\r\nDate: {DATE}\r\nServer: reflex\r\n\
         Content-Type: text/html; charset=utf-8\r\nContent-Length: 9\r\nETag: {ETAG}\r\n\
         Accept-Ranges: bytes\r\n\r\n<p>hello\n"
    );
    assert_eq!(String::from_utf8_lossy(&outcome.sent), expected);
    assert_eq!(outcome.wants, Wants::Input);
}

#[test]
fn targets() {
    for (target, status) in [
        ("/", 200),
        ("/index.html", 200),
        ("/?query=/../x%zz", 200),
        ("/docs/", 200),
        ("/docs", 301),
        ("/docs?x", 301),
        ("/./docs/../index.html", 200),
        ("/%69ndex.html", 200),
        ("/a%20b/c", 200),
        ("/../../../index.html", 200),
        ("/../../etc/passwd", 404),
        ("/..%2f..%2fetc/passwd", 404),
        ("/docs%2f", 404),
        ("/INDEX.html", 404),
        ("//", 404),
        ("/nothing", 404),
        ("/index.html%00", 404),
        ("/%", 400),
        ("/%g0", 400),
        ("/a#b", 400),
        ("*", 400),
        ("index.html", 400),
        ("http://h/", 200),
        ("http://h", 200),
        ("HTTP://other:8080/index.html?x", 200),
        ("ftp://h/", 400),
    ] {
        assert_eq!(get(target, "").status, status, "{target}");
    }
    assert_eq!(get("/docs", "").field("location"), Some("/docs/"));
    assert_eq!(get("/big", "").body, BIG);
    assert_eq!(get("/empty", "").field("content-length"), Some("0"));
}

#[test]
fn what_is_not_there_gets_the_page_of_the_site() {
    let response = get("/nothing", "");
    assert_eq!(response.body, b"not here\n");
    assert_eq!(response.field("content-type"), Some("text/html"));
    assert_eq!(response.field("etag"), None);
    assert_eq!(get("/404.html", "").status, 200);
}

#[test]
fn methods() {
    for (method, status) in [
        ("GET", 200),
        ("HEAD", 200),
        ("POST", 405),
        ("PUT", 405),
        ("DELETE", 405),
        ("OPTIONS", 405),
        ("TRACE", 405),
        ("PATCH", 405),
        ("CONNECT", 405),
        ("get", 501),
        ("BREW", 501),
        ("G{T", 400),
    ] {
        let response = answer(&format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(response.status, status, "{method}");
        let allow = (status == 405).then_some("GET, HEAD");
        assert_eq!(response.field("allow"), allow, "{method}");
    }
    assert_eq!(answer("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").status, 405);
    assert_eq!(answer("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n").status, 405);
}

#[test]
fn a_head_is_that_of_the_get() {
    for target in ["/", "/big", "/empty", "/docs", "/nothing", "/%"] {
        for fields in ["", "If-None-Match: *\r\n", "If-Match: \"x\"\r\n", "Connection: close\r\n"] {
            let get = get(target, fields);
            let head = answer(&format!("HEAD {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
            assert_eq!(head.head, get.head, "{target} {fields}");
        }
    }
    // A range is defined for GET only.
    let head = answer("HEAD /big HTTP/1.1\r\nHost: h\r\nRange: bytes=0-0\r\n\r\n");
    assert_eq!(head.head, get("/big", "").head);
    // Even what ends the connection has no body.
    let outcome = talk("HEAD / HTTP/1.1\r\n\r\n");
    let response = responses(&outcome.sent, &["HEAD"]).remove(0);
    assert_eq!((response.status, outcome.wants), (400, Wants::Close));
}

#[test]
fn persistence() {
    for (version, fields, field, wants) in [
        ("1.1", "", None, Wants::Input),
        ("1.1", "Connection: keep-alive\r\n", None, Wants::Input),
        ("1.1", "Connection: close\r\n", Some("close"), Wants::Close),
        ("1.1", "Connection: x, CLOSE\r\n", Some("close"), Wants::Close),
        ("1.1", "Connection: x\r\nConnection: close\r\n", Some("close"), Wants::Close),
        ("1.0", "", Some("close"), Wants::Close),
        ("1.0", "Connection: Keep-Alive\r\n", Some("keep-alive"), Wants::Input),
        ("1.0", "Connection: keep-alive, close\r\n", Some("close"), Wants::Close),
        ("1.0", "Connection: keep-alivex\r\n", Some("close"), Wants::Close),
    ] {
        for target in ["/", "/nothing"] {
            let request = format!("GET {target} HTTP/{version}\r\nHost: h\r\n{fields}\r\n");
            let outcome = talk(&request);
            let response = responses(&outcome.sent, &["GET"]).remove(0);
            assert_eq!(response.field("connection"), field, "{request}");
            assert_eq!(outcome.wants, wants, "{request}");
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_until_one_closes() {
    let request =
        |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    let outcome = talk(
        request("/", "")
            + "\r\n"
            + &request("/nothing", "")
            + &request("/big", "")
            + &request("/", "Connection: close\r\n")
            + &request("/", ""),
    );
    let statuses: Vec<_> =
        responses(&outcome.sent, &["GET"; 4]).iter().map(|response| response.status).collect();
    assert_eq!(statuses, [200, 404, 200, 200]);
    assert_eq!(outcome.wants, Wants::Close);
}

#[test]
fn validators() {
    for (fields, status) in [
        (format!("If-None-Match: {ETAG}\r\n"), 304),
        (format!("If-None-Match: W/{ETAG}\r\n"), 304),
        (format!("If-None-Match: \"x\", {ETAG}\r\n"), 304),
        (format!("If-None-Match: \"x\"\r\nIF-NONE-MATCH: {ETAG}\r\n"), 304),
        ("If-None-Match: *\r\n".into(), 304),
        ("If-None-Match: \"x\"\r\n".into(), 200),
        ("If-None-Match: garbage\r\n".into(), 200),
        ("If-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT\r\n".into(), 200),
        (format!("If-Match: {ETAG}\r\n"), 200),
        ("If-Match: *\r\n".into(), 200),
        (format!("If-Match: W/{ETAG}\r\n"), 412),
        ("If-Match: \"x\"\r\n".into(), 412),
        (format!("If-Match: \"x\"\r\nIf-None-Match: {ETAG}\r\n"), 412),
    ] {
        let response = get("/", &fields);
        assert_eq!(response.status, status, "{fields}");
        if status == 304 {
            assert_eq!(response.field("etag"), Some(ETAG));
            assert_eq!(response.field("date"), Some(DATE));
            assert_eq!(response.field("content-length"), None);
        }
    }
    assert_eq!(get("/nothing", "If-None-Match: *\r\n").status, 404);
}

#[test]
fn ranges() {
    for (range, expected) in [
        ("bytes=0-0", Some((0, 0))),
        ("bytes=10-19", Some((10, 19))),
        ("bytes=19990-", Some((19_990, 19_999))),
        ("bytes=-5", Some((19_995, 19_999))),
        ("bytes=0-999999", Some((0, 19_999))),
        ("bytes=0-1,5-6", None),
        ("bytes=5-1", None),
        ("items=0-1", None),
    ] {
        let response = get("/big", &format!("Range: {range}\r\n"));
        let (status, field, body) = match expected {
            Some((first, last)) => {
                (206, Some(format!("bytes {first}-{last}/20000")), &BIG[first..=last])
            }
            None => (200, None, &BIG[..]),
        };
        assert_eq!(response.status, status, "{range}");
        assert_eq!(response.field("content-range"), field.as_deref(), "{range}");
        assert!(response.body == body, "{range}");
    }
    let twice = get("/big", "Range: bytes=0-0\r\nRange: bytes=2-2\r\n");
    assert_eq!(twice.status, 200);
    for range in ["bytes=20000-", "bytes=-0", "bytes=20000-20001"] {
        let response = get("/big", &format!("Range: {range}\r\n"));
        assert_eq!(response.status, 416, "{range}");
        assert_eq!(response.field("content-range"), Some("bytes */20000"));
    }
    for (condition, status) in [
        ("\"big\"", 206),
        ("W/\"big\"", 200),
        ("\"other\"", 200),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 200),
    ] {
        let fields = format!("Range: bytes=1-2\r\nIf-Range: {condition}\r\n");
        assert_eq!(get("/big", &fields).status, status, "{condition}");
    }
    let fields = "Range: bytes=1-2\r\nIf-None-Match: \"big\"\r\n";
    assert_eq!(get("/big", fields).status, 304);
}

#[test]
fn bodies_are_read_and_dropped() {
    let next = "GET /empty HTTP/1.1\r\nHost: h\r\n\r\n";
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /", 200),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /", 405),
        ("BREW / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /", 501),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 405),
    ] {
        let outcome = talk(request.to_owned() + next);
        let responses = responses(&outcome.sent, &["GET"; 2]);
        assert_eq!((responses[0].status, responses[1].status), (status, 200), "{request}");
        assert_eq!(responses[1].field("etag"), Some("\"empty\""), "{request}");
    }
}

/// Up to the limit and not a byte beyond it.
#[test]
fn a_body_may_be_as_long_as_the_limit() {
    let limit = Limits::default().body_bytes;
    let request = |length: u64| {
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        head + &"x".repeat(length as usize)
    };
    for (length, status, wants) in [(limit, 405, Wants::Input), (limit + 1, 413, Wants::Close)] {
        let outcome = talk(request(length));
        let response = responses(&outcome.sent, &["POST"]).remove(0);
        assert_eq!((response.status, outcome.wants), (status, wants), "{length}");
    }
}

/// Only HTTP/1.1 asks for a Host (RFC 9112, section 3.2).
#[test]
fn an_old_request_needs_no_host() {
    assert_eq!(answer("GET / HTTP/1.0\r\n\r\n").status, 200);
}

#[test]
fn expectations() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(talk(head).sent, b"HTTP/1.1 100 Continue\r\n\r\n");
    let statuses = |sent: &[u8], methods: &[&str]| {
        responses(sent, methods).iter().map(|response| response.status).collect::<Vec<_>>()
    };
    let whole = talk(head.to_owned() + "12345");
    assert_eq!(statuses(&whole.sent, &["POST"; 2]), [100, 405]);
    assert_eq!(whole.wants, Wants::Input);
    // Nothing to continue with, or a client that does not know what that is.
    assert_eq!(get("/", "Expect: 100-continue\r\n").status, 200);
    let old = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n1";
    assert_eq!(statuses(&talk(old).sent, &["POST"]), [405]);
    let other = talk("GET / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n");
    assert_eq!((statuses(&other.sent, &["GET"]), other.wants), (vec![417], Wants::Close));
}

#[test]
fn a_server_without_a_clock_states_no_date() {
    let mut server =
        reflex_http::Server::new(common::SITE, Default::default(), None).expect("a good site");
    let mut session = reflex_http::Session::default();
    session.open(&mut server);
    let mut out = common::Buffer::unlimited();
    session.input(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", &mut server, &mut out);
    let response = responses(&out.bytes, &["GET"]).remove(0);
    assert_eq!((response.status, response.field("date")), (200, None));
}

#[test]
fn the_date_moves_with_the_ticks() {
    let mut server = common::server();
    let mut session = reflex_http::Session::default();
    session.open(&mut server);
    for (second, date) in [(0, DATE), (1, "Sun, 06 Nov 1994 08:49:38 GMT")] {
        server.tick(second, Some(common::NOON + u64::from(second)));
        for target in ["/", "/nothing"] {
            let mut out = common::Buffer::unlimited();
            let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            session.input(request.as_bytes(), &mut server, &mut out);
            assert_eq!(responses(&out.bytes, &["GET"])[0].field("date"), Some(date));
        }
    }
}

/// RFC 9110, section 2.5, and RFC 9112, section 2.3: a later minor version is served as the highest
/// one known, with all rules of that one.
#[test]
fn later_minor_versions_are_served_as_the_latest_known() {
    let head = |version: &str, rest: &str| format!("GET / HTTP/{version}\r\n{rest}\r\n");
    let expected = talk(head("1.1", "Host: h\r\nX: y\r\n")).sent;
    for minor in 2..10 {
        for blank in ["", "\r\n"] {
            let head = blank.to_owned() + &head(&format!("1.{minor}"), "Host: h\r\nX: y\r\n");
            let outcome = talk(head.clone());
            assert_eq!(outcome.sent, expected, "1.{minor}");
            assert_eq!(outcome.wants, Wants::Input, "the connection persists");
            let twice = talk(head.repeat(2)).sent;
            assert_eq!(twice, [&expected[..], &expected[..]].concat());
        }
    }
    for (rest, status) in [
        ("", 400),
        ("Host: h\r\nHost: h\r\n", 400),
        ("Host: h\r\nBad name: x\r\n", 400),
        ("Host: h\nX: y\r\n", 400),
    ] {
        assert_eq!(answer(&head("1.2", rest)).status, status, "{rest:?}");
    }
    let many = "X: y\r\n".repeat(64);
    assert_eq!(answer(&head("1.2", &format!("Host: h\r\n{many}"))).status, 431);
}

/// RFC 9110, section 14.1.2: a suffix is satisfiable if it is not of no bytes, and longer than the
/// file it is the file.
#[test]
fn a_suffix_of_an_empty_file_is_the_empty_file() {
    for range in ["bytes=-1", "bytes=-500"] {
        let response = get("/empty", &format!("Range: {range}\r\n"));
        assert_eq!(response.status, 200, "{range}");
        assert_eq!(response.field("content-length"), Some("0"));
        assert_eq!(response.field("content-range"), None);
    }
    for range in ["bytes=-0", "bytes=0-", "bytes=0-0"] {
        assert_eq!(get("/empty", &format!("Range: {range}\r\n")).status, 416, "{range}");
    }
}
