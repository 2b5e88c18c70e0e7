//! Wires: what is put on one by an interface comes to all others of it.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use reflex_qemu::machine::Tap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// The longest frame: what the interfaces here carry, and Ethernet's header.
const LONGEST: usize = 1514;

/// An Ethernet segment.
#[derive(Default)]
pub(crate) struct Wire {
    ends: Vec<Arc<OwnedFd>>,
}

impl Wire {
    /// A wire that joins these interfaces.
    pub(crate) fn new<'a>(taps: impl IntoIterator<Item = &'a Tap>) -> Self {
        let ends = taps.into_iter().map(|tap| {
            let device = tap.device().expect("a tap of ours is a device of ours");
            fcntl(device, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a device can be told that");
            device.clone()
        });
        Self { ends: ends.collect() }
    }

    /// Puts a frame on the wire. An interface that is down or full loses it.
    pub(crate) fn send(&self, frame: &[u8]) {
        for end in &self.ends {
            let _ = nix::unistd::write(end, frame);
        }
    }

    /// The frames that are there, each passed on to the other interfaces.
    fn receive(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        for (number, end) in self.ends.iter().enumerate() {
            let mut buffer = [0; LONGEST];
            loop {
                match nix::unistd::read(end, &mut buffer) {
                    Ok(0) | Err(Errno::EAGAIN) => break,
                    Ok(length) => {
                        let frame = &buffer[..length];
                        let others = self.ends.iter().enumerate().filter(|(n, _)| *n != number);
                        for (_, other) in others {
                            let _ = nix::unistd::write(other, frame);
                        }
                        frames.push(frame.to_vec());
                    }
                    Err(error) => panic!("a wire cannot be read: {error}"),
                }
            }
        }
        frames
    }
}

/// Waits until there is something on one of the wires, for so long at most, and passes it on. What was
/// on each.
pub(crate) fn carry(wires: &[Wire], most: Duration) -> Vec<Vec<Vec<u8>>> {
    let ends = wires.iter().flat_map(|wire| &wire.ends);
    let mut ready: Vec<PollFd<'_>> =
        ends.map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN)).collect();
    let most = PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX);
    // Interrupted, it is as if nothing had come.
    let _ = poll(&mut ready, most);
    wires.iter().map(Wire::receive).collect()
}
