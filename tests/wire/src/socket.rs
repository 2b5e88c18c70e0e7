//! A socket that sends and receives whole frames.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

/// The longest frame: what the interfaces of tests carry, and Ethernet's header.
const LONGEST: usize = 1514;

/// One interface's wire, with all that is on it, for any station.
pub struct Wire(File);

impl Wire {
    /// The wire of this interface, in the network of the calling thread.
    ///
    /// # Errors
    /// Without the right to it, or the interface.
    pub fn open(interface: &str) -> io::Result<Self> {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: the call takes no pointers.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) };
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
    pub fn send(&mut self, frame: &[u8]) -> bool {
        self.0.write_all(frame).is_ok()
    }

    /// The next frame that was put on the wire by anybody else, in either direction; `None` when there was none
    /// for so long. What came while nobody asked may be lost.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn receive(&mut self, most: Duration) -> io::Result<Option<Vec<u8>>> {
        let most = TimeVal::new(most.as_secs() as i64, most.subsec_micros().max(1).into());
        setsockopt(&self.0, sockopt::ReceiveTimeout, &most)?;
        let mut frame = vec![0; LONGEST];
        match self.0.read(&mut frame) {
            Ok(length) => {
                frame.truncate(length);
                Ok(Some(frame))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Frames that have come meanwhile, but so many at most: on a busy wire there are always more.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn received(&mut self, most: usize) -> io::Result<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        while frames.len() < most
            && let Some(frame) = self.receive(Duration::ZERO)?
        {
            frames.push(frame);
        }
        Ok(frames)
    }
}
