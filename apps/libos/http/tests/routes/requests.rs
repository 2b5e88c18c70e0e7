//! What requests are answered with, by their paths, methods and fields.

use super::driver::{answer, talk};
use crate::common::responses;
use reflex_http::Wants;

fn request(method: &str, target: &str, fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

fn status_and_body(text: &str) -> (u16, String) {
    let response = answer(text);
    (response.status, String::from_utf8(response.body).expect("text"))
}

#[test]
fn paths_and_their_parameters() {
    for (target, status, body) in [
        ("/v1/notes/7", 200, "note 7"),
        ("/v1/notes/%37", 200, "note 7"),
        ("/x/../v1/./notes/7?a=b", 200, "note 7"),
        ("http://h/v1/notes/7", 200, "note 7"),
        ("/v1/notes/seven", 404, "there is nothing at this path\n"),
        ("/v1/notes/", 404, "not here\n"),
        ("/v1/files/a/b%2Fc%25d%20e", 200, "[a/b/c%d e]"),
        ("/v1/files/", 200, "[]"),
        ("/v1/files/%ff", 404, "404 Not Found\n"),
        ("/", 200, "<p>hello\n"),
        ("/v1/files/%zz", 400, "400 Bad Request\n"),
    ] {
        assert_eq!(
            status_and_body(&request("GET", target, "")),
            (status, body.to_owned()),
            "{target}"
        );
    }
    let shown = status_and_body(&request(
        "GET",
        "/v1/show?a=1&b=x+y&a=%26",
        "X-Agent: one\r\nx-agent:  two \r\n",
    ));
    let expected = r#"GET /v1/show?a=1&b=x+y&a=%26 ["a=1", "b=x y", "a=&"] ["one", "two"]"#;
    assert_eq!(shown, (200, expected.to_owned()));
}

#[test]
fn methods() {
    let allowed = |method: &str, target: &str| {
        let response = answer(&request(method, target, ""));
        (response.status, response.field("allow").map(str::to_owned))
    };
    let notes = Some("GET, HEAD, PUT, DELETE, OPTIONS".to_owned());
    assert_eq!(allowed("OPTIONS", "/v1/notes/1"), (204, notes.clone()));
    assert_eq!(allowed("POST", "/v1/notes/1"), (405, notes.clone()));
    assert_eq!(allowed("TRACE", "/v1/notes/1"), (405, notes));
    assert_eq!(allowed("GET", "/v1/echo"), (405, Some("POST, OPTIONS".to_owned())));
    assert_eq!(allowed("DELETE", "/v1/notes/1"), (204, None));
    assert_eq!(allowed("POST", "/"), (405, Some("GET, HEAD".to_owned())));
    assert_eq!(allowed("POST", "/nothing"), (404, None));
    assert_eq!(allowed("BREW", "/nothing"), (501, None));
    let (head, get) =
        (answer(&request("HEAD", "/v1/notes/7", "")), answer(&request("GET", "/v1/notes/7", "")));
    assert_eq!((head.head, head.body), (get.head, Vec::new()));
    let none = answer(&request("OPTIONS", "/v1/echo", ""));
    assert!(none.field("content-length").is_none() && none.field("content-type").is_none());
}

#[test]
fn an_upgrade_is_not_followed() {
    let fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n";
    let two = request("GET", "/v1/notes/7", fields).repeat(2);
    let both = responses(&talk(two).sent, &["GET", "GET"]);
    assert!(both.iter().all(|one| one.status == 200 && one.field("upgrade").is_none()));
}

#[test]
fn replies_that_cannot_be_sent_are_of_status_500() {
    for how in ["line", "own", "long", "status", "nobody"] {
        let response = answer(&request("GET", &format!("/v1/broken/{how}"), ""));
        assert_eq!(response.status, 500, "{how}");
        assert!(response.field("set-cookie").is_none());
    }
    assert_eq!(answer(&request("GET", "/v1/broken/query", "")).status, 400);
}

#[test]
fn connections_persist_as_they_would_for_files() {
    let persists = |text: &str, field: Option<&str>| {
        let outcome = talk(text);
        let one = responses(&outcome.sent, &["GET"]).remove(0);
        assert_eq!(one.field("connection"), field, "{text}");
        outcome.wants == Wants::Input
    };
    assert!(persists("GET /v1/notes/7 HTTP/1.1\r\nHost: h\r\n\r\n", None));
    assert!(persists(
        "GET /v1/notes/7 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        Some("keep-alive")
    ));
    assert!(!persists("GET /v1/notes/7 HTTP/1.0\r\n\r\n", Some("close")));
    assert!(!persists(
        "GET /v1/notes/7 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        Some("close")
    ));
    assert!(!persists("GET /v1/broken/close HTTP/1.1\r\nHost: h\r\n\r\n", Some("close")));
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let text = [
        request("GET", "/v1/notes/1", ""),
        request("GET", "/", ""),
        request("POST", "/v1/echo", "Content-Length: 2\r\n") + "ab",
        request("GET", "/v1/nothing", ""),
        request("GET", "/v1/notes/2", ""),
    ];
    let all = responses(&talk(text.concat()).sent, &["GET", "GET", "POST", "GET", "GET"]);
    let statuses: Vec<u16> = all.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [200, 200, 201, 404, 200]);
    assert_eq!((&all[2].body[..], &all[4].body[..]), (&b"ab"[..], &b"note 2"[..]));
    assert_eq!(all[2].field("location"), Some("/v1/echo/1"));
}
