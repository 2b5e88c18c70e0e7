//! Which network a thread is in, and how a command gets into it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CloneFlags, setns};

/// The network of the calling thread.
const HERE: &str = "/proc/thread-self/ns/net";

/// Which network the calling thread is in; `None` without `/proc`.
pub(crate) fn current() -> Option<u64> {
    Some(std::fs::metadata(HERE).ok()?.ino())
}

/// Descriptors below this may be given another meaning in a child before it enters its network, as QEMU's are.
const GIVEN: i32 = 16;

/// Has `command` run in the network of the calling thread, whichever thread starts it.
pub(crate) fn keep(command: &mut Command) -> io::Result<()> {
    let mut network = OwnedFd::from(File::open(HERE)?);
    // A copy has the lowest number that is free: so those below are kept until there is one above.
    let mut low = Vec::new();
    while network.as_raw_fd() < GIVEN {
        let copy = network.try_clone()?;
        low.push(std::mem::replace(&mut network, copy));
    }
    drop(low);
    let before_exec =
        move || setns(network.as_fd(), CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
    // SAFETY: between fork and exec one plain system call is made; no path allocates or takes a
    // lock.
    unsafe { command.pre_exec(before_exec) };
    Ok(())
}
