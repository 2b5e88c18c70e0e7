//! One server and its client, for a whole life.

use super::servers::{
    self, Config, DOMAIN, MTU, OTHER_ROUTER, ROUTER, SECONDS, Server, ip, isc_options, isc_with,
};
use super::world::World;
use crate::place::{Place, Program};
use crate::wire::Wire;
use reflex_dhcp::*;
use std::net::Ipv4Addr;
use std::time::Duration;

/// A server with its place, and a host on its wire.
struct Life {
    world: World,
    server: Program,
    _place: Place,
    _folder: tempfile::TempDir,
}

impl Life {
    fn begin(server: Server) -> Option<Self> {
        let programs = servers::programs()?;
        let place = Place::new()?;
        let folder = tempfile::tempdir().expect("a folder");
        let tap = place.interface(ROUTER, 24);
        let config = Config { interface: tap.name(), pool: (50, 150), folder: folder.path() };
        let mut program = server.start(&programs, &place, &config);
        let mut world = World::new(vec![Wire::new([&tap])]);
        world.until_says(&mut program, server.ready());
        Some(Self { world, server: program, _place: place, _folder: folder })
    }

    /// RFC 2131, 3.1: everything that the server was told is known in the end.
    fn acquires(&mut self) -> Ipv4Addr {
        let lease = self.world.acquire(None);
        let address = lease.address();
        assert!((ip(50)..=ip(150)).contains(&address), "{address}");
        assert_eq!((lease.prefix(), lease.server()), (24, ROUTER));
        let parameters = lease.parameters();
        let list = |list: Option<List<Ipv4Addr, MOST_HOSTS>>| {
            list.into_iter().flatten().collect::<Vec<_>>()
        };
        // RFC 3442: a server that sends classless routes may leave the routers out.
        if parameters.routers.is_some() {
            assert_eq!(list(parameters.routers), [ROUTER, OTHER_ROUTER]);
        }
        assert_eq!(list(parameters.name_servers), [ROUTER]);
        assert_eq!(parameters.domain.as_ref().map(Name::as_str), Some(DOMAIN));
        assert_eq!(parameters.mtu, Some(MTU));
        let routes: Vec<Route> = parameters.routes.into_iter().flatten().collect();
        let net = Ipv4Addr::new(192, 0, 2, 0);
        assert!(routes.contains(&Route { network: net, prefix: 24, router: Some(ip(9)) }));
        assert_eq!(parameters.gateways().collect::<Vec<_>>(), [ROUTER]);
        let whole = lease.expiry.since(lease.rebinding) * 8;
        let seconds = Duration::from_secs(SECONDS.into());
        assert!(whole.abs_diff(seconds) < Duration::from_secs(9), "{whole:?}");
        address
    }

    /// RFC 2131, 4.4.5: at T1 by the server alone, at T2 by everybody.
    fn prolongs(&mut self, address: Ipv4Addr) {
        for cut_off in [false, true] {
            self.world.host.cut_off = cut_off;
            assert_eq!(self.world.prolong().address(), address);
        }
        self.world.host.cut_off = false;
    }

    /// RFC 2131, 3.2: the address from before; and one of another network.
    fn reboots(&mut self, address: Ipv4Addr) {
        let lease = self.world.acquire(Some(Remembered { address, server: Some(ROUTER) }));
        assert_eq!((lease.address(), self.world.sent()), (address, vec![Kind::Request]));
        let elsewhere = Remembered { address: Ipv4Addr::new(172, 16, 5, 5), server: None };
        let lease = self.world.acquire(Some(elsewhere));
        assert_eq!(lease.address(), address);
        let refused = [Kind::Request, Kind::Discover, Kind::Request];
        assert_eq!(self.world.sent(), refused, "{:?}", self.world.host.client.counters());
    }

    /// RFC 2131, 4.4.6.
    fn releases(&mut self, words: &str) {
        self.world.call(Client::stop);
        self.world.until_says(&mut self.server, words);
        assert!(self.world.host.client.lease().is_none());
    }

    /// RFC 2131, 4.4.4: another address in place of one that somebody has.
    fn declines(&mut self, taken: Ipv4Addr, words: &str) {
        self.world.taken.push(taken);
        self.world.host.told.clear();
        let remembered = Remembered { address: taken, server: None };
        self.world.call(|client, now, random| client.start(Some(remembered), now, random));
        self.world.hurry_until("granted", |host| host.told.contains(&Action::Granted));
        let lease = *self.world.host.client.lease().expect("a lease");
        assert_ne!(lease.address(), taken);
        assert!(self.world.sent().contains(&Kind::Decline));
        self.world.until_says(&mut self.server, words);
    }

    /// RFC 2131, 4.4.3.
    fn informs(&mut self) {
        let fixed = ip(200);
        self.world.host.fixed = Some(fixed);
        self.world.call(|client, now, random| client.inform(fixed, now, random));
        self.world.until("informed", |host| host.told.contains(&Action::Informed));
        let parameters = self.world.host.client.parameters().expect("parameters");
        assert_eq!(parameters.domain.as_ref().map(Name::as_str), Some(DOMAIN));
        assert_eq!(parameters.mtu, Some(MTU));
    }

    /// Nothing that a real server sends is refused, but for what is not to be answered.
    fn nothing_was_refused(&self) {
        let counters = self.world.host.client.counters();
        let refused: Vec<_> =
            Error::ALL.into_iter().filter(|error| counters.refused(*error) > 0).collect();
        let harmless = [Error::Unexpected, Error::OtherTransaction];
        assert!(refused.iter().all(|error| harmless.contains(error)), "{counters:?}");
        let odd: Vec<_> = Oddity::ALL.into_iter().filter(|it| counters.odd(*it) > 0).collect();
        assert!(odd.iter().all(|oddity| *oddity == Oddity::Paced), "{odd:?}");
    }
}

/// All that a client does, with a server that says so in these words.
fn a_whole_life(server: Server, released: &str, declined: &str) {
    let Some(mut life) = Life::begin(server) else { return };
    let address = life.acquires();
    life.prolongs(address);
    life.reboots(address);
    life.declines(address, declined);
    life.releases(released);
    life.informs();
    life.nothing_was_refused();
}

#[test]
fn iscs_server() {
    a_whole_life(Server::Isc, "DHCPRELEASE of", "DHCPDECLINE of");
}

#[test]
fn kea() {
    a_whole_life(Server::Kea, "DHCP4_RELEASE", "DHCP4_DECLINE");
}

#[test]
fn dnsmasq() {
    a_whole_life(Server::Dnsmasq, "DHCPRELEASE(", "DHCPDECLINE(");
}

/// More than fits behind the fixed part of a message: ISC's server goes on in the fields for a file and
/// a server's name (RFC 2132, 9.3), and cuts an option in pieces (RFC 3396).
#[test]
fn options_that_do_not_fit() {
    let Some(programs) = servers::programs() else { return };
    let Some(place) = Place::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let tap = place.interface(ROUTER, 24);
    let config = Config { interface: tap.name(), pool: (50, 150), folder: folder.path() };
    let routes: Vec<String> =
        (0..30).map(|number| format!("24, 172, 16, {number}, 10, 77, 9, 9")).collect();
    let text = format!(
        "authoritative; ping-check false; default-lease-time {SECONDS};\n\
         option classless code 121 = array of integer 8;\n\
         subnet 10.77.9.0 netmask 255.255.255.0 {{\n range {} {};\n{}\
         option domain-name \"{}.example.org\";\n option classless {};\n}}\n",
        ip(50),
        ip(150),
        isc_options().replace(&format!("option domain-name \"{DOMAIN}\";"), ""),
        "x".repeat(60),
        routes.join(", ")
    );
    let mut program = place.start(isc_with(&programs, &config, &text), folder.path(), "server");
    // The smallest that a server has to assume.
    let mut world = World::with_mtu(vec![Wire::new([&tap])], 576);
    world.until_says(&mut program, Server::Isc.ready());
    let lease = world.acquire(None);
    let message = world.host.heard.last().expect("an acknowledgement");
    let overloaded = message.windows(3).any(|option| matches!(option, [52, 1, 1..=3]));
    assert!(overloaded, "{message:02x?}");
    let found: Vec<Route> = lease.parameters().routes.into_iter().flatten().collect();
    let numbers: Vec<u8> = found.iter().map(|route| route.network.octets()[2]).collect();
    // All were sent; so many are kept.
    assert_eq!(numbers, (0..MOST_ROUTES as u8).collect::<Vec<u8>>());
    assert!(found.iter().all(|route| route.prefix == 24 && route.router == Some(ip(9))));
    let domain = lease.parameters().domain.expect("a domain");
    assert!(domain.as_str().ends_with("x.example.org"), "{domain}");
}
