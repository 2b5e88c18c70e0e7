//! The application of a script: it does what its lines say, and notes what it is told.

use super::numbers::{Side, stream};
use crate::common::SimConnection;
use reflex_net::{
    ConnectionError, Datagram, TcpService, TcpState, UdpService, UdpSocket, Undeliverable,
    Unreachable,
};
use reflex_testkit::{SimKernel, Trace};

/// Serves all connections and sockets of a script.
#[derive(Default)]
pub(super) struct Application {
    pub(super) told: Trace,
    pub(super) deaf: bool,
    pub(super) last: Option<SimConnection>,
    pub(super) state: Option<TcpState>,
    /// Bytes that have been received, and where the first wrong one was.
    pub(super) received: usize,
    pub(super) wrong: Option<usize>,
    /// Bytes that have been sent.
    sent: usize,
    /// Bytes that are still to be sent.
    due: usize,
}

impl Application {
    /// One that notes what it is told in `told`.
    pub(super) fn new(told: &Trace) -> Self {
        Self { told: told.clone(), ..Self::default() }
    }

    fn begin(&mut self, connection: &SimConnection, news: &str) {
        self.told.note(news);
        (self.received, self.sent, self.due) = (0, 0, 0);
        self.state = Some(TcpState::Established);
        self.last = Some(connection.clone());
        connection.watch_states().expect("it is open");
    }

    /// Reads up to so many bytes.
    pub(super) fn read(&mut self, connection: &SimConnection, most: usize) -> usize {
        let mut left = most;
        while left > 0 {
            let (begin, wrong) = (self.received, &mut self.wrong);
            let taken = connection.receive(|bytes| {
                let count = bytes.len().min(left);
                for (at, byte) in (begin..).zip(&bytes[..count]) {
                    if *byte != stream(Side::Peer, at as i64) {
                        wrong.get_or_insert(at);
                    }
                }
                count
            });
            match taken {
                Ok(count) if count > 0 => {
                    self.received += count;
                    left -= count;
                }
                _ => break,
            }
        }
        most - left
    }

    /// Has so many more bytes to send.
    pub(super) fn send(&mut self, connection: &SimConnection, count: usize) {
        self.due += count;
        self.push(connection);
    }

    fn push(&mut self, connection: &SimConnection) {
        if self.due > 0 {
            let bytes: Vec<u8> =
                (self.sent..self.sent + self.due).map(|at| stream(Side::Us, at as i64)).collect();
            let count = connection.send(&bytes).unwrap_or(0);
            self.sent += count;
            self.due -= count;
        }
    }
}

impl TcpService<SimKernel> for Application {
    fn accepted(&mut self, connection: &SimConnection) {
        self.begin(connection, "accepted");
    }

    fn connected(&mut self, connection: &SimConnection) {
        self.begin(connection, "connected");
    }

    fn state(&mut self, _: &SimConnection, state: TcpState) {
        self.state = Some(state);
    }

    fn received(&mut self, connection: &SimConnection) {
        self.told.note("received");
        if !self.deaf {
            self.read(connection, usize::MAX);
        }
    }

    fn sent(&mut self, connection: &SimConnection) {
        // Before a connection is established there is no room, which no script asked for.
        if self.due > 0 {
            self.told.note("sent");
        }
        self.push(connection);
    }

    fn closed(&mut self, _: &SimConnection) {
        self.told.note("closed");
    }

    fn failed(&mut self, _: &SimConnection, error: ConnectionError) {
        self.told.note(match error {
            ConnectionError::Refused => "refused",
            ConnectionError::Reset => "reset",
            ConnectionError::TimedOut => "timed-out",
            ConnectionError::AddressLost => "address-lost",
            ConnectionError::WriteOverflow => "write-overflow",
            ConnectionError::OutOfMemory => "out-of-memory",
            ConnectionError::Unreachable => "unreachable",
        });
    }

    fn ended(&mut self, _: &SimConnection) {
        self.told.note("ended");
    }
}

impl UdpService<SimKernel> for Application {
    fn datagram(&mut self, _: &UdpSocket<SimKernel>, datagram: Datagram<'_>) {
        self.told.note("datagram");
        let stream = (0..).map(|at| stream(Side::Peer, at));
        let wrong = datagram.payload.iter().zip(stream).position(|(byte, right)| *byte != right);
        self.received += datagram.payload.len();
        self.wrong = self.wrong.or(wrong);
    }

    fn undeliverable(&mut self, _: &UdpSocket<SimKernel>, what: Undeliverable) {
        self.told.note(match what.why {
            Unreachable::Port => "undeliverable:port",
            Unreachable::Host => "undeliverable:host",
            Unreachable::TooLong => "undeliverable:too-long",
            _ => "undeliverable",
        });
    }
}
