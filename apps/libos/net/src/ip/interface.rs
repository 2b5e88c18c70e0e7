//! What only the stack's context touches: smoltcp's interface, the transmit half, neighbours.

use crate::ip::device::{Passed, Port, capabilities};
use crate::ip::endpoint::Endpoint;
use crate::ip::header::{self, ETHERNET};
use crate::ip::icmp::Report;
use crate::ip::ndisc;
use crate::ip::neighbour::{Answer, Neighbours};
use crate::ip::path_mtu::{Path, Paths};
use crate::ip::rate_limit::Limiter;
use crate::ip::routes::Routes;
use crate::ip::station::Station;
use crate::ip::tcp::bare::{HEADERS, opening_instead};
use crate::ip::tcp::gone::Gone;
use crate::ip::tcp::sequence::{Secret, seed_of};
use crate::ip::time::time;
use crate::ip::watch::Watch;
use crate::types::counters::Tally;
use crate::types::settings::InterfaceAddress;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::Ipv6Addr;
use reflex_event::{Instant, Priority};
use reflex_hil::{Frame, Transmit};
use smoltcp::iface::{Interface, PollResult, SocketSet};
use smoltcp::time::Instant as Time;
use smoltcp::wire::{HardwareAddress, IpCidr};

/// Most packets one run sends for one connection before others run.
const EGRESS: usize = 16;
/// Transmit buffers that a run has enough with, hardly ever using more.
const FEW: usize = 2 * EGRESS;

pub(crate) struct Engine {
    pub(crate) interface: Interface,
    pub(crate) transmit: Box<dyn Transmit>,
    scratch: Vec<u8>,
    /// Where a segment is written that its socket is to hear otherwise than it came.
    pub(crate) copy: Vec<u8>,
    /// And where one is written in its socket's own numbers.
    translated: Vec<u8>,
    /// No socket: what smoltcp answers by itself.
    empty: SocketSet<'static>,
    pub(crate) neighbours: Neighbours,
    pub(crate) limiter: Limiter,
    pub(crate) secret: Secret,
    pub(crate) mac: [u8; 6],
    /// Longest IPv4 packet: what the interface carries, or less, where the network does.
    pub(crate) mtu: usize,
    /// Longest packet that smoltcp sends now: on the way that is followed.
    longest: usize,
    /// That way, and where to.
    path: Path,
    toward: u32,
    pub(crate) paths: Paths,
    /// A long segment has been sent in this run.
    pub(crate) sent_long: bool,
    pub(crate) address: Option<InterfaceAddress>,
    pub(crate) routes: Routes,
    /// Bits of the prefix of our second IPv6 address.
    pub(crate) prefix6: u8,
    /// The router over IPv6.
    pub(crate) gateway6: Option<u128>,
    /// What watches for others with our addresses.
    pub(crate) watch: Watch,
    /// Our addresses, as classifying frames wants them.
    pub(crate) station: Station,
    /// Openings were answered, of which the device has not been told.
    pub(crate) answered: bool,
    /// Transmit buffers that were free at the run's begin, less those used since.
    pub(crate) room: usize,
    /// Frames sent since the device was last told, of at most this priority.
    pub(crate) unflushed: Option<Priority>,
    /// Counted since the last time it was added to the shared counters.
    pub(crate) tally: Tally,
}

/// How the sending of a connection's packets came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Egress {
    /// Nothing to do until then; `None`: until the peer or the application does something.
    Until(Option<Time>),
    /// There is more, and others run first.
    More,
    /// All transmit buffers are in use.
    Full,
}

/// What became of a socket that was to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sent {
    /// It has nothing to send now.
    Nothing,
    /// It has sent a segment, and may have more.
    Segment,
    /// It has sent the last byte that it had.
    Last,
}

/// What is due later than this may be no retransmission: these are due sooner, unless they were put off before
/// (RFC 6298, 2.1).
const LONG: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(1);

/// Later than this it is none: no time-out of a retransmission, and none between probes of a window, is longer.
const LONGEST: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(61);

impl Engine {
    pub(crate) fn new(
        mut transmit: Box<dyn Transmit>,
        seed: u64,
        [key, secret]: [&[u8; 16]; 2],
        limiter: Limiter,
        now: Instant,
    ) -> Self {
        let mac = transmit.mac();
        let mtu = transmit.mtu();
        // ICMP errors carry at most 576 bytes, echo replies as much as the request.
        let longest = mtu.max(576);
        let mut scratch = alloc::vec![0; longest];
        let copy = alloc::vec![0; longest];
        let interface = smoltcp_interface(&mut *transmit, &mut scratch, mtu, seed, time(now));
        Self {
            interface,
            transmit,
            scratch,
            copy,
            translated: Vec::with_capacity(longest),
            empty: SocketSet::new(&mut [][..]),
            neighbours: Neighbours::new(key),
            limiter,
            secret: Secret::new(secret),
            mac,
            mtu,
            longest: mtu,
            path: Path::UNKNOWN,
            toward: 0,
            paths: Paths::new(key),
            sent_long: false,
            address: None,
            routes: Routes::default(),
            prefix6: 64,
            gateway6: None,
            watch: Watch::NEW,
            station: Station {
                mac,
                address: None,
                addresses6: [ndisc::link_local(mac), 0],
                attached: None,
                hears_dhcp: false,
                loopback: false,
            },
            answered: false,
            room: 0,
            unflushed: None,
            tally: Tally::default(),
        }
    }

    /// Has no longer IPv4 packets sent, or as long ones as the interface carries; which peers
    /// are told from now on. smoltcp knows the length from its interface's making: it has another.
    pub(crate) fn set_mtu(&mut self, most: Option<u16>, seed: u64, now: Instant) {
        let carried = self.transmit.mtu();
        self.mtu = most.map_or(carried, |most| carried.min(most.into()));
        self.path = Path::UNKNOWN;
        self.use_mtu(self.mtu, seed, now);
    }

    /// Has smoltcp send packets that are at most so long.
    fn use_mtu(&mut self, longest: usize, seed: u64, now: Instant) {
        if self.longest == longest {
            return;
        }
        self.longest = longest;
        self.renew_interface(seed, time(now));
    }

    /// Makes smoltcp's interface anew: it keeps nothing but what it was made with, and the address.
    fn renew_interface(&mut self, seed: u64, now: Time) {
        let Self { transmit, scratch, longest, .. } = self;
        self.interface = smoltcp_interface(&mut **transmit, scratch, *longest, seed, now);
        self.tell_address();
    }

    /// Has the next connection of `endpoint` begin with the sequence number `number`: of all sockets it has to be
    /// the next that sends or answers a SYN.
    pub(crate) fn choose_sequence(&mut self, endpoint: &mut Endpoint, number: u32, now: Time) {
        endpoint.acknowledged = number;
        self.renew_interface(seed_of(number), now);
    }

    /// What is sent from now on goes to `remote`, on a way of which this is known.
    #[inline]
    pub(crate) fn follow(&mut self, path: Path, remote: u32, now: Instant) {
        self.toward = remote;
        self.sent_long = false;
        if self.path != path {
            self.change_path(path, now);
        }
    }

    #[cold]
    fn change_path(&mut self, path: Path, now: Instant) {
        self.path = path;
        let longest = self.mtu.min(path.longest.into());
        let seed = self.paths.seed();
        self.use_mtu(longest, seed, now);
    }

    /// Most bytes of text in a segment; `None` where segments are to be told from each other.
    #[inline]
    pub(crate) fn longest_text(&self) -> Option<usize> {
        (!self.path.fragmented).then_some(self.longest.saturating_sub(HEADERS))
    }

    /// How the next packet is told from others, should it be fragmented.
    #[inline]
    fn identification(&mut self) -> Option<u16> {
        self.path.fragmented.then(|| self.paths.identification(self.toward))
    }

    /// A router has dropped a packet that was too long. True when shorter ones are sent to that destination now.
    pub(crate) fn too_long(&mut self, report: &Report, now: Instant) -> bool {
        let learnt = self.paths.too_long(report.remote, report.length, report.mtu, now);
        self.tally.paths_learnt += u64::from(learnt);
        self.tally.errors_ignored += u64::from(!learnt);
        self.reconsider(learnt)
    }

    /// A connection's timer has gone off. Where a long segment was sent often enough without an answer then,
    /// shorter ones are sent from now on. True when that is so, and the way is to be looked up again.
    #[cold]
    pub(crate) fn doubt_path(
        &mut self,
        endpoint: &mut Endpoint,
        remote: u32,
        now: Instant,
    ) -> bool {
        let Some(sequence) = endpoint.repeats.suspect() else { return false };
        // The timer may be early, or have been set for something else.
        let due = self.interface.poll_at(time(now), &endpoint.sockets);
        if endpoint.has_in_flight(sequence) && due.is_some_and(|due| due <= time(now)) {
            endpoint.repeats.doubted();
            let doubted = self.paths.unanswered(remote, now);
            self.tally.paths_doubted += u64::from(doubted);
            return self.reconsider(doubted);
        }
        false
    }

    /// Has all connections look up their ways again, if `learnt`.
    fn reconsider(&mut self, learnt: bool) -> bool {
        self.neighbours.epoch = self.neighbours.epoch.wrapping_add(u32::from(learnt));
        learnt
    }

    /// Has the socket send again what did not arrive, as if its time-out had come.
    pub(crate) fn repeat(&mut self, endpoint: &mut Endpoint, hop: [u8; 6], now: Time) {
        let patience = endpoint.socket().timeout();
        endpoint.socket().set_timeout(None);
        let due = self.interface.poll_at(now, &endpoint.sockets);
        if let Some(due) = due.filter(|_| self.room > 0) {
            self.send_segment(endpoint, Some(hop), due.max(now));
        }
        endpoint.socket().set_timeout(patience);
    }

    /// Gives the interface another address, or none, or the same one other routes.
    pub(crate) fn set_network(&mut self, address: Option<InterfaceAddress>, routes: Routes) {
        self.address = address;
        self.routes = routes;
        self.station.address = address.map(|own| (u32::from(own.address), own.prefix));
        self.neighbours.clear();
        self.tell_address();
    }

    /// Tells smoltcp the address.
    fn tell_address(&mut self) {
        let address = self.address;
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            if let Some(address) = address {
                // Holds two; this is the first.
                let _ = addresses.push(IpCidr::new(address.address.into(), address.prefix));
            }
        });
    }

    /// Gives the interface an IPv6 address beside its link-local one, and the length of its prefix.
    pub(crate) fn set_address6(&mut self, address: Option<(Ipv6Addr, u8)>) {
        let (address, prefix) = address.unwrap_or((Ipv6Addr::UNSPECIFIED, 64));
        self.station.addresses6[1] = address.into();
        self.prefix6 = prefix.min(128);
    }

    /// Looks whether transmit buffers are free: what the device has sent is taken back when few are.
    #[inline]
    pub(crate) fn look_for_room(&mut self) -> bool {
        if self.room < FEW {
            self.room = self.transmit.available();
        }
        self.room > 0
    }

    /// Has a connection's socket hear a packet, in the numbers of the wire.
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        packet: &[u8],
        endpoint: &mut Endpoint,
        hop: Option<[u8; 6]>,
        now: Time,
    ) {
        let gone = endpoint.lead.gone();
        match gone.is_none() {
            true => self.ingress(packet, hop, Some(endpoint), now),
            false => self.deliver_translated(packet, endpoint, hop, now),
        }
    }

    #[cold]
    fn deliver_translated(
        &mut self,
        packet: &[u8],
        endpoint: &mut Endpoint,
        hop: Option<[u8; 6]>,
        now: Time,
    ) {
        let mut translated = core::mem::take(&mut self.translated);
        translated.clear();
        // A frame is no longer than what the interface carries, for which there is room.
        let length = packet.len().min(translated.capacity());
        translated.extend_from_slice(&packet[..length]);
        endpoint.lead.gone().to_socket(&mut translated);
        self.ingress(&translated, hop, Some(endpoint), now);
        self.translated = translated;
    }

    /// Lets smoltcp process one packet with a connection's socket, or with none.
    #[inline]
    fn ingress(
        &mut self,
        packet: &[u8],
        hop: Option<[u8; 6]>,
        mut endpoint: Option<&mut Endpoint>,
        now: Time,
    ) {
        let identification = self.identification();
        let gone = endpoint.as_ref().map_or(Gone::NONE, |endpoint| endpoint.lead.gone());
        let mut port = Port {
            packet: Some(packet),
            transmit: &mut *self.transmit,
            own: self.mac,
            mtu: self.longest,
            hop,
            identification,
            gone,
            scratch: &mut self.scratch,
            passed: Passed::none(self.room),
        };
        let sockets = match &mut endpoint {
            Some(endpoint) => &mut endpoint.sockets,
            None => &mut self.empty,
        };
        self.interface.poll_ingress_single(now, &mut port, sockets);
        let Passed { room, sent, lost, offer, .. } = port.passed;
        if let (Some(endpoint), Some(offer)) = (endpoint, offer) {
            endpoint.note_offer(offer);
        }
        self.room = room;
        self.tally.sent += u64::from(sent);
        self.tally.replies_dropped += u64::from(lost);
    }

    /// Whether there is something to be sent, and nothing that smoltcp would do about it but fail at last, or
    /// ask an idle peer.
    ///
    /// That is so when the window was closed while bytes were under way, and these were then to be sent again:
    /// smoltcp finds no room for that, and sets no timer (RFC 9293, 3.8.6.1, wants one). Should the peer's next
    /// window be lost, both would wait for each other.
    #[inline]
    fn is_stalled(&mut self, due: Option<Time>, endpoint: &mut Endpoint, now: Time) -> bool {
        due.is_none_or(|due| due > now + LONG)
            && endpoint.socket().send_queue() > 0
            && self.waits_for_ever(endpoint, now)
    }

    #[cold]
    fn waits_for_ever(&mut self, endpoint: &mut Endpoint, now: Time) -> bool {
        let patience = endpoint.socket().timeout();
        endpoint.socket().set_timeout(None);
        let due = self.interface.poll_at(now, &endpoint.sockets);
        endpoint.socket().set_timeout(patience);
        due.is_none_or(|due| due > now + LONGEST) && endpoint.socket().is_active()
    }

    /// Sends what the application has just queued, if that is all that there can be to do for the connection:
    /// then whatever is due later is left to the timer. False when there may be more to do.
    ///
    /// To be called while nothing but a segment of established connections can be due.
    #[inline]
    pub(crate) fn answer(
        &mut self,
        endpoint: &mut Endpoint,
        hop: Option<[u8; 6]>,
        now: Time,
    ) -> bool {
        for _ in 0..EGRESS {
            if self.room == 0 {
                return false;
            }
            match self.send_segment(endpoint, hop, now) {
                Sent::Nothing => return false,
                Sent::Segment => {}
                Sent::Last => return true,
            }
        }
        false
    }

    /// Sends what the connection has to send, or asks for the peer's window. `fin_sent`: before this run.
    #[inline]
    pub(crate) fn egress(
        &mut self,
        endpoint: &mut Endpoint,
        hop: Option<[u8; 6]>,
        now: Time,
        fin_sent: bool,
    ) -> Egress {
        let mut stuck = false;
        for round in 0..=EGRESS {
            match self.interface.poll_at(now, &endpoint.sockets) {
                Some(at) if at <= now => {}
                until if !self.is_stalled(until, endpoint, now) => return Egress::Until(until),
                _ => {
                    // The peer's window is closed: told so once more, smoltcp asks for it.
                    endpoint.window = 0;
                    self.hear_again(endpoint, now);
                    continue;
                }
            }
            if round == 0 && fin_sent && endpoint.socket().send_queue() == 0 {
                // Something is due with nothing but a FIN in flight: perhaps a fast retransmission,
                // and smoltcp clears the mark of one only by sending data.
                endpoint.needs_reset = true;
            }
            if self.room == 0 {
                endpoint.needs_reset = true;
                return Egress::Full;
            }
            if round == EGRESS {
                break;
            }
            if self.send_segment(endpoint, hop, now) == Sent::Nothing {
                // A timer that only changed the state, as TIME-WAIT's does. Look once more.
                if stuck {
                    return Egress::Until(None);
                }
                stuck = true;
            }
        }
        Egress::More
    }

    /// Has the connection's socket send one segment, if it has to.
    #[inline]
    fn send_segment(&mut self, endpoint: &mut Endpoint, hop: Option<[u8; 6]>, now: Time) -> Sent {
        let identification = self.identification();
        let mut port = Port {
            packet: None,
            transmit: &mut *self.transmit,
            own: self.mac,
            mtu: self.longest,
            hop,
            identification,
            gone: endpoint.lead.gone(),
            scratch: &mut self.scratch,
            passed: Passed::none(self.room),
        };
        let result = self.interface.poll_egress(now, &mut port, &mut endpoint.sockets);
        let Passed { room, sent, text, lost, long, offer, end, emptied } = port.passed;
        if let Some(offer) = offer {
            endpoint.note_offer(offer);
        }
        let long = long.filter(|_| !self.sent_long);
        if text > 0 && endpoint.socket().send_queue() == 0 {
            // There is none, so it was a question to an idle peer.
            self.has_asked(endpoint, now);
        }
        self.tally.sent += u64::from(sent);
        self.tally.unreachable += u64::from(lost);
        self.room = room;
        if let Some(sequence) = long {
            self.sent_long = true;
            endpoint.repeats.sent(sequence);
        }
        if let Some(end) = end {
            endpoint.recovery.note_sent(end, now);
        }
        endpoint.owes &= sent == 0;
        endpoint.lead.unheard &= sent == 0;
        match result {
            PollResult::None => Sent::Nothing,
            PollResult::SocketStateChanged if emptied => Sent::Last,
            PollResult::SocketStateChanged => Sent::Segment,
        }
    }

    /// A packet for no socket: echo requests, closed ports, protocols that we do not speak.
    pub(crate) fn unmatched(&mut self, frame: &Frame, now: Instant) {
        let Some((packet, payload)) = header::packet(frame) else { return };
        let intact = match packet[9] {
            header::TCP => payload.len() >= 20 && header::is_intact(packet, payload),
            header::UDP | header::ICMP => payload.len() >= 8 && header::is_intact(packet, payload),
            // Where its checksum is, is unknown.
            _ => true,
        };
        if !intact {
            self.tally.bad_checksum += 1;
            return;
        }
        self.tally.closed_port += u64::from(packet[9] != header::ICMP);
        if !self.limiter.take(now) {
            self.tally.rate_limited += 1;
            return;
        }
        let hop = match self.hop(header::word(packet, header::ADDRESSES), now) {
            Answer::Known(mac, _) => Some(mac),
            Answer::Pending | Answer::Gone => None,
        };
        // It is not sent again, and so is not to be too long for any link on its way.
        let path = Path { fragmented: true, ..Path::UNKNOWN };
        self.follow(path, header::word(packet, header::ADDRESSES), now);
        let opening = opening_instead(packet, payload);
        self.ingress(opening.as_ref().map_or(packet, |opening| opening), hop, None, time(now));
    }

    /// Plays the socket one packet, or lets it send one: the packet is returned and goes nowhere.
    pub(crate) fn inject(&mut self, endpoint: &mut Endpoint, packet: &[u8], now: Time) -> &[u8] {
        // Without a hop everything smoltcp sends ends in the scratch buffer.
        let mut port = Port {
            packet: (!packet.is_empty()).then_some(packet),
            transmit: &mut *self.transmit,
            own: self.mac,
            mtu: self.longest,
            hop: None,
            identification: None,
            gone: Gone::NONE,
            scratch: &mut self.scratch,
            passed: Passed::none(1),
        };
        if packet.is_empty() {
            self.interface.poll_egress(now, &mut port, &mut endpoint.sockets);
        } else {
            self.interface.poll_ingress_single(now, &mut port, &mut endpoint.sockets);
        }
        &self.scratch
    }

    /// What was sent last without a hop.
    #[cfg(test)]
    pub(crate) fn scratch(&self) -> &[u8] {
        &self.scratch
    }

    /// Queues one frame of ours, made by `fill`. False when there is no buffer.
    pub(crate) fn send(&mut self, packet: usize, fill: &mut dyn FnMut(&mut [u8])) -> bool {
        let sent = self.transmit.transmit(ETHERNET + packet, fill).is_ok();
        self.tally.sent += u64::from(sent);
        self.room = if sent { self.room.saturating_sub(1) } else { 0 };
        sent
    }
}

/// smoltcp's interface, without an address.
fn smoltcp_interface(
    transmit: &mut dyn Transmit,
    scratch: &mut [u8],
    mtu: usize,
    seed: u64,
    now: Time,
) -> Interface {
    let mut config = smoltcp::iface::Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let own = transmit.mac();
    let passed = Passed::none(0);
    let (hop, identification, gone) = (None, None, Gone::NONE);
    let mut port =
        Port { packet: None, transmit, own, mtu, hop, identification, gone, scratch, passed };
    debug_assert_eq!(capabilities(mtu).max_transmission_unit, mtu);
    Interface::new(config, &mut port, now)
}
