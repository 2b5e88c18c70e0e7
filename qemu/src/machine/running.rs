//! A machine that runs: its console, line by line, and its end.
//!
//! One thread drains QEMU's standard output into lines without ever waiting for the reader, so
//! the guest's console is never full; one collects the standard error; one enforces the hard
//! time-out. Dropping a [`Running`] kills QEMU.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::control::Control;
use super::outcome::{Outcome, Status, judge, tail};
use super::{Machine, MachineError};
use crate::crash::{CrashCollector, CrashReport};
use crate::protocol::{Event, Line, Protocol};

/// A console line is cut here, so that a guest gone mad cannot take the host's memory.
const LONGEST_LINE: u64 = 64 * 1024;
/// How long QEMU may take from closing its console to having ended.
const END_GRACE: Duration = Duration::from_secs(30);
/// How many lines an error message shows.
const TAIL: usize = 20;

enum Message {
    Line(Line),
    Interrupted,
    End,
}

/// A machine that runs. Ends with it.
pub struct Running {
    machine: Machine,
    process: Arc<Process>,
    stdin: Option<ChildStdin>,
    messages: Receiver<Message>,
    sender: Sender<Message>,
    stderr: Option<JoinHandle<String>>,
    control: Option<Control>,
    started: Instant,
    lines: Vec<Line>,
    crash: CrashCollector,
    address: Option<Ipv4Addr>,
    listening: Vec<(Protocol, u16)>,
    ended: bool,
    interrupted: bool,
    killed: bool,
    watch: Option<Sender<()>>,
}

/// Wakes the reader of a machine's lines, from another thread or a signal's.
#[derive(Clone)]
pub struct Interrupter(Sender<Message>);

impl Interrupter {
    /// Makes the reader see an interruption after the lines that came before it.
    pub fn interrupt(&self) {
        // A machine that is gone needs no interruption.
        let _ = self.0.send(Message::Interrupted);
    }
}

/// The child, shared with the thread that enforces the time-out.
struct Process {
    child: Mutex<Child>,
    pid: u32,
    timed_out: AtomicBool,
}

impl Process {
    /// Kills QEMU's process group, if QEMU has not been waited for: until then its number
    /// cannot be another's.
    fn kill(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(None) = child.try_wait() {
            // The group may have ended in between; then there is nothing to kill.
            let _ = killpg(Pid::from_raw(self.pid as i32), Signal::SIGKILL);
            let _ = child.kill();
        }
    }

    fn try_wait(&self) -> io::Result<Option<std::process::ExitStatus>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()
    }
}

impl Running {
    pub(super) fn new(mut child: Child, machine: Machine, control: Control) -> Running {
        let started = Instant::now();
        let (sender, messages) = mpsc::channel();
        let stdin = child.stdin.take();
        if let Some(stdout) = child.stdout.take() {
            enlarge(&stdout);
            let sender = sender.clone();
            thread::spawn(move || read_lines(stdout, started, &sender));
        } else {
            let _ = sender.send(Message::End);
        }
        let stderr = child.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                // What could be read before an error is still worth showing.
                let _ = stderr.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        let pid = child.id();
        let process =
            Arc::new(Process { child: Mutex::new(child), pid, timed_out: AtomicBool::new(false) });
        let watch = machine.timeout.map(|timeout| watch(process.clone(), timeout));
        Running {
            address: machine.guest_address(),
            machine,
            process,
            stdin,
            messages,
            sender,
            stderr,
            control: Some(control),
            started,
            lines: Vec::new(),
            crash: CrashCollector::default(),
            listening: Vec::new(),
            ended: false,
            interrupted: false,
            killed: false,
            watch,
        }
    }

    /// QEMU's process number.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The machine as it was asked for.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Ends the machine after this long from now, and not when its time-out had it.
    pub fn end_after(&mut self, timeout: Duration) {
        self.watch = Some(watch(self.process.clone(), timeout));
    }

    /// All lines taken so far.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The crash reports among them.
    pub fn crashes(&self) -> &[CrashReport] {
        self.crash.reports()
    }

    /// The guest's address: what it has told, or what a tap gives it.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.address
    }

    /// Where a client on the host reaches this port of the guest, if it can.
    pub fn endpoint(&self, protocol: Protocol, guest_port: u16) -> Option<SocketAddr> {
        self.machine.endpoint(protocol, guest_port)
    }

    /// A handle that wakes [`Running::next_line`] from elsewhere.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(self.sender.clone())
    }

    /// Whether an [`Interrupter`] has been used that [`Running::take_interruption`] has not told of.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Whether an [`Interrupter`] has been used since this was last asked.
    pub fn take_interruption(&mut self) -> bool {
        std::mem::take(&mut self.interrupted)
    }

    /// Presses the machine's power button. The guest does with that what it likes.
    ///
    /// # Errors
    /// When QEMU is gone.
    pub fn press_power_button(&mut self) -> io::Result<()> {
        self.control()?.press_power_button()
    }

    /// Presses and releases Ctrl-Alt-Del, if the machine has a keyboard. The guest does with that what it likes.
    ///
    /// # Errors
    /// When QEMU is gone.
    pub fn press_ctrl_alt_del(&mut self) -> io::Result<()> {
        self.control()?.press_ctrl_alt_del()
    }

    /// From now on QEMU notes in `file` every block of instructions that is executed: `Trace CORE: ...`.
    ///
    /// # Errors
    /// When QEMU is gone.
    pub fn note_execution(&mut self, file: &Path) -> io::Result<()> {
        self.control()?.note_execution(file)
    }

    fn control(&mut self) -> io::Result<&mut Control> {
        self.control.as_mut().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Types bytes on the guest's console. A guest that does not [read](Self::wait_for_input) yet
    /// may lose them; one that is slow to read holds the caller up.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(bytes).and_then(|()| stdin.flush()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Types a line and "enter" on the guest's console, as [`send`](Self::send) does.
    pub fn send_line(&mut self, line: &str) -> io::Result<()> {
        self.send(format!("{line}\n").as_bytes())
    }

    /// The other end of the guest's console input, for good: [`send`](Self::send) is refused from
    /// now on. `None` when it has been taken.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// The next line; `None` at the end of the console, when interrupted, or when `limit` is
    /// over (tell them apart by [`Running::ended`] and [`Running::take_interruption`]).
    pub fn next_line(&mut self, limit: Option<Duration>) -> Option<Line> {
        if self.ended {
            return None;
        }
        let message = match limit {
            Some(limit) => match self.messages.recv_timeout(limit) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => Message::End,
            },
            None => self.messages.recv().unwrap_or(Message::End),
        };
        match message {
            Message::Line(line) => {
                self.note(&line);
                self.lines.push(line.clone());
                Some(line)
            }
            Message::Interrupted => {
                self.interrupted = true;
                None
            }
            Message::End => {
                self.ended = true;
                None
            }
        }
    }

    /// Whether the console's end has been reached.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Takes lines until `condition` returns something, for at most `limit`. Only lines not
    /// taken before are looked at; `what` names the thing in an error.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&Line) -> Option<T>,
    ) -> Result<T, MachineError> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next_line(Some(left)) {
                Some(line) => {
                    if let Some(found) = condition(&line) {
                        return Ok(found);
                    }
                }
                None if self.ended => return Err(self.ended_before(what)),
                None if !left.is_zero() && !self.interrupted => {}
                None => {
                    return Err(MachineError::WaitedTooLong {
                        what: what.to_owned(),
                        limit,
                        tail: tail(&self.lines, TAIL),
                    });
                }
            }
        }
    }

    /// Waits until a line contains `text`.
    pub fn wait_for_text(&mut self, text: &str, limit: Duration) -> Result<Line, MachineError> {
        self.wait_for(&format!("the line {text:?}"), limit, |line| {
            line.text.contains(text).then(|| line.clone())
        })
    }

    /// Waits until the guest listens on the port, also if it has said so before.
    pub fn wait_for_listen(
        &mut self,
        protocol: Protocol,
        port: u16,
        limit: Duration,
    ) -> Result<(), MachineError> {
        if self.listening.contains(&(protocol, port)) {
            return Ok(());
        }
        self.wait_for(&format!("listening on {protocol} port {port}"), limit, |line| {
            (line.event == Some(Event::Listen(protocol, port))).then_some(())
        })
    }

    /// Waits until the guest reads its console, also if it has said so before.
    pub fn wait_for_input(&mut self, limit: Duration) -> Result<(), MachineError> {
        let reads = |line: &Line| (line.event == Some(Event::Input)).then_some(());
        match self.lines.iter().find_map(reads) {
            Some(()) => Ok(()),
            None => self.wait_for("reading the console", limit, reads),
        }
    }

    /// Waits until the guest has an address, also if it has said so before.
    pub fn wait_for_address(&mut self, limit: Duration) -> Result<String, MachineError> {
        let address = |line: &Line| match &line.event {
            Some(Event::Address(address)) => Some(address.clone()),
            _ => None,
        };
        match self.lines.iter().rev().find_map(address) {
            Some(found) => Ok(found),
            None => self.wait_for("an address", limit, address),
        }
    }

    /// Reads to the end of the machine, which the hard time-out bounds.
    pub fn finish(mut self) -> Outcome {
        while !self.ended {
            self.next_line(None);
        }
        self.conclude()
    }

    /// Ends the machine now.
    pub fn kill(mut self) -> Outcome {
        self.stop()
    }

    /// Ends the machine now, keeping the rest of its console.
    fn stop(&mut self) -> Outcome {
        let running = matches!(self.process.try_wait(), Ok(None));
        // Told to end by itself and in the act of it, it is not taken for killed.
        let ending =
            self.ended || self.lines.iter().any(|line| matches!(line.event, Some(Event::Exit(_))));
        self.killed = running && !ending;
        if !ending {
            self.process.kill();
        }
        let deadline = Instant::now() + END_GRACE;
        while !self.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.next_line(Some(left)).is_none() && left.is_zero() {
                break;
            }
        }
        self.conclude()
    }

    fn note(&mut self, line: &Line) {
        match &line.event {
            Some(Event::Address(address)) => {
                let host = address.split('/').next().and_then(|text| text.parse().ok());
                self.address = host.or(self.address);
            }
            Some(Event::Listen(protocol, port)) => self.listening.push((*protocol, *port)),
            Some(event) => self.crash.take(event),
            None => {}
        }
    }

    fn ended_before(&mut self, what: &str) -> MachineError {
        let outcome = self.conclude();
        let how = outcome.status.to_string();
        let tail = outcome.tail(TAIL);
        self.lines = outcome.lines;
        MachineError::Ended { what: what.to_owned(), how, tail }
    }

    /// Waits for QEMU's end, which follows that of its console, and judges it.
    fn conclude(&mut self) -> Outcome {
        let deadline = Instant::now() + END_GRACE;
        let exit = loop {
            match self.process.try_wait() {
                Ok(Some(exit)) => break Some(exit),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
                // A console closed without an end: not a machine's way.
                Ok(None) => {
                    self.process.kill();
                    break self
                        .process
                        .child
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .wait()
                        .ok();
                }
                Err(_) => break None,
            }
        };
        let elapsed = self.started.elapsed();
        let stderr = self.stderr.take().and_then(|t| t.join().ok()).unwrap_or_default();
        let status = match exit {
            _ if self.process.timed_out.load(Ordering::SeqCst) => Status::TimedOut,
            _ if self.killed => Status::Killed,
            Some(exit) => {
                let watchdog_fired = self.control.take().is_some_and(Control::watchdog_fired);
                judge(exit, &self.lines, &stderr, watchdog_fired)
            }
            None => Status::Crashed("QEMU's exit code could not be read".to_owned()),
        };
        Outcome {
            status,
            lines: std::mem::take(&mut self.lines),
            stderr,
            crashes: self.crash.take_reports(),
            elapsed,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill();
        let mut child = self.process.child.lock().unwrap_or_else(PoisonError::into_inner);
        // Waited for, so that its number and its tap device are free when this returns.
        let _ = child.wait();
    }
}

/// Kills the process when the time is over, unless the sender is dropped before.
fn watch(process: Arc<Process>, timeout: Duration) -> Sender<()> {
    let (sender, receiver) = mpsc::channel::<()>();
    thread::spawn(move || {
        if receiver.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout) {
            if let Ok(None) = process.try_wait() {
                process.timed_out.store(true, Ordering::SeqCst);
            }
            process.kill();
        }
    });
    sender
}

/// Splits the console into lines; the last may lack its end.
fn read_lines(stdout: impl Read, started: Instant, sender: &Sender<Message>) {
    let mut reader = BufReader::new(stdout);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            bytes.pop();
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if sender.send(Message::Line(Line::parse(text, started.elapsed()))).is_err() {
            return;
        }
    }
    let _ = sender.send(Message::End);
}

/// Gives the console a large pipe: QEMU retries a full one only a few times.
#[cfg(target_os = "linux")]
fn enlarge(pipe: &impl std::os::fd::AsFd) {
    // The default size still works: the reader never waits.
    let _ = nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETPIPE_SZ(1 << 20));
}

#[cfg(not(target_os = "linux"))]
fn enlarge(_: &impl std::os::fd::AsFd) {}
