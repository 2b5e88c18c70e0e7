//! Why the engine's user was refused.

use core::fmt;

/// Why a call was refused. It then had no effect. What a *peer* does wrong is no error: it is a
/// [`Refusal`](crate::Refusal), counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Error {
    /// The queue has no free place: wait for completions.
    QueueFull,
    /// More segments than the queue was made for.
    TooManySegments,
    /// The message is longer than [`MAX_MESSAGE`](crate::MAX_MESSAGE), or a datagram longer than
    /// the path MTU.
    MessageTooLong,
    /// An atomic's original value takes exactly eight bytes.
    AtomicLength,
    /// The transport has no such operation.
    Unsupported,
    /// A datagram needs a destination, and nothing else may have one.
    Destination,
    /// The queue pair's state does not allow it.
    State,
    /// No such transition.
    Transition,
    /// The transition needs an attribute that was not given.
    AttributeMissing,
    /// The transition does not take an attribute that was given.
    AttributeRefused,
    /// An attribute has a value that is not possible.
    AttributeValue,
    /// The queue pair takes its receives from a shared queue.
    SharedReceives,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "the work queue is full",
            Self::TooManySegments => "the request has more segments than the queue was made for",
            Self::MessageTooLong => "the message is too long",
            Self::AtomicLength => "an atomic operation's buffer is not eight bytes long",
            Self::Unsupported => "the transport has no such operation",
            Self::Destination => "datagrams, and they alone, have a destination",
            Self::State => "the queue pair's state does not allow it",
            Self::Transition => "the queue pair has no such transition",
            Self::AttributeMissing => "the transition needs an attribute that is missing",
            Self::AttributeRefused => "the transition does not take one of the attributes",
            Self::AttributeValue => "an attribute's value is not possible",
            Self::SharedReceives => "the queue pair takes its receives from a shared queue",
        })
    }
}

impl core::error::Error for Error {}
