//! Queue pairs and small messages, as most conversations have them.

use crate::desk::Desk;
use alloc::vec::Vec;
use reflex::Error;
use reflex::rdma::{Access, Qpn, QueuePair, ReceiveRequest, SendRequest, Transport};

impl Desk {
    /// A reliable queue pair with so many sends and receives in flight.
    ///
    /// # Errors
    /// Those of [`QueuePairBuilder::build`](reflex::rdma::QueuePair).
    pub fn pair(&self, (sends, receives): (u32, u32), access: Access) -> Result<QueuePair, Error> {
        let pair = self.domain.queue_pair(Transport::Reliable, &self.queue, &self.queue);
        Ok(pair.depth(sends, receives).access(access).build()?)
    }

    /// Posts so many receives of `size` bytes each.
    ///
    /// # Errors
    /// When there is no memory or no place for one.
    pub fn receive(&self, pair: &QueuePair, count: usize, size: usize) -> Result<(), Error> {
        for _ in 0..count {
            pair.post_receive(ReceiveRequest::bytes(self.domain.bytes(size)?))?;
        }
        Ok(())
    }

    /// Sends a message. Only its failure is told.
    ///
    /// # Errors
    /// When there is no memory or no place for it.
    pub fn send(&self, pair: &QueuePair, bytes: &[u8]) -> Result<(), Error> {
        let mut message = self.domain.bytes(bytes.len())?;
        message.copy_from_slice(bytes);
        Ok(pair.post_send(SendRequest::message().bytes(message).unsignalled())?)
    }

    /// Posts a message of so many bytes.
    ///
    /// # Errors
    /// When there is no memory or no place for it.
    pub fn post(&self, pair: &QueuePair, size: usize) -> Result<(), Error> {
        Ok(pair.post_send(SendRequest::message().bytes(self.domain.bytes(size)?))?)
    }

    /// The next message of a queue pair. Its memory is posted again.
    ///
    /// # Errors
    /// As [`done`](Self::done).
    pub async fn heard(&self, pair: &QueuePair) -> Result<Vec<u8>, Error> {
        let done = self.message(pair.number()).await?;
        let memory = done.bytes.ok_or("a receive has no memory")?;
        let heard = memory[..done.length.min(memory.len())].to_vec();
        pair.post_receive(ReceiveRequest::bytes(memory))?;
        Ok(heard)
    }

    /// Waits until so many completions of a queue pair's sends, and of its receives, have come.
    ///
    /// # Errors
    /// As [`done`](Self::done).
    pub async fn settle(&self, pair: Qpn, sends: usize, receives: usize) -> Result<(), Error> {
        let mut left = [sends, receives];
        while left != [0, 0] {
            let done = self.done_of(pair).await?;
            let left = &mut left[usize::from(done.is_receive())];
            *left = left.checked_sub(1).ok_or("more is done than was asked for")?;
        }
        Ok(())
    }
}
