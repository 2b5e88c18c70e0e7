//! A network of their own for tests and benchmarks: a Linux network namespace.
//!
//! Taps, forwarded ports and clients in it meet nothing of this computer's networks, and have no way
//! out: there is a loopback interface, and what is made there. It has no name and no file; it
//! consists of the threads and processes in it, and when the last of them has ended, in whatever way,
//! the kernel removes it with its interfaces.

use std::ffi::CStr;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid};

use crate::{interface, process};

/// Set for a program that runs in a user namespace made by [`again_with_rights`].
const MARK: &str = "REFLEX_USER_NAMESPACE";

/// Why there is no network of one's own.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// Neither this user nor a user namespace has the right.
    #[error(
        "tests and benchmarks run in a network namespace, and making one was refused ({0}): run as \
         root (in a container with the capability SYS_ADMIN), or let users make namespaces \
         (`sysctl -w user.max_user_namespaces=10000`; where they exist also \
         `kernel.unprivileged_userns_clone=1` and `kernel.apparmor_restrict_unprivileged_userns=0`)"
    )]
    Refused(io::Error),
    /// It was made, but not its loopback interface.
    #[error("the loopback interface of a network namespace could not be taken up: {0}")]
    Loopback(io::Error),
}

/// Moves the calling thread, and with it the threads and processes that it starts, into a new
/// network. A thread in such a network already stays there.
///
/// A user without the right gets it in a user namespace. Only a process with a single thread can
/// enter one: so the program is started again in it, and this process waits for it and exits
/// with its status.
///
/// # Errors
/// When that is refused as well.
pub fn enter() -> Result<(), NamespaceError> {
    process::remember_first_network();
    if !process::in_first_network() {
        return Ok(());
    }
    match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => {
            drop_syns_of_a_burst();
            interface::take_up("lo").map_err(NamespaceError::Loopback)
        }
        Err(Errno::EPERM) if std::env::var_os(MARK).is_none() => {
            Err(NamespaceError::Refused(again_with_rights()))
        }
        Err(error) => Err(NamespaceError::Refused(error.into())),
    }
}

/// Does something on a thread of its own, in a new network that ends with it.
///
/// # Errors
/// When [`enter`] has one.
pub fn within<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
    thread::scope(|scope| {
        let done = scope.spawn(|| enter().map(|()| work())).join();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Has the kernel drop, in this network, a SYN for which a listener has no room.
///
/// With SYN cookies, Linux's default, it answers it, and then drops the acknowledgement for which there
/// is no room either: the client believes in a connection that the server does not know of, and sends
/// its request again and again, more and more seldom. QEMU's user network has room for one (it listens
/// with a backlog of 1): on a busy host, some of fifty clients hung for a minute.
fn drop_syns_of_a_burst() {
    // Where it may not be set, bursts over user networking take longer.
    let _ = std::fs::write("/proc/sys/net/ipv4/tcp_syncookies", "0");
}

/// Runs this program again, with the same arguments, as the root of a user namespace, and exits with
/// its status; returns why it could not. Only one of several threads that ask comes to it.
fn again_with_rights() -> io::Error {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(arguments.next().unwrap_or_default()).args(arguments).env(MARK, "1");
    let uid_map = format!("0 {} 1", geteuid()).into_bytes();
    let gid_map = format!("0 {} 1", getegid()).into_bytes();
    let before_exec = move || {
        unshare(CloneFlags::CLONE_NEWUSER)?;
        // Without this a user may not map a group (user_namespaces(7)).
        write(c"/proc/self/setgroups", b"deny")?;
        write(c"/proc/self/uid_map", &uid_map)?;
        write(c"/proc/self/gid_map", &gid_map)
    };
    // SAFETY: between fork and exec only plain system calls are made (unshare, open, write,
    // close), on memory that was prepared before the fork; no path allocates or takes a lock.
    unsafe { command.pre_exec(before_exec) };
    match process::spawn_tied(command).and_then(|mut child| child.wait()) {
        // As a shell has it.
        Ok(status) => std::process::exit(
            status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
        ),
        Err(error) => error,
    }
}

/// Writes a file of the kernel's.
fn write(file: &CStr, text: &[u8]) -> io::Result<()> {
    let file = open(file, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    nix::unistd::write(file, text)?;
    Ok(())
}
