//! A load generator: many connections, on each of which one question is under way at a time.
//!
//! One thread with an edge-triggered poll. What there is to read is read until there is nothing left, so that
//! whatever comes later is a new edge.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{Measured, Progress, percentile};

/// Connections opened at a time, well under any accept backlog.
const OPENING: usize = 64;
const OPENING_LIMIT: Duration = Duration::from_secs(30);

/// What is asked, and what is a right answer.
pub(crate) trait Dialogue {
    /// Each question has a connection of its own, which the peer closes behind its answer.
    const ONCE: bool;

    /// Appends question number `round` of a connection.
    fn ask(&self, connection: usize, round: u64, question: &mut Vec<u8>);

    /// What the bytes are that have come in answer to it.
    fn judge(&self, connection: usize, round: u64, answer: &[u8]) -> Answer;
}

/// What received bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// The first part of an answer.
    Part,
    /// The answer.
    Whole,
    /// No answer to that question.
    Wrong,
}

struct Connection {
    stream: TcpStream,
    state: State,
    /// Questions answered.
    answered: u64,
    question: Vec<u8>,
    answer: Vec<u8>,
    /// When the question was asked; with one a connection, when that was begun.
    sent: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Opening,
    Open,
    Failed,
}

pub(crate) struct Client<D> {
    dialogue: D,
    address: SocketAddr,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    latencies_us: Vec<u32>,
    /// Answers that were wrong or did not come, beside connections that failed for good.
    failures: u64,
}

impl<D: Dialogue> Client<D> {
    pub(crate) fn new(dialogue: D, address: SocketAddr) -> Result<Self> {
        Ok(Self {
            dialogue,
            address,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            connections: Vec::new(),
            latencies_us: Vec::new(),
            failures: 0,
        })
    }

    pub(crate) fn open(&mut self, wanted: usize) -> Result<()> {
        let deadline = Instant::now() + OPENING_LIMIT;
        loop {
            let opening = self.connections.iter().filter(|c| c.state == State::Opening).count();
            if self.connections.len() == wanted && opening == 0 {
                return Ok(());
            }
            let more = (wanted - self.connections.len()).min(OPENING - opening);
            for _ in 0..more {
                let index = self.connections.len();
                let stream = self.start(index)?;
                self.connections.push(Connection {
                    stream,
                    state: State::Opening,
                    answered: 0,
                    question: Vec::new(),
                    answer: Vec::new(),
                    sent: Instant::now(),
                });
            }
            if Instant::now() >= deadline {
                bail!("{opening} of {wanted} connections did not open in {OPENING_LIMIT:?}");
            }
            self.poll.poll(&mut self.events, Some(Duration::from_millis(100)))?;
            for event in &self.events {
                let connection = &mut self.connections[event.token().0];
                if event.is_writable() {
                    connection.look_whether_open()?;
                }
            }
        }
    }

    fn start(&self, index: usize) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address).context("a socket for the client")?;
        // On a connecting socket this can only fail for want of a socket at all.
        stream.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(index), interest)?;
        Ok(stream)
    }

    /// Asks and hears answers until it is enough.
    pub(crate) fn exchange(&mut self, enough: impl Fn(&Self) -> bool) -> Result<Measured> {
        let start = Instant::now();
        for (index, connection) in self.connections.iter_mut().enumerate() {
            if !D::ONCE {
                // From here on only answers matter.
                let registry = self.poll.registry();
                registry.reregister(&mut connection.stream, Token(index), Interest::READABLE)?;
            }
            connection.ask(&self.dialogue, index);
        }
        while !enough(self) {
            self.poll.poll(&mut self.events, Some(Duration::from_millis(10)))?;
            let mut over = Vec::new();
            for event in &self.events {
                let index = event.token().0;
                let connection = &mut self.connections[index];
                if D::ONCE && connection.state == State::Opening && event.is_writable() {
                    connection.look_whether_open()?;
                    connection.ask(&self.dialogue, index);
                }
                if let Some(latency) = connection.receive(&self.dialogue, index) {
                    self.latencies_us.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
                    over.push(index);
                } else if D::ONCE && connection.state == State::Failed {
                    self.failures += 1;
                    over.push(index);
                }
            }
            for index in over {
                self.go_on(index)?;
            }
        }
        self.report(start.elapsed())
    }

    /// The next question, after an answer.
    fn go_on(&mut self, index: usize) -> Result<()> {
        if D::ONCE {
            let stream = self.start(index)?;
            let connection = &mut self.connections[index];
            // The one before is closed.
            connection.stream = stream;
            connection.state = State::Opening;
            connection.answer.clear();
            connection.sent = Instant::now();
        } else {
            self.connections[index].ask(&self.dialogue, index);
        }
        Ok(())
    }

    /// How far it has come.
    pub(crate) fn progress(&self) -> Progress {
        let all = || self.connections.iter();
        Progress {
            answers: all().map(|one| one.answered).collect(),
            failed: all().filter(|one| one.state == State::Failed).count(),
        }
    }

    fn report(&mut self, elapsed: Duration) -> Result<Measured> {
        self.latencies_us.sort_unstable();
        let failed = |c: &&Connection| c.state == State::Failed || c.answered == 0;
        let failures = self.failures + self.connections.iter().filter(failed).count() as u64;
        let (Some(median), Some(percentile_99)) =
            (percentile(&self.latencies_us, 50), percentile(&self.latencies_us, 99))
        else {
            bail!("nothing was answered on any of {} connections", self.connections.len());
        };
        Ok(Measured {
            per_second: self.latencies_us.len() as f64 / elapsed.as_secs_f64(),
            operations: self.latencies_us.len() as u64,
            failures,
            median_us: f64::from(median),
            mean_us: self.latencies_us.iter().map(|&us| f64::from(us)).sum::<f64>()
                / self.latencies_us.len() as f64,
            percentile_99_us: f64::from(percentile_99),
        })
    }
}

impl Connection {
    fn look_whether_open(&mut self) -> Result<()> {
        if self.state == State::Opening {
            let refused = self.stream.take_error()?.is_some();
            // Writable without a peer is a false alarm that mio allows.
            if refused || self.stream.peer_addr().is_ok() {
                self.state = if refused { State::Failed } else { State::Open };
            }
        }
        Ok(())
    }

    fn ask<D: Dialogue>(&mut self, dialogue: &D, index: usize) {
        if self.state != State::Open {
            return;
        }
        if !D::ONCE {
            self.sent = Instant::now();
        }
        self.question.clear();
        self.answer.clear();
        dialogue.ask(index, self.answered, &mut self.question);
        // The socket's buffer is empty whenever a question is due: it always takes one whole.
        if !matches!(self.stream.write(&self.question), Ok(count) if count == self.question.len()) {
            self.state = State::Failed;
        }
    }

    /// Takes what has come; a whole answer gives the time it took.
    fn receive<D: Dialogue>(&mut self, dialogue: &D, index: usize) -> Option<Duration> {
        if self.state != State::Open {
            return None;
        }
        let mut closed = false;
        let mut block = [0; 4096];
        loop {
            match self.stream.read(&mut block) {
                Ok(0) => closed = true,
                Ok(count) => {
                    self.answer.extend_from_slice(&block[..count]);
                    // A further read finds nothing, mostly; what comes later is a new edge.
                    if count == block.len() || D::ONCE {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.state = State::Failed,
            }
            break;
        }
        let answer = match self.answer.is_empty() {
            true => Answer::Part,
            false => dialogue.judge(index, self.answered, &self.answer),
        };
        let whole = match answer {
            Answer::Whole => !D::ONCE || closed,
            Answer::Part => false,
            Answer::Wrong => {
                self.state = State::Failed;
                false
            }
        };
        if closed && !(whole && D::ONCE) {
            self.state = State::Failed;
        }
        if !whole || self.state == State::Failed {
            return None;
        }
        self.answered += 1;
        Some(self.sent.elapsed())
    }
}
