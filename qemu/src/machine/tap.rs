//! Tap devices: an Ethernet link between the host and a guest.
//!
//! A [`Tap`] made here belongs to this process: the open descriptor is handed to QEMU, and when
//! the last of the two closes it (however they end, a kill included) the kernel removes the
//! device. Nothing is left behind and nothing has to be cleaned up.

use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::ifaddrs::getifaddrs;

use crate::interface::{self, netmask};

/// Address of the host on the network of `--net tap`.
const DEFAULT_HOST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// What the link offers to the guest's network card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offloads {
    /// Checksum and segmentation offload, as QEMU's default.
    #[default]
    Offered,
    /// None: every frame is complete on the wire.
    Withheld,
}

/// Why there is no tap device.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The kernel has no tun driver.
    #[error("/dev/net/tun is missing: load the driver with `modprobe tun`, or use `--net user`")]
    NoDriver,
    /// The device file may not be opened.
    #[error(
        "/dev/net/tun may not be opened by this user: run as root, or allow reading and writing \
         it, or use `--net user`"
    )]
    NoAccess,
    /// Making an interface needs a right.
    #[error(
        "making a tap device needs the right CAP_NET_ADMIN: run as root, or make the device once \
         with `sudo ip tuntap add dev tap0 mode tap user $USER && sudo ip address add \
         10.77.0.1/24 dev tap0 && sudo ip link set tap0 up` and pass `--net tap=tap0`"
    )]
    NoRight,
    /// Another process holds the device.
    #[error(
        "the tap device {0} is in use: another `cargo reflex run --net tap` seems to be running; \
         stop it, or make a device of your own and pass `--net tap=NAME`"
    )]
    Busy(String),
    /// The address is another interface's.
    #[error(
        "the network {network} is in use by the interface {interface}: remove it (`ip link delete \
         {interface}`), or use it with `--net tap={interface}` if it is a tap device"
    )]
    AddressTaken {
        /// The network wanted.
        network: String,
        /// The interface that has it.
        interface: String,
    },
    /// No interface of that name.
    #[error(
        "there is no network interface {0}: make it with `ip tuntap add dev {0} mode tap`, or \
         leave the name out to have one made"
    )]
    NoInterface(String),
    /// All 254 networks for tests are taken.
    #[error("no network 10.77.N.0/24 is free")]
    NoNetwork,
    /// Anything else.
    #[error("the tap device could not be set up: {0}")]
    System(#[from] io::Error),
}

/// A tap device with its addresses. Clones share the device.
#[derive(Clone)]
pub struct Tap {
    name: String,
    host: Option<Ipv4Addr>,
    guest: Option<Ipv4Addr>,
    prefix_length: u8,
    device: Option<Arc<OwnedFd>>,
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tap({}, {:?}/{})", self.name, self.host, self.prefix_length)
    }
}

impl Tap {
    /// Makes the device of `--net tap`: host 10.77.0.1/24, guest 10.77.0.2.
    pub fn with_default_network(offloads: Offloads) -> Result<Tap, TapError> {
        Tap::numbered(0, offloads)
    }

    /// Makes a device on a free network 10.77.N.0/24, N from 1: any number can exist at a time.
    pub fn fresh(offloads: Offloads) -> Result<Tap, TapError> {
        for number in 1..=254 {
            match Tap::numbered(number, offloads) {
                Err(TapError::Busy(_) | TapError::AddressTaken { .. }) => {}
                other => return other,
            }
        }
        Err(TapError::NoNetwork)
    }

    /// Makes a device on which the host has this address. Where that is another interface's too, it is
    /// for the caller to know what that means.
    pub fn with_address(
        host: Ipv4Addr,
        prefix_length: u8,
        offloads: Offloads,
    ) -> Result<Tap, TapError> {
        for number in 1..=254 {
            let name = format!("reflex{number}");
            match device::create(&name, offloads) {
                Ok(device) => return Tap::addressed(name, device, host, prefix_length),
                Err(TapError::Busy(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(TapError::NoNetwork)
    }

    /// Uses a device that exists. If it has an IPv4 address, the guest gets the next one of the
    /// network; if not, the guest is left to DHCP.
    pub fn existing(name: &str) -> Result<Tap, TapError> {
        let mut tap =
            Tap { name: name.to_owned(), host: None, guest: None, prefix_length: 0, device: None };
        let mut found = false;
        for interface in getifaddrs().map_err(io::Error::from)? {
            if interface.interface_name != name {
                continue;
            }
            found = true;
            let host = interface.address.as_ref().and_then(|a| a.as_sockaddr_in()).map(|a| a.ip());
            let mask = interface.netmask.as_ref().and_then(|a| a.as_sockaddr_in()).map(|a| a.ip());
            if let (Some(host), Some(mask)) = (host, mask) {
                tap.prefix_length = mask.to_bits().count_ones() as u8;
                tap.host = Some(host);
                tap.guest = neighbour(host, tap.prefix_length);
            }
        }
        if found { Ok(tap) } else { Err(TapError::NoInterface(name.to_owned())) }
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host's address on the link, if it has one.
    pub fn host(&self) -> Option<Ipv4Addr> {
        self.host
    }

    /// The guest's address on the link, unless it is left to DHCP.
    pub fn guest(&self) -> Option<Ipv4Addr> {
        self.guest
    }

    /// Length of the network's prefix, in bits.
    pub fn prefix_length(&self) -> u8 {
        self.prefix_length
    }

    /// The kernel command line that gives the guest its address.
    pub fn guest_command_line(&self) -> Option<String> {
        let (host, guest) = (self.host?, self.guest?);
        Some(format!("ip={guest}/{} gw={host}", self.prefix_length))
    }

    /// The open device, if this process made it: the other end of the link.
    pub fn device(&self) -> Option<&Arc<OwnedFd>> {
        self.device.as_ref()
    }

    fn numbered(number: u8, offloads: Offloads) -> Result<Tap, TapError> {
        let [a, b, _, d] = DEFAULT_HOST.octets();
        let host = Ipv4Addr::new(a, b, number, d);
        // The device first: its name is what two runs at a time compete for.
        let name = format!("reflex{number}");
        let device = device::create(&name, offloads)?;
        if let Some(interface) = holder(host, 24, &name)? {
            return Err(TapError::AddressTaken {
                network: format!("{a}.{b}.{number}.0/24"),
                interface,
            });
        }
        Tap::addressed(name, device, host, 24)
    }

    /// Gives a device its address, and takes it up.
    fn addressed(
        name: String,
        device: OwnedFd,
        host: Ipv4Addr,
        prefix_length: u8,
    ) -> Result<Tap, TapError> {
        interface::set_address(&name, host, prefix_length)?;
        interface::take_up(&name)?;
        Ok(Tap {
            name,
            host: Some(host),
            guest: neighbour(host, prefix_length),
            prefix_length,
            device: Some(Arc::new(device)),
        })
    }
}

/// The interface, other than `but`, that has an address in the network of `address`. A wider
/// network of another interface is no obstacle: the narrower one wins.
fn holder(address: Ipv4Addr, prefix_length: u8, but: &str) -> io::Result<Option<String>> {
    let network = |address: Ipv4Addr| address.to_bits() & netmask(prefix_length).to_bits();
    let theirs = getifaddrs()?.find(|interface| {
        let theirs = interface.address.as_ref().and_then(|a| a.as_sockaddr_in());
        interface.interface_name != but
            && theirs.is_some_and(|theirs| network(theirs.ip()) == network(address))
    });
    Ok(theirs.map(|interface| interface.interface_name))
}

/// The address after `host`, or the one before it at the end of the network.
fn neighbour(host: Ipv4Addr, prefix_length: u8) -> Option<Ipv4Addr> {
    if prefix_length > 30 {
        return None;
    }
    let broadcast = host.to_bits() | !netmask(prefix_length).to_bits();
    let next = host.to_bits() + 1;
    Some(Ipv4Addr::from_bits(if next < broadcast { next } else { host.to_bits() - 1 }))
}

mod device {
    //! The tun driver's system calls.

    use std::fs::OpenOptions;
    use std::io;
    use std::os::fd::OwnedFd;

    use super::{Offloads, TapError};
    use crate::interface::{call, request};

    /// Makes an interface that lives as long as the descriptor.
    pub(super) fn create(name: &str, offloads: Offloads) -> Result<OwnedFd, TapError> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => TapError::NoDriver,
            io::ErrorKind::PermissionDenied => TapError::NoAccess,
            _ => TapError::System(error),
        })?;
        let mut flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_TUN_EXCL;
        if offloads == Offloads::Offered {
            flags |= libc::IFF_VNET_HDR;
        }
        let mut request = request(name)?;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        match call(&file, libc::TUNSETIFF, &mut request) {
            Ok(()) => Ok(file.into()),
            Err(error) => Err(match error.raw_os_error() {
                Some(libc::EPERM) => TapError::NoRight,
                Some(libc::EBUSY | libc::EEXIST) => TapError::Busy(name.to_owned()),
                _ => TapError::System(error),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_neighbour_shares_the_network(bits: u32, prefix_length in 1u8..=30) {
            let mask = netmask(prefix_length).to_bits();
            let host = Ipv4Addr::from_bits(bits);
            prop_assume!(bits & !mask != 0 && bits & !mask != !mask);
            let guest = neighbour(host, prefix_length).unwrap().to_bits();
            prop_assert_eq!(guest & mask, bits & mask);
            prop_assert_ne!(guest, bits);
            prop_assert_ne!(guest & !mask, 0);
            prop_assert_ne!(guest & !mask, !mask);
        }
    }

    #[test]
    fn the_loopback_network_is_seen_as_taken() {
        let holder = holder(Ipv4Addr::new(127, 0, 0, 9), 24, "").unwrap();
        assert!(holder.is_some());
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let error = Tap::existing("no-such-tap").unwrap_err().to_string();
        assert!(error.contains("no-such-tap"), "{error}");
    }
}
