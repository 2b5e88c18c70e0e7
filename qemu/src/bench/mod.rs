//! `cargo reflex bench`: figures of the event system and of whole appliances, alone or side by
//! side with Linux.
//!
//! A benchmark never fails for being slow: a goal missed is printed as such. It fails when
//! something did not run; only [`costs`] also fails when a count differs from its record. Each benchmark is
//! a file of this directory that adds [`Figure`]s to a [`Report`]: [`events`], [`load`] (`http`, `echo`) with [`busy`], [`keyval`], [`start`], [`size`],
//! [`memory`], [`memory_costs`], [`cores_idle`], [`rdma`], [`netio`], [`loss`]. What is measured by a client of the host's is measured on tap devices, in a
//! [network of the command's own](namespace).

mod busy;
mod cores_idle;
mod costs;
mod events;
mod figure;
mod first_reply;
mod keyval;
mod link;
mod load;
mod loss;
mod memory;
mod memory_costs;
mod netio;
mod rdma;
mod sample;
mod size;
mod start;
mod subject;
mod table;
mod wrk;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ValueEnum;

pub use figure::{Figure, Goal};
use load::Plan;
use subject::{Service, Subject};

use crate::machine::Emulator;
use crate::packages::{Installing, Package, require};
use crate::peer::{self, Peer};
use crate::project::Project;
use crate::{build, console, namespace};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Costs of the event system, in guest instructions
    Events,
    /// Costs of the event system in guest instructions beside their record; fails when one is worse
    Costs,
    /// HTTP requests a second, with 1 to 1000 connections
    Http,
    /// Echo round trips a second, with 1 to 1000 connections
    Echo,
    /// Keys and values, GET and SET by redis-benchmark
    Keyval,
    /// From the start of QEMU to the first HTTP reply
    Start,
    /// Bytes of two images, and which crates they are of
    Size,
    /// The smallest memory that serves 16 connections
    Memory,
    /// Costs of the global heap beside many blocks, in guest instructions
    MemoryCosts,
    /// What the cores of an idle image execute
    CoresIdle,
    /// RDMA between two guests: latency, rate and bandwidth
    Rdma,
    /// NetIO's messages from a publisher to 1, 8 and 64 subscribers, over RDMA and TCP
    Netio,
    /// 16 MiB each way through a router that loses packets
    Loss,
}

/// What to compare to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Against {
    /// A Linux guest in the same machine: Debian's kernel, nginx, an epoll echo server
    Linux,
}

/// What `bench` is told.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Goals that are missed are printed as MISSED; the exit status is not 0 \
    only when something did not run, or when a count of `costs` differs from its record.\n\n\
    Examples:\n  cargo reflex bench events\n  cargo reflex bench http --against linux --json http.json")]
pub struct Arguments {
    /// Measure only this [default: everything]
    name: Option<Name>,
    /// Measure this beside it, in the same machine
    #[arg(long)]
    against: Option<Against>,
    /// Write the figures into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How often each side is booted and measured; figures are medians
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pairs: u32,
    /// Seconds of load for each number of connections
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=120))]
    seconds: u32,
    /// Numbers of connections under load
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [1, 10, 100, 1000],
        value_parser = clap::value_parser!(u32).range(1..=20_000))]
    connections: Vec<u32>,
}

/// The parameter that has QEMU's version.
const EMULATOR: &str = "qemu";

/// Figures as they come, what did not run, and what differs from its record.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    failures: Vec<String>,
    refusals: Vec<String>,
}

impl Report {
    /// Notes the QEMU that the figures from this one on were measured in.
    fn measured_in(&mut self, emulator: &Emulator, first: usize) {
        for figure in &mut self.figures[first..] {
            figure.parameters.insert(EMULATOR.to_owned(), emulator.version().to_string().into());
        }
    }

    fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    fn failed(&mut self, what: String) {
        console::error(&what);
        self.failures.push(what);
    }

    fn refused(&mut self, what: String) {
        self.refusals.push(what);
    }
}

/// Runs the subcommand.
///
/// # Errors
/// When a program it needs is missing, the Linux peer cannot be built, a network of its own is
/// refused, or the JSON file cannot be written. A benchmark that did not run shows in the exit status.
pub fn run(arguments: Arguments, installing: Installing) -> Result<ExitCode> {
    let names: Vec<Name> = match arguments.name {
        Some(name) => vec![name],
        None => Name::value_variants().to_vec(),
    };
    let mut packages = vec![Package::Qemu];
    if names.contains(&Name::Http) {
        packages.push(Package::Wrk);
    }
    require(&packages, installing)?;
    let emulator = Emulator::of_process()?;
    console::note("Emulator", emulator);
    if let Some(project) = elsewhere().filter(|_| names.iter().any(|name| *name != Name::Size)) {
        console::note(
            "Measured",
            format!(
                "are images of Reflex itself, such as httpd, not those of {}: what these are to be asked \
                 for nobody has said. `cargo reflex bench size` measures theirs",
                project.root.display()
            ),
        );
    }
    if let Some(file) = &arguments.json {
        // Found out before the measuring, not after.
        File::create(file).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    let peer = match arguments.against {
        Some(Against::Linux) => Some(Peer::ensure().context("the Linux peer")?),
        None => None,
    };
    // From here on nothing is downloaded, but by cargo, which stays outside.
    namespace::enter()?;
    let mut report = Report::default();
    for name in names {
        let text = name.to_possible_value().map(|value| value.get_name().to_owned());
        let text = text.unwrap_or_default();
        console::step("Measuring", &text);
        let first = report.figures.len();
        if let Err(error) = measure(name, &arguments, peer.as_ref(), &mut report) {
            report.failed(format!("{text}: {error:#}"));
        }
        if name != Name::Size {
            report.measured_in(emulator, first);
        }
    }
    conclude(&arguments, peer.as_ref(), &report)
}

fn measure(
    name: Name,
    arguments: &Arguments,
    peer: Option<&Peer>,
    report: &mut Report,
) -> Result<()> {
    let plan = Plan {
        pairs: arguments.pairs,
        seconds: arguments.seconds,
        connections: arguments.connections.clone(),
    };
    let under_load = |service: Service, report: &mut Report| {
        let subjects = subjects(service.application(), peer)?;
        load::run(service, &subjects, &plan, report)?;
        busy::run(service, &subjects, &plan, report)
            .with_context(|| format!("counting busy instructions of {}", service.application()))
    };
    match name {
        Name::Events => events::run(peer, report),
        Name::Costs => costs::run(report),
        Name::Http => under_load(Service::Http, report),
        Name::Echo => under_load(Service::Echo, report),
        Name::Keyval => {
            let subjects = subjects(keyval::SERVES.application, peer)?;
            keyval::run(&subjects, arguments.pairs, report)
        }
        Name::Start => {
            start::run(&subjects(Service::Http.application(), peer)?, arguments.pairs, report)
        }
        Name::Size => size::run(elsewhere().as_ref(), report),
        Name::Memory => memory::run(&subjects(Service::Http.application(), peer)?, report),
        Name::MemoryCosts => memory_costs::run(report),
        Name::CoresIdle => cores_idle::run(report),
        Name::Rdma => rdma::run(peer, arguments.pairs, report),
        Name::Netio => netio::run(peer, arguments.pairs, report),
        Name::Loss => loss::run(peer.is_some(), arguments.pairs, report),
    }
}

/// The project that the command was started in, if it is another than that which the command is a part of. Only its
/// sizes can be measured: what load is made of, and what Linux is to do for comparison, is known of this one's images.
fn elsewhere() -> Option<Project> {
    let project = Project::here().ok()?;
    let is_own = build::checkout().canonicalize().is_ok_and(|own| own == project.root);
    (!is_own).then_some(project)
}

/// Ours, and the peer if there is one.
fn subjects(application: &str, peer: Option<&Peer>) -> Result<Vec<Subject>> {
    let mut subjects = vec![Subject::Reflex(build::image(application)?)];
    subjects.extend(peer.cloned().map(Subject::Linux));
    Ok(subjects)
}

/// Prints the table and writes the file.
fn conclude(arguments: &Arguments, peer: Option<&Peer>, report: &Report) -> Result<ExitCode> {
    if let Some(peer) = peer {
        println!("Linux's tuning:\n{}", peer::tuning());
        println!("Linux's packages:\n  {}", peer.versions()?.trim().replace('\n', "\n  "));
    }
    println!("{}", table::render(&report.figures));
    if let Some(file) = &arguments.json {
        write_json(file, &report.figures)?;
        console::step("Wrote", file.display());
    }
    let missed = report.figures.iter().filter(|figure| figure.met == Some(false)).count();
    println!("{} figures, {missed} goals missed", report.figures.len());
    for failure in &report.failures {
        println!("did not run: {failure}");
    }
    for refusal in &report.refusals {
        console::error(refusal);
    }
    let passed = report.failures.is_empty() && report.refusals.is_empty();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_json(file: &Path, figures: &[Figure]) -> Result<()> {
    let mut text = serde_json::to_string_pretty(figures)?;
    text.push('\n');
    fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn the_command_line_is_read() {
        let line =
            ["bench", "http", "--against", "linux", "--json", "a.json", "--connections", "1,5"];
        let arguments = Line::parse_from(line).arguments;
        assert_eq!(arguments.name, Some(Name::Http));
        assert_eq!(arguments.against, Some(Against::Linux));
        assert_eq!(arguments.connections, [1, 5]);
        assert_eq!((arguments.pairs, arguments.seconds), (3, 5));
        let everything = Line::parse_from(["bench"]).arguments;
        assert_eq!((everything.name, everything.against), (None, None));
        assert_eq!(everything.connections, [1, 10, 100, 1000]);
        assert!(Line::try_parse_from(["bench", "speed"]).is_err());
        assert!(Line::try_parse_from(["bench", "--pairs", "0"]).is_err());
    }

    #[test]
    fn the_json_file_is_an_array() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("figures.json");
        let figures = [Figure::new("size", "httpd", 1.0, "bytes"), Figure::new("a", "b", 2.0, "c")];
        write_json(&file, &figures).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(read.as_array().unwrap().len(), 2);
        assert_eq!(read[1]["case"], "b");
        write_json(&file, &[]).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "[]\n");
    }

    #[test]
    fn what_did_not_run_shows_in_the_exit_status() {
        let arguments = Line::parse_from(["bench"]).arguments;
        let mut report = Report::default();
        report.add(Figure::new("size", "httpd", 9.0, "bytes").goal(Goal::AtMost(1.0)));
        let status = |report: &Report| conclude(&arguments, None, report).unwrap();
        // A missed goal is no failure.
        assert_eq!(status(&report), ExitCode::SUCCESS);
        report.refused("worse".into());
        assert_eq!(status(&report), ExitCode::FAILURE);
        report.refusals.clear();
        report.failed("start: no emulator".into());
        assert_eq!(status(&report), ExitCode::FAILURE);
    }
}
