//! The next hop: routing, and what is on the link.
//!
//! On the link is what the prefix covers, and the router whatever its address is: what is
//! configured or offered as a router is on the link by definition. Clouds give addresses of /32
//! and a router beside (Google Compute Engine by DHCP, Hetzner), IPv6 has routers at link-local
//! addresses and hosts at /128. Addresses of 169.254/16 are on every link (RFC 3927, 2.6.2).

use crate::ip::endpoint::Hop;
use crate::ip::header::LOOPBACK;
use crate::ip::interface::Engine;
use crate::ip::ndisc;
use crate::ip::neighbour::{Answer, Ask};
use crate::ip::path_mtu::Path;
use crate::ip::resolution::BROADCAST;
use core::net::IpAddr;
use reflex_event::Instant;

impl Engine {
    /// The next hop of a connection, from what it remembers if that still holds.
    #[inline]
    pub(crate) fn connection_hop(&mut self, hop: &mut Hop, remote: u32, now: Instant) -> Answer {
        let answer = self.remembered(hop, now, |engine| {
            (engine.hop(remote, now), engine.paths.get(remote, now))
        });
        self.follow(hop.path, remote, now);
        answer
    }

    /// As [`connection_hop`](Self::connection_hop), of either family.
    #[inline]
    pub(crate) fn remembered_hop(&mut self, hop: &mut Hop, to: IpAddr, now: Instant) -> Answer {
        self.remembered(hop, now, |engine| {
            let answer = match to {
                IpAddr::V4(to) => engine.hop(to.into(), now),
                IpAddr::V6(to) => engine.hop6(to.into(), now),
            };
            (answer, Path::UNKNOWN)
        })
    }

    #[inline]
    fn remembered(
        &mut self,
        hop: &mut Hop,
        now: Instant,
        find: impl FnOnce(&mut Self) -> (Answer, Path),
    ) -> Answer {
        if hop.epoch == self.neighbours.epoch && now < hop.until {
            return Answer::Known(hop.mac, hop.until);
        }
        let (answer, path) = find(self);
        if let Answer::Known(mac, until) = answer {
            *hop = Hop { mac, epoch: self.neighbours.epoch, until, path };
        }
        answer
    }

    /// The hardware address of the next hop towards `remote`, asked for if need be.
    pub(crate) fn hop(&mut self, remote: u32, now: Instant) -> Answer {
        let Some(address) = self.address else { return Answer::Gone };
        let own = u32::from(address.address);
        if self.station.is_broadcast(remote) {
            return Answer::Known(BROADCAST, Instant::FAR);
        }
        if remote >> 24 == LOOPBACK >> 24 {
            let own = Answer::Known(self.mac, Instant::FAR);
            return if self.station.loopback { own } else { Answer::Gone };
        }
        // A router does not forward to 169.254/16, but clouds have servers there that it stands for:
        // one that has spoken to us is on the link, and all are where there is no router.
        if is_link_local(remote)
            && (self.neighbours.knows(remote.into()).is_some()
                || self.routes.neighbour(remote, 0).is_none())
        {
            return self.neighbour(remote, now);
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

    /// Whether `remote` can be a neighbour of ours: a station that packets are sent to directly.
    pub(crate) fn is_on_link(&self, remote: u32) -> bool {
        let station = self.station.is_sender(remote) && remote != 0;
        station && (self.routes.is_neighbour(remote) || is_link_local(remote))
    }

    /// Our address on the prefix of `remote`; `None` when it is on none of ours.
    fn own6(&self, remote: u128) -> Option<u128> {
        let prefixes = [64, self.prefix6];
        let mut own = self.station.addresses6.into_iter().zip(prefixes);
        let shared = |own: u128, prefix: u8| {
            own != 0 && (own ^ remote).checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
        };
        own.find(|(own, prefix)| shared(*own, *prefix)).map(|(own, _)| own)
    }

    /// Our address to ask for `remote` with, when it can be a neighbour of ours.
    pub(crate) fn own_for_neighbour6(&self, remote: u128) -> Option<u128> {
        if remote == 0 || remote >> 120 == 0xff || self.station.addresses6.contains(&remote) {
            return None;
        }
        self.own6(remote).or_else(|| {
            // The router, on the link though no prefix covers it.
            let gateway = self.gateway6 == Some(remote);
            self.station.addresses6.into_iter().find(|own| gateway && *own != 0)
        })
    }

    /// The hardware address of the next hop towards `remote`, asked for if need be.
    fn hop6(&mut self, remote: u128, now: Instant) -> Answer {
        if remote >> 120 == 0xff || self.station.addresses6.contains(&remote) {
            return Answer::Gone;
        }
        let next = match self.gateway6 {
            Some(gateway) if self.own6(remote).is_none() => gateway,
            _ => remote,
        };
        let Some(own) = self.own_for_neighbour6(next) else { return Answer::Gone };
        let (answer, ask) = self.neighbours.resolve(next, now);
        let group = ndisc::solicited_node(next);
        match ask {
            Ask::No => {}
            Ask::Broadcast => self.solicit(own, group, next, &ndisc::group_mac(group)),
            Ask::Confirm(mac) => self.solicit(own, next, next, &mac),
        }
        answer
    }
}

/// RFC 3927.
fn is_link_local(address: u32) -> bool {
    address >> 16 == 0xa9fe
}
