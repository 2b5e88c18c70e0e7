//! A tap device made ready for timing a boot: nothing of the host's own waiting shows.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};

use crate::interface;

/// Flags of an address entry (`ATF_COM`, `ATF_PERM` of `linux/if_arp.h`).
const COMPLETE: libc::c_int = 0x02;
const PERMANENT: libc::c_int = 0x04;
/// Frames that may wait for the guest. What one burst of the host's makes must fit, or it is
/// retransmission that gets timed: an acknowledgement for each try that the guest accepts at once,
/// the request behind them, and answers to ARP. A guest that takes them passes over so few stale
/// attempts in no time.
const WAITING: libc::c_int = 32;

/// Enters the guest's hardware address as known, and lets only [`WAITING`] frames wait.
///
/// Without the first, a connection waits for address resolution, which the kernel retries only
/// once a second. Without the second, hundreds of stale connection attempts would wait for the
/// guest when its network card comes up.
pub(crate) fn prepare(interface: &str, guest: Ipv4Addr, mac: [u8; 6]) -> Result<()> {
    interface::set_queue_length(interface, WAITING)
        .with_context(|| format!("{interface}'s queue"))?;
    let socket = interface::socket().context("a socket")?;
    let neighbour = neighbour(interface, guest, mac);
    // SAFETY: the socket is open, and SIOCSARP reads one `arpreq`, which lives across the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSARP, &raw const neighbour) };
    ensure!(result == 0, "{interface}'s neighbour: {}", io::Error::last_os_error());
    Ok(())
}

fn neighbour(interface: &str, guest: Ipv4Addr, mac: [u8; 6]) -> libc::arpreq {
    let address = |family: libc::c_ushort, bytes: &[u8], at: usize| {
        let mut data = [0 as libc::c_char; 14];
        for (to, from) in data[at..].iter_mut().zip(bytes) {
            *to = *from as libc::c_char;
        }
        libc::sockaddr { sa_family: family, sa_data: data }
    };
    let mut device = [0; 16];
    for (to, from) in device.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    libc::arpreq {
        // After the port's two bytes.
        arp_pa: address(libc::AF_INET as libc::c_ushort, &guest.octets(), 2),
        arp_ha: address(libc::ARPHRD_ETHER, &mac, 0),
        arp_flags: COMPLETE | PERMANENT,
        arp_netmask: address(0, &[], 0),
        arp_dev: device,
    }
}
