//! When a booting guest first answers: a client that keeps knocking.
//!
//! A new connection is tried every other millisecond while earlier tries stay open, so that
//! neither a lost SYN nor a slow handshake costs more than that. The first connection that opens
//! sends the request; its first byte of answer ends the wait.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

const INTERVAL: Duration = Duration::from_millis(2);
/// Tries kept open; with the interval, each has a second.
const TRIES: usize = 500;
/// An opened connection that stays silent for this long is given up.
const SILENCE: Duration = Duration::from_secs(2);

/// The moment of the first byte that answers `request`, at the latest after `limit`.
pub(crate) fn wait(address: SocketAddr, request: &[u8], limit: Duration) -> Result<Instant> {
    let deadline = Instant::now() + limit;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(TRIES);
    let mut tries: HashMap<usize, TcpStream> = HashMap::new();
    let mut next: usize = 0;
    let mut asked: Option<(usize, Instant)> = None;
    let mut due = Instant::now();
    while Instant::now() < deadline {
        let now = Instant::now();
        if asked.is_some_and(|(_, since)| now > since + SILENCE) {
            tries.clear();
            asked = None;
        }
        if asked.is_none() && now >= due {
            due = now + INTERVAL;
            tries.remove(&next.wrapping_sub(TRIES));
            // Without a route yet, or with every port in use: the next try may do.
            if let Ok(mut stream) = TcpStream::connect(address) {
                let interest = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut stream, Token(next), interest)?;
                tries.insert(next, stream);
                next += 1;
            }
        }
        let timeout = due.saturating_duration_since(Instant::now()).max(Duration::from_micros(200));
        poll.poll(&mut events, Some(timeout))?;
        for event in &events {
            let token = event.token().0;
            let Some(stream) = tries.get_mut(&token) else { continue };
            if asked.is_some_and(|(asked, _)| asked == token) {
                match stream.read(&mut [0; 1]) {
                    Ok(1) => return Ok(Instant::now()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    // Closed without an answer: knock again.
                    _ => {
                        tries.remove(&token);
                        asked = None;
                    }
                }
            } else if stream.take_error()?.is_some() || event.is_error() {
                tries.remove(&token);
            } else if asked.is_none() && stream.peer_addr().is_ok() && stream.write(request).is_ok()
            {
                asked = Some((token, Instant::now()));
            }
        }
    }
    bail!("no answer from {address} within {limit:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn a_server_that_comes_late_is_found_and_one_that_closes_is_asked_again() {
        // Nobody else takes the port that is given back.
        crate::namespace::enter().unwrap();
        let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = reserved.local_addr().unwrap();
        drop(reserved);
        let server = thread::spawn(move || {
            // The client is refused meanwhile.
            thread::sleep(Duration::from_millis(50));
            let listener = TcpListener::bind(address).unwrap();
            let opened = Instant::now();
            let mut closed = 0;
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4];
                if stream.read_exact(&mut request).is_err() {
                    continue;
                }
                assert_eq!(&request, b"ping");
                if closed < 2 {
                    closed += 1;
                    continue;
                }
                stream.write_all(b"pong").unwrap();
                return opened;
            }
            unreachable!()
        });
        let answered = wait(address, b"ping", Duration::from_secs(20)).unwrap();
        assert!(answered > server.join().unwrap());
    }

    #[test]
    fn nobody_there_is_an_error_in_time() {
        // Nobody else takes the port that is given back.
        crate::namespace::enter().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(wait(address, b"ping", Duration::from_millis(100)).is_err());
    }
}
