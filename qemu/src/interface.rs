//! Network interfaces, by the system calls that set them up.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

/// Gives an interface its address.
pub(crate) fn set_address(name: &str, host: Ipv4Addr, prefix_length: u8) -> io::Result<()> {
    let socket = socket()?;
    let mut request = request(name)?;
    request.ifr_ifru.ifru_addr = socket_address(host);
    call(&socket, libc::SIOCSIFADDR, &mut request)?;
    request.ifr_ifru.ifru_netmask = socket_address(netmask(prefix_length));
    call(&socket, libc::SIOCSIFNETMASK, &mut request)
}

/// Takes an interface up.
pub(crate) fn take_up(name: &str) -> io::Result<()> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    call(&socket()?, libc::SIOCSIFFLAGS, &mut request)
}

/// Lets so many frames wait for an interface.
pub(crate) fn set_queue_length(name: &str, frames: libc::c_int) -> io::Result<()> {
    let mut request = request(name)?;
    // The kernel's `ifr_qlen` is the same integer of the union.
    request.ifr_ifru.ifru_metric = frames;
    call(&socket()?, libc::SIOCSIFTXQLEN, &mut request)
}

/// The mask of a network with so many bits in its prefix.
pub(crate) fn netmask(prefix_length: u8) -> Ipv4Addr {
    let ones = u32::MAX.checked_shl(32 - u32::from(prefix_length.min(32))).unwrap_or(0);
    Ipv4Addr::from_bits(ones)
}

/// A request for the interface of this name.
pub(crate) fn request(name: &str) -> io::Result<libc::ifreq> {
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: 0 },
    };
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "interface name too long"));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

/// Makes a call about an interface: TUNSETIFF or one of SIOCSIF*, no other.
pub(crate) fn call(
    descriptor: &impl AsRawFd,
    number: libc::Ioctl,
    request: &mut libc::ifreq,
) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as it is borrowed, and each of the calls made
    // through here (TUNSETIFF, SIOCSIF*) reads and writes one `ifreq`, which `request` points to.
    let result = unsafe { libc::ioctl(descriptor.as_raw_fd(), number, request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A socket for calls about interfaces: any one of the family will do.
pub(crate) fn socket() -> io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut data = [0 as libc::c_char; 14];
    // Port (2 bytes), then the address in network order.
    for (to, from) in data[2..6].iter_mut().zip(address.octets()) {
        *to = from as libc::c_char;
    }
    libc::sockaddr { sa_family: libc::AF_INET as libc::sa_family_t, sa_data: data }
}
