//! A connection's patience with its peer, as `limits` has it.

use crate::ip::endpoint::Endpoint;
use crate::ip::tcp::limits::{Doubt, Patience, Standstill};
use crate::ip::time::smoltcp_duration;
use reflex_event::Instant;
use smoltcp::socket::tcp::State;

impl Endpoint {
    /// Sets how long the socket goes on without hearing from the peer, as its state asks for, which
    /// is returned.
    #[inline]
    pub(crate) fn be_patient(&mut self, patience: Patience) -> State {
        let doubt = self.doubt;
        let socket = self.socket();
        let state = socket.state();
        let limit = patience.silence(state, socket.send_queue() > 0, doubt);
        socket.set_timeout(limit.map(smoltcp_duration));
        state
    }

    /// Whether the connection has stood still for longer than its state allows. To be asked when its timer has
    /// gone off.
    #[cold]
    pub(crate) fn is_overdue(&mut self, patience: Patience, now: Instant) -> bool {
        let (acknowledged, expected, before) = (self.acknowledged, self.expected, self.standstill);
        let socket = self.socket();
        let what = (socket.state(), socket.send_queue() > 0);
        // What is under way may be sent again now.
        let worn = what.1 || what.0 == State::SynReceived || what.0 == State::SynSent;
        let place = (acknowledged, expected, socket.recv_queue());
        let looked = Standstill::look(before, patience, what, place, now);
        self.worn |= worn;
        let overdue = looked.is_err();
        self.standstill = looked.ok().flatten();
        overdue
    }

    /// The peer has been heard with something that only it can know.
    #[inline]
    pub(crate) fn trust(&mut self) {
        if self.doubt != Doubt::None {
            self.doubt = Doubt::None;
            let usual = self.keep_alive;
            self.socket().set_keep_alive(usual);
        }
    }
}
