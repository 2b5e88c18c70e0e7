//! Address resolution at work: what ARP (RFC 826) and neighbour discovery (RFC 4861) tell is learnt,
//! and what they ask for answered.
//!
//! Of an ARP packet only its own fields count, as RFC 826 has it: the frame may come from another
//! hardware address, a virtual router's or a bonded adapter's; what it tells is then confirmed. A station that asks for our address is answered,
//! wherever its own address is from: it has decided that we are its neighbour. *Learnt* are only
//! addresses that packets of ours are sent to directly.

use crate::ip::arp::{self, Arp, Operation};
use crate::ip::interface::Engine;
use crate::ip::ndisc::{self, Kind, Message};
use crate::ip::neighbour::{Claim, Heard};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use reflex_event::Instant;

pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];
/// All nodes on the link (RFC 4291, 2.7.1).
pub(crate) const EVERYONE: u128 = 0xff02 << 112 | 1;

impl Engine {
    /// Asks for the hardware address of `target`, all or one station.
    pub(crate) fn ask(&mut self, target: u32, to: [u8; 6]) {
        let Some(own) = self.address else { return };
        self.request(u32::from(own.address), target, to);
    }

    /// Sends a request in the name of `sender`, which may be nobody's, 0.
    pub(crate) fn request(&mut self, sender: u32, target: u32, to: [u8; 6]) {
        self.tally.arp_requests += 1;
        let operation = Operation::Request;
        let sender_mac = self.mac;
        let request = Arp { operation, sender_mac, sender, target_mac: [0; 6], target };
        self.send_arp(&request, &to);
    }

    fn send_arp(&mut self, packet: &Arp, to: &[u8; 6]) {
        let fill = &mut |frame: &mut [u8]| packet.emit(to, frame);
        if self.transmit.transmit(arp::LENGTH, fill).is_ok() {
            self.tally.sent += 1;
            self.room = self.room.saturating_sub(1);
            self.transmit.flush();
        }
    }

    /// Learns from an ARP packet and answers it. True when somebody may have waited for it.
    pub(crate) fn arp(&mut self, frame: &[u8], now: Instant) -> bool {
        // One of our own that the link has sent back tells nothing.
        let packet = Arp::parse(frame).filter(|packet| packet.sender_mac != self.mac);
        let heard = packet.is_some_and(|packet| {
            let known = self.neighbours.knows(packet.sender.into());
            let sure = frame[6..12] == packet.sender_mac || known == Some(packet.sender_mac);
            self.arp_heard(&packet, sure, now)
        });
        self.tally.arp_ignored += u64::from(!heard);
        heard
    }

    /// `sure`: the frame, too, is from the address that is told, or it was told before.
    fn arp_heard(&mut self, packet: &Arp, sure: bool, now: Instant) -> bool {
        if self.arp_conflict(packet, now) {
            return true;
        }
        let Some(own) = self.address.map(|own| u32::from(own.address)) else { return false };
        if packet.sender == own {
            return false;
        }
        let (for_us, request) = (packet.target == own, packet.operation == Operation::Request);
        if for_us && request {
            let reply = Arp {
                operation: Operation::Reply,
                sender_mac: self.mac,
                sender: own,
                target_mac: packet.sender_mac,
                target: packet.sender,
            };
            self.send_arp(&reply, &packet.sender_mac);
        }
        if !self.is_on_link(packet.sender) {
            return for_us && request;
        }
        let claim = match (for_us, request) {
            (true, true) if sure => Claim::Question,
            (true, false) if sure => Claim::Answer,
            // Believed, and confirmed when it is used: ARP has no checksum.
            _ => Claim::Announcement,
        };
        let sender = packet.sender;
        let heard = self.neighbours.heard(sender.into(), packet.sender_mac, claim, now);
        if let Heard::Moved(former) = heard {
            self.ask(sender, former);
        }
        self.tally_heard(heard) || for_us && request
    }

    /// Counts what came of a claim. True when somebody may have waited for it.
    fn tally_heard(&mut self, heard: Heard) -> bool {
        self.tally.neighbours_moved += u64::from(matches!(heard, Heard::Moved(_)));
        self.tally.moves_disputed += u64::from(heard == Heard::Disputed);
        heard != Heard::Nothing
    }
}

impl Engine {
    /// The interface's addresses: IPv4, if there is one, and IPv6, link-local first.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let v4 = self.address.map(|own| IpAddr::V4(own.address));
        let v6 = self.station.addresses6.iter().filter(|own| **own != 0);
        v4.into_iter().chain(v6.map(|own| Ipv6Addr::from(*own).into())).collect()
    }

    pub(crate) fn solicit(&mut self, source: u128, destination: u128, target: u128, to: &[u8; 6]) {
        self.tally.arp_requests += 1;
        // One that asks without an address has none to be answered at (RFC 4861, 4.3).
        let mac = (source != 0).then_some(self.mac);
        let (kind, flags) = (Kind::Solicitation, 0);
        self.send_nd(&Message { kind, flags, source, destination, target, mac }, to);
    }

    fn send_nd(&mut self, message: &Message, to: &[u8; 6]) {
        let own = self.mac;
        let fill = &mut |frame: &mut [u8]| message.emit(to, &own, frame);
        if self.transmit.transmit(message.length(), fill).is_ok() {
            self.tally.sent += 1;
            self.room = self.room.saturating_sub(1);
            self.transmit.flush();
        }
    }

    /// Learns from a message of neighbour discovery and answers it. True when somebody may have
    /// waited for it.
    pub(crate) fn nd(&mut self, frame: &[u8], now: Instant) -> bool {
        let from = frame.get(6..).and_then(|rest| rest.first_chunk::<6>()).copied();
        let from = from.filter(|from| *from != self.mac);
        let heard = from.zip(Message::parse(frame)).is_some_and(|(from, message)| {
            self.nd_conflict(&message, from, now)
                || match message.kind {
                    Kind::Solicitation => self.solicited(&message, from, now),
                    Kind::Advertisement => self.advertised(&message, now),
                }
        });
        self.tally.arp_ignored += u64::from(!heard);
        heard
    }

    /// Answers a solicitation of one of our addresses. A host that asks without an address of its
    /// own wants ours for itself, and all hear that it is taken (RFC 4862, 5.4.3).
    fn solicited(&mut self, message: &Message, from: [u8; 6], now: Instant) -> bool {
        let Message { source, target, mac, .. } = *message;
        let ours = |address| address != 0 && self.station.addresses6.contains(&address);
        if !ours(target) || ours(source) {
            return false;
        }
        if source == 0 {
            self.advertise(target, EVERYONE, ndisc::OVERRIDE, &ndisc::group_mac(EVERYONE));
            return true;
        }
        if let Some(mac) = mac
            && self.own_for_neighbour6(source).is_some()
        {
            let heard = self.neighbours.heard(source, mac, Claim::Question, now);
            self.nd_moved(source, heard);
        }
        // One that only confirms what it knows may leave out its address (RFC 4861, 4.3).
        let to = mac.or_else(|| self.neighbours.knows(source)).unwrap_or(from);
        self.advertise(target, source, ndisc::SOLICITED | ndisc::OVERRIDE, &to);
        true
    }

    /// Learns from an advertisement (RFC 4861, 7.2.5).
    fn advertised(&mut self, message: &Message, now: Instant) -> bool {
        let Message { target, mac, flags, .. } = *message;
        if self.own_for_neighbour6(target).is_none() {
            return false;
        }
        let solicited = flags & ndisc::SOLICITED != 0;
        let claim = match flags & ndisc::OVERRIDE != 0 {
            true if solicited => Claim::Answer,
            true => Claim::Announcement,
            false => Claim::Hint,
        };
        let known = self.neighbours.knows(target);
        // An answer may leave out the address it was asked at, and confirms it.
        let claim =
            if solicited && (mac.is_none() || mac == known) { Claim::Answer } else { claim };
        let Some(mac) = mac.or(known) else { return false };
        let heard = self.neighbours.heard(target, mac, claim, now);
        self.nd_moved(target, heard)
    }

    fn nd_moved(&mut self, address: u128, heard: Heard) -> bool {
        if let Heard::Moved(former) = heard
            && let Some(own) = self.own_for_neighbour6(address)
        {
            self.solicit(own, address, address, &former);
        }
        self.tally_heard(heard)
    }

    /// Tells where one of our addresses is.
    pub(crate) fn advertise(&mut self, target: u128, destination: u128, flags: u8, to: &[u8; 6]) {
        let (kind, mac) = (Kind::Advertisement, Some(self.mac));
        self.send_nd(&Message { kind, flags, source: target, destination, target, mac }, to);
    }
}
