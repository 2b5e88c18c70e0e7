//! What a connection is for an endpoint, whatever carries it.

use crate::Error;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::ops::Range;
use reflex_memory::{Exposed, Lent};
use reflex_rdma::Slice;

/// One connection of a place for links: each that comes about there has another epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LinkId {
    pub(crate) slot: u16,
    pub(crate) epoch: u32,
}

impl LinkId {
    pub(crate) fn into_word(self) -> u64 {
        u64::from(self.epoch) << 16 | u64::from(self.slot)
    }

    pub(crate) fn from_word(word: u64) -> Self {
        Self { slot: word as u16, epoch: (word >> 16) as u32 }
    }
}

/// Memory that an unbuffered message is sent from.
pub(crate) enum Source {
    /// A registered region's.
    Region(Slice),
    /// Memory that is copied from.
    Shared(Arc<Exposed>, Range<usize>),
}

/// Something to be sent, in one piece and in its turn.
pub(crate) enum Parcel {
    /// The first bytes of a page: whole records.
    Page { bytes: Lent<[u8]>, used: usize },
    /// A header, and a payload that lies elsewhere.
    Unbuffered { header: Lent<[u8]>, source: Source },
}

/// What has become of a parcel.
pub(crate) enum Posted {
    /// Its memory comes back when it has been sent.
    UnderWay,
    /// It has been sent.
    Done(Lent<[u8]>),
    /// There is no room for all of it now; the link remembers how far it came. The same one is to be posted when
    /// there is.
    Later(Parcel),
    /// The connection is over, or fails: its end is told.
    Over(Parcel),
}

/// A connection. It is used by one context at a time, and outside of sections.
pub(crate) trait Link: Send {
    /// Sends a parcel, behind those that were posted before.
    fn post(&mut self, parcel: Parcel) -> Posted;

    /// Ends it, once all parcels have been sent: its end is told.
    fn close(&mut self);

    /// Ends it now.
    fn abort(&mut self);
}

/// What carries connections.
pub(crate) trait Transport: Send + Sync {
    /// Begins to connect.
    fn dial(&self, link: LinkId, to: SocketAddr) -> Result<Box<dyn Link>, Error>;

    /// Takes what connections that are begun here will need.
    fn ready(&self) -> Result<(), Error>;

    /// Accepts what comes to a port.
    fn listen(&self, port: u16) -> Result<(), Error>;

    /// Accepts no more there.
    fn close(&self, port: u16);

    /// Readies memory that unbuffered messages are to be sent from.
    fn register(&self, bytes: Lent<[u8]>) -> Result<Arc<dyn Registered>, Error>;
}

/// Memory that unbuffered messages are sent from.
pub(crate) trait Registered: Send + Sync {
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Error>;
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error>;
    fn source(self: Arc<Self>, range: Range<usize>) -> Result<Source, Error>;
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page { used, .. } => write!(f, "Page({used})"),
            Self::Unbuffered { .. } => f.write_str("Unbuffered"),
        }
    }
}
