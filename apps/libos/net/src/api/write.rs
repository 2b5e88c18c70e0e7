//! Writing more than fits, and coming to an end.
//!
//! What [`Connection::write`] is given goes to the socket as far as there is room, and to the connection's queue
//! for the rest; the stack's runs move it on. The queue has a bound. When more than half of it is full, a
//! connection that was accepted is *held*: nothing more that was received is told or handed out until the
//! queue is empty, so that a service which answers what it receives is slowed down to the pace at which its peer
//! reads. One that was opened from here is not: were both sides held, each would wait for the other.

use crate::api::connection::Connection;
use crate::ip::endpoint::Endpoint;
use crate::table::connection_record::{Ending, Phase, Record, WriteQueue, request};
use crate::table::outgoing::{Outgoing, PIECE};
use crate::types::error::Error;
use reflex_event::Kernel;
use reflex_memory::{Lent, Pool};

/// What became of bytes that were [written](Connection::write).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// All of them will be sent.
    Taken,
    /// All of them will be sent, and more than half of the queue is full: the service's `sent` is called when it
    /// is empty.
    Hold,
    /// None was taken: the connection is over, or its sending half is closed. It is also when the queue's bound
    /// was exceeded: then it is reset, and its service's `failed` is told.
    Refused,
}

/// Where bytes that are written go.
enum Way {
    /// So many to the socket, which is taken out for that; the rest to a place in the queue.
    Begun { endpoint: Option<Lent<Endpoint>>, direct: usize, place: Option<usize>, full: bool },
    /// A queue of that size is to be made first.
    NoQueue(&'static Pool, usize),
    /// They do not fit.
    Overflow,
}

impl<K: Kernel> Connection<K> {
    /// Sends all of `bytes`, in the order of the calls: at once as far as there is room to send, and from the
    /// connection's queue as room comes. Constant time, but for the bytes copied. Before an outgoing connection
    /// is established they wait for that.
    ///
    /// A service that writes in answer to what it receives of a connection that was accepted needs to look at
    /// nothing: while more than half of the queue is full, nothing more is told to it. One that writes of its
    /// own accord, or on a connection that it has opened, stops at [`Written::Hold`] until [`TcpService::sent`](crate::TcpService::sent). When more is written than the
    /// queue has room for, or than there is memory for, none of it is sent: the connection is reset, as a
    /// stream with a gap would be a lie, and fails with
    /// [`ConnectionError::WriteOverflow`](crate::ConnectionError::WriteOverflow).
    pub fn write(&self, bytes: &[u8]) -> Written {
        // Refused as every other call on what is over.
        self.net.kernel().guarded(|| self.write_all(bytes)).unwrap_or(Written::Refused)
    }

    fn write_all(&self, bytes: &[u8]) -> Result<Written, Error> {
        let way = match self.begin_write(bytes.len())? {
            Way::NoQueue(pool, size) => {
                if self.make_queue(pool, size).is_err() {
                    return self.overflow();
                }
                self.begin_write(bytes.len())?
            }
            way => way,
        };
        let Way::Begun { endpoint, direct, place, full } = way else { return self.overflow() };
        let (first, rest) = bytes.split_at(direct);
        if let Some(mut endpoint) = endpoint {
            // There was room for all of it, and it has been this call's alone since.
            let _ = endpoint.write(first);
            endpoint.queued |= !first.is_empty();
            self.put(endpoint, place.is_none(), false);
        }
        if let Some(place) = place {
            self.fill(place, rest)?;
        }
        Ok(if full { Written::Hold } else { Written::Taken })
    }

    /// Finds the way, and takes what it needs.
    fn begin_write(&self, length: usize) -> Result<Way, Error> {
        let generation = self.generation();
        let way = self.net.with(|shared| {
            let group = shared.live(self.index, generation)?.group;
            let group = &shared.groups[group as usize];
            let (pool, limit, accepts) = (group.pool, group.settings.queue, group.port.is_some());
            let record = &mut shared.records[self.index];
            let mut way = record.begin_write(length, (pool, limit))?;
            if let Way::Begun { full, .. } = &mut way {
                *full = record.queued() * 2 > limit;
                record.send_blocked |= *full;
                record.held |= *full && accepts;
            }
            Some(way)
        });
        way.ok_or(Error::Closed)
    }

    /// Makes the connection's queue. A cold path: it stays for those that follow in its place.
    #[cold]
    fn make_queue(&self, pool: &'static Pool, size: usize) -> Result<(), reflex_memory::Error> {
        let bytes = pool.bytes(size)?;
        let queue = pool.alloc(Outgoing::new(bytes)).map_err(|refused| refused.error)?;
        let mut queue = Some(queue);
        self.net.with(|shared| {
            // The place is there for good, whichever connection it has now.
            let place = &mut shared.records[self.index].outgoing;
            if place.is_none() {
                *place = queue.take();
            }
        });
        // Another handler may have come upon this one, and made it.
        drop(queue);
        Ok(())
    }

    /// Fills a place in the queue, and has the stack go on with it.
    fn fill(&self, place: usize, bytes: &[u8]) -> Result<(), Error> {
        for (number, piece) in bytes.chunks(PIECE).enumerate() {
            self.with_queue(|queue| queue.fill(place, number * PIECE, piece))?;
        }
        self.with_queue(Outgoing::complete)?;
        self.run();
        Ok(())
    }

    /// Works on the queue, which there is.
    fn with_queue(&self, work: impl FnOnce(&mut WriteQueue)) -> Result<(), Error> {
        // Without one it is another connection's record by now.
        self.with(|record| record.outgoing.as_deref_mut().map(work))?.ok_or(Error::Closed)
    }

    /// More was written than there is room for: the connection is reset.
    #[cold]
    fn overflow(&self) -> Result<Written, Error> {
        self.net.with(|shared| shared.counters.write_overflows += 1);
        self.request(request::ABORT | request::OVERFLOW);
        Ok(Written::Refused)
    }

    /// Bytes that [`write`](Self::write) would take.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn writable(&self) -> Result<usize, Error> {
        let limit = self.net.with(|shared| {
            let group = shared.live(self.index, self.generation())?.group;
            Some(shared.groups[group as usize].settings.queue)
        });
        let limit = limit.ok_or(Error::Closed)?;
        self.with(|record| limit.saturating_sub(record.queued()) + record.room())
    }

    /// Copies the oldest unread bytes to `block`, as many as there are and fit, and returns how many. As
    /// [`receive`](Self::receive), which spares the copy.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn read(&self, block: &mut [u8]) -> Result<usize, Error> {
        self.receive(|bytes| {
            let length = bytes.len().min(block.len());
            block[..length].copy_from_slice(&bytes[..length]);
            length
        })
    }

    /// Forgets what has been received and not been read; returns how many bytes that were.
    pub fn discard(&self) -> usize {
        // They lie in two parts at most.
        let part = || self.receive(<[u8]>::len).unwrap_or(0);
        part() + part()
    }

    /// Comes to an end: once all that was written has been sent, and what was received has been answered that
    /// waited for room to send, a FIN is sent, and nothing more can be written. What is written until then is
    /// sent, too. The peer may go on sending until it closes its side.
    ///
    /// What waits for room is what an [`exchange`](Self::exchange) or a [`send`](Self::send) has left over: it is
    /// told by [`TcpService::sent`](crate::TcpService::sent) before.
    pub fn finish(&self) {
        let finished = self.with(|record| {
            record.ending = record.ending.max(Ending::Wanted);
            record.finish()
        });
        if finished == Ok(true) {
            self.run();
        }
    }

    /// The service has been told all there was to tell: an end that was waiting for that may come.
    pub(crate) fn finish_told(&self) {
        if self.with(Record::finish) == Ok(true) {
            self.run();
        }
    }
}

impl Record {
    /// Takes what `length` bytes need; `None` when nothing can be written any more.
    fn begin_write(&mut self, length: usize, (pool, limit): (&'static Pool, usize)) -> Option<Way> {
        if self.told
            || self.ending == Ending::Closed
            || self.requests & request::ABORT != 0
            || !matches!(self.phase, Phase::Connecting | Phase::Open)
        {
            return None;
        }
        let direct = length.min(self.room());
        let rest = length - direct;
        let place = match &mut self.outgoing {
            _ if rest == 0 => None,
            _ if rest > limit => return Some(Way::Overflow),
            None => return Some(Way::NoQueue(pool, limit)),
            Some(queue) => match queue.reserve(rest) {
                Some(place) => Some(place),
                None => return Some(Way::Overflow),
            },
        };
        let endpoint = if direct > 0 { self.endpoint.take() } else { None };
        Some(Way::Begun { endpoint, direct, place, full: false })
    }
}
