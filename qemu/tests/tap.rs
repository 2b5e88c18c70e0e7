//! Tap devices as the kernel has them. Without the right to make one, the tests check that the
//! missing right is named.

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

/// The device, or `None` where this user may not make any.
fn permitted(tap: Result<Tap, TapError>) -> Option<Tap> {
    match tap {
        Ok(tap) => Some(tap),
        Err(TapError::NoRight) => {
            assert!(TapError::NoRight.to_string().contains("CAP_NET_ADMIN"));
            None
        }
        Err(error @ (TapError::NoAccess | TapError::NoDriver)) => {
            assert!(error.to_string().contains("/dev/net/tun"));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn fresh_devices_have_networks_of_their_own_and_leave_nothing() {
    let Some(one) = permitted(Tap::fresh(Offloads::Offered)) else { return };
    let two = permitted(Tap::fresh(Offloads::Withheld)).unwrap();
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
    let first = match Tap::with_default_network(Offloads::Offered) {
        // Another command of this computer has it: just what is to be seen here.
        Err(TapError::Busy(_)) => None,
        first => match permitted(first) {
            Some(tap) => Some(tap),
            None => return,
        },
    };
    if let Some(tap) = &first {
        assert_eq!(tap.host(), Some(Ipv4Addr::new(10, 77, 0, 1)));
        assert_eq!(tap.guest(), Some(Ipv4Addr::new(10, 77, 0, 2)));
        let again = Tap::existing(tap.name()).unwrap();
        assert_eq!((again.host(), again.guest()), (tap.host(), tap.guest()));
        assert_eq!(again.prefix_length(), 24);
        let second = Tap::with_default_network(Offloads::Offered).unwrap_err();
        assert!(matches!(second, TapError::Busy(_)), "{second}");
        assert!(second.to_string().contains("another `cargo reflex run --net tap`"));
    }
}
