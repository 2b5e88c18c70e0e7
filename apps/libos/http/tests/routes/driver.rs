//! A connection to a server with routes, and handlers that are called as soon as they can be.

use crate::common::{Buffer, NOON, Outcome, Response, SITE, responses};
use reflex_http::{
    Answer, Answered, Call, Content, Handlers, Incoming, Limits, Method, Refusal, Reply, Request,
    Respond, Route, Routed, Server, Session, Unavailable,
};

/// Memory of the heap, bounded.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) most: Option<usize>,
}

impl Handlers for Memory {
    type Block = Box<[u8]>;

    fn block(&mut self, bytes: usize) -> Option<Box<[u8]>> {
        self.most.is_none_or(|most| bytes <= most).then(|| vec![0xee; bytes].into())
    }

    fn call(&mut self, _: usize, _: Call<Box<[u8]>>) -> Result<(), Unavailable> {
        Err(Unavailable)
    }

    fn gone(&mut self, _: usize) {}
}

pub(crate) type Routes = Routed<Memory>;

/// What the routes of the tests are; the number is what their handlers go by.
pub(crate) const ROUTES: [(Method, Route); 10] = [
    (Method::Get, Route::new("/v1/notes/:id")),
    (Method::Put, Route::new("/v1/notes/:id").body_limit(100)),
    (Method::Delete, Route::new("/v1/notes/:id")),
    (Method::Post, Route::new("/v1/echo").body_limit(10_000)),
    (Method::Post, Route::new("/v1/json").consumes("application/json")),
    (Method::Get, Route::new("/v1/files/*rest")),
    (Method::Post, Route::new("/v1/pieces").in_pieces().body_limit(6000)),
    (Method::Get, Route::new("/v1/stream").in_pieces()),
    (Method::Get, Route::new("/v1/show")),
    (Method::Get, Route::new("/v1/broken/:how")),
];

fn show(request: Request<'_>) -> String {
    let query: Vec<_> =
        request.query_pairs().map(|(key, value)| format!("{key}={value}")).collect();
    let agents: Vec<_> = request.field_values("x-AGENT").map(String::from_utf8_lossy).collect();
    format!("{} {} {:?} {:?}", request.method(), request.target(), query, agents)
}

fn respond(incoming: &Incoming<Box<[u8]>>) -> Answer {
    let request = incoming.request();
    match incoming.route {
        0 => request.path::<u32>("id").map(|id| format!("note {id}")).respond(),
        1 => format!("{} bytes", request.body().len()).respond(),
        2 => ().respond(),
        3 => Reply::created("/v1/echo/1")
            .body("application/octet-stream", request.body().to_vec())
            .respond(),
        4 => request
            .json::<Vec<u32>>()
            .map(|list| Reply::ok().json(&list.iter().sum::<u32>()))
            .respond(),
        5 => request.parameter("rest").map(|rest| format!("[{rest}]")).respond(),
        6 | 7 => Reply::ok().streamed("text/plain", None).respond(),
        8 => show(request).respond(),
        _ => match request.parameter("how") {
            Some("line") => Reply::ok().field("X", "a\r\nSet-Cookie: b").respond(),
            Some("own") => Reply::ok().field("Content-Length", 5).respond(),
            Some("long") => Reply::ok().field("X", "x".repeat(5000)).respond(),
            Some("status") => Reply::status(101).respond(),
            Some("query") => Err::<(), _>(Refusal::Query("q")).respond(),
            Some("close") => Reply::ok().text("last").close().respond(),
            _ => Answer::Later,
        },
    }
}

/// What the handlers answer, one after the other; how far a streamed reply is, is kept in `round`.
pub(crate) fn handle(call: Call<Box<[u8]>>, round: &mut usize) -> Vec<Answered> {
    match call {
        Call::Request(incoming) if incoming.route == 6 => vec![Answered::Ready],
        Call::Request(incoming) => match respond(&incoming) {
            Answer::Now(reply) => vec![Answered::Reply(reply)],
            Answer::Later => vec![Answered::Failed],
        },
        Call::Piece { block, length, last, .. } => {
            *round += block[..length].iter().map(|&byte| usize::from(byte)).sum::<usize>();
            let reply = Reply::ok().text(format!("the sum is {round}"));
            if last { vec![Answered::Reply(reply)] } else { vec![Answered::Ready] }
        }
        Call::Room { .. } => {
            *round += 1;
            let content: Content = format!("piece {round};").repeat(*round).into();
            vec![Answered::Piece { content, last: *round == 3 }]
        }
    }
}

pub(crate) fn server() -> Server<Routes> {
    with_limits(Limits::default())
}

pub(crate) fn with_limits(limits: Limits) -> Server<Routes> {
    let routes = Routed::new(&ROUTES, Memory::default()).expect("good routes");
    Server::with_routes(SITE, routes, limits, Some(NOON)).expect("a good site")
}

/// Calls handlers for as long as there is something to call them with.
pub(crate) fn call(
    session: &mut Session<Routes>,
    server: &mut Server<Routes>,
    out: &mut Buffer,
    round: &mut usize,
) -> bool {
    let mut called = false;
    while let Some(call) = session.take_call() {
        called = true;
        if matches!(call, Call::Request(_)) {
            *round = 0;
        }
        for answer in handle(call, round) {
            session.answer(answer, server, out);
        }
    }
    called
}

/// A connection on which `input` arrives in the given pieces, and the peer reads everything at once.
pub(crate) fn converse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut server = server();
    let mut session = Session::default();
    session.open(&mut server);
    let (mut out, mut round) = (Buffer::unlimited(), 0);
    for piece in pieces {
        let mut taken = 0;
        loop {
            let step = session.input(&piece[taken..], &mut server, &mut out);
            taken += step;
            let called = call(&mut session, &mut server, &mut out, &mut round);
            if taken == piece.len() && !called {
                break;
            }
            assert!(step > 0 || called, "with unlimited room everything is taken");
        }
    }
    Outcome { sent: out.bytes, wants: session.wants() }
}

pub(crate) fn talk(input: impl AsRef<[u8]>) -> Outcome {
    converse([input.as_ref()])
}

/// The response to a single request.
pub(crate) fn answer(request: &str) -> Response {
    let method = request.split(' ').next().unwrap_or_default();
    responses(&talk(request).sent, &[method]).remove(0)
}
