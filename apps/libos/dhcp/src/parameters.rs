//! What a server says about the network, beside the address.

use crate::list::List;
use crate::name::Name;
use core::net::Ipv4Addr;

/// Routers and name servers that are kept: a network that has more has them for other reasons than
/// that one host uses them, and a resolver asks three.
pub const MOST_HOSTS: usize = 4;
/// Classless routes that are kept: clouds and access networks send a handful. Each is in every lease,
/// and leases are moved about on the stacks of handlers.
pub const MOST_ROUTES: usize = 16;

/// A route to a network (RFC 3442).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// The network's address; all bits behind the prefix are zero.
    pub network: Ipv4Addr,
    /// The length of its prefix; 0 for everywhere.
    pub prefix: u8,
    /// Through which router; `None` where the network is on the link.
    pub router: Option<Ipv4Addr>,
}

/// What is known of the network. What a server did not say is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Parameters {
    /// The length of the subnet's prefix.
    pub prefix: Option<u8>,
    /// Routers, the preferred one first. They count only where there are no [`routes`](Self::routes).
    pub routers: Option<List<Ipv4Addr, MOST_HOSTS>>,
    /// Classless routes, the one to everywhere among them.
    pub routes: Option<List<Route, MOST_ROUTES>>,
    /// Name servers, the preferred one first.
    pub name_servers: Option<List<Ipv4Addr, MOST_HOSTS>>,
    /// The largest packet that the network carries.
    pub mtu: Option<u16>,
    /// The domain in which names are looked up.
    pub domain: Option<Name>,
}

impl Parameters {
    /// The routers to everywhere, the preferred one first. A server that sends classless routes means
    /// these alone (RFC 3442).
    pub fn gateways(&self) -> impl Iterator<Item = Ipv4Addr> {
        let default = |route: Route| route.router.filter(|_| route.prefix == 0);
        let routes = self.routes.into_iter().flatten().filter_map(default);
        let routers = self.routers.filter(|_| self.routes.is_none());
        routes.chain(routers.into_iter().flatten())
    }

    /// Takes over what is said now; the rest is as it was said before.
    pub(crate) fn update(&mut self, now: &Self) {
        update(&mut self.prefix, &now.prefix);
        update(&mut self.routers, &now.routers);
        update(&mut self.routes, &now.routes);
        update(&mut self.name_servers, &now.name_servers);
        update(&mut self.mtu, &now.mtu);
        update(&mut self.domain, &now.domain);
    }
}

fn update<T: Copy>(before: &mut Option<T>, now: &Option<T>) {
    if now.is_some() {
        *before = *now;
    }
}
