//! How the machine's memory is shared out.

use reflex::{Error, Result};

/// Bytes of a connection's buffers: several commands, or most replies, in one go.
pub(crate) const RECEIVE_BUFFER: usize = 8 << 10;
pub(crate) const SEND_BUFFER: usize = 8 << 10;
/// Memory that a connection takes: its buffers, and what its socket and its session need.
const PER_CONNECTION: usize = RECEIVE_BUFFER + SEND_BUFFER + (3 << 10);
/// Bytes that event memory takes for each 32 that can be used.
const BOOKKEEPING: usize = 5;
/// Of a connection's memory, what lies in the store's event memory.
const SESSION: usize = 1 << 10;
/// The most connections at a time, unless the command line asks for more.
const USUAL_CONNECTIONS: usize = 1024;
/// Memory in which a deadline is kept for each KiB of the store's.
const PER_DEADLINE: usize = 1 << 10;

/// What there is room for.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Bytes of the store's event memory.
    pub(crate) memory: usize,
    /// Of these, what may be used before keys are evicted.
    pub(crate) limit: usize,
    /// Keys that are removed when their time is up; others are when they are asked for.
    pub(crate) deadlines: usize,
}

impl Plan {
    /// Shares out `available` bytes, as far as it is not said how.
    ///
    /// # Errors
    /// When what was asked for is not there.
    pub(crate) fn new(
        available: usize,
        limit: Option<usize>,
        connections: Option<usize>,
    ) -> Result<Self> {
        let affordable = (available / 8 / PER_CONNECTION).clamp(16, USUAL_CONNECTIONS);
        let connections = connections.unwrap_or(affordable);
        // The rest is for the network, the heap, and the administration.
        let left = (available - available / 4).saturating_sub(connections * PER_CONNECTION);
        // A pool is never full to the last byte, since blocks of several sizes leave gaps: a quarter stays free.
        let memory = match limit {
            Some(limit) => limit + limit / 3 + BOOKKEEPING * limit / 32 + connections * SESSION,
            None => left,
        };
        if memory > left {
            return Err(Error::Application("there is not as much memory as `maxmemory` says"));
        }
        let limit = limit.unwrap_or(memory / 3 * 2);
        Ok(Self { connections, memory, limit, deadlines: memory / PER_DEADLINE })
    }
}
