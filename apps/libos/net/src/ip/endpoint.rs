//! A connection's socket, with what only its holder may touch.

use crate::ip::path_mtu::{Path, Repeats};
use crate::ip::tcp::lead::Lead;
use crate::ip::tcp::limits::{Doubt, Standstill};
use crate::ip::tcp::recovery::Recovery;
use crate::types::settings::ACK_DELAY;
use reflex_event::Instant;
use reflex_memory::{Lent, Pool};
use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp;

/// Where a connection's packets go next, as it was last looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop {
    pub(crate) mac: [u8; 6],
    /// The neighbour table's epoch at the time.
    pub(crate) epoch: u32,
    /// When to look again.
    pub(crate) until: Instant,
    /// What the way carries.
    pub(crate) path: Path,
}

impl Hop {
    pub(crate) const UNKNOWN: Self =
        Self { mac: [0; 6], epoch: 0, until: Instant::ZERO, path: Path::UNKNOWN };
}

/// A socket, alone in its set, and what only its holder may touch.
pub(crate) struct Endpoint {
    pub(crate) sockets: SocketSet<'static>,
    /// Bytes of the socket's buffers, which it takes longer to tell.
    pub(crate) receive_capacity: usize,
    pub(crate) send_capacity: usize,
    /// What went by the socket.
    pub(crate) lead: Lead,
    pub(crate) hop: Hop,
    /// What the connection's timer is set to, at the latest.
    pub(crate) armed: Option<Instant>,
    /// What the peer's next segment begins with (RCV.NXT, RFC 9293).
    pub(crate) expected: u32,
    /// The newest acknowledgement that the peer has sent (SND.UNA); before that, our SYN's number.
    pub(crate) acknowledged: u32,
    /// The peer's window, as its last segment has it.
    pub(crate) window: u16,
    /// The socket's congestion window may be less than an initial one: see `tcp/window.rs`.
    pub(crate) worn: bool,
    pub(crate) fin_received: bool,
    pub(crate) doubt: Doubt,
    /// Between two questions to an idle peer.
    pub(crate) keep_alive: Option<smoltcp::time::Duration>,
    /// A peer that gives no answer to the first of these is asked more often.
    pub(crate) insists: bool,
    /// How long it has been standing still.
    pub(crate) standstill: Option<Standstill>,
    /// The oldest long segment that is under way.
    pub(crate) repeats: Repeats,
    pub(crate) recovery: Recovery,
    /// The network said that the segment with this number did not arrive.
    pub(crate) unreachable: Option<u32>,
    /// Bytes have been received since the last segment was sent: their acknowledgement may be due yet.
    pub(crate) owes: bool,
    /// The application has queued bytes since the last run.
    pub(crate) queued: bool,
    /// `connect` has been called on the socket.
    pub(crate) started: bool,
    /// Something of this connection may outlive the socket's own reset: see `recycle`.
    pub(crate) needs_reset: bool,
    /// Code that never goes on may have left pointers to the received bytes: nothing is written over them,
    /// and the next connection has another endpoint.
    pub(crate) retired: bool,
}

impl Endpoint {
    /// A socket with its buffers and its set, all in `pool`.
    pub(crate) fn new(
        pool: &'static Pool,
        receive_buffer: usize,
        send_buffer: usize,
    ) -> Result<Lent<Self>, reflex_memory::Error> {
        let receive = pool.bytes(receive_buffer)?;
        let send = pool.bytes(send_buffer)?;
        let storage = pool.alloc([SocketStorage::EMPTY])?;
        // All of it stays for ever, together: the record is recycled, never freed.
        let mut endpoint = pool.alloc(Self {
            sockets: SocketSet::new(&mut [][..]),
            receive_capacity: receive_buffer,
            send_capacity: send_buffer,
            lead: Lead::NONE,
            hop: Hop::UNKNOWN,
            armed: None,
            expected: 0,
            acknowledged: 0,
            window: 0,
            worn: true,
            fin_received: false,
            doubt: Doubt::None,
            keep_alive: None,
            insists: false,
            standstill: None,
            repeats: Repeats::default(),
            recovery: Recovery::default(),
            unreachable: None,
            owes: false,
            queued: false,
            started: false,
            needs_reset: false,
            retired: false,
        })?;
        let mut sockets = SocketSet::new(&mut storage.leak()[..]);
        let receive = tcp::SocketBuffer::new(receive.leak());
        let send = tcp::SocketBuffer::new(send.leak());
        sockets.add(tcp::Socket::new(receive, send));
        endpoint.sockets = sockets;
        Ok(endpoint)
    }

    /// Bytes that an endpoint with such buffers takes of a pool, each part in a block of its own.
    pub(crate) fn footprint(receive_buffer: usize, send_buffer: usize) -> usize {
        let storage = size_of::<[SocketStorage<'static>; 1]>();
        let parts = [receive_buffer, send_buffer, storage, size_of::<Self>()];
        parts.into_iter().map(usize::next_power_of_two).sum()
    }

    /// Bytes that there is room for in the send buffer.
    #[inline]
    pub(crate) fn room(&mut self) -> usize {
        let unsent = self.unsent();
        let may_send = self.lead.is_ahead() || self.socket().may_send();
        if may_send { self.send_capacity - unsent } else { 0 }
    }

    /// Bytes of its buffers.
    pub(crate) fn buffers(&mut self) -> usize {
        self.receive_capacity + self.send_capacity
    }

    #[inline]
    pub(crate) fn socket(&mut self) -> &mut tcp::Socket<'static> {
        // The set's only socket has the first handle.
        self.sockets.get_mut(SocketHandle::default())
    }

    /// Whether a segment that begins with this number can be under way.
    pub(crate) fn has_in_flight(&mut self, sequence: u32) -> bool {
        // A FIN is behind what is queued.
        let queued = self.socket().send_queue() as u32;
        sequence.wrapping_sub(self.acknowledged) <= queued
    }

    /// Whether what is given up now did not arrive as the network has said.
    pub(crate) fn was_unreachable(&mut self) -> bool {
        self.unreachable.is_some_and(|sequence| self.has_in_flight(sequence))
    }

    /// Whether the timer goes off before anything else that segments exchanged now can make due, for no delay of
    /// TCP's is shorter than that of an acknowledgement. Then it need not be known what that is.
    #[inline]
    pub(crate) fn wakes_early(&self, now: Instant) -> bool {
        self.armed.is_some_and(|armed| armed <= now + ACK_DELAY)
    }

    /// Whether its timer has gone off.
    #[inline]
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        self.armed.take_if(|armed| *armed <= now).is_some()
    }

    /// Forgets the connection it served, but for the timer that may still be set.
    pub(crate) fn forget(&mut self) {
        self.lead.forget();
        self.hop = Hop::UNKNOWN;
        self.expected = 0;
        self.acknowledged = 0;
        self.window = 0;
        self.fin_received = false;
        self.doubt = Doubt::None;
        self.standstill = None;
        self.repeats = Repeats::default();
        self.recovery = Recovery::default();
        self.unreachable = None;
        self.owes = false;
        self.queued = false;
        self.started = false;
    }
}
