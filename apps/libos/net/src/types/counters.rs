//! What the stack counts.

/// Totals since the start, but for those said to be levels.
///
/// Every received frame is counted in `frames` and in exactly one of the fields up to and
/// including `unreachable_protocol`, so that these add up to `frames`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Frames handed to the demultiplexer.
    pub frames: u64,
    /// TCP segments of a known connection, queued for it.
    pub segments: u64,
    /// Opening segments (SYN) queued for a listener.
    pub openings: u64,
    /// Datagrams queued for a UDP socket.
    pub datagrams: u64,
    /// ARP, ICMP, DHCP, segments or datagrams to closed ports, and IPv4 of unknown protocols, queued for the
    /// stack.
    pub others: u64,
    /// Handed to the protocol beside the stack.
    pub attached: u64,
    /// Dropped: another station's hardware address, or an address that is not ours.
    pub not_for_us: u64,
    /// Dropped: a length that contradicts another, a truncated header, an impossible address.
    pub malformed: u64,
    /// Fragments of IPv4 packets, queued for the stack to put them together.
    pub fragments: u64,
    /// Dropped: the IPv4 header's checksum is wrong.
    pub bad_header_checksum: u64,
    /// Dropped: neither ARP nor IP.
    pub unknown_protocol: u64,
    /// Dropped: the queue of the connection, the socket or the listener was full, or its owner
    /// has more than its share queued.
    pub queue_full: u64,
    /// Dropped: more frames are queued than the stack holds.
    pub frames_exhausted: u64,
    /// Dropped: IPv6, but neither neighbour discovery nor for the protocol beside the stack.
    pub unreachable_protocol: u64,

    /// Dropped after queueing: wrong TCP, UDP or ICMP checksum or an impossible header.
    pub bad_checksum: u64,
    /// Packets that were put together of their fragments; each is then counted as a frame.
    pub reassembled: u64,
    /// Packets that were not: overlapping or contradicting fragments, no memory, a minute without the rest; and
    /// fragments that can be none.
    pub reassembly_failed: u64,
    /// Frames sent.
    pub sent: u64,
    /// Replies not sent, because no transmit buffer was free or the next hop was unknown.
    pub replies_dropped: u64,
    /// Connections a listener accepted.
    pub accepted: u64,
    /// Connections of ours that were established.
    pub connected: u64,
    /// Connections that both sides closed, or that were aborted here.
    pub ended: u64,
    /// Connections that failed.
    pub failed: u64,
    /// Opening segments that found too many connections half open, and were to be answered by a cookie.
    pub backlog_full: u64,
    /// Cookies sent.
    pub cookies_sent: u64,
    /// Acknowledgements of cookies.
    pub cookies_redeemed: u64,
    /// Opening segments dropped because the listener's connections were all in use.
    pub limit_reached: u64,
    /// Opening segments dropped because the owner's memory or a kernel table was exhausted.
    pub no_memory: u64,
    /// Half-open connections that the peer reset or never completed.
    pub half_open_failed: u64,
    /// Connections that are half open now (a level).
    pub half_open: u64,
    /// Connections in TIME-WAIT that were cut short because their listener needed the place.
    pub time_wait_recycled: u64,
    /// Connections reset because more was written than their queues had room for.
    pub write_overflows: u64,
    /// Resets dropped because they did not have the expected sequence number (RFC 5961).
    pub resets_ignored: u64,
    /// Segments that were answered by an acknowledgement alone, to find out whether the peer still has the
    /// connection (challenge ACKs, RFC 5961), as far as the limit of one a second and connection allowed.
    pub challenges: u64,
    /// Segments and datagrams that reached no socket, and packets of unknown protocols.
    pub closed_port: u64,
    /// Of these and of ICMP, those left unanswered because of the limit on such replies.
    pub rate_limited: u64,
    /// ARP requests and neighbour solicitations sent.
    pub arp_requests: u64,
    /// ARP packets and neighbours' messages that taught nothing: not for us, of strangers, or known.
    pub arp_ignored: u64,
    /// Neighbours that told another hardware address unasked, and were believed.
    pub neighbours_moved: u64,
    /// Of these, those of which the former address objected, and was believed again.
    pub moves_disputed: u64,
    /// Packets of others that have an address of the interface.
    pub address_conflicts: u64,
    /// ICMP errors that told a connection or a socket something.
    pub errors_heard: u64,
    /// ICMP errors about nothing that is on its way, or that teach nothing.
    pub errors_ignored: u64,
    /// Ways on which shorter packets are sent from then on, because a router said so.
    pub paths_learnt: u64,
    /// The same, because full segments were not acknowledged.
    pub paths_doubted: u64,
    /// Datagrams dropped that came to a socket which only sends.
    pub unwanted: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Datagrams dropped because their destination has no route or does not answer ARP.
    pub unreachable: u64,
    /// Times a handler stopped because all transmit buffers were in use.
    pub transmit_full: u64,
}

/// Openings that a listener has refused a place, by the limit that was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Refusals {
    /// Too many connections were half open: answered by a cookie, if the peer's segments allow it.
    pub backlog: u64,
    /// All its connections were in use.
    pub connections: u64,
    /// Its context's memory was exhausted.
    pub memory: u64,
}

/// What the stack's context counts between two visits to the shared counters.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) attached: u64,
    pub(crate) bad_checksum: u64,
    pub(crate) sent: u64,
    pub(crate) replies_dropped: u64,
    pub(crate) resets_ignored: u64,
    pub(crate) challenges: u64,
    pub(crate) closed_port: u64,
    pub(crate) rate_limited: u64,
    pub(crate) arp_requests: u64,
    pub(crate) arp_ignored: u64,
    pub(crate) neighbours_moved: u64,
    pub(crate) moves_disputed: u64,
    pub(crate) address_conflicts: u64,
    pub(crate) reassembled: u64,
    pub(crate) reassembly_failed: u64,
    pub(crate) errors_heard: u64,
    pub(crate) errors_ignored: u64,
    pub(crate) paths_learnt: u64,
    pub(crate) paths_doubted: u64,
    pub(crate) datagrams_sent: u64,
    pub(crate) unreachable: u64,
    pub(crate) transmit_full: u64,
}

impl Counters {
    pub(crate) fn add(&mut self, tally: &Tally) {
        self.frames += tally.attached;
        self.attached += tally.attached;
        self.bad_checksum += tally.bad_checksum;
        self.sent += tally.sent;
        self.replies_dropped += tally.replies_dropped;
        self.resets_ignored += tally.resets_ignored;
        self.challenges += tally.challenges;
        self.closed_port += tally.closed_port;
        self.rate_limited += tally.rate_limited;
        self.arp_requests += tally.arp_requests;
        self.arp_ignored += tally.arp_ignored;
        self.neighbours_moved += tally.neighbours_moved;
        self.moves_disputed += tally.moves_disputed;
        self.address_conflicts += tally.address_conflicts;
        self.reassembled += tally.reassembled;
        self.reassembly_failed += tally.reassembly_failed;
        self.errors_heard += tally.errors_heard;
        self.errors_ignored += tally.errors_ignored;
        self.paths_learnt += tally.paths_learnt;
        self.paths_doubted += tally.paths_doubted;
        self.datagrams_sent += tally.datagrams_sent;
        self.unreachable += tally.unreachable;
        self.transmit_full += tally.transmit_full;
    }
}
