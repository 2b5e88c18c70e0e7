//! Why a call was refused, and why a request failed.

use crate::Request;
use core::fmt;
use reflex_hil::BlockError;

/// Why a call was refused. It then had no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The device has not been started.
    NotStarted,
    /// Another context has the disk, or a part of it.
    InUse,
    /// The device has as many disks, or places for requests, as it can have.
    LimitReached,
    /// A disk has 1 to 1,024 places for requests.
    BadDepth,
    /// The sectors are not on the device.
    BadRange,
    /// All places of the disk are taken: the next completion tells of one.
    QueueFull,
    /// The disk has been closed, with its context or by being dropped.
    Closed,
    /// There is no such request under way any more.
    Gone,
    /// The heap has no memory for the disk's places.
    OutOfMemory,
    /// The disk cannot do what is asked for.
    Disk(BlockError),
    /// The event system refused.
    Event(reflex_event::Error),
}

impl Error {
    /// The reason, as a sentence, unless the event system has it.
    pub const fn reason(self) -> Option<&'static str> {
        Some(match self {
            Self::NotStarted => "the disk has not been started",
            Self::InUse => "another context has the disk or a part of it",
            Self::LimitReached => "the disk has no place for another",
            Self::BadDepth => "a disk has 1 to 1,024 places for requests",
            Self::BadRange => "the sectors are not on the disk",
            Self::QueueFull => "all places for requests of the disk are taken",
            Self::Closed => "the disk has been closed",
            Self::Gone => "the request is not under way any more",
            Self::OutOfMemory => "there is no memory for the disk's requests",
            Self::Disk(error) => error.reason(),
            Self::Event(_) => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(error) => error.fmt(f),
            _ => f.write_str(self.reason().unwrap_or_default()),
        }
    }
}

impl core::error::Error for Error {}

impl From<reflex_event::Error> for Error {
    fn from(error: reflex_event::Error) -> Self {
        Self::Event(error)
    }
}

impl From<BlockError> for Error {
    fn from(error: BlockError) -> Self {
        Self::Disk(error)
    }
}

/// A request that was refused, with its memory.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// The request, to be submitted later.
    pub request: Request,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl core::error::Error for Refused {}

/// Why a request failed that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The device failed it, or failed itself.
    Disk(BlockError),
    /// Its deadline has come. Whether it is done all the same is not known.
    TimedOut,
    /// It was cancelled. Whether it is done all the same is not known, if the device had it.
    Cancelled,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(error) => error.fmt(f),
            Self::TimedOut => f.write_str("the disk did not answer in time"),
            Self::Cancelled => f.write_str("the request was cancelled"),
        }
    }
}

impl core::error::Error for Failure {}
