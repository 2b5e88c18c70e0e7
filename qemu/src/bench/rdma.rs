//! `rdma`: one operation of RC queue pairs between two guests, as `qemu/peer/rdma/perf.c` measures
//! it (its head says how, and what the two ends say to each other).
//!
//! The guests are image and image, image (client) and Linux, Linux and Linux: on q35 with one
//! processor each, joined by a [`Cable`], with path MTU 1024 (Ethernet's usual MTU) and 4096. Linux is the
//! peer's program `perf`, which polls for completions. Ours is the image `rdma-perf`:
//!
//! - `rdma.role=server`: serves connection after connection for as long as it runs; prints a line
//!   with the word `ready` once it listens on port 7473;
//! - `rdma.role=client rdma.peer=ADDRESS rdma.test=send|write|read|atomic rdma.size=N rdma.count=N
//!   rdma.window=N`: prints its figures as `perf` does (among their parameters the path `mtu=`) and
//!   ends with status 0;
//! - both with `ip=` and `ip6=`; the network card tells the MTU.

mod instructions;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Report;
use super::figure::{Figure, Goal};
use super::sample::median;
use super::subject::command;
use crate::build;
use crate::machine::{Machine, Running};
use crate::peer::{Cable, Command, End, Peer, Session, Station};
use crate::protocol::{Event, Figure as Printed, Line};

const IMAGE: &str = "rdma-perf";
/// The same for both; a Linux guest needs it.
const MEMORY_MIB: u32 = 256;
/// How long one test may take.
const LIMIT: Duration = Duration::from_secs(120);
const LIFETIME: Duration = Duration::from_secs(900);

/// Client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pairing {
    ImageImage,
    ImageLinux,
    LinuxLinux,
}

impl Pairing {
    fn name(self) -> &'static str {
        match self {
            Pairing::ImageImage => "image to image",
            Pairing::ImageLinux => "image to linux",
            Pairing::LinuxLinux => "linux to linux",
        }
    }
}

/// One run of a client.
struct Test {
    operation: &'static str,
    size: u32,
    count: u32,
    window: u32,
    /// RDMA's path MTU.
    mtu: u16,
    /// Which of the figures it prints are of interest.
    figures: &'static [&'static str],
}

const SHORT: &[&str] = &["latency-p50", "latency-p99", "rate"];
const LONG: &[&str] = &["bandwidth"];
/// RDMA's path MTUs with the network's, into which headers have to fit as well.
const MTUS: [(u16, u16); 2] = [(1024, 1500), (4096, 4200)];

const TESTS: [Test; 10] = [
    short("send"),
    short("write"),
    short("read"),
    short("atomic"),
    long("send", 1024),
    long("write", 1024),
    long("read", 1024),
    long("send", 4096),
    long("write", 4096),
    long("read", 4096),
];

const fn short(operation: &'static str) -> Test {
    Test { operation, size: 64, count: 2000, window: 16, mtu: 1024, figures: SHORT }
}

const fn long(operation: &'static str, mtu: u16) -> Test {
    Test { operation, size: 65536, count: 200, window: 16, mtu, figures: LONG }
}

/// What image to image should reach of what Linux to Linux does.
fn goal(figure: &str) -> Goal {
    match figure {
        "rate" => Goal::RatioAtLeast(5.0),
        "bandwidth" => Goal::RatioAtLeast(4.0),
        _ => Goal::RatioAtMost(1.0 / 3.0),
    }
}

/// What image to Linux should: be no slower.
fn no_slower(figure: &str) -> Goal {
    match figure {
        "rate" | "bandwidth" => Goal::RatioAtLeast(1.0),
        _ => Goal::RatioAtMost(1.0),
    }
}

/// What was measured of one pairing: the figures of each repetition, by test.
type Measured = Vec<Vec<Printed>>;

/// Measures image to image, and with a peer the other pairings.
pub(crate) fn run(peer: Option<&Peer>, repetitions: u32, report: &mut Report) -> Result<()> {
    let image = noted(build::image(IMAGE), "the image", report);
    let mut pairings = Vec::new();
    if image.is_some() {
        pairings.push(Pairing::ImageImage);
    }
    if peer.is_some() {
        pairings.extend(image.is_some().then_some(Pairing::ImageLinux));
        pairings.push(Pairing::LinuxLinux);
    }
    if let Some(image) = &image {
        let counted = noted(instructions::measure(image), "instructions", report);
        counted.into_iter().flatten().for_each(|figure| report.add(figure));
    }
    let sides = Sides { image, peer: peer.cloned() };
    let mut measured: Vec<Measured> = pairings.iter().map(|_| none()).collect();
    for _ in 0..repetitions {
        for (&pairing, measured) in pairings.iter().zip(&mut measured) {
            for (mtu, network_mtu) in MTUS {
                let what = format!("{}, MTU {mtu}", pairing.name());
                let done = sides.measure(pairing, mtu, network_mtu, measured);
                noted(done, &what, report);
            }
        }
    }
    let linux = pairings.iter().position(|&pairing| pairing == Pairing::LinuxLinux);
    let linux = linux.map(|index| medians(&measured[index]));
    for (&pairing, measured) in pairings.iter().zip(&measured) {
        let compared = linux.as_ref().filter(|_| pairing != Pairing::LinuxLinux);
        for figure in figures(pairing, &medians(measured), compared) {
            report.add(figure);
        }
    }
    Ok(())
}

/// What was measured; if it was not, the report says so and the other figures still come.
fn noted<T>(result: Result<T>, what: &str, report: &mut Report) -> Option<T> {
    result.map_err(|error| report.failed(format!("rdma, {what}: {error:#}"))).ok()
}

fn none() -> Measured {
    TESTS.iter().map(|_| Vec::new()).collect()
}

/// What the guests are made of.
struct Sides {
    image: Option<PathBuf>,
    peer: Option<Peer>,
}

impl Sides {
    /// Runs the tests with this path MTU once.
    fn measure(
        &self,
        pairing: Pairing,
        mtu: u16,
        network_mtu: u16,
        measured: &mut Measured,
    ) -> Result<()> {
        let cable = Cable::new()?;
        let station =
            |number, end| Station::new(number, cable.network(end)).mtu(network_mtu).life(LIFETIME);
        let (server, client) = (station(1, End::Near), station(2, End::Far));
        let address = server.ipv4().to_string();
        let _server = match pairing {
            Pairing::ImageImage => Server::image(self.machine(&server)?)?,
            Pairing::ImageLinux | Pairing::LinuxLinux => Server::linux(self.linux(server)?)?,
        };
        let mut linux = match pairing {
            Pairing::LinuxLinux => Some(self.linux(client.clone())?),
            Pairing::ImageImage | Pairing::ImageLinux => None,
        };
        for (test, measured) in TESTS.iter().zip(measured).filter(|(test, _)| test.mtu == mtu) {
            let printed = match &mut linux {
                Some(linux) => test.run_on(linux, &address)?,
                None => test.boot(self.machine(&client)?, &address)?,
            };
            for printed in &printed {
                if test.figure(printed).is_some() {
                    eprintln!(
                        "  rdma {}: {} of {} B, MTU {mtu}: {:.0} {}",
                        pairing.name(),
                        printed.case,
                        test.size,
                        printed.value,
                        printed.unit
                    );
                }
            }
            measured.extend(printed);
        }
        Ok(())
    }

    fn machine(&self, station: &Station) -> Result<Machine> {
        let image = self.image.as_ref().context("no image")?;
        Ok(station.machine(image).memory_mib(MEMORY_MIB).append("log=error"))
    }

    fn linux(&self, station: Station) -> Result<Session> {
        Session::boot(self.peer.as_ref().context("no peer")?, station)
    }
}

/// A server, for as long as this value lives.
enum Server {
    Image(#[expect(dead_code, reason = "held, not looked at")] Running),
    Linux(#[expect(dead_code, reason = "held, not looked at")] Session),
}

impl Server {
    fn image(machine: Machine) -> Result<Server> {
        let mut running = machine.append("rdma.role=server").spawn()?;
        running.wait_for_text("ready", LIMIT)?;
        Ok(Server::Image(running))
    }

    fn linux(mut session: Session) -> Result<Server> {
        let address = session.ipv4();
        let perf: Command = session.start(&format!("perf server {address}"))?;
        session.wait_for_output(perf, "ready", LIMIT)?;
        Ok(Server::Linux(session))
    }
}

impl Test {
    /// Runs the peer's client.
    fn run_on(&self, linux: &mut Session, address: &str) -> Result<Vec<Printed>> {
        let Test { operation, size, count, window, .. } = self;
        let command = format!("perf client {address} {operation} {size} {count} {window}");
        let output = linux.run(&command, LIMIT)?.success()?;
        let lines = output.lines().map(|line| Line::parse(line.to_owned(), Duration::ZERO));
        self.figures(lines, &command)
    }

    /// Boots an image as client.
    fn boot(&self, machine: Machine, address: &str) -> Result<Vec<Printed>> {
        let Test { operation, size, count, window, .. } = self;
        let machine = machine.timeout(LIMIT).append(format!(
            "rdma.role=client rdma.peer={address} rdma.test={operation} rdma.size={size} \
             rdma.count={count} rdma.window={window}"
        ));
        let command = command(&machine);
        let outcome = machine.spawn()?.finish();
        ensure!(outcome.status.success(), "{}:\n{}", outcome.status, outcome.tail(20));
        self.figures(outcome.lines.into_iter(), &command)
    }

    /// The figures in a client's output: all of interest have to be there.
    fn figures(&self, lines: impl Iterator<Item = Line>, command: &str) -> Result<Vec<Printed>> {
        let mut found: Vec<Printed> = lines
            .filter_map(|line| match line.event {
                Some(Event::Figure(figure)) => Some(figure),
                _ => None,
            })
            .collect();
        for figure in &mut found {
            figure.parameters.insert("command".into(), command.into());
        }
        for figure in self.figures {
            let there = found.iter().any(|found| self.figure(found) == Some(figure));
            ensure!(there, "`{command}` has printed no {}-{figure}", self.operation);
        }
        let mtu = self.mtu.to_string();
        for found in &found {
            let theirs = found.parameters.get("mtu");
            ensure!(theirs == Some(&mtu), "`{command}` ran with MTU {theirs:?} instead of {mtu}");
        }
        Ok(found)
    }

    /// Which of this test's figures it is, if it is of interest.
    fn figure(&self, printed: &Printed) -> Option<&'static str> {
        let figure = printed.case.strip_prefix(self.operation)?.strip_prefix('-')?;
        self.figures.iter().find(|&&wanted| wanted == figure).copied()
    }
}

/// The median of one figure of one test.
#[derive(Clone, Debug)]
struct Middle {
    test: usize,
    figure: &'static str,
    value: f64,
    unit: String,
    all: Vec<f64>,
    command: Option<String>,
}

fn medians(measured: &Measured) -> Vec<Middle> {
    let mut medians = Vec::new();
    for (index, (test, printed)) in TESTS.iter().zip(measured).enumerate() {
        for &figure in test.figures {
            let of: Vec<&Printed> =
                printed.iter().filter(|printed| test.figure(printed) == Some(figure)).collect();
            let all: Vec<f64> = of.iter().map(|printed| printed.value).collect();
            if let (Some(value), Some(first)) = (median(&all), of.first()) {
                medians.push(Middle {
                    test: index,
                    figure,
                    value,
                    unit: first.unit.clone(),
                    all,
                    command: first.parameters.get("command").cloned(),
                });
            }
        }
    }
    medians
}

/// A pairing's figures, with goals where they are compared.
fn figures(pairing: Pairing, medians: &[Middle], linux: Option<&Vec<Middle>>) -> Vec<Figure> {
    let figure = |middle: &Middle| {
        let test = &TESTS[middle.test];
        let case = format!(
            "{}, {} {} of {} B, MTU {}",
            pairing.name(),
            test.operation,
            middle.figure,
            // An atomic operation is of one size.
            if test.operation == "atomic" { 8 } else { test.size },
            test.mtu
        );
        let figure = Figure::new("rdma", case, middle.value, &middle.unit)
            .parameter("count", test.count)
            .parameter("window", test.window)
            .parameter("repetitions", middle.all.clone())
            .parameter("client_command", middle.command.clone());
        let theirs = linux.and_then(|linux| {
            linux.iter().find(|other| (other.test, other.figure) == (middle.test, middle.figure))
        });
        let Some(theirs) = theirs else { return figure };
        figure.against("linux to linux", theirs.value).goal(match pairing {
            Pairing::ImageLinux => no_slower(middle.figure),
            Pairing::ImageImage | Pairing::LinuxLinux => goal(middle.figure),
        })
    };
    medians.iter().map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(case: &str, value: f64) -> Line {
        let text = format!("#! figure rdma {case} size=64 mtu=1024 value={value} unit=us");
        Line::parse(text, Duration::ZERO)
    }

    #[test]
    fn a_client_that_leaves_a_figure_out_has_failed() {
        let test = &TESTS[0];
        let lines = || ["send-latency-p50", "send-latency-p99"].map(|case| printed(case, 1.0));
        assert!(test.figures(lines().into_iter(), "").is_err());
        let all = lines().into_iter().chain([printed("send-rate", 2.0)]);
        assert_eq!(test.figures(all, "").unwrap().len(), 3);
    }

    #[test]
    fn medians_are_compared_with_linux_and_judged() {
        let measured = |values: [f64; 3]| {
            let mut measured = none();
            for value in values {
                let lines = SHORT.iter().map(|figure| printed(&format!("send-{figure}"), value));
                measured[0].extend(TESTS[0].figures(lines, "command").unwrap());
            }
            medians(&measured)
        };
        let (linux, ours) = (measured([30.0, 31.0, 29.0]), measured([1.0, 11.0, 10.0]));
        let figures = figures(Pairing::ImageImage, &ours, Some(&linux));
        let of = |name: &str| figures.iter().find(|figure| figure.case.contains(name)).unwrap();
        assert_eq!((of("p50").value, of("p50").peer_value), (10.0, Some(30.0)));
        assert_eq!((of("p50").met, of("rate").met), (Some(true), Some(false)));
        assert_eq!(of("p50").case, "image to image, send latency-p50 of 64 B, MTU 1024");
        let alone = super::figures(Pairing::LinuxLinux, &linux, None);
        assert!(alone.len() == 3 && alone.iter().all(|figure| figure.goal.is_none()));
    }
}
