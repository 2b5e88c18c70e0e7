//! Tests inside images. Each group of an image's tests runs in one boot; the image is booted
//! again, from the next test on, only when one of them took the machine with it. The group
//! [`COUNTING_GROUP`] boots with instructions counted instead of time, and `cores-N` with N processors.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use libtest_mimic::{Failed, Trial};

use crate::crash::Symbols;
use crate::machine::{Disk, Emulator, Icount, Machine, Model, Network, Outcome, Running, Status};
use crate::protocol::{Event, Line};

/// The group of tests that run under `-icount`: in them a nanosecond is an instruction, the same in
/// every run.
pub(super) const COUNTING_GROUP: &str = "icount";
/// What comes before the number of processors in the name of a group that boots with several.
const CORES_GROUP: &str = "cores-";
/// How many guests run at a time.
const GUESTS: usize = 2;
/// How long one test may take, boot included.
const TEST_LIMIT: Duration = Duration::from_secs(120);
/// How long naming the tests may take.
const LIST_LIMIT: Duration = Duration::from_secs(60);
/// How many lines of the guest's log a failure shows.
const TAIL: usize = 40;
/// Memory of an image if its package does not say, in MiB.
const USUAL_MEMORY_MIB: u32 = 128;
/// The status of an image in which tests failed.
const TESTS_FAILED: u8 = 108;

/// An image with tests, and how it is booted.
#[derive(Clone, Debug)]
pub struct TestImage {
    /// What it is called in the report.
    pub name: String,
    /// The bootable file, with its debug information.
    pub file: PathBuf,
    /// The machine it runs on.
    pub model: Model,
    /// Memory in MiB.
    pub memory_mib: Option<u32>,
    /// Processors, where the group does not say how many.
    pub cpus: u32,
    /// MiB of a disk of zeroes that each boot has.
    pub disk_mib: Option<u32>,
    /// Only tests with this in their names.
    pub filter: Option<String>,
    /// Only tests of this group.
    pub group: Option<String>,
    /// Further words of the kernel command line.
    pub append: String,
    /// The QEMU it runs in; that of the process unless said.
    pub emulator: Option<Emulator>,
    /// How long one test may take.
    pub limit: Duration,
}

/// Tests that share a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: Option<String>,
    tests: Vec<String>,
}

/// How a test ended; the text says why it failed.
type Verdict = Result<(), String>;

impl TestImage {
    /// An image that runs all its tests on q35.
    pub fn new(name: &str, file: &Path) -> TestImage {
        TestImage {
            name: name.to_owned(),
            file: file.to_owned(),
            model: Model::Q35,
            memory_mib: None,
            cpus: 1,
            disk_mib: None,
            filter: None,
            group: None,
            append: String::new(),
            emulator: None,
            limit: TEST_LIMIT,
        }
    }

    fn machine(&self) -> Result<Machine> {
        let mut machine = Machine::new(&self.file)
            .model(self.model)
            .memory_mib(self.memory_mib.unwrap_or(USUAL_MEMORY_MIB))
            .cpus(self.cpus)
            .network(Network::User(Vec::new()))
            .append(&self.append);
        if let Some(mib) = self.disk_mib {
            machine = machine.disk(Disk::scratch("scratch", mib)?);
        }
        if let Some(emulator) = &self.emulator {
            machine = machine.emulator(emulator.clone());
        }
        if let Some(filter) = &self.filter {
            machine = machine.append(format!("test.filter={filter}"));
        }
        Ok(machine)
    }

    /// Asks the image for its tests.
    fn list(&self) -> Result<Vec<Group>> {
        let machine = self.machine()?.append("test.list").timeout(LIST_LIMIT);
        let outcome = machine.spawn()?.finish();
        if !outcome.status.success() {
            bail!(
                "{} does not tell its tests: it {}\n{}",
                self.name,
                outcome.status,
                explain(&outcome, &self.file)
            );
        }
        let mut groups: Vec<Group> = Vec::new();
        for line in &outcome.lines {
            if let Some(Event::TestList { group, name }) = &line.event {
                match groups.iter_mut().find(|known| known.name == *group) {
                    Some(known) => known.tests.push(name.clone()),
                    None => groups.push(Group { name: group.clone(), tests: vec![name.clone()] }),
                }
            }
        }
        groups.retain(|group| self.group.is_none() || group.name == self.group);
        Ok(groups)
    }

    /// Runs a group, telling each test's verdict as soon as it is known.
    fn run(&self, group: &Group, mut tell: impl FnMut(usize, Verdict)) {
        let mut first = 0;
        while first < group.tests.len() {
            first = match self.boot(group, first) {
                Ok(running) => Boot::new(self, group, first).follow(running, &mut tell),
                Err(error) => {
                    tell(first, Err(format!("{error:#}")));
                    first + 1
                }
            };
        }
    }

    fn boot(&self, group: &Group, first: usize) -> Result<Running> {
        let mut machine = self.machine()?;
        if let Some(name) = &group.name {
            machine = machine.append(format!("test.group={name}"));
            if name == COUNTING_GROUP {
                machine = machine.icount(Icount { shift: 0, sleep: false });
            } else if let Some(cpus) = processors(name)? {
                machine = machine.cpus(cpus);
            }
        }
        if first > 0 {
            machine = machine.append(format!("test.from={}", group.tests[first]));
        }
        // Each test has its own limit; this one is for a host that stops looking.
        let tests = (group.tests.len() - first) as u32;
        Ok(machine.timeout(self.limit * (tests + 1)).spawn()?)
    }
}

/// With how many processors a group of this name boots, if it says so.
fn processors(group: &str) -> Result<Option<u32>> {
    let number = group.strip_prefix(CORES_GROUP).map(str::parse);
    number.transpose().with_context(|| format!("the group `{group}` has no number of processors"))
}

/// One boot of a group, from the test `first` on.
struct Boot<'a> {
    image: &'a TestImage,
    group: &'a Group,
    /// The test that runs, or is next.
    current: usize,
    /// The log since its start.
    log: Vec<Line>,
    /// Whether a test of this boot failed by its own word.
    failed: bool,
    /// The verdict of the last test, which waits for the machine's proper end.
    last: Option<Verdict>,
}

impl<'a> Boot<'a> {
    fn new(image: &'a TestImage, group: &'a Group, first: usize) -> Self {
        Boot { image, group, current: first, log: Vec::new(), failed: false, last: None }
    }

    /// Takes the boot to its end; returns the first test that has not been run yet.
    fn follow(mut self, mut running: Running, tell: &mut impl FnMut(usize, Verdict)) -> usize {
        let mut deadline = Instant::now() + self.image.limit;
        while !running.ended() {
            let left = deadline.saturating_duration_since(Instant::now());
            match running.next_line(Some(left)) {
                Some(line) => {
                    let went_on = self.take(line, tell);
                    if went_on {
                        deadline = Instant::now() + self.image.limit;
                    }
                }
                None if running.ended() => {}
                None if Instant::now() >= deadline => {
                    let outcome = running.kill();
                    let limit = self.image.limit.as_secs_f32();
                    tell(
                        self.blamed(),
                        Err(self.account(&format!("no end in {limit} s"), &outcome)),
                    );
                    return self.blamed() + 1;
                }
                None => {}
            }
        }
        let outcome = running.finish();
        self.conclude(&outcome, tell)
    }

    /// The test to blame for what happens now.
    fn blamed(&self) -> usize {
        self.current.min(self.group.tests.len() - 1)
    }

    /// Takes one line; returns whether a test has begun or ended.
    fn take(&mut self, line: Line, tell: &mut impl FnMut(usize, Verdict)) -> bool {
        let index = |name: &str| self.group.tests.iter().position(|test| test == name);
        match &line.event {
            Some(Event::TestBegin(name)) => {
                if let Some(index) = index(name) {
                    self.skip_to(index, tell);
                }
                self.log.clear();
                true
            }
            Some(Event::TestPass(name)) if index(name) == Some(self.current) => {
                self.ended(Ok(()), tell);
                true
            }
            Some(Event::TestFail { name, reason }) if index(name) == Some(self.current) => {
                self.failed = true;
                let log = tail(&self.log);
                self.ended(Err(format!("{reason}\n{log}")), tell);
                true
            }
            _ => {
                self.log.push(line);
                false
            }
        }
    }

    /// A test began: those before it that never did have failed.
    fn skip_to(&mut self, index: usize, tell: &mut impl FnMut(usize, Verdict)) {
        while self.current < index {
            self.ended(Err("the image did not run it".to_owned()), tell);
        }
    }

    fn ended(&mut self, verdict: Verdict, tell: &mut impl FnMut(usize, Verdict)) {
        if self.current + 1 == self.group.tests.len() {
            self.last = Some(verdict);
        } else {
            tell(self.current, verdict);
        }
        self.current += 1;
    }

    /// The machine has ended: which tests have not been heard of, or did it end badly?
    fn conclude(mut self, outcome: &Outcome, tell: &mut impl FnMut(usize, Verdict)) -> usize {
        let all = self.group.tests.len();
        let Some(last) = self.last.take() else {
            let what = format!("the guest {}", outcome.status);
            tell(self.current, Err(self.account(&what, outcome)));
            return self.current + 1;
        };
        let expected = if self.failed { TESTS_FAILED } else { 0 };
        let verdict = match (&outcome.status, last) {
            (status, Ok(())) if *status != Status::Exited(expected) => {
                let what = format!("it passed, but then the guest {status}");
                Err(self.account(&what, outcome))
            }
            (_, last) => last,
        };
        tell(all - 1, verdict);
        all
    }

    /// What happened, the crash report if there is one, and the end of the log.
    fn account(&self, what: &str, outcome: &Outcome) -> String {
        format!("{what}\n{}", explain(outcome, &self.image.file))
    }
}

/// Crash reports with names, what QEMU said, and the end of the log.
fn explain(outcome: &Outcome, file: &Path) -> String {
    let symbols = match outcome.crashes.is_empty() {
        true => None,
        false => Symbols::load(file).ok(),
    };
    let mut text: String =
        outcome.crashes.iter().map(|crash| crash.render(symbols.as_ref())).collect();
    if !outcome.stderr.trim().is_empty() {
        text += &format!("QEMU printed:\n    {}\n", outcome.stderr.trim());
    }
    text + &tail(&outcome.lines)
}

/// The end of a log, without the lines of crash reports.
fn tail(lines: &[Line]) -> String {
    let lines: Vec<&Line> = lines
        .iter()
        .filter(|line| !matches!(line.event, Some(Event::Register(..) | Event::Stack(..))))
        .collect();
    let from = lines.len().saturating_sub(TAIL);
    lines[from..].iter().map(|line| format!("    {}\n", line.text)).collect()
}

/// Lists the tests of all images and starts running them, two guests at a time; each test is a
/// trial that waits for its verdict. The images that cannot be listed are returned apart.
pub fn trials(images: Vec<TestImage>) -> (Vec<Trial>, Vec<anyhow::Error>) {
    let mut jobs = Vec::new();
    let mut trials = Vec::new();
    let mut errors = Vec::new();
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(Duration::from_millis(100));
    for image in images {
        progress.set_message(format!("asking {} for its tests", image.name));
        let groups = match image.list() {
            Ok(groups) => groups,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        for group in groups {
            let mut senders = Vec::new();
            for test in &group.tests {
                let (sender, verdict) = mpsc::channel::<Verdict>();
                senders.push(sender);
                let wait = move || match verdict.recv() {
                    Ok(verdict) => verdict.map_err(Failed::from),
                    Err(_) => Err(Failed::from("its machine ended without a word on it")),
                };
                trials.push(Trial::test(test.clone(), wait).with_kind(image.name.clone()));
            }
            jobs.push((image.clone(), group, senders));
        }
    }
    progress.finish_and_clear();
    jobs.reverse();
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..GUESTS {
        let jobs = jobs.clone();
        thread::spawn(move || {
            while let Some((image, group, senders)) = next(&jobs) {
                image.run(&group, |test, verdict| {
                    // Nobody waits any more for a test that is filtered out.
                    let _ = senders[test].send(verdict);
                });
            }
        });
    }
    (trials, errors)
}

type Job = (TestImage, Group, Vec<Sender<Verdict>>);

fn next(jobs: &Mutex<Vec<Job>>) -> Option<Job> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

#[cfg(test)]
#[path = "guest/tests.rs"]
mod tests;
