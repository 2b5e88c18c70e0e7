//! Routes, by what neighbours they lead to.

use super::*;
use core::net::Ipv4Addr;
use reflex_dhcp::{List, Route as Said};
use std::vec::Vec;

fn own(prefix: u8, gateway: Option<[u8; 4]>) -> InterfaceAddress {
    let gateway = gateway.map(Ipv4Addr::from);
    InterfaceAddress { address: Ipv4Addr::new(10, 1, 2, 3), prefix, gateway }
}

fn towards(routes: &Routes, remote: [u8; 4]) -> Vec<[u8; 4]> {
    let mut at = 0;
    let mut found = Vec::new();
    while let Some((neighbour, next)) = routes.neighbour(u32::from_be_bytes(remote), at) {
        found.push(neighbour.to_be_bytes());
        at = next;
    }
    found
}

fn list<T: Copy, const N: usize>(items: impl IntoIterator<Item = T>) -> Option<List<T, N>> {
    let mut list = List::new();
    items.into_iter().for_each(|item| assert!(list.push(item)));
    Some(list)
}

fn said(network: [u8; 4], prefix: u8, router: Option<[u8; 4]>) -> Said {
    Said { network: network.into(), prefix, router: router.map(Ipv4Addr::from) }
}

#[test]
fn a_subnet_and_a_gateway() {
    let routes = Routes::configured(&own(24, Some([10, 1, 2, 254])));
    assert_eq!(towards(&routes, [10, 1, 2, 77]), [[10, 1, 2, 77]]);
    assert_eq!(towards(&routes, [10, 1, 3, 77]), [[10, 1, 2, 254]]);
    assert_eq!(towards(&routes, [8, 8, 8, 8]), [[10, 1, 2, 254]]);
    let alone = Routes::configured(&own(24, None));
    assert_eq!(towards(&alone, [10, 1, 3, 77]), [[0; 4]; 0]);
    assert_eq!(towards(&Routes::default(), [10, 1, 2, 77]), [[0; 4]; 0]);
}

/// As clouds give addresses: the router is on the link, though the prefix does not cover it.
#[test]
fn a_gateway_outside_of_the_subnet_is_a_neighbour() {
    let routes = Routes::configured(&own(32, Some([10, 9, 9, 1])));
    assert_eq!(towards(&routes, [10, 1, 2, 4]), [[10, 9, 9, 1]]);
    assert!(routes.is_neighbour(u32::from_be_bytes([10, 9, 9, 1])));
    assert!(!routes.is_neighbour(u32::from_be_bytes([10, 1, 2, 4])));
}

#[test]
fn of_several_routers_each_is_tried_in_its_order() {
    let routers = list([Ipv4Addr::new(10, 1, 2, 254), Ipv4Addr::new(10, 1, 2, 253)]);
    let routes = Routes::leased(&own(24, None), &Parameters { routers, ..Parameters::default() });
    assert_eq!(towards(&routes, [8, 8, 8, 8]), [[10, 1, 2, 254], [10, 1, 2, 253]]);
    assert_eq!(towards(&routes, [10, 1, 2, 9]), [[10, 1, 2, 9]], "on the link, or nowhere");
}

/// RFC 3442: the longest prefix counts, a network may be on the link, and routers do not count.
#[test]
fn classless_routes() {
    let classless = [
        said([0, 0, 0, 0], 0, Some([10, 1, 2, 1])),
        said([172, 16, 0, 0], 12, Some([10, 1, 2, 2])),
        said([172, 16, 5, 0], 24, Some([10, 1, 2, 3])),
        said([172, 16, 5, 9], 32, Some([10, 1, 2, 4])),
        said([192, 0, 2, 0], 24, None),
        said([10, 1, 2, 128], 25, Some([10, 1, 2, 5])),
    ];
    let routers = list([Ipv4Addr::new(10, 1, 2, 254)]);
    let parameters = Parameters { routers, routes: list(classless), ..Parameters::default() };
    let routes = Routes::leased(&own(24, None), &parameters);
    for (remote, neighbour) in [
        ([8, 8, 8, 8], [10, 1, 2, 1]),
        ([172, 31, 255, 255], [10, 1, 2, 2]),
        ([172, 32, 0, 0], [10, 1, 2, 1]),
        ([172, 16, 5, 8], [10, 1, 2, 3]),
        ([172, 16, 5, 9], [10, 1, 2, 4]),
        ([192, 0, 2, 7], [192, 0, 2, 7]),
        ([10, 1, 2, 127], [10, 1, 2, 127]),
        ([10, 1, 2, 129], [10, 1, 2, 5]),
    ] {
        assert_eq!(towards(&routes, remote), [neighbour], "{remote:?}");
    }
    assert!(routes.is_neighbour(u32::from_be_bytes([192, 0, 2, 7])));
    assert!(routes.is_neighbour(u32::from_be_bytes([10, 1, 2, 5])), "a router");
    assert!(!routes.is_neighbour(u32::from_be_bytes([10, 1, 2, 129])));
}

#[test]
fn where_a_long_prefix_fails_a_shorter_one_is_not_tried() {
    let classless = [
        said([0, 0, 0, 0], 0, Some([10, 1, 2, 1])),
        said([172, 16, 0, 0], 12, Some([10, 1, 2, 2])),
        said([172, 16, 0, 0], 12, Some([10, 1, 2, 3])),
    ];
    let parameters = Parameters { routes: list(classless), ..Parameters::default() };
    let routes = Routes::leased(&own(24, None), &parameters);
    assert_eq!(towards(&routes, [172, 16, 1, 1]), [[10, 1, 2, 2], [10, 1, 2, 3]]);
}
