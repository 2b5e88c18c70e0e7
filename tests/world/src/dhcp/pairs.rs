//! Several servers: two that know nothing of each other, a failover pair, and one behind a relay.

use super::servers::{self, Config, SECONDS, Server, ip, isc_options, isc_with};
use super::world::World;
use crate::place::{Place, Program};
use crate::wire::Wire;
use reflex_dhcp::*;
use std::net::Ipv4Addr;

/// A server in a place of its own. It ends with this value.
struct Seat {
    address: Ipv4Addr,
    program: Program,
    _place: Place,
}

/// Ends one of two servers, and has the host find out; tells which server then has the lease.
fn end_and_find_out(world: &mut World, seats: &mut Vec<Seat>, gone: Ipv4Addr) -> Ipv4Addr {
    seats.retain(|seat| seat.address != gone);
    assert_eq!(seats.len(), 1);
    world.hurry();
    world.hurry_until("with another server", |host| {
        host.client.lease().is_some_and(|lease| lease.server() != gone)
    });
    world.host.client.lease().expect("a lease").server()
}

/// Two servers that know nothing of each other: one's address is kept while it is there, and the
/// other's is had when it is gone.
#[test]
fn two_servers() {
    let Some(programs) = servers::programs() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (mut seats, mut taps) = (Vec::new(), Vec::new());
    for (server, address, pool) in
        [(Server::Isc, ip(1), (20, 90)), (Server::Dnsmasq, ip(2), (120, 190))]
    {
        let Some(place) = Place::new() else { return };
        let tap = place.interface(address, 24);
        let config = Config { interface: tap.name(), pool, folder: folder.path() };
        let mut program = server.start(&programs, &place, &config);
        World::new(vec![Wire::default()]).until_says(&mut program, server.ready());
        seats.push(Seat { address, program, _place: place });
        taps.push(tap);
    }
    let mut world = World::new(vec![Wire::new(&taps)]);
    let lease = world.acquire(None);
    for _ in 0..3 {
        let now = world.prolong();
        assert_eq!((now.address(), now.server()), (lease.address(), lease.server()));
    }
    let server = end_and_find_out(&mut world, &mut seats, lease.server());
    assert_eq!(server, seats[0].address);
    let lost = |action: &Action| matches!(action, Action::Lost(Loss::Refused | Loss::Expired));
    assert!(world.host.told.iter().any(lost), "{:?}", world.host.told);
}

/// What one of a failover pair is told.
fn failover(role: &str, own: Ipv4Addr, other: Ipv4Addr) -> String {
    let balance = if role == "primary" { "mclt 120; split 128;" } else { "" };
    format!(
        "authoritative; ping-check false; default-lease-time {SECONDS}; max-lease-time {SECONDS};\n\
         omapi-port 7911;\n\
         failover peer \"pair\" {{\n {role}; address {own}; port 647; peer address {other};\n\
         peer port 647; max-response-delay 5; max-unacked-updates 10;\n\
         load balance max seconds 1; {balance}\n}}\n\
         subnet 10.77.9.0 netmask 255.255.255.0 {{\n\
         pool {{ failover peer \"pair\"; range {} {}; }}\n{}}}\n",
        ip(50),
        ip(150),
        isc_options()
    )
}

/// ISC's failover: the address is prolonged by the other when its server is gone.
#[test]
fn a_failover_pair() {
    let Some(programs) = servers::programs() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (mut seats, mut taps) = (Vec::new(), Vec::new());
    for (role, own, other) in [("primary", 1, 2), ("secondary", 2, 1)] {
        let Some(place) = Place::new() else { return };
        let address = ip(own);
        let tap = place.interface(address, 24);
        let config = Config { interface: tap.name(), pool: (own, own), folder: folder.path() };
        let text = failover(role, address, ip(other));
        let program = place.start(isc_with(&programs, &config, &text), folder.path(), role);
        seats.push(Seat { address, program, _place: place });
        taps.push(tap);
    }
    let mut world = World::new(vec![Wire::new(&taps)]);
    for seat in &mut seats {
        world.until_says(&mut seat.program, "to normal");
    }
    let lease = world.acquire(None);
    world.prolong();
    // A server tells its peer after it has answered.
    let entry = format!("lease {} {{", lease.address());
    let knows = |own: u8| {
        let file = folder.path().join(format!("dhcpd.leases-{own}"));
        let leases = std::fs::read_to_string(file).unwrap_or_default();
        leases.rsplit_once(&entry).is_some_and(|(_, entry)| {
            entry.split('}').next().is_some_and(|entry| entry.contains(" binding state active"))
        })
    };
    world.until("known to both", |_| knows(1) && knows(2));
    end_and_find_out(&mut world, &mut seats, lease.server());
    let now = world.host.client.lease().expect("a lease");
    assert_eq!(now.address(), lease.address());
    let lost = |action: &Action| matches!(action, Action::Lost(_));
    assert!(!world.host.told.iter().any(lost), "{:?}", world.host.told);
}

/// ISC's relay between the client's network and the server's: the lease comes through the relay, and is
/// prolonged past it.
#[test]
fn behind_a_relay() {
    let Some(programs) = servers::programs() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (Some(relay), Some(seat)) = (Place::new(), Place::new()) else { return };
    let server = Ipv4Addr::new(10, 78, 0, 2);
    // Both networks are on the server's link as it sees it, so that it needs no route; the relay, which
    // is a router, answers for the hosts behind it.
    let inner = relay.interface(servers::ROUTER, 24);
    let outer = relay.interface(Ipv4Addr::new(10, 78, 0, 1), 24);
    let tap = seat.interface(server, 8);
    relay.set("ip_forward", "1");
    relay.set(&format!("conf/{}/proxy_arp", outer.name()), "1");
    relay.set(&format!("neigh/{}/proxy_delay", outer.name()), "0");
    let config = Config { interface: tap.name(), pool: (50, 150), folder: folder.path() };
    let text = format!(
        "authoritative; ping-check false; default-lease-time {SECONDS}; max-lease-time {SECONDS};\n\
         subnet 10.78.0.0 netmask 255.255.255.0 {{}}\n\
         subnet 10.77.9.0 netmask 255.255.255.0 {{\n range {} {};\n{}}}\n",
        ip(50),
        ip(150),
        isc_options()
    );
    let program = seat.start(isc_with(&programs, &config, &text), folder.path(), "server");
    let mut seat = Seat { address: server, program, _place: seat };
    let mut command = programs.command("dhcrelay");
    command.args(["-4", "-d", "--no-pid", "-id", inner.name(), "-iu", outer.name()]);
    command.arg(server.to_string());
    let mut program = relay.start(command, folder.path(), "relay");
    let mut world = World::new(vec![Wire::new([&inner]), Wire::new([&outer, &tap])]);
    world.until_says(&mut program, "Socket/fallback");
    world.until_says(&mut seat.program, Server::Isc.ready());
    let lease = world.acquire(None);
    assert_eq!(lease.server(), seat.address);
    assert!((ip(50)..=ip(150)).contains(&lease.address()));
    assert!(seat.program.log().contains("via 10.77.9.1"), "{}", seat.program.log());
    // By the server alone, through the router; then by all, through the relay.
    for cut_off in [false, true] {
        world.host.cut_off = cut_off;
        assert_eq!(world.prolong().address(), lease.address());
    }
    world.host.cut_off = false;
    world.call(Client::stop);
    world.until_says(&mut seat.program, "DHCPRELEASE of");
}
