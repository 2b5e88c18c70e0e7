//! The echo load generator: each connection keeps one message in flight and checks that it
//! comes back as it was sent.
//!
//! One thread with an edge-triggered poll. A connection has nothing to read but the answer it
//! waits for, so one read an event is enough: whatever comes later is a new edge.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{Measured, percentile};

/// Bytes of a message.
pub const MESSAGE: usize = 64;

/// Connections opened at a time, well under any accept backlog.
const OPENING: usize = 64;
const OPENING_LIMIT: Duration = Duration::from_secs(30);

/// Opens `connections` connections, then exchanges messages on all of them for `duration`.
///
/// A failure is a connection that did not open, was closed, answered wrongly or did not answer
/// at all.
pub fn run(address: SocketAddr, connections: u32, duration: Duration) -> Result<Measured> {
    let mut client = Client::new(address)?;
    client.open(connections as usize)?;
    let start = Instant::now();
    client.exchange(|_| start.elapsed() >= duration)
}

struct Connection {
    stream: TcpStream,
    state: State,
    /// Round trips done; part of the next message, so that a stale answer is seen.
    answered: u64,
    received: usize,
    answer: [u8; MESSAGE],
    sent: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    Failed,
}

struct Client {
    address: SocketAddr,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    latencies_us: Vec<u32>,
}

impl Client {
    fn new(address: SocketAddr) -> Result<Self> {
        Ok(Self {
            address,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            connections: Vec::new(),
            latencies_us: Vec::new(),
        })
    }

    fn open(&mut self, wanted: usize) -> Result<()> {
        let deadline = Instant::now() + OPENING_LIMIT;
        loop {
            let opening = self.connections.iter().filter(|c| c.state == State::Opening).count();
            if self.connections.len() == wanted && opening == 0 {
                return Ok(());
            }
            let more = (wanted - self.connections.len()).min(OPENING - opening);
            for _ in 0..more {
                self.start()?;
            }
            if Instant::now() >= deadline {
                bail!("{opening} of {wanted} connections did not open in {OPENING_LIMIT:?}");
            }
            self.poll.poll(&mut self.events, Some(Duration::from_millis(100)))?;
            for event in &self.events {
                let connection = &mut self.connections[event.token().0];
                if connection.state != State::Opening || !event.is_writable() {
                    continue;
                }
                let refused = connection.stream.take_error()?.is_some();
                // Writable without a peer is a false alarm that mio allows.
                if refused || connection.stream.peer_addr().is_ok() {
                    connection.state = if refused { State::Failed } else { State::Open };
                }
            }
        }
    }

    fn start(&mut self) -> Result<()> {
        let mut stream = TcpStream::connect(self.address).context("a socket for the client")?;
        // On a connecting socket this can only fail for want of a socket at all.
        stream.set_nodelay(true)?;
        let token = Token(self.connections.len());
        self.poll.registry().register(
            &mut stream,
            token,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.connections.push(Connection {
            stream,
            state: State::Opening,
            answered: 0,
            received: 0,
            answer: [0; MESSAGE],
            sent: Instant::now(),
        });
        Ok(())
    }

    /// Exchanges messages until it is enough.
    fn exchange(&mut self, enough: impl Fn(&[Connection]) -> bool) -> Result<Measured> {
        let start = Instant::now();
        for (index, connection) in self.connections.iter_mut().enumerate() {
            // From here on only answers matter.
            self.poll.registry().reregister(
                &mut connection.stream,
                Token(index),
                Interest::READABLE,
            )?;
            connection.send(index);
        }
        while !enough(&self.connections) {
            self.poll.poll(&mut self.events, Some(Duration::from_millis(10)))?;
            for event in &self.events {
                let index = event.token().0;
                if let Some(latency) = self.connections[index].receive(index) {
                    self.latencies_us.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
                }
            }
        }
        self.report(start.elapsed())
    }

    fn report(&mut self, elapsed: Duration) -> Result<Measured> {
        self.latencies_us.sort_unstable();
        let failed = |c: &&Connection| c.state != State::Open || c.answered == 0;
        let failures = self.connections.iter().filter(failed).count();
        let (Some(median), Some(percentile_99)) =
            (percentile(&self.latencies_us, 50), percentile(&self.latencies_us, 99))
        else {
            bail!("no message was answered on any of {} connections", self.connections.len());
        };
        Ok(Measured {
            per_second: self.latencies_us.len() as f64 / elapsed.as_secs_f64(),
            operations: self.latencies_us.len() as u64,
            failures: failures as u64,
            median_us: f64::from(median),
            mean_us: self.latencies_us.iter().map(|&us| f64::from(us)).sum::<f64>()
                / self.latencies_us.len() as f64,
            percentile_99_us: f64::from(percentile_99),
        })
    }
}

impl Connection {
    fn send(&mut self, index: usize) {
        if self.state != State::Open {
            return;
        }
        self.sent = Instant::now();
        // The socket's buffer is empty whenever a message is due: it always takes one whole.
        if !matches!(self.stream.write(&message(index, self.answered)), Ok(MESSAGE)) {
            self.state = State::Failed;
        }
    }

    /// Takes what has come; a complete answer gives the round trip's time and sends the next.
    fn receive(&mut self, index: usize) -> Option<Duration> {
        if self.state != State::Open {
            return None;
        }
        match self.stream.read(&mut self.answer[self.received..]) {
            Ok(0) => self.state = State::Failed,
            Ok(count) => self.received += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.state = State::Failed,
        }
        if self.received < MESSAGE || self.state == State::Failed {
            return None;
        }
        let latency = self.sent.elapsed();
        if self.answer != message(index, self.answered) {
            self.state = State::Failed;
            return None;
        }
        self.received = 0;
        self.answered += 1;
        self.send(index);
        Some(latency)
    }
}

/// The message of this connection and round: no two in a run are equal.
fn message(connection: usize, round: u64) -> [u8; MESSAGE] {
    let mut message = [b'.'; MESSAGE];
    message[..8].copy_from_slice(&(connection as u64).to_le_bytes());
    message[8..16].copy_from_slice(&round.to_le_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream as Blocking};
    use std::thread;

    /// Exchanges messages until it is enough. (How long that takes is the host's affair.)
    fn measure(
        address: SocketAddr,
        connections: usize,
        enough: fn(&[Connection]) -> bool,
    ) -> Result<Measured> {
        let mut client = Client::new(address)?;
        client.open(connections)?;
        let deadline = Instant::now() + Duration::from_secs(120);
        client.exchange(|connections| {
            assert!(Instant::now() < deadline, "a connection waits in vain");
            enough(connections)
        })
    }

    fn all_failed(connections: &[Connection]) -> bool {
        connections.iter().all(|one| one.state == State::Failed)
    }

    /// A server on loopback that runs `serve` for each connection; it lives as long as the test.
    fn server(serve: fn(Blocking)) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || serve(stream));
            }
        });
        address
    }

    #[test]
    fn an_echo_server_is_measured_without_failures() {
        let address = server(|mut stream| {
            let mut reader = stream.try_clone().unwrap();
            // Ends with the client.
            let _ = std::io::copy(&mut reader, &mut stream);
        });
        let measured = measure(address, 20, |all| all.iter().all(|one| one.answered >= 2)).unwrap();
        assert_eq!(measured.failures, 0);
        assert!(measured.operations >= 40);
        assert!(measured.median_us <= measured.percentile_99_us);
    }

    #[test]
    fn a_wrong_answer_is_a_failure() {
        let address = server(|mut stream| {
            let mut message = [0; MESSAGE];
            for round in 0.. {
                if stream.read_exact(&mut message).is_err() {
                    return;
                }
                // Right once, then with a bit turned over.
                message[63] ^= u8::from(round > 0);
                let _ = stream.write_all(&message);
            }
        });
        let measured = measure(address, 3, all_failed).unwrap();
        assert_eq!((measured.operations, measured.failures), (3, 3));
    }

    #[test]
    fn closed_and_silent_connections_are_failures() {
        let address = server(drop);
        assert!(measure(address, 2, all_failed).is_err());
        // Only the client's first connection is answered.
        let address = server(|mut stream| {
            let mut message = [0; MESSAGE];
            while stream.read_exact(&mut message).is_ok() {
                if message[..8] == [0; 8] && stream.write_all(&message).is_err() {
                    return;
                }
            }
        });
        let measured = measure(address, 4, |all| all[0].answered > 0).unwrap();
        assert!(measured.operations > 0);
        assert_eq!(measured.failures, 3);
    }

    #[test]
    fn a_refused_connection_is_a_failure() {
        // A connection's own end of it: in use, and nobody listens there.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Blocking::connect(listener.local_addr().unwrap()).unwrap();
        assert!(run(client.local_addr().unwrap(), 1, Duration::from_millis(50)).is_err());
    }
}
