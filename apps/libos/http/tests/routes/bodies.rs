//! Bodies of requests and of replies.

use super::driver::{ROUTES, answer, call, converse, server, talk};
use crate::common::{Buffer, responses};
use proptest::prelude::*;
use reflex_http::{Session, Wants};

fn post(target: &str, fields: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}")
}

fn declared(target: &str, length: usize) -> String {
    post(target, &format!("Content-Length: {length}\r\n"), &"x".repeat(length))
}

fn chunked(target: &str, chunk: &str, count: usize) -> String {
    let chunk = format!("{:x}\r\n{chunk}\r\n", chunk.len());
    post(target, "Transfer-Encoding: chunked\r\n", &(chunk.repeat(count) + "0\r\n\r\n"))
}

#[test]
fn a_body_is_put_together_up_to_its_limit() {
    let limit = ROUTES[3].1;
    assert_eq!(limit, limit.body_limit(10_000));
    for length in [0, 1, 1023, 4096, 4097, 9_999, 10_000] {
        let response = answer(&declared("/v1/echo", length));
        assert_eq!((response.status, response.body.len()), (201, length));
    }
    for (chunk, count) in [("a", 10_000), ("0123456789", 1000), (&*"y".repeat(10_000), 1)] {
        let response = answer(&chunked("/v1/echo", chunk, count));
        assert_eq!((response.status, response.body), (201, chunk.repeat(count).into_bytes()));
    }
    // Refused before any of it is read, and as soon as there is too much.
    let early = talk(post("/v1/echo", "Content-Length: 10001\r\nExpect: 100-continue\r\n", ""));
    assert_eq!((responses(&early.sent, &["POST"])[0].status, early.wants), (413, Wants::Close));
    let late = talk(chunked("/v1/echo", "0123456789", 1001));
    assert_eq!((responses(&late.sent, &["POST"])[0].status, late.wants), (413, Wants::Close));
}

#[test]
fn a_client_is_told_to_go_on_when_its_body_will_be_read() {
    let told = |target: &str, fields: &str, body: &str| {
        let sent = talk(post(target, &format!("Expect: 100-continue\r\n{fields}"), body)).sent;
        let text = String::from_utf8(sent).expect("text");
        (text.starts_with("HTTP/1.1 100 Continue\r\n\r\n"), text.contains("HTTP/1.1 201 Created"))
    };
    assert_eq!(told("/v1/echo", "Content-Length: 2\r\n", ""), (true, false));
    assert_eq!(told("/v1/echo", "Content-Length: 2\r\n", "ab"), (true, true));
    assert_eq!(told("/v1/echo", "", ""), (false, true));
    assert_eq!(told("/v1/json", "Content-Length: 2\r\n", ""), (false, false));
    assert_eq!(told("/v1/notes/7", "Content-Length: 2\r\n", ""), (false, false));
    assert_eq!(answer(&post("/v1/echo", "Expect: tea\r\n", "")).status, 417);
}

#[test]
fn a_body_of_another_type_is_refused() {
    let with = |kind: &str, body: &str| {
        let fields = format!("{kind}Content-Length: {}\r\n", body.len());
        answer(&post("/v1/json", &fields, body))
    };
    let json = "Content-Type: application/json\r\n";
    assert_eq!(with(json, "[1,2,3]").body, b"6");
    assert_eq!(with("Content-Type: Application/JSON; charset=utf-8\r\n", "[4]").body, b"4");
    for other in ["", "Content-Type: text/plain\r\n", "Content-Type: application/jsonp\r\n"] {
        let response = with(other, "[1]");
        assert_eq!((response.status, response.field("accept")), (415, Some("application/json")));
    }
    let bad = with(json, "[1,\n 2,,3]");
    let reason = String::from_utf8(bad.body).expect("text");
    assert_eq!((bad.status, &*reason), (400, "expected value at line 2 column 4\n"));
    let bad = with(json, "[1,\"two\"]");
    assert!(String::from_utf8(bad.body).expect("text").contains("at line 1 column 8"));
}

#[test]
fn framing_that_is_ambiguous_or_broken_ends_the_connection() {
    for (fields, body, status) in [
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 400),
        ("Content-Length: 3\r\nContent-Length: 3\r\n", "abc", 400),
        ("Content-Length: +3\r\n", "abc", 400),
        ("Content-Length: 99999999999999999999\r\n", "abc", 413),
        ("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", "x\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", "2\r\nabc\r\n", 400),
    ] {
        let outcome = talk(post("/v1/echo", fields, body) + "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let one = responses(&outcome.sent, &["POST"]).remove(0);
        assert_eq!((one.status, outcome.wants), (status, Wants::Close), "{fields}");
    }
}

#[test]
fn a_body_in_pieces_is_handed_on_as_it_comes() {
    let sum = format!("the sum is {}", 6000 * usize::from(b'x'));
    assert_eq!(answer(&declared("/v1/pieces", 6000)).body, sum.as_bytes());
    assert_eq!(answer(&chunked("/v1/pieces", "x", 6000)).body, sum.as_bytes());
    assert_eq!(answer(&declared("/v1/pieces", 6001)).status, 413);
    assert_eq!(answer(&chunked("/v1/pieces", "x", 6001)).status, 413);
}

const STREAMED: &str = "piece 1;piece 2;piece 2;piece 3;piece 3;piece 3;";

/// The data of a body in chunks, and what follows it.
fn dechunk(mut bytes: &[u8]) -> (String, &[u8]) {
    let mut data = String::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("a size");
        let size = std::str::from_utf8(&bytes[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        bytes = &bytes[end + 2..];
        data += std::str::from_utf8(&bytes[..size]).expect("text");
        assert_eq!(&bytes[size..size + 2], b"\r\n");
        bytes = &bytes[size + 2..];
        if size == 0 {
            return (data, bytes);
        }
    }
}

#[test]
fn a_reply_in_pieces_is_chunked_or_ends_with_the_connection() {
    let get = |version: &str| talk(format!("GET /v1/stream HTTP/{version}\r\nHost: h\r\n\r\n"));
    let split = |sent: Vec<u8>| {
        let text = String::from_utf8(sent).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    };
    let new = get("1.1");
    assert_eq!(new.wants, Wants::Input);
    let (head, body) = split(new.sent);
    assert!(head.contains("\r\nTransfer-Encoding: chunked") && !head.contains("Content-Length"));
    assert_eq!(dechunk(body.as_bytes()), (STREAMED.to_owned(), &b""[..]));
    let old = get("1.0");
    assert_eq!(old.wants, Wants::Close);
    let (head, body) = split(old.sent);
    assert!(head.contains("\r\nConnection: close") && !head.contains("Transfer-Encoding"));
    assert_eq!(body, STREAMED);
    let head = talk("HEAD /v1/stream HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(head.sent.ends_with(b"\r\n\r\n") && head.wants == Wants::Input);
}

fn corpus() -> Vec<Vec<u8>> {
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    [
        get("/v1/notes/1") + &get("/") + &get("/v1/notes/%37?x=%41"),
        declared("/v1/echo", 50) + &chunked("/v1/echo", "abc", 7) + &get("/v1/show?q"),
        post("/v1/echo", "Content-Length: 5\r\nExpect: 100-continue\r\n", "12345") + &get("/big"),
        chunked("/v1/pieces", "xyz", 20) + &get("/v1/stream") + &get("/v1/notes/2"),
        declared("/v1/pieces", 300) + &declared("/v1/notes/7", 3) + &get("/v1/notes/2"),
        chunked("/v1/echo", "abc", 3).replace("0\r\n\r\n", "0\r\nTrailer: x\r\n\r\n")
            + &get("/nothing"),
        post("/v1/echo", "Transfer-Encoding: chunked\r\n", "2\r\nabc\r\n") + &get("/"),
        chunked("/v1/notes/7", "abc", 3),
        declared("/v1/json", 7),
        get("/v1/broken/line") + &get("/v1/broken/nobody") + &get("/"),
        format!("GET /v1/notes/3 HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(3000))
            + &get("/v1/broken/close"),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect()
}

#[test]
fn a_split_at_any_byte_changes_nothing() {
    for input in corpus() {
        let whole = talk(&input);
        assert!(whole.sent.len() > 100);
        for at in 0..=input.len() {
            let (first, second) = input.split_at(at);
            assert_eq!(
                converse([first, second]),
                whole,
                "split at {at} of {:?}",
                String::from_utf8_lossy(&input)
            );
        }
        assert_eq!(converse(input.chunks(1)), whole);
    }
}

/// A connection on which everything has arrived, and where room comes in portions.
fn trickle(input: &[u8], portions: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut server = server();
    let mut session = Session::default();
    session.open(&mut server);
    let (mut out, mut round, mut taken) = (Buffer { bytes: Vec::new(), room: 0 }, 0, 0);
    for portion in portions {
        out.room += portion;
        loop {
            session.output(&mut server, &mut out);
            let step = session.input(&input[taken..], &mut server, &mut out);
            taken += step;
            if !call(&mut session, &mut server, &mut out, &mut round) && step == 0 {
                break;
            }
        }
        if out.room > 0 && taken == input.len() && session.wants() != Wants::Room {
            break;
        }
    }
    out.bytes
}

#[test]
fn room_for_a_byte_at_a_time_changes_nothing() {
    for input in corpus() {
        let (whole, trickled) = (talk(&input).sent, trickle(&input, std::iter::repeat(1)));
        // A piece may be cut otherwise, so that the chunks are others.
        assert_eq!(trickled, whole, "{}", String::from_utf8_lossy(&input));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_cutting_and_any_room_change_nothing(
        which in 0usize..11,
        cuts in prop::collection::vec(1usize..60, 0..40),
        portions in prop::collection::vec(0usize..900, 1..30),
    ) {
        let input = &corpus()[which];
        let whole = talk(input);
        let (mut rest, mut pieces) = (&input[..], Vec::new());
        for cut in cuts {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        pieces.push(rest);
        prop_assert_eq!(&converse(pieces), &whole);
        prop_assert_eq!(&trickle(input, portions.into_iter().chain(std::iter::repeat(5000))), &whole.sent);
    }

    #[test]
    fn hostile_lengths_are_refused_or_waited_on(length in "[0-9a-fA-F+ -]{0,24}", chunked in any::<bool>()) {
        let text = if chunked {
            post("/v1/echo", "Transfer-Encoding: chunked\r\n", &format!("{length}\r\nabc"))
        } else {
            post("/v1/echo", &format!("Content-Length: {length}\r\n"), "abc")
        };
        let outcome = talk(text);
        if outcome.wants != Wants::Input {
            let status = responses(&outcome.sent, &["POST"])[0].status;
            prop_assert!([400, 413].contains(&status), "{}", status);
        }
    }
}
