//! Which network a thread is in, and how a command gets into it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
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

/// Has `command` run in the network of the calling thread, whichever thread starts it.
pub(crate) fn keep(command: &mut Command) -> io::Result<()> {
    let network = File::open(HERE)?;
    let before_exec =
        move || setns(network.as_fd(), CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
    // SAFETY: between fork and exec one plain system call is made; no path allocates or takes a
    // lock.
    unsafe { command.pre_exec(before_exec) };
    Ok(())
}
