//! However bytes arrive and however room becomes free, the peer sees the same.

use crate::common;
use common::{Buffer, Outcome, converse, responses, server, talk};
use proptest::prelude::*;
use reflex_http::{Server, Session, Wants};

/// Conversations that pass through every state.
fn corpus() -> Vec<Vec<u8>> {
    let long = "x".repeat(3000);
    [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "\r\n\r\nGET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n\r\nHEAD /big HTTP/1.0\r\n\r\nx".into(),
        "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /big HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET".into(),
        "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n1234567GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=2-4\r\n\r\n".into(),
        format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\nGET /docs HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(9000)),
        format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\x01", "x".repeat(9000)),
        format!("GET / HTTP/1.1\r\nHost: h\r\n{}", "X:y\r\n".repeat(70)),
        "GET / HTTP/1.1\r\nHost: h\r\nX: \x01y".into(),
        "GET / HTTP/1.1\r\nHost: h\r\nX: \x01y\r\n".into(),
        "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n".into(),
        "GET / HTTP/3.0\r\nX: y\r\n\r\n".into(),
        "GET / HTTP/1.2\r\nHost: h\r\n\r\nGET / HTTP/1.9\r\nHost: h\r\n\r\n".into(),
        "\r\nGET / HTTP/1.2\r\nHost: h\r\nBad name: y\r\n\r\n".into(),
        "GET / HTTP/1.2\r\nHost: h\nX: y\r\n\r\n".into(),
        "\r\nGET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        "\r\n\nGET / HTTP/1.1\r\nHost: h\r\n\r\n".into(),
        "\r\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n".into(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect()
}

#[test]
fn a_split_at_any_byte_changes_nothing() {
    for input in corpus() {
        let whole = talk(&input);
        for at in 0..=input.len() {
            let (first, second) = input.split_at(at);
            assert_eq!(converse([first, second]), whole, "split at {at} of {}", show(&input));
        }
        let bytewise = converse(input.chunks(1));
        assert_eq!(bytewise, whole, "byte by byte {}", show(&input));
    }
}

/// What one connection after another gets from the same server.
fn in_turn(server: &mut Server, inputs: &[Vec<u8>]) -> Vec<Outcome> {
    let serve = |input: &Vec<u8>| {
        let mut session = Session::default();
        session.open(server);
        let mut out = Buffer::unlimited();
        let mut taken = 0;
        while taken < input.len() {
            taken += session.input(&input[taken..], server, &mut out);
        }
        Outcome { sent: out.bytes, wants: session.wants() }
    };
    inputs.iter().map(serve).collect()
}

#[test]
fn what_a_server_remembers_changes_nothing() {
    let inputs = corpus();
    let mut server = server();
    let fresh: Vec<_> = inputs.iter().map(talk).collect();
    for _ in 0..3 {
        assert_eq!(in_turn(&mut server, &inputs), fresh);
    }
}

/// A connection on which everything has arrived, and where room comes in portions.
fn trickle(input: &[u8], portions: impl IntoIterator<Item = usize>) -> Outcome {
    let mut server = server();
    let mut session = Session::default();
    session.open(&mut server);
    let mut out = Buffer { bytes: Vec::new(), room: 0 };
    let mut taken = 0;
    for (second, portion) in portions.into_iter().enumerate() {
        out.room += portion;
        // The date must not change in the middle of a head.
        server.tick(second as u32, Some(common::NOON + u64::from(out.bytes.len() > 20)));
        loop {
            session.output(&mut server, &mut out);
            let step = session.input(&input[taken..], &mut server, &mut out);
            taken += step;
            if step == 0 {
                break;
            }
        }
        if out.room > 0 && taken == input.len() && session.wants() != Wants::Room {
            break;
        }
    }
    Outcome { sent: out.bytes, wants: session.wants() }
}

#[test]
fn room_for_a_byte_at_a_time_changes_nothing() {
    for input in corpus() {
        let whole = talk(&input);
        let mut trickled = trickle(&input, std::iter::repeat(1));
        same_date(&mut trickled.sent);
        assert_eq!(trickled, whole, "{}", show(&input));
    }
}

/// Only the second differs, in as many places as there are responses after the first.
fn same_date(sent: &mut [u8]) {
    let text = b"08:49:38 GMT";
    while let Some(at) = sent.windows(text.len()).position(|window| window == text) {
        sent[at + 7] = b'7';
    }
}

fn show(input: &[u8]) -> String {
    String::from_utf8_lossy(&input[..input.len().min(80)]).into_owned()
}

/// Bytes that look enough like requests to come far.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        4 => prop::sample::select(vec![
            "GET ", "HEAD ", "POST ", "/", "/big", "/%2e", "*", "http://h/", " HTTP/1.1\r\n", " HTTP/1.0\r\n",
            "Host: h\r\n", "\r\n", "\r", "\n", ":", " ", "Content-Length: ", "3", "Range: bytes=", "-",
            "Transfer-Encoding: chunked\r\n", "Connection: keep-alive\r\n", "If-None-Match: \"", "Expect: 100-continue\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(fragment, 0..24).prop_map(|fragments| fragments.concat())
}

fn cut<'a>(mut input: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &size in sizes {
        let (piece, rest) = input.split_at(size.min(input.len()));
        pieces.push(piece);
        input = rest;
    }
    pieces.push(input);
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_cutting_of_near_requests_changes_nothing(
        input in fragments(),
        sizes in prop::collection::vec(1usize..20, 0..40),
    ) {
        prop_assert_eq!(converse(cut(&input, &sizes)), talk(&input));
    }

    #[test]
    fn near_requests_are_not_mistaken_for_each_other(
        inputs in prop::collection::vec(fragments(), 1..8),
    ) {
        let fresh: Vec<_> = inputs.iter().map(talk).collect();
        let mut server = server();
        for _ in 0..2 {
            prop_assert_eq!(&in_turn(&mut server, &inputs), &fresh);
        }
    }

    /// Fields that mean nothing to the server, however like those that do, and however often.
    #[test]
    fn unknown_fields_change_nothing(
        name in prop_oneof![
            prop::sample::select(vec![
                "Hosts", "Most", "Hose", "Orange", "Ranga", "Expert", "Aspect", "If-Ranga", "If-Watch",
                "Connectiom", "Konnection", "If-None-Watch", "Content-Lengtx", "Transfer-Encodinx",
            ]).prop_map(str::to_owned),
            "[a-zA-Z][-a-zA-Z]{0,19}".prop_filter("known", |name| {
                !["host", "range", "expect", "if-range", "if-match", "connection", "if-none-match",
                    "content-length", "transfer-encoding"]
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(name))
            }),
        ],
        value in prop::sample::select(vec![
            "", "h", "u@h", "bytes=1-2", "tea", "100-continue", "\"big\"", "*", "close", "5", "x", "chunked",
        ]),
        fields in prop::sample::select(vec![
            "", "Range: bytes=1-2\r\n", "Range: bytes=1-2\r\nIf-Range: \"big\"\r\n",
            "If-Match: \"big\"\r\n", "Expect: 100-continue\r\nContent-Length: 2\r\n",
        ]),
    ) {
        let request = |extra: &str| {
            talk(format!("GET /big HTTP/1.1\r\nHost: h\r\n{fields}{extra}\r\nxx"))
        };
        let extra = format!("{name}: {value}\r\n");
        prop_assert_eq!(request(&extra), request(""), "{}", &extra);
        prop_assert_eq!(request(&extra.repeat(2)), request(""), "{} twice", &extra);
    }

    #[test]
    fn any_portions_of_room_change_nothing(
        input in fragments(),
        portions in prop::collection::vec(0usize..900, 1..30),
    ) {
        let whole = talk(&input);
        let endless = portions.into_iter().chain(std::iter::repeat(5000));
        let mut trickled = trickle(&input, endless);
        same_date(&mut trickled.sent);
        prop_assert_eq!(trickled, whole);
    }

    #[test]
    fn random_bytes_are_waited_on_or_refused(
        input in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let outcome = talk(&input);
        match outcome.wants {
            Wants::Input => prop_assert!(outcome.sent.is_empty()),
            Wants::Close => {
                let status = responses(&outcome.sent, &["GET"])[0].status;
                prop_assert!((400..500).contains(&status) || status == 505);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
