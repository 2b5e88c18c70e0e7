//! What an endpoint's handler is told.

use crate::Tags;
use crate::record::Malformed;
use core::fmt;

/// A socket's name: of one that sends, of a connection that was accepted, of a subscription to a publisher, of a
/// subscriber. It can be kept and copied anywhere; no other has the same before 65,536 have had its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Socket {
    pub(crate) slot: u16,
    pub(crate) generation: u16,
}

impl Socket {
    /// Its place: below the endpoint's number of links, and no other present socket's. Made for indexing a table of
    /// the application's own.
    pub fn place(self) -> usize {
        usize::from(self.slot)
    }
}

/// What a socket is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// It was connected to a listening port, to which it sends.
    Sends,
    /// It was accepted at a listening port, and receives.
    Receives,
    /// It was connected to a publisher, and receives what it asks for.
    Subscribes,
    /// It was accepted by a publisher: a subscriber.
    Subscriber,
}

/// Why a connection did not come about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// Nobody listens there, or the peer has no place for another.
    Refused,
    /// The peer does not answer, or cannot be reached.
    Unanswered,
    /// The peer speaks another version.
    Version,
    /// What listens there is of another kind.
    Kind,
    /// What the peer says makes no sense.
    Malformed(Malformed),
    /// There was no memory for it here.
    OutOfMemory,
    /// There is no place for it here, or no address to connect from.
    NoPlace,
}

/// Why a connection that stood is down.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Down {
    /// Either side has closed it, and all that was sent has arrived.
    Closed,
    /// It failed: the peer is gone, or did not answer.
    Failed,
    /// The peer gave no sign of life.
    Silent,
    /// What the peer sent makes no sense.
    Malformed(Malformed),
    /// The peer asked more at a time than it may.
    Flood,
    /// The subscriber was too slow for a publisher that is not to wait.
    Slow,
}

/// Something has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// A connection stands. It can be sent to.
    Up {
        /// Which.
        socket: Socket,
        /// What it is.
        role: Role,
    },
    /// A connection that was asked for here did not come about. It is tried again, until the socket is closed.
    Refused {
        /// Which.
        socket: Socket,
        /// Why.
        why: Refusal,
    },
    /// A connection is down. One that was asked for here is tried again, unless the socket has been closed.
    Down {
        /// Which.
        socket: Socket,
        /// Why.
        why: Down,
        /// Buffered messages that had been taken and were not handed to TCP, or not acknowledged by RDMA.
        lost: u32,
    },
    /// A message has come. Its page is posted again when its last message has been handled.
    Message {
        /// Where.
        socket: Socket,
        /// Its tag.
        tag: u64,
        /// What it says.
        bytes: &'a [u8],
    },
    /// A page is free again after something was refused with `Again` for the want of one.
    Room {
        /// Where.
        socket: Socket,
    },
    /// The memory of an unbuffered message can be changed again: it has been sent to everybody, or will not be.
    Sent {
        /// The message, as it was named when it was sent.
        id: u64,
        /// Links that it was sent by, and did not fail on.
        delivered: u16,
        /// Links that went down before it was sent by them.
        lost: u16,
    },
    /// A publisher sends us, or a subscriber is sent, these from now on.
    Subscribed {
        /// The publisher, or the subscriber.
        socket: Socket,
        /// What was asked for.
        tags: Tags,
    },
    /// A publisher refuses these: it does not offer them, or has no room for more subscriptions.
    Declined {
        /// The publisher.
        socket: Socket,
        /// What was asked for.
        tags: Tags,
    },
    /// No more of these. Nothing is said of those of a connection that is down.
    Unsubscribed {
        /// The publisher, or the subscriber.
        socket: Socket,
        /// What had been asked for.
        tags: Tags,
    },
    /// From now on messages for this subscriber are dropped, as it is too slow.
    Slow {
        /// The subscriber.
        socket: Socket,
    },
    /// The subscriber is sent messages again.
    CaughtUp {
        /// The subscriber.
        socket: Socket,
        /// Messages that it was not sent.
        dropped: u64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the peer refused",
            Self::Unanswered => "the peer does not answer",
            Self::Version => "the peer speaks another version",
            Self::Kind => "what listens there is of another kind",
            Self::Malformed(what) => return what.fmt(f),
            Self::OutOfMemory => "there is no memory for it",
            Self::NoPlace => "there is no place or no address for it",
        })
    }
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "it was closed",
            Self::Failed => "it failed",
            Self::Silent => "the peer gave no sign of life",
            Self::Malformed(what) => return what.fmt(f),
            Self::Flood => "the peer asked more at a time than it may",
            Self::Slow => "the subscriber was too slow",
        })
    }
}
