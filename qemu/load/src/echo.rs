//! The echo load generator: each connection keeps one message in flight and checks that it
//! comes back as it was sent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::client::{Answer, Client, Dialogue};
use super::{Measured, Progress};

/// Bytes of a message.
pub const MESSAGE: usize = 64;

/// Opens `connections` connections, then exchanges messages on all of them for `duration`.
///
/// A failure is a connection that did not open, was closed, answered wrongly or did not answer
/// at all.
pub fn run(address: SocketAddr, connections: u32, duration: Duration) -> Result<Measured> {
    let mut client = Client::new(Echo, address)?;
    client.open(connections as usize)?;
    let start = Instant::now();
    client.exchange(|_| start.elapsed() >= duration)
}

/// Opens `connections` connections, then exchanges messages on all of them for as long as `goes_on` says, which is
/// asked again and again.
pub fn run_while(
    address: SocketAddr,
    connections: u32,
    goes_on: impl Fn(Progress) -> bool,
) -> Result<Measured> {
    let mut client = Client::new(Echo, address)?;
    client.open(connections as usize)?;
    client.exchange(|client| !goes_on(client.progress()))
}

struct Echo;

impl Dialogue for Echo {
    const ONCE: bool = false;

    fn ask(&self, connection: usize, round: u64, question: &mut Vec<u8>) {
        question.extend_from_slice(&message(connection, round));
    }

    fn judge(&self, connection: usize, round: u64, answer: &[u8]) -> Answer {
        match answer.len() {
            ..MESSAGE => Answer::Part,
            _ if answer == message(connection, round) => Answer::Whole,
            _ => Answer::Wrong,
        }
    }
}

/// The message of this connection and round, which is part of it, so that a stale answer is seen: no two in a
/// run are equal.
fn message(connection: usize, round: u64) -> [u8; MESSAGE] {
    let mut message = [b'.'; MESSAGE];
    message[..8].copy_from_slice(&(connection as u64).to_le_bytes());
    message[8..16].copy_from_slice(&round.to_le_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream as Blocking};
    use std::thread;

    /// Exchanges messages until it is enough. (How long that takes is the host's affair.)
    fn measure(
        address: SocketAddr,
        connections: u32,
        enough: fn(&Progress) -> bool,
    ) -> Result<Measured> {
        let deadline = Instant::now() + Duration::from_secs(120);
        run_while(address, connections, |progress| {
            assert!(Instant::now() < deadline, "a connection waits in vain");
            !enough(&progress)
        })
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
        let measured = measure(address, 20, |all| all.least() >= 2).unwrap();
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
        let measured = measure(address, 3, |all| all.failed == 3).unwrap();
        assert_eq!((measured.operations, measured.failures), (3, 3));
    }

    #[test]
    fn closed_and_silent_connections_are_failures() {
        let address = server(drop);
        assert!(measure(address, 2, |all| all.failed == 2).is_err());
        // Only the client's first connection is answered.
        let address = server(|mut stream| {
            let mut message = [0; MESSAGE];
            while stream.read_exact(&mut message).is_ok() {
                if message[..8] == [0; 8] && stream.write_all(&message).is_err() {
                    return;
                }
            }
        });
        let measured = measure(address, 4, |all| all.all() > 0).unwrap();
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
