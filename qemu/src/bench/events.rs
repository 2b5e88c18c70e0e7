//! `events`: what the event system costs, in guest instructions and in nanoseconds.
//!
//! The image `guest-bench` measures itself and prints `#! figure events CASE ...` lines. It is
//! booted three times: under `-icount shift=0,sleep=off`, where the time stamp counter counts
//! instructions; so again, built with its feature `measure`, for its longest masked and deferred
//! sections; and under plain emulation in time, because some instructions (saving the FP state)
//! take far longer than others. Figures of one case with different numbers of registered events
//! (`events=N`) also give one of its flatness.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Report;
use super::figure::{Figure, Goal};
use super::subject::command;
use crate::build;
use crate::machine::{Icount, Machine, Model};
use crate::peer::{Guest, Peer, Serve};
use crate::project::cargo;
use crate::protocol::{Event, Figure as Printed, Line};

const IMAGE: &str = "guest-bench";
/// A million registered events and their payload fit.
const MEMORY_MIB: u32 = 1024;
const LIFETIME: Duration = Duration::from_secs(600);
const ICOUNT: Icount = Icount { shift: 0, sleep: false };

/// The image's command line when it counts instructions, and when it takes time.
const COUNTED: &str = "icount events=10,1000,100000,1000000";
const TIMED: &str = "events=1000";

/// Cases that tell of the longest sections begin so.
const SECTIONS: &str = "longest-";

/// How far a case's figures may lie apart over the numbers of registered events.
const FLAT_PERCENT: f64 = 2.0;

/// Cases that begin so have this goal, in instructions.
const GOALS: [(&str, f64); 2] = [("interrupt-to-handler", 150.0), ("activation-to-handler", 80.0)];

/// What Linux has for a case of ours: the peer's case, and its figure on Linux 6.1 as recorded
/// once, for runs that do not measure it anew.
const LINUX: [(&str, &str, f64); 3] = [
    ("activation-to-handler", "eventfd-epoll", 1578.0),
    ("timer-interrupt-to-handler-idle", "timerfd-epoll", 4644.0),
    ("timer-interrupt-to-handler", "timer-signal", 2354.0),
];

/// Linux's figures by its own cases, and what to call their source.
struct Reference {
    name: &'static str,
    figures: BTreeMap<String, f64>,
    command: Option<String>,
}

/// Measures our event system; Linux's too if there is a peer.
pub(crate) fn run(peer: Option<&Peer>, report: &mut Report) -> Result<()> {
    let reference = match peer {
        Some(peer) => measure_linux(peer)?,
        None => recorded(),
    };
    let image = build::image(IMAGE)?;
    let counted = boot(machine(&image, COUNTED).icount(ICOUNT))?;
    let of_length = |printed: &&Printed| printed.case.starts_with(SECTIONS);
    let ordinary = |printed: &&Printed| !of_length(printed) && printed.unit != "Hz";
    let ordinary: Vec<Printed> = counted.printed.iter().filter(ordinary).cloned().collect();
    for figure in figures(&ordinary, &counted.command, &reference) {
        report.add(figure);
    }
    let timed = boot(machine(&image, TIMED))?;
    for printed in in_nanoseconds(&timed.printed).iter().filter(|printed| !of_length(printed)) {
        report.add(plain(printed, &timed.command));
    }
    let measured = boot(machine(&build_measuring()?, COUNTED).icount(ICOUNT))?;
    for printed in measured.printed.iter().filter(of_length) {
        report.add(plain(printed, &measured.command).parameter("features", "measure"));
    }
    Ok(())
}

/// The image with its sections measured, which costs the other figures a little.
fn build_measuring() -> Result<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no checkout")?;
    // In a folder of its own, so that the ordinary image stays what it is.
    let target = checkout.join("target/measure");
    let mut command = cargo();
    command.args(["build", "--release", "--features", "measure", "--package", IMAGE]);
    command.arg("--manifest-path").arg(checkout.join("Cargo.toml"));
    command.arg("--target-dir").arg(&target);
    let status = command.status().context("cargo cannot be run")?;
    ensure!(status.success(), "{IMAGE} does not build with its feature `measure`");
    Ok(target.join("release").join(IMAGE))
}

fn machine(image: &Path, append: &str) -> Machine {
    Machine::new(image).append(append).memory_mib(MEMORY_MIB).timeout(LIFETIME)
}

/// A machine that has ended well, and what it printed.
struct Ended {
    printed: Vec<Printed>,
    command: String,
}

fn boot(machine: Machine) -> Result<Ended> {
    let command = command(&machine);
    let outcome = machine.spawn()?.finish();
    ensure!(
        outcome.status.success(),
        "the measuring guest {}; its last lines:\n{}",
        outcome.status,
        outcome.tail(20)
    );
    let printed: Vec<Printed> = outcome.lines.iter().filter_map(printed).collect();
    ensure!(!printed.is_empty(), "the measuring guest printed no figure:\n{}", outcome.tail(20));
    Ok(Ended { printed, command })
}

fn printed(line: &Line) -> Option<Printed> {
    match &line.event {
        Some(Event::Figure(figure)) => Some(figure.clone()),
        _ => None,
    }
}

fn measure_linux(peer: &Peer) -> Result<Reference> {
    // On q35, whose HPET or local timer gives Linux its high-resolution timers.
    let timeout = LIFETIME.as_secs() as u32;
    let guest = Guest { serve: Serve::Events, model: Model::Q35, timeout, report_busy: false };
    let machine = guest.machine(peer).memory_mib(MEMORY_MIB).timeout(LIFETIME).icount(ICOUNT);
    let ended = boot(machine).context("event costs of Linux")?;
    let figures: BTreeMap<_, _> =
        ended.printed.into_iter().map(|figure| (figure.case, figure.value)).collect();
    for (_, case, _) in LINUX {
        ensure!(figures.contains_key(case), "the Linux peer printed no figure {case}");
    }
    Ok(Reference { name: "linux", figures, command: Some(ended.command) })
}

fn recorded() -> Reference {
    let figures = LINUX.iter().map(|&(_, case, value)| (case.to_owned(), value)).collect();
    Reference { name: "linux 6.1 (recorded)", figures, command: None }
}

/// Figures in cycles of the time stamp counter as nanoseconds, if the guest has told the
/// counter's frequency (`#! figure events tsc-frequency value=N unit=Hz`).
fn in_nanoseconds(printed: &[Printed]) -> Vec<Printed> {
    let frequency =
        printed.iter().find(|printed| printed.unit == "Hz").map(|printed| printed.value);
    let mut converted = printed.to_vec();
    converted.retain(|printed| printed.unit != "Hz");
    if let Some(frequency) = frequency.filter(|&frequency| frequency > 0.0) {
        for printed in converted.iter_mut().filter(|printed| printed.unit == "cycles") {
            printed.value *= 1e9 / frequency;
            printed.unit = "ns".into();
        }
    }
    converted
}

/// The guest's figures with goals and Linux's beside them, then the flatness of each case.
fn figures(printed: &[Printed], command: &str, reference: &Reference) -> Vec<Figure> {
    // A case's figures side by side, in the order in which the cases first came.
    let first = |case: &str| printed.iter().position(|printed| printed.case == case);
    let mut order: Vec<usize> = (0..printed.len()).collect();
    order.sort_by_key(|&index| first(&printed[index].case));
    let mut figures: Vec<Figure> =
        order.into_iter().map(|index| judged(&printed[index], command, reference)).collect();
    figures.extend(flatness(printed, command));
    figures
}

fn judged(printed: &Printed, command: &str, reference: &Reference) -> Figure {
    let mut figure = plain(printed, command);
    if printed.unit != "instructions" {
        return figure;
    }
    let of_linux = LINUX.iter().find(|(case, ..)| printed.case == *case);
    if let Some((_, case, _)) = of_linux
        && let Some(&value) = reference.figures.get(*case)
    {
        figure = figure.against(reference.name, value).parameter("peer_case", *case);
        if let Some(command) = &reference.command {
            figure = figure.parameter("peer_command", command.clone());
        }
    }
    match GOALS.iter().find(|(case, _)| printed.case.starts_with(case)) {
        Some(&(_, limit)) => figure.goal(Goal::AtMost(limit)),
        None => figure,
    }
}

/// A printed figure as it is.
fn plain(printed: &Printed, command: &str) -> Figure {
    let mut case = printed.case.clone();
    if let Some(registered) = registered(printed) {
        case = format!("{case}, {registered} events");
    }
    let mut figure = Figure::new("events", case, printed.value, &printed.unit);
    for (name, value) in &printed.parameters {
        figure = figure.parameter(name, value.clone());
    }
    figure.parameter("command", command.to_owned())
}

/// How many other events were registered.
fn registered(printed: &Printed) -> Option<u64> {
    printed.parameters.get("events")?.parse().ok().filter(|&events| events > 0)
}

/// For each case measured with several numbers of events: by how many percent of the smallest
/// figure the largest lies above it.
fn flatness(printed: &[Printed], command: &str) -> Vec<Figure> {
    let mut cases: BTreeMap<&str, Vec<(u64, f64)>> = BTreeMap::new();
    for printed in printed {
        if let Some(registered) = registered(printed) {
            cases.entry(&printed.case).or_default().push((registered, printed.value));
        }
    }
    let mut figures = Vec::new();
    for (case, values) in cases {
        let smallest = values.iter().map(|&(_, value)| value).fold(f64::INFINITY, f64::min);
        let largest = values.iter().map(|&(_, value)| value).fold(0.0, f64::max);
        if values.len() < 2 || smallest <= 0.0 {
            continue;
        }
        let registered: Vec<u64> = values.iter().map(|&(registered, _)| registered).collect();
        let spread = (largest / smallest - 1.0) * 100.0;
        figures.push(
            Figure::new("events", format!("{case}, spread over events"), spread, "%")
                .parameter("registered", registered)
                .parameter("command", command.to_owned())
                .goal(Goal::AtMost(FLAT_PERCENT)),
        );
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(text: &str) -> Printed {
        printed(&Line::parse(format!("#! figure {text}"), Duration::ZERO)).unwrap()
    }

    fn case<'a>(figures: &'a [Figure], case: &str) -> &'a Figure {
        figures.iter().find(|figure| figure.case == case).unwrap()
    }

    #[test]
    fn goals_and_linux_go_to_their_cases() {
        let printed = [
            print("events interrupt-to-handler-idle events=0 value=151 unit=instructions"),
            print("events activation-to-handler events=10 value=80 unit=instructions"),
            print("events timer-interrupt-to-handler events=10 value=99 unit=instructions"),
            print("events register events=10 value=500 unit=instructions"),
        ];
        let figures = figures(&printed, "qemu", &recorded());
        let idle = case(&figures, "interrupt-to-handler-idle");
        assert_eq!((idle.met, idle.peer_value), (Some(false), None));
        let timer = case(&figures, "timer-interrupt-to-handler, 10 events");
        assert_eq!((timer.met, timer.peer_value), (None, Some(2354.0)));
        let activation = case(&figures, "activation-to-handler, 10 events");
        assert_eq!((activation.met, activation.peer_value), (Some(true), Some(1578.0)));
        let register = case(&figures, "register, 10 events");
        assert_eq!((&register.goal, &register.peer), (&None, &None));
        assert_eq!(figures.len(), 4);
    }

    #[test]
    fn flatness_is_the_spread_over_numbers_of_events() {
        let printed = [
            print("events activate events=10 value=100 unit=instructions"),
            print("events activate events=1000000 value=103 unit=instructions"),
            print("events activate events=1000 value=101 unit=instructions"),
            print("events longest-masked value=7 unit=instructions"),
        ];
        let figures = flatness(&printed, "qemu");
        assert_eq!(figures.len(), 1);
        assert!((figures[0].value - 3.0).abs() < 1e-9);
        assert_eq!(figures[0].met, Some(false));
        assert_eq!(flatness(&printed[..1], "qemu"), []);
    }

    #[test]
    fn cycles_become_nanoseconds_by_the_told_frequency() {
        let cycles = print("events activate events=10 value=300 unit=cycles");
        let told = print("events tsc-frequency value=3000000000 unit=Hz");
        let converted = in_nanoseconds(&[cycles.clone(), told]);
        assert_eq!(converted.len(), 1);
        assert_eq!((converted[0].value, converted[0].unit.as_str()), (100.0, "ns"));
        assert_eq!(in_nanoseconds(std::slice::from_ref(&cycles)), [cycles]);
    }

    #[test]
    fn nanoseconds_have_no_goal() {
        let printed = print("events activation-to-handler events=10 value=900 unit=ns");
        let figure = judged(&printed, "qemu", &recorded());
        assert_eq!((&figure.goal, &figure.peer), (&None, &None));
    }
}
