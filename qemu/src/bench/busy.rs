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

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::figure::{Figure, Goal};
use super::load::{self, Plan};
use super::subject::{Booted, PAGE, Service, Settings, Subject};
use super::{Report, subject};
use crate::build;
use crate::machine::Icount;
use crate::protocol::{Event, Line};
use reflex_load::Measured;
use reflex_load::http::{self, Persistence};

/// Connections under which it is counted.
const CONNECTIONS: u32 = 100;

pub(crate) const SETTINGS: Settings =
    Settings { icount: Some(Icount { shift: 0, sleep: true }), ..load::SETTINGS };

/// What the guest is asked for while it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Load {
    /// What the service's load generator asks for: of a web server the same page again and again, which it may
    /// recognise.
    Usual,
    /// The same page in requests of which no two are equal.
    Different,
    /// As that, each on a connection of its own, which is accepted for it and closed behind the answer.
    Connect,
    /// As [`Different`](Self::Different), of [`ROUTE`], which has a handler answer them in a context of its own.
    Route,
}

/// The image with a route.
const ROUTE: &str = "guest-route";

impl Load {
    /// What is counted of a service, and the goal.
    fn of(service: Service) -> &'static [(Self, Option<Goal>)] {
        match service {
            Service::Http => &[
                (Self::Usual, None),
                (Self::Different, Some(Goal::AtMost(5000.0))),
                (Self::Connect, Some(Goal::RatioAtMost(1.0 / 3.0))),
            ],
            Service::Echo => &[(Self::Usual, Some(Goal::AtMost(4500.0)))],
        }
    }

    fn case(self) -> String {
        let each = match self {
            Self::Usual => "",
            Self::Different => ", all different",
            Self::Connect => ", a connection each",
            Self::Route => ", all different, a handler's",
        };
        format!("busy, {CONNECTIONS} connections{each}")
    }

    fn run(self, service: Service, address: SocketAddr, seconds: u32) -> Result<Measured> {
        let time = Duration::from_secs(seconds.into());
        match self {
            Self::Usual => load::client(service, address, CONNECTIONS, seconds),
            Self::Different | Self::Route => {
                http::run(address, PAGE, CONNECTIONS, Persistence::Kept, time)
            }
            Self::Connect => http::run(address, PAGE, CONNECTIONS, Persistence::Closed, time),
        }
    }

    /// The load generator's command, for the record.
    fn text(self, service: Service, seconds: u32) -> String {
        let address = ([10, 77, 1, 2], service.port()).into();
        match self {
            Self::Usual => load::client_text(service, address, CONNECTIONS, seconds),
            Self::Different | Self::Route => {
                http::text(address, PAGE, CONNECTIONS, Persistence::Kept)
            }
            Self::Connect => http::text(address, PAGE, CONNECTIONS, Persistence::Closed),
        }
    }
}

/// Counts for the first of `subjects`, against the second if there is one.
pub(crate) fn run(
    service: Service,
    subjects: &[Subject],
    plan: &Plan,
    report: &mut Report,
) -> Result<()> {
    let mut counts = Vec::new();
    for subject in subjects {
        let counted = count(service, subject, Load::of(service), plan);
        let counted = counted.with_context(|| subject.name())?;
        counts.push((subject.name(), counted));
    }
    for (index, &(load, goal)) in Load::of(service).iter().enumerate() {
        report.add(figure(service, (load, goal), plan, index, &counts));
    }
    if service == Service::Http {
        let subject = Subject::Reflex(build::image(ROUTE)?);
        let counted = count(service, &subject, &[(Load::Route, None)], plan).context(ROUTE)?;
        report.add(figure(service, (Load::Route, None), plan, 0, &[(subject.name(), counted)]));
    }
    Ok(())
}

fn figure(
    service: Service,
    (load, goal): (Load, Option<Goal>),
    plan: &Plan,
    index: usize,
    counts: &[(&str, Counted)],
) -> Figure {
    let bench = match service {
        Service::Http => "http",
        Service::Echo => "echo",
    };
    let (_, ours) = &counts[0];
    let mut figure = Figure::new(bench, load.case(), ours.loads[index].0, "instructions/operation")
        .parameter("connections", CONNECTIONS)
        .parameter("seconds", plan.seconds)
        .parameter("client", load.text(service, plan.seconds))
        .parameter("icount", "shift=0,sleep=on");
    for (name, counted) in counts {
        figure = figure
            .parameter(&format!("{name}_command"), counted.command.clone())
            .parameter(&format!("{name}_operations"), counted.loads[index].1);
    }
    if let Some((name, theirs)) = counts.get(1) {
        figure = figure.against(name, theirs.loads[index].0);
    }
    match goal {
        Some(goal) => figure.goal(goal),
        None => figure,
    }
}

struct Counted {
    /// For each load, instructions an operation, and how many operations there were.
    loads: Vec<(f64, u64)>,
    command: String,
}

fn count(
    service: Service,
    subject: &Subject,
    counted: &[(Load, Option<Goal>)],
    plan: &Plan,
) -> Result<Counted> {
    let mut guest = subject.boot(service, SETTINGS)?;
    let mut loads = Vec::new();
    for &(load, _) in counted {
        // What happens only once is not counted.
        load.run(service, guest.address, 1)?;
        let before = next_total(&mut guest)?;
        let measured = load.run(service, guest.address, plan.seconds)?;
        let after = next_total(&mut guest)?;
        ensure!(measured.failures == 0, "{} failures while counting", measured.failures);
        ensure!(after > before, "the busy count went from {before} to {after}");
        loads.push(((after - before) / measured.operations as f64, measured.operations));
    }
    Ok(Counted { loads, command: guest.command })
}

/// The first busy count that the guest has surely taken after now: the second to arrive.
pub(crate) fn next_total(guest: &mut Booted) -> Result<f64> {
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
