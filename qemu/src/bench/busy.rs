//! Busy guest instructions for each operation, under `http` and `echo`.
//!
//! The guest counts instructions (`-icount`), waits in real time when idle, and reports once a
//! second how many it has executed outside of HLT since it was booted:
//!
//! ```text
//! #! figure busy total value=123456789 unit=instructions
//! ```
//!
//! Ours does so for the kernel argument `busy=1000` (its interval in milliseconds). The Linux
//! peer reports nanoseconds, each an instruction at shift 0. The figure is the difference
//! between a report before the load and one after it, over the operations in between.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::figure::Figure;
use super::load::{self, Plan};
use super::subject::{Booted, Service, Settings, Subject};
use super::{Report, subject};
use crate::machine::Icount;
use crate::protocol::{Event, Line};

/// Connections under which it is counted.
const CONNECTIONS: u32 = 100;

const SETTINGS: Settings =
    Settings { icount: Some(Icount { shift: 0, sleep: true }), ..load::SETTINGS };

/// Counts for the first of `subjects`, against the second if there is one.
pub(crate) fn run(
    service: Service,
    subjects: &[Subject],
    plan: &Plan,
    report: &mut Report,
) -> Result<()> {
    let mut counts = Vec::new();
    for subject in subjects {
        let counted = count(service, subject, plan).with_context(|| subject.name())?;
        counts.push((subject.name(), counted));
    }
    let (name, ours) = &counts[0];
    let bench = match service {
        Service::Http => "http",
        Service::Echo => "echo",
    };
    let mut figure = Figure::new(
        bench,
        format!("busy, {CONNECTIONS} connections"),
        ours.per_operation,
        "instructions/operation",
    )
    .parameter("connections", CONNECTIONS)
    .parameter("seconds", plan.seconds)
    .parameter("icount", "shift=0,sleep=on")
    .parameter(&format!("{name}_command"), ours.command.clone())
    .parameter(&format!("{name}_operations"), ours.operations);
    if let Some((name, theirs)) = counts.get(1) {
        figure = figure
            .against(name, theirs.per_operation)
            .parameter(&format!("{name}_command"), theirs.command.clone())
            .parameter(&format!("{name}_operations"), theirs.operations);
    }
    report.add(figure);
    Ok(())
}

struct Counted {
    per_operation: f64,
    operations: u64,
    command: String,
}

fn count(service: Service, subject: &Subject, plan: &Plan) -> Result<Counted> {
    let mut guest = subject.boot(service, SETTINGS)?;
    load::client(service, guest.address, CONNECTIONS, 1)?;
    let before = next_total(&mut guest)?;
    let measured = load::client(service, guest.address, CONNECTIONS, plan.seconds)?;
    let after = next_total(&mut guest)?;
    ensure!(measured.failures == 0, "{} failures while counting", measured.failures);
    ensure!(after > before, "the busy count went from {before} to {after}");
    Ok(Counted {
        per_operation: (after - before) / measured.operations as f64,
        operations: measured.operations,
        command: guest.command,
    })
}

/// The first busy count that the guest has surely taken after now: the second to arrive.
fn next_total(guest: &mut Booted) -> Result<f64> {
    let now = guest.running.started().elapsed();
    let mut arrived = 0;
    let second = |line: &Line| {
        let total = total(line).filter(|_| line.elapsed > now)?;
        arrived += 1;
        (arrived == 2).then_some(total)
    };
    let what = "a report of the busy count (`#! figure busy total`)";
    // Under load a guest's second can be many of the host's.
    let limit = subject::BOOT_LIMIT.max(Duration::from_secs(30));
    Ok(guest.running.wait_for(what, limit, second)?)
}

fn total(line: &Line) -> Option<f64> {
    match &line.event {
        Some(Event::Figure(figure)) if figure.bench == "busy" && figure.case == "total" => {
            Some(figure.value)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_busy_totals_count() {
        let total = |text: &str| total(&Line::parse(text.to_owned(), Duration::ZERO));
        assert_eq!(total("#! figure busy total value=12 unit=instructions"), Some(12.0));
        assert_eq!(total("#! figure busy other value=12 unit=instructions"), None);
        assert_eq!(total("#! figure events total value=12 unit=ns"), None);
        assert_eq!(total("busy total value=12"), None);
    }
}
