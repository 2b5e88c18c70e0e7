//! The appliances of `apps/examples`: what each prints, and what its clients are told (PE-21).

use crate::examples::{Session, printed, prints};
use crate::guest::{Guest, PATIENCE, machine, user};
use crate::http::Http;
use crate::tools::run;
use reflex_qemu::machine::Model;
use reflex_qemu::protocol::Protocol;
use std::io::Read;
use std::net::{Shutdown, SocketAddr, UdpSocket};

const MACHINES: [Model; 2] = [Model::Q35, Model::Microvm];

/// Boots an example that serves a port.
fn serving(example: &str, model: Model, protocol: Protocol, port: u16) -> (Guest, SocketAddr) {
    let machine = machine(example).model(model).network(user(&[(protocol, port)]));
    let mut guest = Guest::start(machine);
    let server = guest.endpoint(protocol, port);
    (guest, server)
}

/// Asks by datagram until there is an answer, since datagrams may be lost.
fn asks(server: SocketAddr, question: &str) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(PATIENCE / 10)).expect("a time-out");
    for _ in 0..10 {
        socket.send_to(question.as_bytes(), server).expect("it is sent");
        let mut block = [0; 256];
        if let Ok(length) = socket.recv(&mut block) {
            return String::from_utf8_lossy(&block[..length]).into_owned();
        }
    }
    panic!("`{question}` is not answered");
}

fn all_hear<const N: usize>(guests: [&mut Session; N], words: &str) {
    guests.into_iter().for_each(|guest| guest.hears(words));
}

#[test]
fn the_countdown_begins_where_it_is_told_to() {
    prints("countdown", "from=3", include_str!("../expected/countdown.txt"));
}

#[test]
fn the_pipeline_hands_on_every_sample_in_order() {
    prints("pipeline", "", include_str!("../expected/pipeline.txt"));
}

#[test]
fn the_tally_is_kept_by_two() {
    prints("tally", "", include_str!("../expected/tally.txt"));
}

/// The report of each failure comes between its lines.
#[test]
fn the_phoenix_rises_until_its_supervisor_has_had_enough() {
    for model in MACHINES {
        let outcome = Guest::start(machine("phoenix").model(model)).finish();
        assert!(outcome.status.success(), "{}", outcome.tail(50));
        let lines = outcome.lines.iter().map(|line| line.text.trim_end());
        let own = |line: &&str| line.starts_with("job ") || line.starts_with("worker has ");
        let own: Vec<&str> = lines.filter(own).collect();
        let expected: Vec<&str> = include_str!("../expected/phoenix.txt").lines().collect();
        assert_eq!(own, expected, "{}", outcome.tail(50));
    }
}

#[test]
fn the_filter_says_back_what_has_the_word_in_it() {
    for model in MACHINES {
        let mut guest =
            Guest::start(machine("filter").model(model).append("log=error word=reflex"));
        let reading = guest.running.wait_for_input(PATIENCE);
        reading.unwrap_or_else(|error| panic!("{error}"));
        let lines = ["reflex is called from interrupts", "poll and wait", "what a reflex!", ""];
        for line in lines {
            guest.running.send_line(line).expect("the guest takes it");
        }
        printed(&guest.finish(), include_str!("../expected/filter.txt"));
    }
}

#[test]
fn the_shout_answers_in_capitals_and_says_good_bye() {
    for model in MACHINES {
        let (guest, server) = serving("shout", model, Protocol::Tcp, 2001);
        let mut session = Session::silent(server);
        session.says("hello\n");
        session.hears("HELLO\n");
        session.says("and good-bye\n");
        session.0.shutdown(Shutdown::Write).expect("our side closes");
        session.hears("AND GOOD-BYE\nGOOD-BYE.\n");
        session.hears_the_end();
        guest.stop();
    }
}

/// Three guests come, talk and go.
#[test]
fn the_chat_room_tells_everybody_what_each_says() {
    for model in MACHINES {
        let (guest, server) = serving("chat", model, Protocol::Tcp, 2002);
        let mut first = Session::silent(server);
        first.hears("1: (comes in)\n");
        let mut second = Session::silent(server);
        all_hear([&mut first, &mut second], "2: (comes in)\n");
        first.says("good ");
        first.says("evening\n");
        all_hear([&mut first, &mut second], "1: good evening\n");
        let long = "ha".repeat(150);
        second.says(&format!("{long}\n"));
        let parts = format!("2: {}\n2: {}\n", &long[..200], &long[200..]);
        all_hear([&mut first, &mut second], &parts);
        second.0.shutdown(Shutdown::Write).expect("its side closes");
        second.hears_the_end();
        first.hears("2: (has gone)\n");
        // The place of a connection that is over serves the next.
        let mut third = Session::silent(server);
        all_hear([&mut first, &mut third], "3: (comes in)\n");
        third.says("is anybody here?\n");
        all_hear([&mut first, &mut third], "3: is anybody here?\n");
        guest.stop();
    }
}

/// What curl sends, and what it gets.
#[test]
fn the_notes_are_kept_and_told_as_json() {
    const JSON: &str = "Content-Type: application/json";
    for model in MACHINES {
        let (guest, server) = serving("notes", model, Protocol::Tcp, 2006);
        let mut told = String::new();
        for (arguments, path) in [
            (&["--header", JSON, "--data", r#"{"title":"milk","done":true}"#][..], "/v1/notes"),
            (&["--header", JSON, "--data", r#"{"title":"\u201cbread\u201d"}"#], "/v1/notes"),
            (
                &[
                    "--header",
                    JSON,
                    "--header",
                    "Transfer-Encoding: chunked",
                    "--data",
                    r#"{"title":"salt"}"#,
                ],
                "/v1/notes",
            ),
            (&[], "/v1/notes/2"),
            (&["--head"], "/v1/notes/2"),
            (&["--request", "DELETE"], "/v1/notes/2"),
            (&[], "/v1/notes/2"),
            (&[], "/v1/notes/two"),
            (&[], "/v1/notes"),
            (&["--http1.0"], "/v1/notes?most=1"),
            (&[], "/v1/notes?most=few"),
            (&["--header", JSON, "--data", r#"{"title":}"#], "/v1/notes"),
            (&["--data", "title=milk"], "/v1/notes"),
            (&["--request", "PUT"], "/v1/notes"),
            (&["--request", "OPTIONS"], "/v1/notes/1"),
            (&["--http2"], "/nothing"),
        ] {
            let url = format!("http://{server}{path}");
            let shown = ["--silent", "--show-error", "--include"];
            let answer = run("curl", &[&shown[..], arguments, &[&url]].concat(), PATIENCE);
            let lines = answer.lines().map(|line| line.trim_end());
            let lines = lines.filter(|line| !line.starts_with("Date: "));
            told += &format!("$ {} {path}\n", arguments.join(" "));
            lines.for_each(|line| told += &format!("{line}\n"));
            told += "\n";
        }
        assert_eq!(told, include_str!("../expected/notes.txt"), "{told}");
        // What curl cannot be brought to send.
        let mut http = Http::connect(server);
        let long =
            http.request("POST", "/v1/notes", "Expect: 100-continue\r\nContent-Length: 4097\r\n");
        assert_eq!((long.status, long.field("connection")), (413, Some("close")));
        assert!(http.ended());
        guest.stop();
    }
}

#[test]
fn the_responder_answers_each_question() {
    for model in MACHINES {
        let (guest, server) = serving("responder", model, Protocol::Udp, 2003);
        let questions = [("ping", "pong\n"), ("marco\n", "polo\n"), ("why?", "pardon?\n")];
        for (question, answer) in questions {
            assert_eq!(asks(server, question), answer);
        }
        guest.stop();
    }
}

#[test]
fn the_cache_forgets_in_time_and_nothing_else() {
    for model in MACHINES {
        let (mut guest, server) = serving("cache", model, Protocol::Udp, 2004);
        let says = |question, answer| assert_eq!(asks(server, question), answer, "{question}");
        says("set 1 11 86400", "1 is 11\n");
        says("set 2 22 1", "2 is 22\n");
        let forgotten = guest.running.wait_for_text("2 is forgotten", PATIENCE);
        forgotten.unwrap_or_else(|error| panic!("{error}"));
        says("get 2", "there is no 2\n");
        says("get 1", "11\n");
        says("set 1 12 86400", "1 is 12\n");
        says("get 1", "12\n");
        says("set 1", "set KEY VALUE SECONDS, or get KEY\n");
        guest.stop();
    }
}

/// A request that comes in parts is one; what the system counts is there as well, and told to the host.
#[test]
fn the_metrics_are_what_was_counted() {
    for model in MACHINES {
        let machine = machine("metrics").model(model).append("stats=100");
        let mut guest = Guest::start(machine.network(user(&[(Protocol::Tcp, 2005)])));
        let server = guest.endpoint(Protocol::Tcp, 2005);
        let answer = asks_for_page(server, &["GET /metrics HTTP/1.0\r\n", "\r\n"]);
        let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        let own = |line: &&str| line.contains("example_");
        let own: Vec<&str> = text.lines().filter(own).collect();
        let expected: Vec<&str> = include_str!("../expected/metrics.txt").lines().collect();
        assert_eq!(own, expected, "{text}");
        let again = asks_for_page(server, &["GET / HTTP/1.0\r\n\r\n"]);
        for series in [
            "example_requests_total 2",
            "example_request_bytes_sum 43",
            "reflex_net_accepted_total 2",
            "reflex_dhcp_accepted_total 2",
        ] {
            assert!(again.lines().any(|line| line == series), "{series}: {again}");
        }
        assert!(again.contains("reflex_kernel_activations_total{priority="), "{again}");
        for told in [
            "metric counter 2 example_requests_total",
            "metric histogram count=2 sum=43 p50=19 p99=25 max=25 example_request_bytes",
        ] {
            guest.running.wait_for_text(told, PATIENCE).unwrap_or_else(|error| panic!("{error}"));
        }
        guest.stop();
    }
}

/// The answer to a request that is sent in these parts.
fn asks_for_page(server: SocketAddr, parts: &[&str]) -> String {
    let mut session = Session::silent(server);
    parts.iter().for_each(|part| session.says(part));
    let mut answer = String::new();
    session.0.read_to_string(&mut answer).expect("it answers and closes");
    answer
}
