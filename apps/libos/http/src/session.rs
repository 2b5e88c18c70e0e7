//! One connection.
//!
//! ```text
//!            open                 body follows
//!             |                  +-------------> Body --+
//!             v    head complete |                      | body complete
//!   +------> Head ---------------+----------------------+
//!   |         |                                         v
//!   |         | refused, timed out                   (respond)
//!   |         +---------------------------------------> |
//!   |                                                   v
//!   |  all written, connection persists                 |
//!   +--------------------------------------- Response --+
//!                                               |
//!                                               | all written, connection closes
//!                                               v
//!                                            Lingering --- time over ---> Dead
//! ```
//!
//! A request for a route goes from `Head` to `Head`, or to `Lingering`, by an exchange of its own (`route/exchange.rs`).
//!
//! `input` moves along the upper half, `output` along the lower. A response that the send buffer
//! takes at once never rests in `Response`.

use crate::fields::Interim;
use crate::judge::Verdict;
use crate::limits::KEPT;
use crate::output::Output;
use crate::plan::{Persistence, Plan};
use crate::request::Reading;
use crate::response::CONTINUE;
use crate::routes::{Routes, SiteAlone};
use crate::server::{LargeHead, Rendered};
use crate::status::Status;
use crate::{HEAD_LIMIT, Server};

mod exchange;

/// What a session waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wants {
    /// Bytes from the peer.
    Input,
    /// Room in the send buffer.
    Room,
    /// That the driver closes its sending side. The peer's bytes are still to be input (they are
    /// dropped), until the peer has closed too or the deadline has passed.
    Close,
    /// That the driver aborts the connection.
    Abort,
}

/// How the peer takes what it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reader {
    /// Enough of it in this period, or all.
    Steady,
    /// Not enough yet.
    Slow,
}

/// The answer when all rooms for large heads are taken.
const OVERLOADED: Plan = Plan::refusal(Status::ServiceUnavailable);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Head,
    Body { left: u64 },
    Response,
    Lingering,
    Dead,
}

/// The state of one connection, about 1.2 KB. Made once and used for one connection after
/// another.
pub struct Session<R: Routes = SiteAlone> {
    state: State,
    /// A request for a route. While there is one, it is what `input` and `output` go to.
    exchange: Option<R::Exchange>,
    /// There was one, and the driver has not been told of its end.
    exchange_ended: bool,
    /// How far its body was when the period began in which some of it has to come.
    arrived: u64,
    /// How many seconds of that period are left, while a handler has the word; otherwise none, and it ends at the
    /// deadline.
    patience: Option<u32>,
    /// The response after the body; while in `Body`.
    plan: Plan,
    /// What becomes of the connection after the response; while in `Response`.
    persistence: Persistence,
    /// The peer has sent its last byte.
    ended: bool,
    deadline: u32,
    /// How many bytes the peer had not taken when the period began in which it has to take some of
    /// them; 0 while there is no such period.
    owed: usize,
    /// In `Head`, how many bytes of the head are kept. Otherwise, how many of `kept` are unsent.
    filled: usize,
    /// How many bytes of `kept[..filled]` have been sent; while writing.
    sent: usize,
    /// What of the response's body is unsent.
    body: &'static [u8],
    /// Where the head is kept when `kept` is too small.
    large: Option<LargeHead>,
    /// In `Head`, the first part of the head; otherwise, the unsent rest of a response head.
    kept: [u8; KEPT],
}

impl<R: Routes> Default for Session<R> {
    fn default() -> Self {
        Self {
            state: State::Dead,
            exchange: None,
            exchange_ended: false,
            arrived: 0,
            patience: None,
            plan: Plan::refusal(Status::BadRequest),
            persistence: Persistence::Closed,
            ended: false,
            deadline: u32::MAX,
            owed: 0,
            filled: 0,
            sent: 0,
            body: b"",
            large: None,
            kept: [0; KEPT],
        }
    }
}

impl<R: Routes> Session<R> {
    /// A connection has been accepted.
    pub fn open(&mut self, server: &mut Server<R>) {
        self.reset(server);
        self.state = State::Head;
        self.deadline = server.after(server.limits().idle);
    }

    /// The server is [shutting down](Server::shut_down), and `idle` was its limit on silence. What has been silent
    /// for a second is overdue; a request that comes sooner may be under way, and is answered.
    pub fn shut_down(&mut self, idle: u32, server: &Server<R>) {
        if self.state == State::Head && self.filled == 0 && self.exchange.is_none() {
            self.deadline = self.deadline.saturating_sub(idle) + server.limits().idle;
        }
    }

    /// The connection is gone.
    pub fn reset(&mut self, server: &mut Server<R>) {
        self.forget_head(server);
        self.end_exchange();
        self.state = State::Dead;
        self.ended = false;
        self.deadline = u32::MAX;
        self.owed = 0;
        self.sent = 0;
        self.body = b"";
    }

    /// What it waits for.
    #[inline]
    pub fn wants(&self) -> Wants {
        if let Some(exchange) = &self.exchange {
            return self.exchange_wants(exchange);
        }
        match self.state {
            State::Head | State::Body { .. } if self.ended => Wants::Close,
            State::Head | State::Body { .. } if self.has_unsent() => Wants::Room,
            State::Head | State::Body { .. } => Wants::Input,
            State::Response => Wants::Room,
            State::Lingering => Wants::Close,
            State::Dead => Wants::Abort,
        }
    }

    /// The second of the server's uptime at which [`Session::expire`] is due.
    #[inline]
    pub fn deadline(&self) -> u32 {
        self.deadline
    }

    /// The peer will send nothing more. Everything it has sent is to be input first.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The deadline has passed. Of the bytes that were written, the peer has not taken `untaken`.
    ///
    /// A request that did not arrive in time is answered with 408; a connection that is silent is
    /// closed; one that the peer does not close in its turn is aborted. While the peer takes what
    /// was sent, at [the least rate](crate::Limits::progress) or faster, it gets more time; when it
    /// takes less, the connection is aborted.
    pub fn expire(&mut self, untaken: usize, server: &mut Server<R>, out: &mut impl Output) {
        if self.exchange.is_some() {
            return self.expire_exchange(server, out);
        }
        match self.state {
            // Room may have become free that nobody was told of.
            State::Response => {
                if self.flush(server, out) == Reader::Slow {
                    self.end_slow_reader(server);
                }
            }
            State::Head if self.filled == 0 && untaken == 0 => {
                server.counters.timed_out += u64::from(!server.is_shutting_down());
                self.state = State::Lingering;
                self.deadline = server.after(server.limits().linger);
            }
            State::Head if self.filled == 0 => self.await_reader(untaken, server),
            State::Lingering if untaken > 0 => self.await_reader(untaken, server),
            State::Head | State::Body { .. } if !self.has_unsent() => {
                server.counters.timed_out += 1;
                self.forget_head(server);
                self.respond(Plan::refusal(Status::RequestTimeout), server, out);
            }
            State::Body { .. } => self.end_slow_reader(server),
            _ => {
                server.counters.timed_out += 1;
                self.die();
            }
        }
    }

    /// All is written, but the peer has not taken the last `untaken` bytes.
    fn await_reader(&mut self, untaken: usize, server: &mut Server<R>) {
        // Before the first period there was no time in which it had to take anything.
        if self.owed == 0 {
            self.owed = untaken;
            self.deadline = server.after(server.limits().stall);
        } else if self.judge(untaken, server) == Reader::Slow {
            self.end_slow_reader(server);
        }
    }

    /// Whether the peer, which has not taken `left` bytes, has taken enough in this period; a new
    /// one then begins. Otherwise it has until the deadline.
    fn judge(&mut self, left: usize, server: &Server<R>) -> Reader {
        let limits = server.limits();
        if self.owed.saturating_sub(left) < limits.progress.max(1) {
            return Reader::Slow;
        }
        self.owed = left;
        self.deadline = server.after(limits.stall);
        Reader::Steady
    }

    /// The peer does not read.
    fn end_slow_reader(&mut self, server: &mut Server<R>) {
        server.counters.timed_out += 1;
        server.counters.too_slow += 1;
        self.die();
    }

    fn die(&mut self) {
        self.end_exchange();
        self.state = State::Dead;
        self.deadline = u32::MAX;
    }

    /// Takes received bytes, answers the requests among them, and says how many bytes it took.
    ///
    /// Fewer than all are taken when a response waits for room. The rest is to be input again.
    #[inline]
    pub fn input(&mut self, bytes: &[u8], server: &mut Server<R>, out: &mut impl Output) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            let step = match self.state {
                _ if self.exchange.is_some() => self.input_exchange(rest, server, out),
                State::Head if self.filled == 0 => self.input_head(rest, server, out),
                State::Head => self.input_rest_of_head(rest, server, out),
                State::Body { left } => self.input_body(left, rest, server, out),
                State::Response => 0,
                State::Lingering | State::Dead => rest.len(),
            };
            if step == 0 {
                break;
            }
            taken += step;
        }
        taken
    }

    /// Writes what is unsent, as far as there is room.
    #[inline]
    pub fn output(&mut self, server: &mut Server<R>, out: &mut impl Output) {
        match self.state {
            _ if self.exchange.is_some() => self.output_exchange(server, out),
            State::Response => {
                self.flush(server, out);
            }
            State::Body { .. } if self.has_unsent() => self.flush_kept(out),
            _ => {}
        }
    }

    /// The next bytes begin a head, or are an empty line before it, which is ignored (RFC 9112,
    /// section 2.2).
    #[inline]
    fn input_head(&mut self, rest: &[u8], server: &mut Server<R>, out: &mut impl Output) -> usize {
        match rest[0] {
            b'\r' if rest.starts_with(b"\r\n") => return 2,
            b'\n' => {
                self.refuse(Plan::refusal(Status::BadRequest), server, out);
                return rest.len();
            }
            _ => {}
        }
        match server.read(rest) {
            Reading::Complete(length, verdict) => {
                self.decide(verdict, server, out);
                length
            }
            Reading::Refused(plan) => {
                self.refuse(plan, server, out);
                rest.len()
            }
            Reading::Incomplete => self.keep(rest, server).unwrap_or_else(|| {
                self.refuse(OVERLOADED, server, out);
                rest.len()
            }),
        }
    }

    /// The next bytes continue a head of which the first part is kept.
    #[cold]
    fn input_rest_of_head(
        &mut self,
        rest: &[u8],
        server: &mut Server<R>,
        out: &mut impl Output,
    ) -> usize {
        let before = self.filled;
        let Some(added) = self.keep(rest, server) else {
            self.forget_head(server);
            self.refuse(OVERLOADED, server, out);
            return rest.len();
        };
        if before == 1 && self.kept[0] == b'\r' && rest[0] == b'\n' {
            // An empty line before a request, in two pieces.
            self.forget_head(server);
            return 1;
        }
        // Each line is looked at when it is complete, so that a head sent byte by byte costs no
        // more than its number of lines times its length.
        if self.filled < HEAD_LIMIT && !rest[..added].contains(&b'\n') {
            return added;
        }
        let head = match &self.large {
            Some(large) => &large[..self.filled],
            None => &self.kept[..self.filled],
        };
        match server.read(head) {
            Reading::Complete(length, verdict) => {
                self.forget_head(server);
                self.decide(verdict, server, out);
                length - before
            }
            Reading::Refused(plan) => {
                self.forget_head(server);
                self.refuse(plan, server, out);
                rest.len()
            }
            Reading::Incomplete => added,
        }
    }

    /// Keeps as much of `rest` as the longest head may have, and says how much that was; `None`
    /// when there is no room for a large head.
    #[cold]
    fn keep(&mut self, rest: &[u8], server: &mut Server<R>) -> Option<usize> {
        if self.filled == 0 {
            self.deadline = self.deadline.min(server.after(server.limits().head));
        }
        let end = (self.filled + rest.len()).min(HEAD_LIMIT);
        if end > KEPT && self.large.is_none() {
            let mut large = server.borrow_large_head()?;
            large[..self.filled].copy_from_slice(&self.kept[..self.filled]);
            self.large = Some(large);
        }
        let added = end - self.filled;
        let room = match &mut self.large {
            Some(large) => &mut large[self.filled..end],
            None => &mut self.kept[self.filled..end],
        };
        room.copy_from_slice(&rest[..added]);
        self.filled = end;
        Some(added)
    }

    fn forget_head(&mut self, server: &mut Server<R>) {
        self.filled = 0;
        if let Some(large) = self.large.take() {
            server.return_large_head(large);
        }
    }

    /// A head is complete, and nothing of it is kept.
    #[inline]
    fn decide(
        &mut self,
        verdict: Verdict<R::Exchange>,
        server: &mut Server<R>,
        out: &mut impl Output,
    ) {
        let (plan, body, interim) = match verdict {
            Verdict::Planned { plan, body: 0, .. } => return self.respond(plan, server, out),
            Verdict::Planned { plan, body, interim } => (plan, body, interim),
            Verdict::Routed(exchange) => return self.begin_exchange(exchange, server, out),
        };
        self.state = State::Body { left: body };
        self.plan = plan;
        self.deadline = server.after(server.limits().body);
        if interim == Interim::Due {
            self.kept[..CONTINUE.len()].copy_from_slice(CONTINUE);
            (self.sent, self.filled) = (0, CONTINUE.len());
            self.flush_kept(out);
        }
    }

    /// A body of which `left` bytes are to come is dropped.
    fn input_body(
        &mut self,
        left: u64,
        rest: &[u8],
        server: &mut Server<R>,
        out: &mut impl Output,
    ) -> usize {
        if self.has_unsent() {
            return 0;
        }
        let step = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        let left = left - step as u64;
        self.state = State::Body { left };
        if left == 0 {
            self.respond(self.plan, server, out);
        }
        step
    }

    #[cold]
    fn refuse(&mut self, plan: Plan, server: &mut Server<R>, out: &mut impl Output) {
        server.counters.refused += 1;
        self.respond(plan, server, out);
    }

    /// Writes a response, and keeps what there is no room for.
    #[inline]
    fn respond(&mut self, plan: Plan, server: &mut Server<R>, out: &mut impl Output) {
        let Rendered { bytes, head, body } = server.render(&plan);
        let written = out.write(bytes);
        self.persistence = plan.persistence;
        if written == bytes.len() && bytes.len() - head == body.len() {
            self.finish(server);
            return;
        }
        match bytes[..head].get(written..) {
            Some(unsent) if !unsent.is_empty() => {
                // The next tick changes the rendered head, so the rest of this one is kept.
                self.kept[..unsent.len()].copy_from_slice(unsent);
                (self.sent, self.filled) = (0, unsent.len());
                self.body = body;
            }
            _ => self.body = &body[written - head..],
        }
        self.state = State::Response;
        self.owed = self.unsent();
        self.deadline = server.after(server.limits().stall);
        self.flush(server, out);
    }

    /// Writes what is unsent of a response. The send buffer is full as long as something is, so
    /// that there is room for as much as the peer has taken.
    fn flush(&mut self, server: &mut Server<R>, out: &mut impl Output) -> Reader {
        if self.filled > 0 {
            self.flush_kept(out);
        }
        while self.filled == 0 && !self.body.is_empty() {
            let written = out.write(self.body);
            if written == 0 {
                break;
            }
            self.body = &self.body[written..];
        }
        match self.unsent() {
            0 => {
                self.finish(server);
                Reader::Steady
            }
            left => self.judge(left, server),
        }
    }

    /// How many bytes of the response are unsent.
    fn unsent(&self) -> usize {
        self.filled - self.sent + self.body.len()
    }

    /// Writes what is unsent of `kept`.
    fn flush_kept(&mut self, out: &mut impl Output) {
        self.sent += out.write(&self.kept[self.sent..self.filled]);
        if self.sent == self.filled {
            (self.sent, self.filled) = (0, 0);
        }
    }

    /// Whether something of `kept` is unsent. In `Head`, what is kept is not for sending.
    fn has_unsent(&self) -> bool {
        self.state != State::Head && self.filled > 0
    }

    /// A response has been written.
    #[inline]
    fn finish(&mut self, server: &Server<R>) {
        self.owed = 0;
        if self.persistence == Persistence::Closed {
            self.state = State::Lingering;
            self.deadline = server.after(server.limits().linger);
        } else {
            self.state = State::Head;
            self.deadline = server.after(server.limits().idle);
        }
    }
}
