//! The next hop: routing, and the neighbour table kept up to date by ARP.

use crate::arp::{self, Arp, Operation};
use crate::engine::Engine;
use crate::neighbour::{Answer, Ask};
use crate::record::Hop;
use reflex_event::Instant;

const BROADCAST: [u8; 6] = [0xff; 6];

impl Engine {
    /// The next hop of a connection, from what it remembers if that still holds.
    #[inline]
    pub(crate) fn connection_hop(&mut self, hop: &mut Hop, remote: u32, now: Instant) -> Answer {
        if hop.epoch == self.neighbours.epoch && now < hop.until {
            return Answer::Known(hop.mac, hop.until);
        }
        let answer = self.hop(remote, now);
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
        let next = if remote & mask == own & mask {
            remote
        } else {
            match address.gateway {
                Some(gateway) => u32::from(gateway),
                None => return Answer::Gone,
            }
        };
        let (answer, ask) = self.neighbours.resolve(next, now);
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
        let mask = u32::MAX.checked_shl(32 - u32::from(own.prefix)).unwrap_or(0);
        let address = u32::from(own.address);
        let on_link = packet.sender & mask == address & mask && packet.sender != address;
        if packet.target != address || !on_link {
            self.tally.arp_ignored += 1;
            return false;
        }
        match packet.operation {
            Operation::Request => {
                self.neighbours.asked_us(packet.sender, packet.sender_mac, now);
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
                let news = self.neighbours.answered(packet.sender, packet.sender_mac, now);
                self.tally.arp_ignored += u64::from(!news);
                news
            }
        }
    }
}
