//! Frames put on a tap's wire as they are, and frames to put there.

use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A socket that sends whole frames out of one interface.
pub(crate) struct Wire(File);

impl Wire {
    /// The wire of this interface.
    pub(crate) fn open(interface: &str) -> io::Result<Self> {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: the call takes no pointers.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, protocol.into()) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened, and is nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        // SAFETY: an all-zero `sockaddr_ll` is one.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = nix::net::if_::if_nametoindex(interface)? as i32;
        // SAFETY: the pointer is to a live address of the length said.
        let bound = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                mem::size_of_val(&address) as libc::socklen_t,
            )
        };
        if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(Self(File::from(socket))) }
    }

    /// Sends one frame. One that the host's own kernel refuses is not sent.
    pub(crate) fn send(&mut self, frame: &[u8]) -> bool {
        self.0.write_all(frame).is_ok()
    }
}

/// The ends of a frame.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) guest_mac: [u8; 6],
    pub(crate) from: Ipv4Addr,
    pub(crate) to: Ipv4Addr,
}

/// Where things are in a frame without IPv4 options.
pub(crate) const IPV4: usize = 14;
pub(crate) const TRANSPORT: usize = IPV4 + 20;

const OUR_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];

impl Ends {
    fn ethernet(&self, kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.guest_mac.to_vec();
        frame.extend(OUR_MAC);
        frame.extend(kind.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn ipv4(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let length = (20 + payload.len()) as u16;
        let mut header = vec![0x45, 0];
        header.extend(length.to_be_bytes());
        header.extend([0x12, 0x34, 0, 0, 64, protocol, 0, 0]);
        header.extend(self.from.octets());
        header.extend(self.to.octets());
        let sum = checksum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header.extend(payload);
        self.ethernet(0x0800, &header)
    }

    fn with_sum(&self, protocol: u8, mut segment: Vec<u8>, at: usize) -> Vec<u8> {
        let length = (segment.len() as u16).to_be_bytes();
        let pseudo = [0, protocol, length[0], length[1]];
        let sum = checksum(&[&self.from.octets(), &self.to.octets(), &pseudo, &segment]);
        segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        self.ipv4(protocol, &segment)
    }

    /// An opening segment (SYN) with a maximum segment size option.
    pub(crate) fn syn(&self, port: u16, sequence: u32) -> Vec<u8> {
        let mut segment = 40_000u16.to_be_bytes().to_vec();
        segment.extend(port.to_be_bytes());
        segment.extend(sequence.to_be_bytes());
        segment.extend([0, 0, 0, 0, 6 << 4, 0x02, 0x10, 0, 0, 0, 0, 0, 2, 4, 0x05, 0xb4]);
        self.with_sum(6, segment, 16)
    }

    /// A datagram.
    pub(crate) fn udp(&self, port: u16, payload: &[u8]) -> Vec<u8> {
        let mut datagram = 40_001u16.to_be_bytes().to_vec();
        datagram.extend(port.to_be_bytes());
        datagram.extend((8 + payload.len() as u16).to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(payload);
        self.with_sum(17, datagram, 6)
    }

    /// An echo request.
    pub(crate) fn ping(&self, payload: &[u8]) -> Vec<u8> {
        let mut message = vec![8, 0, 0, 0, 0, 1, 0, 1];
        message.extend(payload);
        let sum = checksum(&[&message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.ipv4(1, &message)
    }

    /// A question for the guest's hardware address.
    pub(crate) fn arp(&self) -> Vec<u8> {
        let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1];
        packet.extend(OUR_MAC);
        packet.extend(self.from.octets());
        packet.extend([0; 6]);
        packet.extend(self.to.octets());
        self.ethernet(0x0806, &packet)
    }
}

/// Writes `bytes` at `at`, and makes the IPv4 header's checksum right again.
pub(crate) fn patched(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame[IPV4 + 10..IPV4 + 12].fill(0);
    let sum = checksum(&[&frame[IPV4..TRANSPORT]]);
    frame[IPV4 + 10..IPV4 + 12].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// The Internet checksum (RFC 1071) of parts, all but the last of even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
