//! Places: networks of their own, with programs in them.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reflex_qemu::machine::{Offloads, Tap};
use reflex_qemu::test::ALLOW_SKIP;
use reflex_qemu::{namespace, process};
use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

type Job = Box<dyn FnOnce() + Send>;

/// A network of its own: a thread that is in it, and does there what it is told.
pub(crate) struct Place {
    jobs: mpsc::Sender<Job>,
}

impl Place {
    /// A network with nothing in it but loopback. Where that is refused the test fails, or where that
    /// is allowed there is `None`.
    pub(crate) fn new() -> Option<Self> {
        process::end_with_parent().unwrap_or_else(|error| panic!("{error}"));
        let (jobs, todo) = mpsc::channel::<Job>();
        let (reply, entered) = mpsc::channel();
        thread::spawn(move || {
            let result = namespace::enter();
            let failed = result.is_err();
            let _ = reply.send(result);
            if !failed {
                todo.into_iter().for_each(|job| job());
            }
        });
        match entered.recv().expect("the thread says how it went") {
            Ok(()) => Some(Self { jobs }),
            Err(error) if skips(&error) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Does something there.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (reply, answer) = mpsc::channel();
        let job = Box::new(move || drop(reply.send(work())));
        self.jobs.send(job).expect("the thread lives as long as its place");
        answer.recv().expect("what is done there does not panic")
    }

    /// An interface with this address; its other end is the device.
    pub(crate) fn interface(&self, address: Ipv4Addr, prefix: u8) -> Tap {
        let tap = self.run(move || Tap::with_address(address, prefix, Offloads::Withheld));
        tap.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Sets one of the network's parameters, a file below `/proc/sys/net/ipv4`.
    pub(crate) fn set(&self, parameter: &str, value: &'static str) {
        let file = format!("/proc/sys/net/ipv4/{parameter}");
        let written = self.run(move || std::fs::write(&file, value).map_err(|error| (file, error)));
        written.unwrap_or_else(|(file, error)| panic!("{file}: {error}"));
    }

    /// Starts a program there. Its words go to a file of the folder.
    pub(crate) fn start(&self, mut command: Command, folder: &Path, name: &str) -> Program {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).expect("a log");
        let errors = file.try_clone().expect("a log");
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        self.spawn(command, log)
    }

    /// Starts a program there between a file that it reads and one that it writes. Its complaints go to a file of the
    /// folder.
    pub(crate) fn start_between(
        &self,
        mut command: Command,
        [from, to]: [File; 2],
        folder: &Path,
        name: &str,
    ) -> Program {
        let log = folder.join(format!("{name}.log"));
        command.stdin(from).stdout(to).stderr(File::create(&log).expect("a log"));
        self.spawn(command, log)
    }

    fn spawn(&self, command: Command, log: PathBuf) -> Program {
        let typed = format!("{command:?}");
        let child = self.run(move || process::spawn_tied(command));
        let child = child.unwrap_or_else(|error| panic!("{typed}: {error}"));
        Program { child, log }
    }
}

/// A program that runs. It ends with this value.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for its end, for so long at most: whether it has ended well.
    pub(crate) fn wait(&mut self, most: Duration) -> bool {
        let begun = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(begun.elapsed() < most, "it has not ended in {most:?}:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Has it stand still, or go on.
    pub(crate) fn stand_still(&self, still: bool) {
        let signal = if still { Signal::SIGSTOP } else { Signal::SIGCONT };
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("a child may be told that");
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            println!("{}:\n{}", self.log.display(), self.log());
        }
    }
}

/// Whether a test may be skipped for this reason, which is then printed.
pub(crate) fn skips(reason: &dyn std::fmt::Display) -> bool {
    let allowed = std::env::var_os(ALLOW_SKIP).is_some();
    if allowed {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        // Past the test harness, which keeps what a passing test prints to itself.
        let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
    }
    allowed
}
