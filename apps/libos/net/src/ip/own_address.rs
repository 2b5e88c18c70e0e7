//! Our own addresses on the link: told, probed for, and others noticed that have them.

use crate::ip::arp::{Arp, Operation};
use crate::ip::conflict::{Detection, Origin, Outcome, Say};
use crate::ip::interface::Engine;
use crate::ip::ndisc::{self, Kind, Message};
use crate::ip::resolution::{BROADCAST, EVERYONE};
use crate::types::conflict::{AddressConflict, ConflictOutcome};
use crate::types::settings::InterfaceAddress;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use reflex_event::Instant;

/// How long an IPv6 address is tentative (RFC 4862, 5.1: one transmission, RetransTimer).
const TENTATIVE6: Duration = Duration::from_secs(1);
/// At most one defence of IPv6 addresses in this time, as RFC 5227 has it for IPv4.
const DEFEND6: Duration = Duration::from_secs(10);

impl Engine {
    /// Tells the link our address (RFC 5227, 2.3).
    pub(crate) fn announce(&mut self) {
        if let Some(own) = self.address {
            self.ask(u32::from(own.address), BROADCAST);
        }
    }

    /// Finds the router.
    pub(crate) fn find_router(&mut self, now: Instant) {
        if let Some(gateway) = self.address.and_then(|own| own.gateway) {
            self.hop(u32::from(gateway), now);
        }
    }

    /// Watches the address that the interface has had from now on, unless it does so already.
    pub(crate) fn watch(&mut self, origin: Origin, now: Instant) {
        let watched = self.watch.v4;
        self.watch.v4 = self.address.map(|own| match watched {
            Some((before, detection)) if before.address == own.address => (own, detection),
            _ => (own, Detection::begin(origin, now)),
        });
    }

    /// Looks whether others have our IPv6 addresses (RFC 4862, 5.4.2).
    pub(crate) fn watch6(&mut self, now: Instant) {
        self.watch.tentative6 = Some(now + TENTATIVE6);
        for own in self.station.addresses6.into_iter().filter(|own| *own != 0) {
            let group = ndisc::solicited_node(own);
            self.solicit(0, group, own, &ndisc::group_mac(group));
        }
    }

    /// Does what is due; returns an address that is to be used from now on. `lot`: any number.
    pub(crate) fn watch_expired(&mut self, now: Instant, lot: u32) -> Option<InterfaceAddress> {
        let (own, detection) = self.watch.v4.as_mut()?;
        let (address, own) = (u32::from(own.address), *own);
        match detection.expired(now, lot)? {
            Say::Probe => self.request(0, address, BROADCAST),
            Say::Announce => self.announce(),
            Say::Use => return Some(own),
        }
        None
    }

    /// Notices an ARP packet of a station that has our address, or wants it while we do (RFC 5227,
    /// 2.1.1 and 2.4). True when it was one.
    pub(crate) fn arp_conflict(&mut self, packet: &Arp, now: Instant) -> bool {
        let Some((own, detection)) = &mut self.watch.v4 else {
            // Nobody watches, and no neighbour has our address.
            return false;
        };
        let address = u32::from(own.address);
        let probe = packet.operation == Operation::Request && packet.sender == 0;
        let wants = probe && packet.target == address && detection.is_probing();
        if packet.sender != address && !wants {
            return false;
        }
        let outcome = detection.conflict(now);
        let address = IpAddr::V4(own.address);
        match outcome {
            Outcome::Defend => self.announce(),
            Outcome::Keep | Outcome::Withdraw => {}
        }
        self.notice(address, packet.sender_mac, outcome);
        true
    }

    /// The same for a message of neighbour discovery (RFC 4862, 5.4.3 and 5.4.4).
    pub(crate) fn nd_conflict(&mut self, message: &Message, from: [u8; 6], now: Instant) -> bool {
        let Some(tentative) = self.watch.tentative6 else { return false };
        let Message { kind, source, target, mac, .. } = *message;
        let own = self.station.addresses6.iter().position(|own| *own == target && target != 0);
        let Some(at) = own else { return false };
        let tentative = now < tentative;
        let conflict = match kind {
            Kind::Advertisement => true,
            Kind::Solicitation => source == 0 && tentative,
        };
        if !conflict {
            return false;
        }
        let outcome = if tentative {
            self.station.addresses6[at] = 0;
            Outcome::Withdraw
        } else if now < self.watch.defended6_until {
            Outcome::Keep
        } else {
            self.watch.defended6_until = now + DEFEND6;
            self.advertise(target, EVERYONE, ndisc::OVERRIDE, &ndisc::group_mac(EVERYONE));
            Outcome::Defend
        };
        self.notice(IpAddr::V6(Ipv6Addr::from(target)), mac.unwrap_or(from), outcome);
        true
    }

    fn notice(&mut self, address: IpAddr, mac: [u8; 6], outcome: Outcome) {
        self.tally.address_conflicts += 1;
        let outcome = match outcome {
            Outcome::Withdraw => ConflictOutcome::Withdrawn,
            Outcome::Defend => ConflictOutcome::Defended,
            // It has been told.
            Outcome::Keep => return,
        };
        self.watch.noticed = Some(AddressConflict { address, mac, outcome });
    }
}
