//! Tap devices as the kernel has them, each test in a network of its own. Where `/dev/net/tun` cannot
//! be opened, the tests check that this is said.

mod own;

use std::net::Ipv4Addr;

use nix::ifaddrs::getifaddrs;
use reflex_qemu::machine::{Offloads, Tap, TapError};

/// The IPv4 address of an interface, as the kernel tells it.
fn address(name: &str) -> Option<Ipv4Addr> {
    getifaddrs()
        .unwrap()
        .filter(|interface| interface.interface_name == name)
        .find_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()))
}

#[test]
fn fresh_devices_have_networks_of_their_own_and_leave_nothing() {
    own::network();
    let Some(one) = own::permitted(Tap::fresh(Offloads::Offered)) else { return };
    let two = Tap::fresh(Offloads::Withheld).unwrap();
    assert_ne!(one.name(), two.name());
    for tap in [&one, &two] {
        let (host, guest) = (tap.host().unwrap(), tap.guest().unwrap());
        assert_eq!(address(tap.name()), Some(host));
        assert_eq!(guest.octets()[..3], host.octets()[..3]);
        assert_eq!(tap.guest_command_line().unwrap(), format!("ip={guest}/24 gw={host}"));
    }
    assert_ne!(one.host(), two.host());
    let (name, kept) = (one.name().to_owned(), two.name().to_owned());
    let clone = one.clone();
    drop(one);
    assert!(address(&name).is_some(), "a clone keeps the device");
    drop(clone);
    assert_eq!(address(&name), None);
    assert!(address(&kept).is_some());
}

#[test]
fn the_usual_network_is_one_commands_at_a_time() {
    own::network();
    let tap = own::permitted(Tap::with_default_network(Offloads::Offered));
    let Some(tap) = tap else { return };
    assert_eq!(tap.host(), Some(Ipv4Addr::new(10, 77, 0, 1)));
    assert_eq!(tap.guest(), Some(Ipv4Addr::new(10, 77, 0, 2)));
    let again = Tap::existing(tap.name()).unwrap();
    assert_eq!((again.host(), again.guest()), (tap.host(), tap.guest()));
    assert_eq!(again.prefix_length(), 24);
    let second = Tap::with_default_network(Offloads::Offered).unwrap_err();
    assert!(matches!(second, TapError::Busy(_)), "{second}");
    assert!(second.to_string().contains("another `cargo reflex run --net tap`"));
}
