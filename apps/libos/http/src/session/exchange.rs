//! A request for a route, as the connection has it: its deadlines, and what follows each of its turns.

use super::{Reader, Session, State, Wants};
use crate::Server;
use crate::output::Output;
use crate::route::Turn;
use crate::routes::Routes;

impl<R: Routes> Session<R> {
    pub(super) fn begin_exchange(
        &mut self,
        mut exchange: R::Exchange,
        server: &mut Server<R>,
        out: &mut impl Output,
    ) {
        self.owed = 0;
        self.state = State::Head;
        (self.arrived, self.patience) =
            (0, Some(server.after(server.limits().body) - server.now()));
        let turn = R::begin(&mut exchange);
        self.exchange = Some(exchange);
        self.follow(turn, server, out);
        // The client may wait to be told to send the body.
        self.output_exchange(server, out);
    }

    pub(super) fn exchange_wants(&self, exchange: &R::Exchange) -> Wants {
        match exchange {
            _ if R::has_unsent(exchange) => Wants::Room,
            // The rest of the body does not come any more.
            _ if self.ended && R::is_incomplete(exchange) => Wants::Close,
            _ => Wants::Input,
        }
    }

    pub(super) fn input_exchange(
        &mut self,
        bytes: &[u8],
        server: &mut Server<R>,
        out: &mut impl Output,
    ) -> usize {
        let Some(exchange) = &mut self.exchange else { return 0 };
        let (taken, turn) = server.routes.input(exchange, bytes);
        self.follow(turn, server, out);
        taken
    }

    pub(super) fn output_exchange(&mut self, server: &mut Server<R>, out: &mut impl Output) {
        let Some(exchange) = &mut self.exchange else { return };
        let turn = R::output(exchange, &mut server.desk(), out);
        self.follow(turn, server, out);
    }

    /// A handler has answered what it was [called](Self::take_call) with.
    pub fn answer(&mut self, answer: R::Answer, server: &mut Server<R>, out: &mut impl Output) {
        let Some(exchange) = &mut self.exchange else { return };
        let turn = R::answer(exchange, answer, &mut server.desk(), out);
        self.follow(turn, server, out);
    }

    /// What a handler is to be called with, if anything.
    pub fn take_call(&mut self) -> Option<R::Call> {
        self.exchange.as_mut().and_then(R::take_call)
    }

    /// The handler cannot be called.
    pub fn unavailable(&mut self, server: &mut Server<R>, out: &mut impl Output) {
        let Some(exchange) = &self.exchange else { return };
        let turn = R::unavailable(exchange);
        server.counters.unavailable += 1;
        self.follow(turn, server, out);
    }

    /// Whether a request for a route has come to its end since this was asked last: of no use any more is what a
    /// handler was called with for it.
    pub fn take_ended(&mut self) -> bool {
        core::mem::take(&mut self.exchange_ended)
    }

    pub(super) fn end_exchange(&mut self) {
        self.exchange_ended |= self.exchange.take().is_some();
    }

    pub(super) fn expire_exchange(&mut self, server: &mut Server<R>, out: &mut impl Output) {
        // Room may have become free that nobody was told of.
        let before = self.owed;
        self.output_exchange(server, out);
        let Some(exchange) = &self.exchange else { return };
        if R::has_unsent(exchange) {
            // A new period has begun when enough was taken.
            if before > 0 && self.owed == before {
                self.end_slow_reader(server);
            }
            return;
        }
        if self.deadline > server.now() {
            return;
        }
        let (arrived, limits) = (R::arrived(exchange), server.limits());
        if self.patience.is_none() && arrived - self.arrived >= limits.progress.max(1) as u64 {
            self.arrived = arrived;
            self.deadline = server.after(limits.body);
            return;
        }
        let turn = R::expire(exchange);
        server.counters.timed_out += 1;
        self.follow(turn, server, out);
    }

    /// Does what follows.
    fn follow(&mut self, turn: Turn, server: &mut Server<R>, out: &mut impl Output) {
        match turn {
            Turn::Wait => {}
            Turn::AwaitBody => {
                if let Some(seconds) = self.patience.take() {
                    self.deadline = server.now().saturating_add(seconds);
                }
            }
            Turn::AwaitReply => {
                self.owed = 0;
                let left = self.deadline.saturating_sub(server.now());
                self.patience.get_or_insert(left);
                self.deadline = server.after(server.limits().reply);
            }
            Turn::Send(left) if self.owed == 0 => {
                self.owed = left;
                self.deadline = server.after(server.limits().stall);
            }
            Turn::Send(left) => {
                // Too little is found out at the deadline.
                let _: Reader = self.judge(left, server);
            }
            Turn::Refuse(plan) => {
                self.end_exchange();
                self.respond(plan, server, out);
            }
            Turn::Finish(persistence) => {
                self.end_exchange();
                self.persistence = persistence;
                self.finish(server);
            }
            Turn::Abort => self.die(),
        }
    }
}
