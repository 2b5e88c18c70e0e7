//! What the stack counts.

reflex_metrics::counters! {
    /// Totals since the start, but for gauges.
    ///
    /// Every received frame is counted in `frames` and in exactly one of the fields up to and
    /// including `unreachable_protocol`, so that these add up to `frames`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Counters prefixed "reflex_net_" {
        /// Frames handed to the demultiplexer.
        counter frames,
        /// TCP segments of a known connection, queued for it.
        counter segments,
        /// Opening segments (SYN) queued for a listener.
        counter openings,
        /// Datagrams queued for a UDP socket.
        counter datagrams,
        /// ARP, ICMP, DHCP, segments or datagrams to closed ports, and IPv4 of unknown protocols, queued for the
        /// stack.
        counter others,
        /// Handed to the protocol beside the stack.
        counter attached,
        /// Dropped: another station's hardware address, or an address that is not ours.
        counter not_for_us,
        /// Dropped: a length that contradicts another, a truncated header, an impossible address.
        counter malformed,
        /// Fragments of IPv4 packets, queued for the stack to put them together.
        counter fragments,
        /// Dropped: the IPv4 header's checksum is wrong.
        counter bad_header_checksum,
        /// Dropped: neither ARP nor IP.
        counter unknown_protocol,
        /// Dropped: the queue of the connection, the socket, the listener or of that kind of the stack's own frames was
        /// full, or its owner has more than its share queued.
        counter queue_full,
        /// Dropped: more frames are queued than the stack holds.
        counter frames_exhausted,
        /// Dropped: IPv6, but neither neighbour discovery nor for the protocol beside the stack.
        counter unreachable_protocol,

        /// Dropped after queueing: wrong TCP, UDP or ICMP checksum or an impossible header.
        counter bad_checksum,
        /// Packets that were put together of their fragments; each is then counted as a frame.
        counter reassembled,
        /// Packets that were not: overlapping or contradicting fragments, no memory, a minute without the rest; and
        /// fragments that can be none.
        counter reassembly_failed,
        /// Frames sent.
        counter sent,
        /// Segments of undisturbed connections that were heard or sent without smoltcp (header prediction).
        counter predicted,
        /// Replies not sent, because no transmit buffer was free or the next hop was unknown.
        counter replies_dropped,
        /// Connections a listener accepted.
        counter accepted,
        /// Connections of ours that were established.
        counter connected,
        /// Connections that both sides closed, or that were aborted here.
        counter ended,
        /// Connections that failed.
        counter failed,
        /// Opening segments that found too many connections half open, and were to be answered by a cookie.
        counter backlog_full,
        /// Cookies sent.
        counter cookies_sent,
        /// Acknowledgements of cookies.
        counter cookies_redeemed,
        /// Opening segments dropped because the listener's connections were all in use.
        counter limit_reached,
        /// Opening segments dropped because the owner's memory or a kernel table was exhausted.
        counter no_memory,
        /// Half-open connections that the peer reset or never completed.
        counter half_open_failed,
        /// Connections that are half open now.
        gauge half_open,
        /// Connections in TIME-WAIT that were cut short because their listener needed the place.
        counter time_wait_recycled,
        /// Connections reset because more was written than their queues had room for.
        counter write_overflows,
        /// Resets dropped because they did not have the expected sequence number (RFC 5961).
        counter resets_ignored,
        /// Segments that were answered by an acknowledgement alone, to find out whether the peer still has the
        /// connection (challenge ACKs, RFC 5961), as far as the limit of one a second and connection allowed.
        counter challenges,
        /// Segments and datagrams that reached no socket, and packets of unknown protocols.
        counter closed_port,
        /// Of these and of ICMP, those left unanswered because of the limit on such replies.
        counter rate_limited,
        /// ARP requests and neighbour solicitations sent.
        counter arp_requests,
        /// ARP packets and neighbours' messages that taught nothing: not for us, of strangers, or known.
        counter arp_ignored,
        /// Neighbours that told another hardware address unasked, and were believed.
        counter neighbours_moved,
        /// Of these, those of which the former address objected, and was believed again.
        counter moves_disputed,
        /// Packets of others that have an address of the interface.
        counter address_conflicts,
        /// ICMP errors that told a connection or a socket something.
        counter errors_heard,
        /// ICMP errors about nothing that is on its way, or that teach nothing.
        counter errors_ignored,
        /// Ways on which shorter packets are sent from then on, because a router said so.
        counter paths_learnt,
        /// The same, because full segments were not acknowledged.
        counter paths_doubted,
        /// Datagrams dropped that came to a socket which only sends.
        counter unwanted,
        /// Datagrams sent.
        counter datagrams_sent,
        /// Datagrams dropped because their destination has no route or does not answer ARP.
        counter unreachable,
        /// Times a handler stopped because all transmit buffers were in use.
        counter transmit_full,
    }
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
