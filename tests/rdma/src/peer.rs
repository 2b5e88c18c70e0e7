//! One connection: what its client asks for.

use crate::message::{ORDER, Operation, Order, SHOW, WINDOW, shown};
use reflex::rdma::{
    Access, Completion, Connection, Kind, MemoryRegion, QueuePair, ReceiveRequest, SendRequest,
    SharedReceiveQueue,
};
use reflex::{Error, Lent};

/// What a send was for, in its `id`: its completion says what is next.
const ANSWER: u64 = 1;
const OBEY: u64 = 2;
const OBEY_ATOMIC: u64 = 3;
/// And that its memory is the shared receive queue's.
pub(crate) const SHARED: u64 = 1 << 8;

pub(crate) struct Peer {
    pub(crate) connection: Connection,
    pub(crate) pair: QueuePair,
    /// Receives that are to be posted later, and when: milliseconds after it is connected.
    pub(crate) held: u8,
    pub(crate) hold: u32,
    pub(crate) shared: bool,
    pub(crate) window: Option<MemoryRegion>,
}

/// Memory that all connections have in common.
pub(crate) struct Common {
    pub(crate) region: MemoryRegion,
    pub(crate) receives: SharedReceiveQueue,
}

impl Peer {
    /// Work of this connection's has succeeded.
    pub(crate) fn completed(
        &mut self,
        common: &Common,
        completion: &mut Completion,
    ) -> Result<(), Error> {
        let Some(mut bytes) = completion.take_bytes() else { return Ok(()) };
        match (completion.kind, completion.id & !SHARED) {
            (Kind::Receive, _) => match completion.immediate() {
                Some(SHOW) => {
                    let send =
                        self.answer().slice(common.region.slice(shown(&bytes).unwrap_or(0..0))?);
                    self.post(send.prefix(bytes, 0).immediate(SHOW))
                }
                Some(WINDOW) => {
                    let window = common.region.again(Access::REMOTE_READ | Access::REMOTE_WRITE)?;
                    bytes[..4].copy_from_slice(&window.key().0.to_be_bytes());
                    self.window = Some(window);
                    self.post(self.answer().prefix(bytes, 4).immediate(WINDOW))
                }
                Some(ORDER) => self.obey(common, bytes),
                immediate => {
                    let send = self.answer().prefix(bytes, completion.length);
                    self.post(match immediate {
                        Some(immediate) => send.immediate(immediate),
                        None => send,
                    })
                }
            },
            (Kind::ReceiveWrite, _) => {
                let send = self.answer().prefix(bytes, 0);
                self.post(send.immediate(completion.immediate().unwrap_or_default()))
            }
            (_, OBEY | OBEY_ATOMIC) => {
                let number = bytes.first_chunk_mut().ok_or("a receive is too short")?;
                if completion.id & !SHARED == OBEY_ATOMIC {
                    *number = u64::from_ne_bytes(*number).to_be_bytes();
                }
                self.post(self.answer().prefix(bytes, 8).immediate(ORDER))
            }
            _ if self.shared => {
                Ok(common.receives.post_receive(ReceiveRequest::bytes(bytes).id(SHARED))?)
            }
            _ => Ok(self.pair.post_receive(ReceiveRequest::bytes(bytes))?),
        }
    }

    fn mark(&self) -> u64 {
        if self.shared { SHARED } else { 0 }
    }

    fn answer(&self) -> SendRequest {
        SendRequest::message().id(ANSWER | self.mark())
    }

    fn post(&self, send: SendRequest) -> Result<(), Error> {
        Ok(self.pair.post_send(send)?)
    }

    fn obey(&self, common: &Common, mut bytes: Lent<[u8]>) -> Result<(), Error> {
        let order = Order::parse(&bytes).ok_or("an order makes no sense")?;
        let Order { key, address, immediate, compare, swap, .. } = order;
        let send = match order.operation {
            Operation::Send => SendRequest::message(),
            Operation::SendImmediate => SendRequest::message().immediate(immediate),
            Operation::SendInvalidate => SendRequest::message().invalidate(key),
            Operation::Write => SendRequest::write(address, key),
            Operation::WriteImmediate => SendRequest::write(address, key).immediate(immediate),
            Operation::Read => SendRequest::read(address, key),
            Operation::CompareSwap => SendRequest::compare_swap(address, key, compare, swap),
            Operation::FetchAdd => SendRequest::fetch_add(address, key, compare),
        };
        bytes[..8].fill(0);
        let atomic = matches!(order.operation, Operation::CompareSwap | Operation::FetchAdd);
        let send = if atomic {
            send.prefix(bytes, 8).id(OBEY_ATOMIC | self.mark())
        } else {
            let range = order.offset..order.offset + order.length;
            send.slice(common.region.slice(range)?).prefix(bytes, 0).id(OBEY | self.mark())
        };
        self.post(send)
    }
}
