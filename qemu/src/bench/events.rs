//! `events`: what the event system costs, in guest instructions, in nanoseconds and in bytes.
//!
//! The image `guest-bench` measures itself and prints `#! figure events CASE ...` lines. It is
//! booted several times:
//!
//! - under `-icount shift=0,sleep=off`, where the time stamp counter counts instructions;
//! - so with two million registered events in 256 MB ([`CROWDED`]), where it also prints
//!   `bytes-an-event`;
//! - so, but with the host's time while it idles, while the host floods a port of it ([`flood`]);
//! - in the first and the third way again, built with its feature `measure`, for its longest
//!   masked and deferred sections;
//! - under plain emulation in time, because some instructions (saving the FP state) take far
//!   longer than others.
//!
//! A boot that fails is reported, and the others still give their figures. Figures of one case with different numbers of registered events (`events=N`) also give one of
//! its flatness. What Linux has for a case is in [`linux`].

mod flood;
mod linux;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Report;
use super::figure::{Figure, Goal};
use super::subject::command;
use crate::build;
use crate::machine::{Icount, Machine, Outcome};
use crate::peer::Peer;
use crate::project::cargo;
pub(super) use crate::protocol::Figure as Printed;
use crate::protocol::{Event, Line};

pub(super) const IMAGE: &str = "guest-bench";
/// A million registered events and their payload fit.
const MEMORY_MIB: u32 = 1024;
const LIFETIME: Duration = Duration::from_secs(600);
pub(super) const ICOUNT: Icount = Icount { shift: 0, sleep: false };

/// The image's command line when it counts instructions, and when it takes time.
const COUNTED: &str = "icount events=10,1000,100000,1000000";
const TIMED: &str = "events=1000";
/// As many events as it should hold in little memory, and how much that is.
const CROWDED: (&str, u32) = ("icount events=2000000", 256);

/// Cases that tell of the longest sections begin so, and have this goal in instructions.
const SECTIONS: (&str, f64) = ("longest-", 200.0);

/// How far a case's figures may lie apart over the numbers of registered events.
const FLAT_PERCENT: f64 = 2.0;

/// Cases that begin so have this goal in this unit. That of an event is 256 MB for two million.
const GOALS: [(&str, &str, f64); 3] = [
    ("interrupt-to-handler", "instructions", 150.0),
    ("activation-to-handler", "instructions", 80.0),
    ("bytes-an-event", "bytes", 128.0),
];

/// Measures our event system; Linux's too if there is a peer.
pub(crate) fn run(peer: Option<&Peer>, report: &mut Report) -> Result<()> {
    let reference = match peer {
        Some(peer) => linux::measure(peer, report)?,
        None => linux::recorded(),
    };
    let image = build::image(IMAGE)?;
    let measuring = noted(build_measuring(), "the image that measures its sections", report);

    let counted = boot(machine(&image, COUNTED).icount(ICOUNT));
    let mut printed = noted(counted, "instructions", report).unwrap_or_default();
    printed.retain(|printed| !is_section(printed) && printed.unit != "Hz");
    let (words, memory) = CROWDED;
    let crowded = boot(machine(&image, words).memory_mib(memory).icount(ICOUNT));
    if let Some(crowded) = noted(crowded, "two million in 256 MB", report) {
        // The rest does not depend on their number, and is there already.
        printed.extend(crowded.into_iter().filter(|printed| registered(printed).is_some()));
    }
    report.figures.extend(figures(&printed));

    let timed = noted(boot(machine(&image, TIMED)), "nanoseconds", report).unwrap_or_default();
    let in_time = in_nanoseconds(&timed);
    report.figures.extend(in_time.iter().filter(|printed| !is_section(printed)).map(plain));

    let mut flooded = flood::Flooded::default();
    if let Some(measuring) = measuring {
        let sections = boot(machine(&measuring, COUNTED).icount(ICOUNT));
        let sections = noted(sections, "longest sections", report).unwrap_or_default();
        report.figures.extend(sections.iter().filter(|printed| is_section(printed)).map(section));
        let sections = noted(flood::sections(&measuring), "longest sections, flood", report);
        flooded.sections = sections.unwrap_or_default();
    }
    flooded.latencies = noted(flood::latencies(&image), "flood", report).unwrap_or_default();
    report.figures.extend(flood::figures(&flooded));
    printed.extend(flooded.latencies);

    report.figures.extend(linux::figures(&printed, &reference));
    Ok(())
}

/// What was measured; if it was not, the report says so and the other figures still come.
fn noted<T>(result: Result<T>, what: &str, report: &mut Report) -> Option<T> {
    result.map_err(|error| report.failed(format!("events, {what}: {error:#}"))).ok()
}

/// The image with its sections measured, which costs the other figures a little.
pub(super) fn build_measuring() -> Result<PathBuf> {
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

pub(super) fn machine(image: &Path, append: &str) -> Machine {
    Machine::new(image).append(append).memory_mib(MEMORY_MIB).timeout(LIFETIME)
}

/// Boots a machine that measures and ends: the figures it printed, each with QEMU's command line
/// among its parameters.
pub(super) fn boot(machine: Machine) -> Result<Vec<Printed>> {
    let command = command(&machine);
    figures_of(&machine.spawn()?.finish(), &command)
}

fn figures_of(outcome: &Outcome, command: &str) -> Result<Vec<Printed>> {
    ensure!(
        outcome.status.success(),
        "the measuring guest {}; its last lines:\n{}",
        outcome.status,
        outcome.tail(20)
    );
    let mut printed: Vec<Printed> = outcome.lines.iter().filter_map(printed).collect();
    ensure!(!printed.is_empty(), "the measuring guest printed no figure:\n{}", outcome.tail(20));
    for printed in &mut printed {
        printed.parameters.insert("command".into(), command.into());
    }
    Ok(printed)
}

fn printed(line: &Line) -> Option<Printed> {
    match &line.event {
        Some(Event::Figure(figure)) => Some(figure.clone()),
        _ => None,
    }
}

fn is_section(printed: &Printed) -> bool {
    printed.case.starts_with(SECTIONS.0)
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

/// The guest's figures with goals, then the flatness of each case.
fn figures(printed: &[Printed]) -> Vec<Figure> {
    // A case's figures side by side, in the order in which the cases first came.
    let first = |case: &str| printed.iter().position(|printed| printed.case == case);
    let mut order: Vec<usize> = (0..printed.len()).collect();
    order.sort_by_key(|&index| first(&printed[index].case));
    let mut figures: Vec<Figure> = order.into_iter().map(|index| judged(&printed[index])).collect();
    figures.extend(flatness(printed));
    figures
}

fn judged(printed: &Printed) -> Figure {
    let figure = plain(printed);
    let goal = GOALS
        .iter()
        .find(|(case, unit, _)| printed.case.starts_with(case) && printed.unit == *unit);
    match goal {
        Some(&(_, _, limit)) => figure.goal(Goal::AtMost(limit)),
        None => figure,
    }
}

/// The length of a section, by the image that measures it.
fn section(printed: &Printed) -> Figure {
    plain(printed).parameter("features", "measure").goal(Goal::AtMost(SECTIONS.1))
}

/// A printed figure as it is.
fn plain(printed: &Printed) -> Figure {
    let mut case = printed.case.clone();
    if let Some(registered) = registered(printed) {
        case = format!("{case}, {registered} events");
    }
    let mut figure = Figure::new("events", case, printed.value, &printed.unit);
    for (name, value) in &printed.parameters {
        figure = figure.parameter(name, value.clone());
    }
    figure
}

/// How many other events were registered.
fn registered(printed: &Printed) -> Option<u64> {
    printed.parameters.get("events")?.parse().ok().filter(|&events| events > 0)
}

/// For each case that was measured, in instructions, with several numbers of events: by how many
/// percent of the smallest figure the largest lies above it.
fn flatness(printed: &[Printed]) -> Vec<Figure> {
    let mut cases: BTreeMap<&str, Vec<(u64, &Printed)>> = BTreeMap::new();
    for printed in printed.iter().filter(|printed| printed.unit == "instructions") {
        if let Some(registered) = registered(printed) {
            cases.entry(&printed.case).or_default().push((registered, printed));
        }
    }
    let mut figures = Vec::new();
    for (case, printed) in cases {
        let values = || printed.iter().map(|&(_, printed)| printed.value);
        let (smallest, largest) =
            (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        if printed.len() < 2 || smallest <= 0.0 {
            continue;
        }
        let registered: Vec<u64> = printed.iter().map(|&(registered, _)| registered).collect();
        let spread = (largest / smallest - 1.0) * 100.0;
        let mut commands: Vec<&String> =
            printed.iter().filter_map(|(_, printed)| printed.parameters.get("command")).collect();
        commands.dedup();
        figures.push(
            Figure::new("events", format!("{case}, spread over events"), spread, "%")
                .parameter("registered", registered)
                .parameter("commands", commands.into_iter().cloned().collect::<Vec<_>>())
                .goal(Goal::AtMost(FLAT_PERCENT)),
        );
    }
    figures
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::bench) fn print(text: &str) -> Printed {
        printed(&Line::parse(format!("#! figure {text}"), Duration::ZERO)).unwrap()
    }

    fn case<'a>(figures: &'a [Figure], case: &str) -> &'a Figure {
        figures.iter().find(|figure| figure.case == case).unwrap()
    }

    #[test]
    fn goals_go_to_their_cases() {
        let printed = [
            print("events interrupt-to-handler-idle events=0 value=151 unit=instructions"),
            print("events activation-to-handler events=10 value=80 unit=instructions"),
            print("events register events=10 value=500 unit=instructions"),
            print("events bytes-an-event events=2000000 value=129 unit=bytes"),
        ];
        let figures = figures(&printed);
        assert_eq!(case(&figures, "interrupt-to-handler-idle").met, Some(false));
        assert_eq!(case(&figures, "activation-to-handler, 10 events").met, Some(true));
        assert_eq!(case(&figures, "register, 10 events").goal, None);
        assert_eq!(case(&figures, "bytes-an-event, 2000000 events").met, Some(false));
        assert_eq!(figures.len(), 4);
    }

    #[test]
    fn a_section_is_judged_by_its_length() {
        let figure = section(&print("events longest-masked value=201 unit=instructions"));
        assert_eq!(
            (figure.met, figure.parameters["features"].as_str()),
            (Some(false), Some("measure"))
        );
    }

    #[test]
    fn flatness_is_the_spread_of_instructions_over_numbers_of_events() {
        let printed = [
            print("events activate events=10 value=100 unit=instructions"),
            print("events activate events=1000000 value=103 unit=instructions"),
            print("events activate events=1000 value=101 unit=instructions"),
            print("events bytes-an-event events=10 value=900 unit=bytes"),
            print("events bytes-an-event events=1000 value=90 unit=bytes"),
            print("events longest-masked value=7 unit=instructions"),
        ];
        let figures = flatness(&printed);
        assert_eq!(figures.len(), 1);
        assert!((figures[0].value - 3.0).abs() < 1e-9);
        assert_eq!(figures[0].met, Some(false));
        assert_eq!(flatness(&printed[..1]), []);
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
        let figure = judged(&print("events activation-to-handler events=10 value=900 unit=ns"));
        assert_eq!((&figure.goal, &figure.peer), (&None, &None));
    }

    #[test]
    fn what_did_not_run_is_noted_and_leaves_the_rest() {
        let mut report = Report::default();
        assert_eq!(noted(Ok(1), "first", &mut report), Some(1));
        assert_eq!(noted::<()>(Err(anyhow::anyhow!("no tap")), "flood", &mut report), None);
        assert_eq!(report.failures, ["events, flood: no tap"]);
    }
}
