//! One queue pair's part: a message goes out when the one before is done, and has been answered.

use crate::announcement::Announcement;
use crate::options::Options;
use alloc::collections::VecDeque;
use reflex::rdma::{
    Completion, Kind, Peer, Psn, QKey, QueuePair, ReceiveRequest, SendRequest, SharedReceiveQueue,
    Transport,
};
use reflex::{Error, Lent, log};

/// What datagrams have to have, as `ibv_ud_pingpong` has it.
pub(crate) const KEY: QKey = QKey(0x1111_1111);

const MISMATCH: &str = "a message has another size";

/// A queue pair, and its message.
pub(crate) struct Rally {
    pub(crate) pair: QueuePair,
    /// The number that its packets begin with.
    pub(crate) psn: Psn,
    /// Where datagrams go.
    peer: Option<Announcement>,
    /// What is sent next. It is away from when it is posted until that is done.
    message: Option<Lent<[u8]>>,
    /// What came, until it is answered.
    answers: VecDeque<Lent<[u8]>>,
    /// A message had another size. It is answered all the same: the answer fails on the other side, which else
    /// would wait for ever.
    mismatched: bool,
    /// Messages posted.
    posted: u64,
}

impl Rally {
    pub(crate) fn new(pair: QueuePair, psn: Psn, mut message: Lent<[u8]>) -> Self {
        message.iter_mut().zip((0_u8..=250).cycle()).for_each(|(byte, at)| *byte = at);
        let answers = VecDeque::with_capacity(2);
        Self {
            pair,
            psn,
            peer: None,
            message: Some(message),
            answers,
            mismatched: false,
            posted: 0,
        }
    }

    /// Takes up work with its other side.
    pub(crate) fn meet(&mut self, peer: Announcement, options: &Options) -> Result<(), Error> {
        self.peer = Some(peer);
        if options.transport == Transport::Datagram {
            return Ok(());
        }
        let Announcement { queue_pair, psn, gid } = peer;
        Ok(self.pair.establish(Peer {
            address: gid.to_ip(),
            queue_pair,
            receive_psn: psn,
            send_psn: self.psn,
            mtu: options.mtu,
            timeout: options.timeout,
            retries: 7,
            rnr_retries: 7,
            reads: 1,
        })?)
    }

    /// Sends the message.
    pub(crate) fn serve(&mut self, options: &Options) -> Result<(), Error> {
        let Some(mut message) = self.message.take() else { return Ok(()) };
        if options.server.is_some() && options.sharing.is_none() {
            // No two messages are the same, but where Linux answers with what came last.
            let number = self.posted.to_be_bytes();
            message.iter_mut().zip(number).for_each(|(byte, digit)| *byte = digit);
        }
        self.posted += 1;
        let mut send = SendRequest::message().bytes(message);
        if let (Transport::Datagram, Some(peer)) = (options.transport, self.peer) {
            send = send.to(peer.gid.to_ip(), peer.queue_pair, KEY);
        }
        Ok(self.pair.post_send(send)?)
    }

    /// Takes what has been done.
    pub(crate) fn completed(
        &mut self,
        completion: &mut Completion,
        options: &Options,
    ) -> Result<(), Error> {
        let bytes = completion.take_bytes().ok_or("a completion has no memory")?;
        if completion.kind == Kind::Send {
            self.message = Some(bytes);
            return if self.mismatched { Err(MISMATCH.into()) } else { Ok(()) };
        }
        if completion.length != options.size {
            if options.transport != Transport::Reliable {
                return Err(MISMATCH.into());
            }
            log::error!("{MISMATCH}: {} bytes, not {}", completion.length, options.size);
            self.mismatched = true;
        }
        self.answers.push_back(bytes);
        Ok(())
    }

    /// The message is here, and so is the other side's: looks at it, and posts its memory again. False
    /// when it is not yet so.
    pub(crate) fn turn(
        &mut self,
        options: &Options,
        shared: Option<&SharedReceiveQueue>,
    ) -> Result<bool, Error> {
        let Some(message) = &mut self.message else { return Ok(false) };
        let Some(answer) = self.answers.pop_front() else { return Ok(false) };
        let came = &answer[options.route()..];
        if self.mismatched {
            // What is sent does not matter.
        } else if options.server.is_none() {
            message.copy_from_slice(came);
        } else if **message != *came {
            return Err("what came back is not what was sent".into());
        }
        receive(&self.pair, shared, answer)?;
        Ok(true)
    }
}

/// Posts a receive, where the queue pair takes them from.
pub(crate) fn receive(
    pair: &QueuePair,
    shared: Option<&SharedReceiveQueue>,
    bytes: Lent<[u8]>,
) -> Result<(), Error> {
    let receive = ReceiveRequest::bytes(bytes);
    match shared {
        Some(queue) => queue.post_receive(receive)?,
        None => pair.post_receive(receive)?,
    }
    Ok(())
}
