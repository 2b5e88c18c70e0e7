//! The HTTP load generator: no two requests are equal. Their targets differ in the query and they have a field
//! that differs; the page is the same. `wrk` is faster, and asks for the same again and again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::client::{Answer, Client, Dialogue};
use super::{Measured, Progress};

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    /// The next request comes on it.
    Kept,
    /// The server closes it, as it was asked to, and the next request has another.
    Closed,
}

/// Opens `connections` connections, then asks for `page` on all of them for `duration`, on each again when it
/// was answered.
///
/// A failure is a connection that did not open or was closed early, an answer of another status than 200,
/// and one that did not come at all.
pub fn run(
    address: SocketAddr,
    page: &str,
    connections: u32,
    persistence: Persistence,
    duration: Duration,
) -> Result<Measured> {
    let requests = || Requests::of(page, address, None);
    match persistence {
        Persistence::Kept => measure(Kept(requests()), address, connections, duration),
        Persistence::Closed => measure(Closed(requests()), address, connections, duration),
    }
}

/// Opens `connections` connections, then asks for `page` on all of them, on each again when it was answered, for as long
/// as `goes_on` says, which is asked again and again. Every answer has to have this body.
pub fn run_while(
    address: SocketAddr,
    (page, body): (&str, &[u8]),
    connections: u32,
    goes_on: impl Fn(Progress) -> bool,
) -> Result<Measured> {
    let requests = Requests::of(page, address, Some(body.to_owned()));
    let mut client = Client::new(Kept(requests), address)?;
    client.open(connections as usize)?;
    client.exchange(|client| !goes_on(client.progress()))
}

/// The requests as a person would describe them.
pub fn text(address: SocketAddr, page: &str, connections: u32, persistence: Persistence) -> String {
    let each = match persistence {
        Persistence::Kept => "",
        Persistence::Closed => ", on a new connection each",
    };
    format!(
        "built-in HTTP client: {connections} connections to {address}, one request under way on each, for \
         {page}?N with X-Request: N, N different every time{each}"
    )
}

fn measure<D: Dialogue>(
    dialogue: D,
    address: SocketAddr,
    connections: u32,
    duration: Duration,
) -> Result<Measured> {
    let mut client = Client::new(dialogue, address)?;
    client.open(connections as usize)?;
    let start = Instant::now();
    client.exchange(|_| start.elapsed() >= duration)
}

struct Requests {
    page: String,
    host: String,
    /// What is to come, if that is known.
    body: Option<Vec<u8>>,
}

struct Kept(Requests);

struct Closed(Requests);

impl Dialogue for Kept {
    const ONCE: bool = false;

    fn ask(&self, connection: usize, round: u64, question: &mut Vec<u8>) {
        self.0.ask(connection, round, "", question);
    }

    fn judge(&self, _: usize, _: u64, answer: &[u8]) -> Answer {
        self.0.judge(answer)
    }
}

impl Dialogue for Closed {
    const ONCE: bool = true;

    fn ask(&self, connection: usize, round: u64, question: &mut Vec<u8>) {
        self.0.ask(connection, round, "Connection: close\r\n", question);
    }

    fn judge(&self, _: usize, _: u64, answer: &[u8]) -> Answer {
        self.0.judge(answer)
    }
}

impl Requests {
    fn of(page: &str, address: SocketAddr, body: Option<Vec<u8>>) -> Self {
        Self { page: page.to_owned(), host: address.to_string(), body }
    }

    fn judge(&self, answer: &[u8]) -> Answer {
        let right = |body: &Vec<u8>| answer.ends_with(body);
        match judge(answer) {
            Answer::Whole if !self.body.as_ref().is_none_or(right) => Answer::Wrong,
            other => other,
        }
    }

    fn ask(&self, connection: usize, round: u64, field: &str, question: &mut Vec<u8>) {
        // Numbers scattered over the whole range: those of connections have nothing in common that a server
        // could recognise.
        let number = (round << 16 | connection as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let Self { page, host, .. } = self;
        question.extend_from_slice(
            format!(
                "GET {page}?{number:016x} HTTP/1.1\r\nHost: {host}\r\nX-Request: {number:016x}\r\n{field}\r\n"
            )
            .as_bytes(),
        );
    }
}

/// Whether bytes are an answer of status 200 with as long a body as it says.
fn judge(answer: &[u8]) -> Answer {
    const STATUS: &[u8] = b"HTTP/1.1 200 ";
    if !answer.starts_with(&STATUS[..answer.len().min(STATUS.len())]) {
        return Answer::Wrong;
    }
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Answer::Part;
    };
    let length = answer[..end].split(|&byte| byte == b'\n').find_map(|line| {
        let (name, value) = std::str::from_utf8(line).ok()?.trim().split_once(':')?;
        let value = name.eq_ignore_ascii_case("content-length").then(|| value.trim())?;
        value.parse::<usize>().ok()
    });
    match length {
        None => Answer::Wrong,
        Some(length) => match answer.len().cmp(&(end + 4 + length)) {
            std::cmp::Ordering::Less => Answer::Part,
            std::cmp::Ordering::Equal => Answer::Whole,
            std::cmp::Ordering::Greater => Answer::Wrong,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};
    use std::thread;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn an_answer_is_whole_with_its_last_byte_and_not_before() {
        for length in 1..ANSWER.len() {
            assert_eq!(judge(&ANSWER[..length]), Answer::Part, "{length}");
        }
        assert_eq!(judge(ANSWER), Answer::Whole);
        assert_eq!(judge(&[ANSWER, b"!"].concat()), Answer::Wrong);
        assert_eq!(judge(b"HTTP/1.1 404 Not Found\r\n"), Answer::Wrong);
        assert_eq!(judge(b"HTTP/1.1 200 OK\r\n\r\n"), Answer::Wrong);
    }

    #[test]
    fn another_body_is_a_wrong_answer() {
        let address = "127.0.0.1:80".parse().unwrap();
        let requests = |body: &[u8]| Requests::of("/", address, Some(body.to_owned()));
        assert_eq!(requests(b"hello").judge(ANSWER), Answer::Whole);
        assert_eq!(requests(b"hallo").judge(ANSWER), Answer::Wrong);
        assert_eq!(requests(b"hallo").judge(&ANSWER[..20]), Answer::Part);
        assert_eq!(Requests::of("/", address, None).judge(ANSWER), Answer::Whole);
    }

    /// A server on loopback that writes what `answer` makes of each request, of which it keeps the targets.
    fn server(
        persistence: Persistence,
        answer: &'static [u8],
    ) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let targets = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&targets);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let targets = Arc::clone(&targets);
                thread::spawn(move || serve(stream, persistence, answer, &targets));
            }
        });
        (address, kept)
    }

    fn serve(
        mut stream: TcpStream,
        persistence: Persistence,
        answer: &[u8],
        targets: &Mutex<Vec<String>>,
    ) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        while let Some(Ok(first)) = lines.next() {
            let fields: Vec<String> =
                lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let closing = fields.iter().any(|field| field == "Connection: close");
            assert_eq!(closing, persistence == Persistence::Closed);
            targets.lock().unwrap().push(first);
            if stream.write_all(answer).is_err() || closing {
                return;
            }
        }
    }

    #[test]
    fn no_two_requests_are_equal_on_kept_connections_and_on_new_ones() {
        for persistence in [Persistence::Kept, Persistence::Closed] {
            let (address, targets) = server(persistence, ANSWER);
            let time = Duration::from_millis(200);
            let measured = run(address, "/page", 5, persistence, time).unwrap();
            assert_eq!(measured.failures, 0, "{persistence:?}");
            let targets = targets.lock().unwrap();
            assert!(targets.len() as u64 >= measured.operations && measured.operations >= 5);
            assert!(targets[0].starts_with("GET /page?"), "{}", targets[0]);
            assert_eq!(targets.iter().collect::<HashSet<_>>().len(), targets.len());
        }
    }

    #[test]
    fn wrong_answers_are_failures() {
        let (address, _) =
            server(Persistence::Kept, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
        let time = Duration::from_millis(100);
        assert!(run(address, "/", 3, Persistence::Kept, time).is_err(), "nothing was answered");
    }
}
