//! Routes over IPv4: which neighbour takes a packet that is for an address.
//!
//! The longest prefix counts; of routes with the same one, those through routers that answer, in
//! their order (RFC 1122, 3.3.1.4). What is a route's router is on the link by definition, whatever
//! its address is: clouds give addresses of /32, and a router beside.

use crate::types::settings::InterfaceAddress;
use alloc::vec;
use alloc::vec::Vec;
use reflex_dhcp::Parameters;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Route {
    network: u32,
    prefix: u8,
    /// `None`: the network is on the link.
    router: Option<u32>,
}

impl Route {
    fn leads_to(&self, remote: u32) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
        (self.network ^ remote) & mask == 0
    }
}

/// An address's routes; bounded, as what a server may say is ([`reflex_dhcp::MOST_ROUTES`]).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Routes {
    /// Those with the longest prefix first.
    routes: Vec<Route>,
}

impl Routes {
    /// Those of a configured address: its subnet, and everything else through its gateway.
    pub(crate) fn configured(own: &InterfaceAddress) -> Self {
        let gateway = own.gateway.map(|gateway| Route {
            network: 0,
            prefix: 0,
            router: Some(gateway.into()),
        });
        Self::sorted(own, gateway)
    }

    /// Those of a leased address: its subnet, and what the server has said. Classless routes are
    /// all there are beside the subnet (RFC 3442).
    pub(crate) fn leased(own: &InterfaceAddress, said: &Parameters) -> Self {
        let classless = said.routes.into_iter().flatten().map(|route| Route {
            network: route.network.into(),
            prefix: route.prefix,
            router: route.router.map(u32::from),
        });
        let routers = said.routers.filter(|_| said.routes.is_none()).into_iter().flatten();
        let defaults =
            routers.map(|router| Route { network: 0, prefix: 0, router: Some(router.into()) });
        Self::sorted(own, classless.chain(defaults))
    }

    fn sorted(own: &InterfaceAddress, others: impl IntoIterator<Item = Route>) -> Self {
        let subnet = Route { network: own.address.into(), prefix: own.prefix, router: None };
        let mut routes = vec![subnet];
        for route in others {
            // Equal ones stay in their order. They are few: a sort of the library's would be more code than
            // all the rest of this file.
            let place = routes.partition_point(|placed| placed.prefix >= route.prefix);
            routes.insert(place, route);
        }
        Self { routes }
    }

    /// The neighbour that takes packets for `remote`, and where to look for the next one, should
    /// it not answer. `from`: where to look, 0 at first.
    pub(crate) fn neighbour(&self, remote: u32, from: usize) -> Option<(u32, usize)> {
        let rest = self.routes.get(from..)?;
        let at = from + rest.iter().position(|route| route.leads_to(remote))?;
        let route = self.routes[at];
        // A shorter prefix does not help where a longer one fails, that of the route before.
        let before = from.checked_sub(1).map(|before| self.routes[before].prefix);
        let fits = before.is_none_or(|prefix| prefix == route.prefix);
        fits.then(|| (route.router.unwrap_or(remote), at + 1))
    }

    /// Whether packets go to this address directly: it is on the link, or a router.
    pub(crate) fn is_neighbour(&self, address: u32) -> bool {
        self.routes.iter().any(|route| route.router == Some(address))
            || self.neighbour(address, 0).is_some_and(|(neighbour, _)| neighbour == address)
    }
}

#[cfg(test)]
mod tests;
