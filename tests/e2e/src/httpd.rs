//! HTTP/1.1 as `httpd` speaks it, by curl and byte for byte, on both machines.

use crate::guest::{Guest, PATIENCE, machine, user};
use crate::http::{Http, site};
use crate::tools::run;
use reflex_qemu::machine::Model;
use reflex_qemu::protocol::Protocol;
use std::net::SocketAddr;

#[test]
fn on_q35() {
    serve_on(Model::Q35);
}

#[test]
fn on_microvm() {
    serve_on(Model::Microvm);
}

fn serve_on(model: Model) {
    let machine = machine("httpd").model(model).network(user(&[(Protocol::Tcp, 80)]));
    let mut guest = Guest::start(machine);
    let server = guest.endpoint(Protocol::Tcp, 80);
    curl_sees_exact_fields(server);
    heads_and_conditions(server);
    ranges(server);
    refusals(server);
    pipelining_and_keep_alive(server);
    guest.stop();
}

fn curl_sees_exact_fields(server: SocketAddr) {
    let url = format!("http://{server}/");
    let answer = run("curl", &["--silent", "--show-error", "--include", &url], PATIENCE);
    let (head, body) = answer.split_once("\r\n\r\n").expect("an empty line after the head");
    let lines: Vec<&str> = head.split("\r\n").collect();
    assert_eq!(lines[0], "HTTP/1.1 200 OK");
    let page = site("index.html");
    assert_eq!(body.as_bytes(), page);
    let mut names = Vec::new();
    for line in &lines[1..] {
        let (name, value) = line.split_once(": ").expect("a field");
        names.push(name);
        match name {
            "Server" => assert_eq!(value, "reflex"),
            "Content-Type" => assert_eq!(value, "text/html; charset=utf-8"),
            "Content-Length" => assert_eq!(value, page.len().to_string()),
            "Accept-Ranges" => assert_eq!(value, "bytes"),
            // A strong validator, quoted (RFC 9110, 8.8.3).
            "ETag" => assert!(value.len() > 2 && value.starts_with('"') && value.ends_with('"')),
            // Sun, 06 Nov 1994 08:49:37 GMT (RFC 9110, 5.6.7).
            "Date" => assert!(value.len() == 29 && value.ends_with(" GMT"), "{value}"),
            _ => panic!("nobody asked for {line}"),
        }
    }
    let expected = ["Date", "Server", "Content-Type", "Content-Length", "ETag", "Accept-Ranges"];
    assert_eq!(names, expected);
    // Every file of the site, by the clients' own judgement of what a response is.
    for file in ["style.css", "small.txt", "icon.svg", "priorities.html"] {
        let url = format!("http://{server}/{file}");
        let body = run("curl", &["--silent", "--show-error", "--fail", &url], PATIENCE);
        assert!(body.as_bytes() == site(file), "{file}");
    }
}

fn heads_and_conditions(server: SocketAddr) {
    let mut http = Http::connect(server);
    let full = http.request("GET", "/", "");
    let head = http.request("HEAD", "/", "");
    let undated = |text: &str| -> String {
        text.lines().filter(|line| !line.starts_with("Date:")).map(|l| format!("{l}\n")).collect()
    };
    assert_eq!(undated(&head.head), undated(&full.head));
    let tag = full.field("etag").expect("a validator");
    let same = http.request("GET", "/", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((same.status, same.field("etag")), (304, Some(tag)));
    let other = http.request("GET", "/", "If-None-Match: \"other\"\r\n");
    assert_eq!((other.status, other.body), (200, site("index.html")));
    let unmet = http.request("GET", "/", "If-Match: \"other\"\r\n");
    assert_eq!(unmet.status, 412);
}

fn ranges(server: SocketAddr) {
    let page = site("priorities.html");
    let size = page.len();
    let mut http = Http::connect(server);
    for (range, part) in [
        ("0-0".to_owned(), 0..1),
        ("0-99".to_owned(), 0..100),
        ("100-".to_owned(), 100..size),
        ("-7".to_owned(), size - 7..size),
        (format!("{}-{}", size - 1, size + 50), size - 1..size),
    ] {
        let response =
            http.request("GET", "/priorities.html", &format!("Range: bytes={range}\r\n"));
        assert_eq!(response.status, 206, "{range}");
        let told = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        assert_eq!(response.field("content-range"), Some(told.as_str()));
        assert!(response.body == page[part], "{range}");
    }
    let beyond = http.request("GET", "/priorities.html", &format!("Range: bytes={size}-\r\n"));
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.field("content-range"), Some(format!("bytes */{size}").as_str()));
}

fn refusals(server: SocketAddr) {
    let mut http = Http::connect(server);
    let missing = http.request("GET", "/nothing", "");
    assert_eq!((missing.status, missing.body), (404, site("404.html")));
    let wrong = http.request("DELETE", "/", "");
    assert_eq!((wrong.status, wrong.field("allow")), (405, Some("GET, HEAD")));
    assert_eq!(http.request("GET", "/../../etc/passwd", "").status, 404);
    // After these the connection ends: what follows cannot be told apart from the request.
    let long = "x".repeat(20_000);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("\x16\x03\x01\x02\x00\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/2.0\r\nHost: g\r\n\r\n".to_owned(), 505),
        ("BREW / HTTP/1.1\r\nHost: g\r\n\r\n".to_owned(), 501),
        ("POST / HTTP/1.1\r\nHost: g\r\nContent-Length: 99999999\r\n\r\n".to_owned(), 413),
        ("POST / HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), 411),
        (format!("GET /{long} HTTP/1.1\r\nHost: g\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nHost: g\r\nX: {long}\r\n\r\n"), 431),
    ] {
        let start: String = request.chars().take(40).collect();
        let mut http = Http::connect(server);
        http.send(&request);
        assert_eq!(http.response("GET").status, status, "{start:?}");
        if status != 501 {
            assert!(http.ended(), "{start:?}");
        }
    }
}

fn pipelining_and_keep_alive(server: SocketAddr) {
    let mut http = Http::connect(server);
    let names = ["index.html", "priorities.html", "small.txt", "style.css"];
    // All at once, and more than the buffers hold; answered in order.
    let targets: Vec<&str> = names.iter().copied().cycle().take(40).collect();
    let requests = targets.iter().map(|name| format!("GET /{name} HTTP/1.1\r\nHost: g\r\n\r\n"));
    http.send(requests.collect::<String>());
    for name in targets {
        let response = http.response("GET");
        assert_eq!(response.status, 200);
        assert!(response.body == site(name), "{name}");
    }
    // In pieces as small as can be.
    for byte in b"GET /small.txt HTTP/1.1\r\nHost: g\r\n\r\n" {
        http.send([*byte]);
    }
    assert_eq!(http.response("GET").body, site("small.txt"));
    // One after the other, on the same connection; and then the last one.
    for _ in 0..100 {
        assert_eq!(http.request("GET", "/small.txt", "").status, 200);
    }
    let last = http.request("GET", "/small.txt", "Connection: close\r\n");
    assert_eq!(last.field("connection"), Some("close"));
    assert!(http.ended());
    // The old version closes unless asked not to.
    let mut http = Http::connect(server);
    http.send("GET /small.txt HTTP/1.0\r\n\r\n");
    assert_eq!(http.response("GET").body, site("small.txt"));
    assert!(http.ended());
}
