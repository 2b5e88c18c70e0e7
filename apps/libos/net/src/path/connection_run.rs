//! One connection's run in the stack's context.
//!
//! A run takes the endpoint out of the record, feeds the queued segments to the socket, sends
//! what the socket has to send, sets the timer, and puts the endpoint back together with what
//! the application is to be told. smoltcp runs outside all sections. Segments, the timer, the
//! application's wishes, a free transmit buffer and a neighbour's answer all come as
//! activations of the same event and are served by the same run.

use crate::path::run::{Run, WaitsFor};
use crate::path::stack::Stack;
use crate::path::work::BATCH;
use crate::table::waiter::Waiter;
use reflex_event::{EventId, Kernel};

/// What is left to do when a run is over.
pub(crate) struct RunEnd {
    /// Frames were sent, of which the device has not been told.
    pub(crate) sent: bool,
    /// To be activated, for another run.
    pub(crate) again: Option<EventId>,
    /// No other connection of the group is to run.
    pub(crate) last: bool,
    /// No application has been told of anything that it has not heard yet.
    pub(crate) quiet: bool,
}

impl<K: Kernel> Stack<K> {
    /// Runs connection `index`.
    pub(crate) fn segments(&mut self, index: u32) {
        if !self.engine.look_for_room() {
            return self.starve(Waiter::Connection(index));
        }
        let mut run = Run::default();
        if self.net.with(|shared| shared.begin(index, &mut run)) {
            let end = self.run_connection(&mut run);
            if end.sent {
                self.flush_later(run.priority, run.flush);
            }
            if let Some(event) = end.again {
                self.net.activate(event);
            }
        }
        self.settle_rest();
    }

    /// Works through a run that has begun, and ends it.
    pub(crate) fn run_connection(&mut self, run: &mut Run) -> RunEnd {
        run.begin(self);
        while let Some(frame) = run.first.take() {
            run.feed(self, Some(frame));
            if run.behind == 0 {
                break;
            }
            if run.work.fed == BATCH || self.engine.room == 0 {
                run.outcome.again = true;
                break;
            }
            run.behind -= 1;
            run.first = self.net.with(|shared| shared.pop(run.index));
        }
        self.end_run(run)
    }

    /// Ends a run that has been fed all that there is.
    pub(crate) fn end_run(&mut self, run: &mut Run) -> RunEnd {
        run.complete(self);
        if run.outcome.is_rare(run.phase) {
            let first_unresolved = self.net.with(|shared| shared.note_rare(run));
            if first_unresolved {
                self.retry_later();
            }
        }
        let starved = matches!(run.outcome.wait, Some(WaitsFor::Buffer));
        let forget = run.outcome.forget;
        let sent = core::mem::take(&mut self.engine.tally.sent);
        let after = self.net.with(|shared| {
            shared.counters.sent += sent;
            shared.finish(run)
        });
        if forget || after.told {
            let index = run.index;
            self.net
                .with(|shared| if forget { shared.forget(index) } else { shared.settle(index) });
            self.net.drop_dead();
        }
        if starved {
            self.when_available();
        }
        if let Some(event) = after.application {
            self.net.activate(event);
        }
        RunEnd { sent: sent > 0, again: after.stack, last: after.last, quiet: after.quiet }
    }
}
