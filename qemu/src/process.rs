//! Processes that end with this one, and work that is done in the network this process began in.
//!
//! One thread, which lives as long as the process and stays in that network, starts them all.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use nix::sys::{prctl, signal::Signal};
use nix::unistd::{Pid, getpid, getppid};

use crate::netns;

type Job = Box<dyn FnOnce() + Send>;

/// The thread that starts processes.
struct Starter {
    jobs: Mutex<mpsc::Sender<Job>>,
    /// The network it is in.
    network: Option<u64>,
}

/// Starts `command` in the network of the calling thread, and has the kernel kill it when this
/// process ends, in whatever way.
///
/// Linux ties that death signal to the *thread* that started the child; so it is the one that lives
/// as long as the process.
///
/// # Errors
/// When it cannot be started.
pub fn spawn_tied(mut command: Command) -> io::Result<Child> {
    if !in_first_network() {
        netns::keep(&mut command)?;
    }
    tie(&mut command);
    let (reply, answer) = mpsc::channel();
    // A requester that has gone away drops the child's handle, not the child; it is still tied to
    // this process.
    starter().run(Box::new(move || drop(reply.send(command.spawn()))));
    answer.recv().unwrap_or_else(|_| Err(io::Error::other("the starting thread is gone")))
}

/// Does something on a thread in the network this process began in, and waits for it: what has to
/// be done, such as a download, though the calling thread is in a [namespace](crate::namespace).
pub fn outside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if in_first_network() {
        return work();
    }
    let (reply, answer) = mpsc::channel();
    // On a thread of its own: it may take long, and others want processes started.
    starter().run(Box::new(move || {
        thread::spawn(move || reply.send(work()));
    }));
    match answer.recv() {
        Ok(result) => result,
        // It has panicked, and its message has been shown.
        Err(_) => panic!("what was to be done in the first network did not end"),
    }
}

/// Ends this process when the one that started it ends: a test would otherwise go on without anybody
/// to report to. It holds for as long as the calling thread lives.
///
/// # Errors
/// When the kernel refuses.
pub fn end_with_parent() -> io::Result<()> {
    Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
}

/// Sees to it that the network of the calling thread is the one that counts as the first.
pub(crate) fn remember_first_network() {
    starter();
}

/// Whether the calling thread is in the network this process began in.
pub(crate) fn in_first_network() -> bool {
    netns::current() == starter().network
}

fn starter() -> &'static Starter {
    static STARTER: OnceLock<Starter> = OnceLock::new();
    STARTER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || jobs.into_iter().for_each(|job| job()));
        Starter { jobs: Mutex::new(sender), network: netns::current() }
    })
}

impl Starter {
    fn run(&self, job: Job) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        // Without the thread the job is dropped, which its requester notices.
        let _ = jobs.send(job);
    }
}

fn tie(command: &mut Command) {
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
