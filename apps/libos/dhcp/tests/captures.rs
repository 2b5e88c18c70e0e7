//! What real servers sent: dnsmasq 2.90, ISC dhcpd 4.4.3-P1, Kea 2.2.0, each an offer and an
//! acknowledgement, as frames in hexadecimal, to a client of a network where the router is 10.77.9.1.

use crate::support::script::settings;
use reflex_dhcp::*;
use std::net::Ipv4Addr;
use std::time::Duration;

const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 9, 1);
const START: Instant = Instant::ZERO;

fn frames(text: &str) -> Vec<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    text.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}

/// A client to which these were sent has the lease; all of it is as the servers meant it.
fn replay(text: &str) -> Client {
    let frames = frames(text);
    let [offer, ack] = &frames[..] else { panic!("{} frames", frames.len()) };
    assert!(is_for_client(offer) && is_for_client(ack));
    let mac: Mac = *offer[70..].first_chunk().unwrap();
    let xid = u32::from_be_bytes(*offer[46..].first_chunk().unwrap());
    let identifier = Identifier::Node { interface: 0 };
    let mut client = Client::new(Settings { mac, identifier, ..settings() });
    let mut random = || xid;
    let _discover = client.start(None, START, &mut random);
    let now = START + Duration::from_millis(3);
    let _request = client.frame(offer, UdpChecksum::Verify, now, &mut random);
    assert_eq!(client.standing(), Standing::Requesting, "{:?}", client.counters());
    let granted = client.frame(ack, UdpChecksum::Verify, now, &mut random);
    assert!(granted.into_iter().eq([Action::Granted]), "{:?}", client.counters());
    let odd = |oddity: &&Oddity| client.counters().odd(**oddity) > 0;
    let odd: Vec<Oddity> = Oddity::ALL.iter().filter(odd).copied().collect();
    assert!(odd.iter().all(|oddity| *oddity == Oddity::TooMany), "{odd:?}");
    let lease = client.lease().expect("a lease");
    assert_eq!((lease.prefix(), lease.server()), (24, ROUTER));
    assert_eq!(lease.expiry, now + Duration::from_secs(300));
    assert_eq!(lease.parameters().mtu, Some(1400));
    let servers: Vec<_> = lease.parameters().name_servers.into_iter().flatten().collect();
    assert_eq!(servers, [ROUTER]);
    // A frame that is cut off anywhere is refused.
    for length in 0..ack.len() {
        assert!(message(&ack[..length], mac, UdpChecksum::Verify).is_err());
    }
    client
}

#[test]
fn usual_messages_are_understood() {
    let captures = [
        include_str!("captures/dnsmasq.hex"),
        include_str!("captures/dhcpd.hex"),
        include_str!("captures/kea.hex"),
    ];
    for capture in captures {
        let client = replay(capture);
        let parameters = client.parameters().expect("parameters");
        assert_eq!(parameters.domain.as_ref().map(Name::as_str), Some("example.org"));
        assert_eq!(parameters.gateways().collect::<Vec<_>>(), [ROUTER]);
        let routes: Vec<Route> = parameters.routes.into_iter().flatten().collect();
        let router = |last| Some(Ipv4Addr::new(10, 77, 9, last));
        let network = Ipv4Addr::new(192, 0, 2, 0);
        let everywhere = Route { network: Ipv4Addr::UNSPECIFIED, prefix: 0, router: router(1) };
        assert_eq!(routes, [everywhere, Route { network, prefix: 24, router: router(9) }]);
    }
}

/// ISC's server, where a message has no room: options in the fields for a file and a server's name.
#[test]
fn an_overloaded_message_is_understood() {
    let client = replay(include_str!("captures/dhcpd-overloaded.hex"));
    let parameters = client.parameters().expect("parameters");
    // Thirty were sent.
    let numbers = parameters.routes.into_iter().flatten().map(|route| route.network.octets()[2]);
    assert!(numbers.eq(0..MOST_ROUTES as u8));
    let domain = parameters.domain.expect("a domain");
    assert_eq!(domain.as_str(), format!("{}.example.org", "x".repeat(60)));
}
