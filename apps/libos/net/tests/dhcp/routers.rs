//! Where packets go, by what the server has said.

use super::server::*;
use crate::common;
use common::Noting;
use common::raw::{SYN, segments};
use reflex_net::{Datagram, UdpService, UdpSocket};
use reflex_testkit::{SimKernel, Trace};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const STATION: [u8; 6] = [2, 9, 9, 9, 9, 9];

/// Has the host connect to `there`; what is sent at once.
fn connects(leased: &mut Leased, there: Ipv4Addr) -> Vec<Vec<u8>> {
    let service = leased.host.kernel.context(Noting::new("c", &Trace::default()), 1 << 20);
    let connector = leased.net().connector().serve(service).unwrap();
    connector.connect(SocketAddrV4::new(there, 80)).unwrap();
    leased.host.kernel.run_until_idle();
    leased.passes(Duration::ZERO)
}

/// Whether a SYN goes to `there` by way of `router`, which answers for its address.
fn goes_through(leased: &mut Leased, there: Ipv4Addr, router: Ipv4Addr) {
    let mut asked = connects(leased, there);
    if !asked_for(&asked).contains(&router) {
        asked =
            leased.passes_until(Duration::from_secs(15), |sent| asked_for(sent).contains(&router));
    }
    assert!(segments(&asked).is_empty(), "before there is an answer");
    let sent = leased.neighbour_answers(STATION, router);
    let [segment] = &segments(&sent)[..] else { panic!("{sent:?}") };
    assert_eq!((segment.flags, &sent[0][..6]), (SYN, &STATION[..]));
}

#[test]
fn one_router() {
    let mut leased = Leased::granted(&usual());
    goes_through(&mut leased, FAR, ROUTER);
}

/// The preferred one is first; one that does not answer is passed over (RFC 1122, 3.3.1.4).
#[test]
fn of_two_routers_one_may_be_dead() {
    let other = Ipv4Addr::new(10, 0, 0, 253);
    let routers = [ROUTER.octets(), other.octets()].concat();
    let mut leased = Leased::granted(&with(usual(), ROUTERS, &routers));
    assert_eq!(leased.net().address().unwrap().gateway, Some(ROUTER));
    goes_through(&mut leased, FAR, ROUTER);
    let mut leased = Leased::granted(&with(usual(), ROUTERS, &routers));
    goes_through(&mut leased, FAR, other);
}

/// RFC 1122, 3.2.1.3: an address without a mask has the one of its class.
#[test]
fn without_a_mask_the_class_says_what_is_on_the_link() {
    let mut leased = Leased::granted(&with(usual(), MASK, &[]));
    assert_eq!(leased.net().address().unwrap().prefix, 8);
    let there = Ipv4Addr::new(10, 200, 0, 1);
    goes_through(&mut leased, there, there);
    goes_through(&mut Leased::granted(&with(usual(), MASK, &[])), FAR, ROUTER);
}

/// As clouds have it: an address of its own, and a router elsewhere that is on the link all the same.
#[test]
fn a_router_outside_of_the_prefix_is_on_the_link() {
    let router = Ipv4Addr::new(172, 31, 1, 1);
    let options = with(with(usual(), MASK, &[255; 4]), ROUTERS, &router.octets());
    let mut leased = Leased::granted(&options);
    let own = leased.net().address().unwrap();
    assert_eq!((own.prefix, own.gateway), (32, Some(router)));
    goes_through(&mut leased, FAR, router);
    // The server, too, is behind it; its hardware address is known by now, or asked for again.
    let half = Duration::from_secs(1810);
    let sent = leased
        .passes_until(half, |sent| !messages(sent).is_empty() || asked_for(sent).contains(&router));
    let renewal = match messages(&sent).is_empty() {
        true => leased.neighbour_answers(STATION, router),
        false => sent,
    };
    let frame = renewal.iter().find(|frame| !messages(&[frame.to_vec()]).is_empty());
    assert_eq!(frame.expect("a renewal")[..6], STATION);
}

/// RFC 3442: several routes, the longest prefix first; the routers do not count beside them.
#[test]
fn classless_routes_are_followed() {
    let classless = [
        &[0, 10, 0, 0, 1][..],
        &[12, 172, 16, 10, 0, 0, 2],
        &[24, 172, 16, 5, 10, 0, 0, 3],
        &[24, 198, 51, 100, 0, 0, 0, 0],
    ];
    let options = with(usual(), CLASSLESS, &classless.concat());
    let near = Ipv4Addr::new(198, 51, 100, 9);
    for (there, router) in [
        (FAR, Ipv4Addr::new(10, 0, 0, 1)),
        (Ipv4Addr::new(172, 31, 0, 1), Ipv4Addr::new(10, 0, 0, 2)),
        (Ipv4Addr::new(172, 16, 5, 1), Ipv4Addr::new(10, 0, 0, 3)),
        (near, near),
    ] {
        let mut leased = Leased::granted(&options);
        assert_eq!(leased.net().address().unwrap().gateway, Some(Ipv4Addr::new(10, 0, 0, 1)));
        goes_through(&mut leased, there, router);
        assert!(!asked_for(&leased.sent).contains(&ROUTER));
    }
}

/// RFC 2132, 5.1: no longer packets are sent than the network carries, and peers are asked for none;
/// the interface's own length counts again without the lease.
#[test]
fn a_network_may_carry_less_than_the_interface() {
    let mut leased = Leased::granted(&with(usual(), MTU, &1400u16.to_be_bytes()));
    assert_eq!(leased.net().mtu(), 1400);
    let there = Ipv4Addr::new(10, 0, 0, 7);
    let mss = |sent: &[Vec<u8>]| {
        let syn = sent.iter().find(|frame| !segments(&[frame.to_vec()]).is_empty()).expect("a SYN");
        let option = syn[54..].windows(4).find(|option| option[..2] == [2, 4]).expect("an MSS");
        u16::from_be_bytes([option[2], option[3]])
    };
    connects(&mut leased, there);
    assert_eq!(mss(&leased.neighbour_answers(STATION, there)), 1400 - 40);
    let context = leased.host.kernel.context(Quiet, 1 << 16);
    let socket = leased.net().udp(9).serve(context).unwrap();
    let to = SocketAddrV4::new(there, 9);
    assert_eq!(socket.send_to(&[0; 1373], to), Err(reflex_net::Error::TooLong));
    socket.send_to(&[0; 1372], to).unwrap();
    // Longer than the interface carries is as long as it.
    let leased = Leased::granted(&with(usual(), MTU, &9000u16.to_be_bytes()));
    assert_eq!(leased.net().mtu(), 1500);
    let mut leased = Leased::granted(&with(usual(), MTU, &576u16.to_be_bytes()));
    leased.passes(Duration::from_secs(3700));
    assert_eq!((leased.net().address(), leased.net().mtu()), (None, 1500));
}

/// Reads no datagram.
struct Quiet;

impl UdpService<SimKernel> for Quiet {
    fn datagram(&mut self, _: &UdpSocket<SimKernel>, _: Datagram<'_>) {}
}

/// A renewal that says something else: other routes, and connections stay.
#[test]
fn a_renewal_may_bring_another_router() {
    let mut leased = Leased::granted(&usual());
    goes_through(&mut leased, FAR, ROUTER);
    let next = Ipv4Addr::new(10, 0, 0, 250);
    leased.passes_until(Duration::from_secs(1810), |sent| asked_for(sent).contains(&SERVER));
    leased.neighbour_answers(STATION, SERVER);
    leased.is_answered(ACK, &with(usual(), ROUTERS, &next.octets()));
    let own = leased.net().address().unwrap();
    assert_eq!((own.address, own.gateway), (OFFERED, Some(next)));
    goes_through(&mut leased, FAR, next);
    // One that says nothing of routers takes nothing back.
    leased.passes_until(Duration::from_secs(1810), |sent| asked_for(sent).contains(&SERVER));
    leased.neighbour_answers(STATION, SERVER);
    leased.is_answered(ACK, &with(usual(), ROUTERS, &[]));
    assert_eq!(leased.net().address().unwrap().gateway, Some(next));
}
