//! Starting a child that cannot outlive this process.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::sync::{Mutex, OnceLock};
use std::thread;

type Request = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts `command` in a process group of its own, so that a terminal's Ctrl-C does not reach
/// it, and has the kernel kill it when this process ends in whatever way.
///
/// Linux ties that death signal to the *thread* that started the child; so one thread, which
/// lives as long as the process, starts them all.
pub(super) fn spawn_tied(mut command: Command) -> io::Result<Child> {
    command.process_group(0);
    tie(&mut command);
    let (reply, answer) = mpsc::channel();
    let starter = starter();
    let sent = match starter.lock() {
        Ok(starter) => starter.send((command, reply)).is_ok(),
        Err(_) => false,
    };
    let gone = || io::Error::other("the thread that starts processes is gone");
    if !sent {
        return Err(gone());
    }
    answer.recv().unwrap_or_else(|_| Err(gone()))
}

fn starter() -> &'static Mutex<mpsc::Sender<Request>> {
    static STARTER: OnceLock<Mutex<mpsc::Sender<Request>>> = OnceLock::new();
    STARTER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        thread::spawn(move || {
            for (mut command, reply) in requests {
                // A requester that has gone away drops the child's handle, not the child; it
                // is still tied to this process.
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(sender)
    })
}

#[cfg(target_os = "linux")]
fn tie(command: &mut Command) {
    use nix::sys::{prctl, signal::Signal};
    use nix::unistd::{Pid, getpid, getppid};

    let parent: Pid = getpid();
    let before_exec = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the line above.
        if getppid() != parent {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are made: prctl and getppid
    // are plain system calls, and no path allocates or takes a lock.
    unsafe { command.pre_exec(before_exec) };
}

#[cfg(not(target_os = "linux"))]
fn tie(_: &mut Command) {}
