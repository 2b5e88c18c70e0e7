//! What has happened and no script has asked for yet. Each queue is bounded by what the script has under way: work
//! that it has posted, connections that it takes part in.

use crate::done::Done;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use reflex::net::Connection as TcpConnection;
use reflex::rdma::{Connection, ConnectionChange};

/// What has happened to a connection.
#[derive(Debug)]
pub struct Happened {
    /// Which.
    pub connection: Connection,
    /// What.
    pub what: ConnectionChange,
}

#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) done: VecDeque<Done>,
    pub(crate) happened: VecDeque<Happened>,
    /// TCP connections that have been accepted, or that stand.
    pub(crate) streams: VecDeque<TcpConnection>,
    /// TCP connections of which the peer says no more, by their places.
    pub(crate) over: Vec<usize>,
    /// What a peer is known to be there by.
    pub(crate) lifeline: Option<Lifeline>,
    /// Outgoing TCP connections that did not come about.
    pub(crate) refused: bool,
    /// Times that the alarm has rung.
    pub(crate) rings: u64,
    /// Times that peers have written to memory of a queue pair that tells.
    pub(crate) writes: u64,
}

/// What a peer is known to be there by.
pub(crate) enum Lifeline {
    /// A TCP connection, by its place.
    Stream(usize),
    /// An RDMA connection.
    Connection(Connection),
}

impl Inbox {
    /// Whether the peer is known to have gone.
    pub(crate) fn is_alone(&self) -> bool {
        match &self.lifeline {
            None => false,
            Some(Lifeline::Stream(slot)) => self.over.contains(slot),
            Some(Lifeline::Connection(connection)) => {
                let over = |it: &Happened| {
                    it.connection == *connection
                        && matches!(it.what, ConnectionChange::Disconnected)
                };
                self.happened.iter().any(over)
            }
        }
    }

    /// A TCP connection's place is another's from now on.
    pub(crate) fn renew(&mut self, connection: &TcpConnection) {
        self.over.retain(|slot| *slot != connection.slot());
        self.streams.push_back(connection.clone());
    }

    pub(crate) fn end(&mut self, connection: &TcpConnection) {
        if !self.over.contains(&connection.slot()) {
            self.over.push(connection.slot());
        }
    }
}
