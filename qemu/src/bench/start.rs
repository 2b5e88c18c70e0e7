//! `start`: from the start of QEMU to the first serial line and to the first HTTP reply.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::figure::{Figure, Goal};
use super::sample::median;
use super::subject::{self, Service, Settings, Subject};
use super::{Report, first_reply, link};
use crate::machine::{Emulator, Firmware, Model, Network, Offloads, QBOOT, Tap};

const MEMORY_MIB: u32 = 128;
const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x77, 0x00, 0x02];
const REQUEST: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n\r\n";

/// A machine and how much sooner than Linux's the first reply should come on it.
struct Case {
    name: &'static str,
    model: Model,
    firmware: Firmware,
    goal: Option<Goal>,
}

const CASES: [Case; 3] = [
    Case {
        name: "q35, SeaBIOS",
        model: Model::Q35,
        firmware: Firmware::Usual,
        goal: Some(Goal::RatioAtMost(1.0 / 20.0)),
    },
    Case { name: "q35, qboot", model: Model::Q35, firmware: Firmware::Qboot, goal: None },
    Case {
        name: "microvm, qboot",
        model: Model::Microvm,
        firmware: Firmware::Usual,
        goal: Some(Goal::RatioAtMost(1.0 / 30.0)),
    },
];

/// One boot, in milliseconds.
struct Boot {
    first_line: Option<f64>,
    first_reply: f64,
    command: String,
}

/// Boots each of `subjects` `pairs` times in alternation, on each machine; figures are of the
/// first, against the second.
pub(crate) fn run(subjects: &[Subject], pairs: u32, report: &mut Report) -> Result<()> {
    for case in &CASES {
        if case.firmware == Firmware::Qboot && !Emulator::of_process()?.has_firmware(QBOOT) {
            eprintln!("  start: no {QBOOT} in QEMU's data directories, {} left out", case.name);
            continue;
        }
        let mut boots: Vec<Vec<Boot>> = subjects.iter().map(|_| Vec::new()).collect();
        for repetition in 0..pairs {
            let mut order: Vec<usize> = (0..subjects.len()).collect();
            if repetition % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let boot = boot(&subjects[index], case)
                    .with_context(|| format!("{} on {}", subjects[index].name(), case.name))?;
                eprintln!(
                    "  start {} on {}: first reply after {:.0} ms",
                    subjects[index].name(),
                    case.name,
                    boot.first_reply
                );
                boots[index].push(boot);
            }
        }
        for figure in figures(case, subjects, &boots)? {
            report.add(figure);
        }
    }
    Ok(())
}

fn boot(subject: &Subject, case: &Case) -> Result<Boot> {
    let settings = Settings { model: case.model, memory_mib: MEMORY_MIB, append: "", icount: None };
    let tap = Tap::fresh(Offloads::Withheld)?;
    let address = subject::guest_address(&tap)?;
    link::prepare(tap.name(), address, MAC)?;
    let machine = subject
        .machine(Service::Http, settings)
        .firmware(case.firmware.clone())
        .mac(MAC)
        .network(Network::Tap(tap));
    let command = subject::command(&machine);
    let start = Instant::now();
    let mut running = machine.spawn()?;
    let replied = first_reply::wait((address, 80).into(), REQUEST, subject::BOOT_LIMIT);
    let Ok(replied) = replied else {
        let outcome = running.kill();
        anyhow::bail!("{:#}; {}\n{}", replied.unwrap_err(), outcome.status, outcome.tail(20));
    };
    let before_spawn = running.started() - start;
    // Firmware talks on the console too.
    let ours = |text: &str| text.starts_with('[') || text.starts_with("#!");
    while running.next_line(Some(Duration::ZERO)).is_some() {}
    let first_line = running.lines().iter().find(|line| ours(&line.text));
    Ok(Boot {
        first_line: first_line.map(|line| milliseconds(line.elapsed + before_spawn)),
        first_reply: milliseconds(replied - start),
        command,
    })
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn figures(case: &Case, subjects: &[Subject], boots: &[Vec<Boot>]) -> Result<Vec<Figure>> {
    let replies = |boots: &[Boot]| boots.iter().map(|b| b.first_reply).collect::<Vec<_>>();
    let lines: Vec<f64> = boots[0].iter().filter_map(|b| b.first_line).collect();
    let described = |case_name: String, value: f64| {
        Figure::new("start", case_name, value, "ms")
            .parameter("machine", case.name)
            .parameter("memory_mib", MEMORY_MIB)
            .parameter("repetitions", boots[0].len())
            .parameter(
                &format!("{}_command", subjects[0].name()),
                boots[0].first().map(|b| b.command.clone()),
            )
    };
    let ours = median(&replies(&boots[0])).context("nothing was booted")?;
    let mut reply = described(format!("first reply, {}", case.name), ours)
        .parameter(&format!("{}_ms", subjects[0].name()), replies(&boots[0]));
    if let (Some(peer), Some(theirs)) = (subjects.get(1), boots.get(1)) {
        reply = reply
            .against(peer.name(), median(&replies(theirs)).context("no peer was booted")?)
            .parameter(&format!("{}_ms", peer.name()), replies(theirs))
            .parameter(
                &format!("{}_command", peer.name()),
                theirs.first().map(|b| b.command.clone()),
            );
    }
    if let Some(goal) = case.goal {
        reply = reply.goal(goal);
    }
    let mut figures = Vec::new();
    if let Some(line) = median(&lines) {
        figures.push(described(format!("first serial line, {}", case.name), line));
    }
    figures.push(reply);
    Ok(figures)
}
