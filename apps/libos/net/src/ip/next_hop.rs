//! The next hop: routing, and the neighbour table kept up to date by ARP.

use crate::ip::arp::{self, Arp, Operation};
use crate::ip::endpoint::Hop;
use crate::ip::interface::Engine;
use crate::ip::ndisc::{self, Kind, Message};
use crate::ip::neighbour::{Answer, Ask};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use reflex_event::Instant;

const BROADCAST: [u8; 6] = [0xff; 6];

impl Engine {
    /// The next hop of a connection, from what it remembers if that still holds.
    #[inline]
    pub(crate) fn connection_hop(&mut self, hop: &mut Hop, remote: u32, now: Instant) -> Answer {
        self.remembered(hop, now, |engine| engine.hop(remote, now))
    }

    /// As [`connection_hop`](Self::connection_hop), of either family.
    #[inline]
    pub(crate) fn remembered_hop(&mut self, hop: &mut Hop, to: IpAddr, now: Instant) -> Answer {
        self.remembered(hop, now, |engine| match to {
            IpAddr::V4(to) => engine.hop(to.into(), now),
            IpAddr::V6(to) => engine.hop6(to.into(), now),
        })
    }

    #[inline]
    fn remembered(
        &mut self,
        hop: &mut Hop,
        now: Instant,
        find: impl FnOnce(&mut Self) -> Answer,
    ) -> Answer {
        if hop.epoch == self.neighbours.epoch && now < hop.until {
            return Answer::Known(hop.mac, hop.until);
        }
        let answer = find(self);
        if let Answer::Known(mac, until) = answer {
            *hop = Hop { mac, epoch: self.neighbours.epoch, until };
        }
        answer
    }

    /// The hardware address of the next hop towards `remote`, asked for if need be.
    pub(crate) fn hop(&mut self, remote: u32, now: Instant) -> Answer {
        let Some(address) = self.address else { return Answer::Gone };
        let own = u32::from(address.address);
        let mask = u32::MAX.checked_shl(32 - u32::from(address.prefix)).unwrap_or(0);
        let directed = address.prefix < 31 && remote == own | !mask;
        if remote == u32::MAX || directed {
            return Answer::Known(BROADCAST, Instant::FAR);
        }
        // A router that does not answer is passed over.
        let mut at = 0;
        while let Some((next, following)) = self.routes.neighbour(remote, at) {
            at = following;
            // Nobody else is to answer for us.
            if next != own {
                let answer = self.neighbour(next, now);
                if answer != Answer::Gone {
                    return answer;
                }
            }
        }
        Answer::Gone
    }

    /// The hardware address of a station on the link, asked for if need be.
    fn neighbour(&mut self, next: u32, now: Instant) -> Answer {
        let (answer, ask) = self.neighbours.resolve(next.into(), now);
        match ask {
            Ask::No => {}
            Ask::Broadcast => self.ask(next, BROADCAST),
            Ask::Confirm(mac) => self.ask(next, mac),
        }
        answer
    }

    fn ask(&mut self, target: u32, to: [u8; 6]) {
        let Some(own) = self.address else { return };
        self.tally.arp_requests += 1;
        let sender = u32::from(own.address);
        let operation = Operation::Request;
        let sender_mac = self.mac;
        let request = Arp { operation, sender_mac, sender, target_mac: [0; 6], target };
        self.send_arp(&request, &to);
    }

    /// Tells the link our address (RFC 5227, 2.3), and finds the router.
    pub(crate) fn announce(&mut self, now: Instant) {
        let Some(own) = self.address else { return };
        self.ask(u32::from(own.address), BROADCAST);
        if let Some(gateway) = own.gateway {
            self.hop(u32::from(gateway), now);
        }
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
        let (Some(own), Some(packet)) = (self.address, Arp::parse(frame)) else {
            self.tally.arp_ignored += 1;
            return false;
        };
        let address = u32::from(own.address);
        let on_link = packet.sender != address && self.routes.is_neighbour(packet.sender);
        if packet.target != address || !on_link {
            self.tally.arp_ignored += 1;
            return false;
        }
        match packet.operation {
            Operation::Request => {
                self.neighbours.asked_us(packet.sender.into(), packet.sender_mac, now);
                let reply = Arp {
                    operation: Operation::Reply,
                    sender_mac: self.mac,
                    sender: address,
                    target_mac: packet.sender_mac,
                    target: packet.sender,
                };
                self.send_arp(&reply, &packet.sender_mac);
                true
            }
            Operation::Reply => {
                let news = self.neighbours.answered(packet.sender.into(), packet.sender_mac, now);
                self.tally.arp_ignored += u64::from(!news);
                news
            }
        }
    }
}

impl Engine {
    /// The interface's addresses: IPv4, if there is one, and IPv6, link-local first.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let v4 = self.address.map(|own| IpAddr::V4(own.address));
        let v6 = self.station.addresses6.iter().filter(|own| **own != 0);
        v4.into_iter().chain(v6.map(|own| Ipv6Addr::from(*own).into())).collect()
    }

    /// Our address on the prefix of `remote`; `None` when it is on none of ours, and so not on the
    /// link.
    fn own6(&self, remote: u128) -> Option<u128> {
        let prefixes = [64, self.prefix6];
        let mut own = self.station.addresses6.into_iter().zip(prefixes);
        let shared = |own: u128, prefix: u8| {
            own != 0 && (own ^ remote).checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
        };
        own.find(|(own, prefix)| shared(*own, *prefix)).map(|(own, _)| own)
    }

    /// The hardware address of a station on the link, asked for if need be.
    fn hop6(&mut self, remote: u128, now: Instant) -> Answer {
        let Some(own) = self.own6(remote).filter(|own| *own != remote) else { return Answer::Gone };
        let (answer, ask) = self.neighbours.resolve(remote, now);
        let group = ndisc::solicited_node(remote);
        match ask {
            Ask::No => {}
            Ask::Broadcast => self.solicit(own, group, remote, &ndisc::group_mac(group)),
            Ask::Confirm(mac) => self.solicit(own, remote, remote, &mac),
        }
        answer
    }

    fn solicit(&mut self, source: u128, destination: u128, target: u128, to: &[u8; 6]) {
        self.tally.arp_requests += 1;
        let mac = Some(self.mac);
        self.send_nd(&Message { kind: Kind::Solicitation, source, destination, target, mac }, to);
    }

    fn send_nd(&mut self, message: &Message, to: &[u8; 6]) {
        let own = self.mac;
        let fill = &mut |frame: &mut [u8]| message.emit(to, &own, frame);
        if self.transmit.transmit(ndisc::LENGTH, fill).is_ok() {
            self.tally.sent += 1;
            self.room = self.room.saturating_sub(1);
            self.transmit.flush();
        }
    }

    /// Learns from a message of neighbour discovery and answers it. True when somebody may have
    /// waited for it.
    pub(crate) fn nd(&mut self, frame: &[u8], now: Instant) -> bool {
        let heard = Message::parse(frame).is_some_and(|message| match message.kind {
            Kind::Solicitation => self.solicited(&message, now),
            Kind::Advertisement => message.mac.is_some_and(|mac| {
                self.own6(message.target).is_some()
                    && self.neighbours.answered(message.target, mac, now)
            }),
        });
        self.tally.arp_ignored += u64::from(!heard);
        heard
    }

    /// Answers a solicitation of one of our addresses. A host that asks without an address of its
    /// own wants ours for itself, and all hear that it is taken (RFC 4862, 5.4.3).
    fn solicited(&mut self, message: &Message, now: Instant) -> bool {
        let Message { source, target, mac, .. } = *message;
        if !self.station.addresses6.contains(&target) {
            return false;
        }
        let everyone = 0xff02 << 112 | 1;
        let (destination, to) = match mac {
            Some(mac) if self.own6(source).is_some_and(|own| own != source) => {
                self.neighbours.asked_us(source, mac, now);
                (source, mac)
            }
            None if source == 0 => (everyone, ndisc::group_mac(everyone)),
            _ => return false,
        };
        let (kind, mac) = (Kind::Advertisement, Some(self.mac));
        self.send_nd(&Message { kind, source: target, destination, target, mac }, &to);
        true
    }
}
