//! Routes, from a client's request to a handler in another context and back, on a simulated machine.

use reflex::http::{
    Answer, Dialogue, Exchange, Flow, HttpServer, Limits, Method, Refusal, Reply, Request,
    Responder, Route, RouteError,
};
use reflex::prelude::*;
use reflex::supervise::Setup;
use reflex::testing::{Client, Simulation};
use std::sync::{Arc, Mutex};

const PORT: u16 = 80;

/// Sends a request and takes what comes, up to the client's next word.
fn ask(sim: &mut Simulation, client: &Client, text: &str) -> String {
    client.send(text);
    sim.run();
    String::from_utf8(client.take()).expect("text")
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// Status and body of a response.
fn parts(response: &str) -> (u16, &str) {
    let (head, body) =
        response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {response:?}"));
    (head.split(' ').nth(1).expect("a status").parse().expect("a number"), body)
}

fn at(priority: Priority) -> impl Fn(System) -> Result {
    move |system: System| {
        let counter = system.context("counter", 0u32).priority(priority).build()?;
        let count = |count: &mut u32, request: &Request<'_>| -> Result<String, Refusal> {
            *count += request.path::<u32>("by")?;
            Ok(format!("{count}"))
        };
        let server = system.http(PORT).connections(4).get("/add/:by", counter, count).serve()?;
        assert_eq!(server.port(), PORT);
        Ok(())
    }
}

/// A handler may preempt the server, take turns with it or run when that has nothing to do.
#[test]
fn handlers_of_any_priority_answer_in_order() {
    for priority in [Priority::HIGH, Priority::DEFAULT, Priority::LOW] {
        let mut sim = Simulation::new(at(priority)).expect("it starts");
        let clients = [sim.connect(PORT), sim.connect(PORT), sim.connect(PORT)];
        for client in &clients {
            client.send(get("/add/1") + &get("/add/x") + &get("/add/10"));
        }
        sim.run();
        for client in &clients {
            let text = String::from_utf8(client.take()).expect("text");
            let statuses: Vec<_> = text.split("HTTP/1.1 ").skip(1).map(|it| &it[..3]).collect();
            assert_eq!(statuses, ["200", "404", "200"], "{priority:?}");
        }
        assert_eq!(sim.state("counter", |count: &mut u32| *count), 33);
    }
}

/// What is kept for those that wait.
#[derive(Default)]
struct Desk {
    waiting: Vec<Responder>,
    gone: u32,
}

impl Desk {
    fn wait(&mut self, request: &Request<'_>) -> Answer {
        self.waiting.extend(request.responder());
        assert!(request.responder().is_none(), "there is one right to reply");
        Answer::Later
    }

    fn ring(&mut self, request: &Request<'_>) -> String {
        let all = self.waiting.drain(..);
        let gone = all.filter(|one| !one.is_open()).count();
        self.gone += gone as u32;
        format!("{} {gone}", request.is_head())
    }
}

fn desk(system: System) -> Result {
    let desk = system.context("desk", Desk::default()).build()?;
    let limits = Limits { reply: 20, ..Limits::default() };
    system
        .http(PORT)
        .connections(8)
        .limits(limits)
        .get("/wait", desk, Desk::wait)
        .get("/nobody", desk, |_: &mut Desk, _: &Request<'_>| Answer::Later)
        .post("/drop", desk, Desk::ring)
        .post("/serve", desk, |desk: &mut Desk, _: &Request<'_>| {
            let replied =
                desk.waiting.drain(..).map(|one| one.reply("served")).filter(Result::is_ok);
            format!("{}", replied.count())
        })
        .serve()?;
    Ok(())
}

const SERVE: &str = "POST /serve HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
const DROP: &str = "POST /drop HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_reply_may_come_later_and_a_client_that_went_away_is_told_of() {
    let mut sim = Simulation::new(desk).expect("it starts");
    let [first, second, third, other] = [(); 4].map(|()| sim.connect(PORT));
    for client in [&first, &second, &third] {
        assert_eq!(ask(&mut sim, client, &get("/wait")), "");
    }
    // What is behind it in the same connection waits, too.
    assert_eq!(ask(&mut sim, &first, &get("/wait")), "");
    third.abort();
    sim.run();
    assert_eq!(parts(&ask(&mut sim, &other, SERVE)), (200, "2"));
    for client in [&first, &second] {
        assert_eq!(parts(&String::from_utf8(client.take()).expect("text")), (200, "served"));
    }
    // The second request of the first: its responder is dropped.
    assert_eq!(parts(&ask(&mut sim, &other, DROP)), (200, "false 0"));
    assert_eq!(parts(&String::from_utf8(first.take()).expect("text")).0, 500);
    assert_eq!(parts(&ask(&mut sim, &other, &get("/nobody"))).0, 500);
}

#[test]
fn a_reply_that_does_not_come_in_time_is_not_waited_for() {
    let mut sim = Simulation::new(desk).expect("it starts");
    let client = sim.connect(PORT);
    assert_eq!(ask(&mut sim, &client, &get("/wait")), "");
    sim.advance(secs(25));
    let text = String::from_utf8(client.take()).expect("text");
    assert_eq!(parts(&text).0, 503);
    let other = sim.connect(PORT);
    assert_eq!(parts(&ask(&mut sim, &other, SERVE)), (200, "0"), "the reply comes too late");
}

/// A context that fails, and is restarted, with the routes that it attaches to.
fn fragile(system: System) -> Result {
    let server: Arc<Mutex<Option<HttpServer>>> = Arc::default();
    let ours = server.clone();
    let solid = system.context("solid", ()).build()?;
    let made = system
        .http(PORT)
        .connections(4)
        .unattached(Method::Get, "/fragile/:what")
        .get("/solid", solid, |_: &mut (), _: &Request<'_>| "here")
        .serve()?;
    *server.lock().expect("one thread") = Some(made);
    let fragile = system.context_with("fragile", move |setup: Setup<'_, u32>| {
        let guard = ours.lock().expect("one thread");
        let server = guard.as_ref().expect("it was made before");
        server.attach(Method::Get, "/fragile/:what", setup.context(), |calls, request| {
            *calls += 1;
            match request.parameter("what") {
                Some("fail") => panic!("as it was asked to"),
                _ => format!("call {calls}"),
            }
        })?;
        let other = server.attach(Method::Get, "/other", setup.context(), |_, _| "");
        assert_eq!(
            other,
            Err(RouteError::Undeclared { method: Method::Get, path: "/other" }.into())
        );
        Ok::<_, Error>(0)
    });
    fragile.backoff(secs(5), secs(5)).build()?;
    Ok(())
}

#[test]
fn a_handler_that_fails_costs_its_client_500_and_others_503_until_the_next_life() {
    let mut sim = Simulation::new(fragile).expect("it starts");
    let client = sim.connect(PORT);
    assert_eq!(parts(&ask(&mut sim, &client, &get("/fragile/a"))), (200, "call 1"));
    assert_eq!(parts(&ask(&mut sim, &client, &get("/fragile/fail"))).0, 500);
    // The connection to the client of a handler that failed is ended, and no other.
    assert!(client.is_finished());
    let client = sim.connect(PORT);
    let refused = ask(&mut sim, &client, &get("/fragile/a"));
    assert_eq!(parts(&refused).0, 503);
    assert!(refused.contains("\r\nRetry-After: "), "{refused}");
    assert_eq!(parts(&ask(&mut sim, &client, &get("/solid"))), (200, "here"));
    sim.advance(secs(6));
    assert_eq!(parts(&ask(&mut sim, &client, &get("/fragile/a"))), (200, "call 1"));
}

/// What was uploaded, and how many exchanges there are.
#[derive(Default)]
struct Store {
    bytes: usize,
    live: usize,
    held: Option<Dialogue>,
}

struct Upload {
    length: usize,
    is_slow: bool,
}

impl Exchange<Store> for Upload {
    fn opened(store: &mut Store, request: &Request<'_>, _: &Dialogue) -> Self {
        store.live += 1;
        Upload { length: 0, is_slow: request.parameter("name") == Some("slow") }
    }

    fn received(
        &mut self,
        store: &mut Store,
        dialogue: &Dialogue,
        piece: &[u8],
        last: bool,
    ) -> Flow {
        self.length += piece.len();
        if last {
            store.bytes += self.length;
            dialogue.reply(Reply::created(self.length)).expect("the client waits");
            assert!(dialogue.reply("again").is_err(), "there is one reply");
        }
        if self.is_slow {
            store.held = Some(dialogue.clone());
            return Flow::Hold;
        }
        Flow::More
    }

    fn over(self, store: &mut Store) {
        store.live -= 1;
    }
}

/// Counts down in pieces.
struct Countdown(u32);

impl Exchange<Store> for Countdown {
    fn opened(store: &mut Store, request: &Request<'_>, dialogue: &Dialogue) -> Self {
        store.live += 1;
        assert!(dialogue.send("early").is_err(), "there is no room before the head");
        let from = request.path("from").unwrap_or(0);
        dialogue.reply(Reply::ok().streamed("text/plain", None)).expect("the client waits");
        Countdown(from)
    }

    fn room(&mut self, _: &mut Store, dialogue: &Dialogue) {
        assert!(dialogue.has_room());
        match self.0 {
            0 => dialogue.finish("go"),
            left => {
                self.0 -= 1;
                dialogue.send(format!("{left}... ").repeat(100))
            }
        }
        .expect("there is room");
        assert!(dialogue.send("too much").is_err());
    }

    fn over(self, store: &mut Store) {
        store.live -= 1;
    }
}

fn store(system: System) -> Result {
    let store = system.context("store", Store::default()).build()?;
    system
        .http(PORT)
        .connections(4)
        .each::<Upload, _>(Method::Put, Route::new("/files/:name").body_limit(100_000), store)
        .unattached(Method::Get, Route::new("/from/:from").in_pieces())
        .serve()?
        .attach_each::<Countdown, _>(Method::Get, "/from/:from", store)?;
    Ok(())
}

fn upload(name: &str, length: usize) -> String {
    format!(
        "PUT /files/{name} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{}",
        "x".repeat(length)
    )
}

#[test]
fn a_body_comes_in_pieces_at_the_handlers_pace() {
    let mut sim = Simulation::new(store).expect("it starts");
    let client = sim.connect(PORT);
    let answer = ask(&mut sim, &client, &upload("a", 50_000));
    assert_eq!(parts(&answer).0, 201);
    assert!(answer.contains("\r\nLocation: 50000\r\n"), "{answer}");
    let (bytes, live) = sim.state("store", |store: &mut Store| (store.bytes, store.live));
    assert_eq!((bytes, live), (50_000, 0));
    // A handler that holds holds its client.
    assert_eq!(ask(&mut sim, &client, &upload("slow", 60_000)), "");
    let mut rounds = 0;
    let answer = loop {
        let more =
            sim.state("store", |store: &mut Store| store.held.take().map(|held| held.more()));
        assert_eq!(more, Some(Ok(())), "a piece has come, and one only");
        // The client is told of room by the clock, too.
        sim.advance(secs(1));
        rounds += 1;
        let text = client.take();
        if !text.is_empty() {
            break String::from_utf8(text).expect("text");
        }
    };
    assert_eq!(parts(&answer).0, 201);
    assert!(rounds >= 60_000 / 4096, "{rounds}");
    // A client that goes away in the middle leaves nothing.
    client.send(&upload("b", 1000)[..500]);
    sim.run();
    assert_eq!(sim.state("store", |store: &mut Store| store.live), 1);
    client.abort();
    sim.run();
    assert_eq!(sim.state("store", |store: &mut Store| store.live), 0);
}

#[test]
fn a_reply_goes_in_pieces_at_the_clients_pace() {
    let mut sim = Simulation::new(store).expect("it starts");
    let client = sim.connect(PORT);
    let text = ask(&mut sim, &client, &get("/from/2"));
    let (status, body) = parts(&text);
    let expected = format!(
        "1f4\r\n{}\r\n1f4\r\n{}\r\n2\r\ngo\r\n0\r\n\r\n",
        "2... ".repeat(100),
        "1... ".repeat(100)
    );
    assert_eq!((status, body), (200, expected.as_str()));
    assert_eq!(sim.state("store", |store: &mut Store| store.live), 0);
    // Far more than all buffers hold, to a client that does not read for a while.
    client.stop_reading();
    client.send(get("/from/1000"));
    sim.run();
    assert_eq!(sim.state("store", |store: &mut Store| store.live), 1);
    client.read_on();
    sim.advance(secs(5));
    let text = String::from_utf8(client.take()).expect("text");
    assert!(text.ends_with("2\r\ngo\r\n0\r\n\r\n"));
    assert_eq!(text.matches("... ").count(), 100_000);
    assert_eq!(sim.state("store", |store: &mut Store| store.live), 0);
    // And one that goes away.
    client.stop_reading();
    client.send(get("/from/1000"));
    sim.run();
    client.abort();
    sim.run();
    assert_eq!(sim.state("store", |store: &mut Store| store.live), 0);
}

#[test]
fn routes_that_clash_are_refused_with_both_named() {
    let told = |first: &'static str, second: &'static str| {
        let told: Arc<Mutex<Option<String>>> = Arc::default();
        let tells = told.clone();
        let started = Simulation::new(move |system: System| -> Result {
            let context = system.context("all", ()).build()?;
            let handler = |_: &mut (), _: &Request<'_>| "";
            let routes =
                system.http(PORT).get(first, context, handler).get(second, context, handler);
            let served = routes.serve().map(drop);
            *tells.lock().expect("one thread") = served.err().map(|error| error.to_string());
            served
        });
        let told = told.lock().expect("one thread").take();
        assert_eq!(started.is_err(), told.is_some());
        told
    };
    for (first, second, expected) in [
        ("/a/:x", "/a/:y", "GET /a/:y has the same paths as /a/:x before it"),
        ("/a", "/a", "there are two routes for GET /a"),
        ("/a", "b", "\"b\" is no path of a route"),
    ] {
        assert_eq!(told(first, second).as_deref(), Some(expected));
    }
    assert_eq!(told("/a/:x", "/a/b"), None);
}
