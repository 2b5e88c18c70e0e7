//! `http` and `echo`: operations a second under load, side by side with Linux.
//!
//! Each repetition boots every system once, in alternating order, on a fresh tap, and puts it
//! under load with each number of connections. A figure is the median over the repetitions.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};

use super::figure::{Figure, Goal};
use super::sample::median;
use super::subject::{Service, Settings, Subject};
use super::{Report, wrk};
use crate::machine::Model;
use reflex_load::{Measured, echo};

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How often every system is booted and measured.
    pub(crate) pairs: u32,
    /// Seconds of load for each number of connections.
    pub(crate) seconds: u32,
    /// Numbers of connections.
    pub(crate) connections: Vec<u32>,
}

/// The same machine for both: Linux with 1000 connections needs some of this memory.
pub(crate) const SETTINGS: Settings =
    Settings { model: Model::Q35, memory_mib: 512, append: "log=error", icount: None };

/// Connections at which the goal is set, and the goal: so many times Linux's requests a second.
const GOAL: (Service, u32, f64) = (Service::Http, 100, 5.0);

/// Of this many connections or more, at least half must be under way: `wrk` counts no error for
/// a connection that does not even open. With few, the client's own time between operations
/// weighs too much to judge.
const JUDGED_FROM: u32 = 10;

/// All runs of one system: for each number of connections, one a repetition.
struct Series {
    name: &'static str,
    command: String,
    runs: Vec<Vec<Measured>>,
}

/// Measures the first of `subjects`, against the second if there is one.
pub(crate) fn run(
    service: Service,
    subjects: &[Subject],
    plan: &Plan,
    report: &mut Report,
) -> Result<()> {
    let mut all: Vec<Series> = subjects
        .iter()
        .map(|subject| Series {
            name: subject.name(),
            command: String::new(),
            runs: vec![Vec::new(); plan.connections.len()],
        })
        .collect();
    for repetition in 0..plan.pairs {
        let mut order: Vec<usize> = (0..subjects.len()).collect();
        if repetition % 2 == 1 {
            order.reverse();
        }
        for index in order {
            measure(service, &subjects[index], plan, &mut all[index])
                .with_context(|| format!("{} under load", subjects[index].name()))?;
        }
    }
    for (index, &connections) in plan.connections.iter().enumerate() {
        let figure = figure(service, connections, index, &all, plan)?;
        for series in &all {
            if let Some(served) = unserved(&series.runs[index], connections) {
                report.failed(format!(
                    "{} {}: of {connections} connections only about {served:.0} were served",
                    figure.bench, series.name
                ));
            }
            let failures: u64 = series.runs[index].iter().map(|run| run.failures).sum();
            if failures > 0 {
                report.failed(format!(
                    "{} {}: {failures} failures with {connections} connections",
                    figure.bench, series.name
                ));
            }
        }
        report.add(figure);
    }
    Ok(())
}

/// How many connections were under way in the worst run, if that is too few.
fn unserved(runs: &[Measured], connections: u32) -> Option<f64> {
    let least = runs.iter().map(Measured::under_way).min_by(f64::total_cmp)?;
    (connections >= JUDGED_FROM && least < f64::from(connections) / 2.0).then_some(least)
}

/// One boot of one system, with every number of connections in turn.
fn measure(service: Service, subject: &Subject, plan: &Plan, series: &mut Series) -> Result<()> {
    let guest = subject.boot(service, SETTINGS)?;
    series.command.clone_from(&guest.command);
    // What happens only once (address resolution, first use of code) is not measured.
    client(service, guest.address, 1, 1)?;
    for (index, &connections) in plan.connections.iter().enumerate() {
        let measured = client(service, guest.address, connections, plan.seconds)?;
        eprintln!(
            "  {} {}, {connections} connections: {:.0}/s, median {:.0} us, {} failures",
            service.application(),
            subject.name(),
            measured.per_second,
            measured.median_us,
            measured.failures
        );
        series.runs[index].push(measured);
    }
    drop(guest);
    Ok(())
}

/// One run of the service's load generator.
pub(crate) fn client(
    service: Service,
    address: SocketAddr,
    connections: u32,
    seconds: u32,
) -> Result<Measured> {
    match service {
        Service::Http => wrk::run(address, connections, seconds),
        Service::Echo => echo::run(address, connections, Duration::from_secs(seconds.into())),
    }
}

/// The load generator's command, for the record.
pub(crate) fn client_text(
    service: Service,
    address: SocketAddr,
    connections: u32,
    seconds: u32,
) -> String {
    match service {
        Service::Http => wrk::text(address, connections, seconds),
        Service::Echo => format!(
            "built-in echo client: {connections} connections to {address}, one {} byte message in \
             flight on each, {seconds} s",
            echo::MESSAGE
        ),
    }
}

fn figure(
    service: Service,
    connections: u32,
    index: usize,
    all: &[Series],
    plan: &Plan,
) -> Result<Figure> {
    let of = |series: &Series, what: fn(&Measured) -> f64| {
        let values: Vec<f64> = series.runs[index].iter().map(what).collect();
        median(&values).context("nothing was measured")
    };
    let ours = &all[0];
    let (bench, unit) = match service {
        Service::Http => ("http", "requests/s"),
        Service::Echo => ("echo", "round trips/s"),
    };
    // The address differs from boot to boot: each has a network of its own.
    let address = ([10, 77, 1, 2], service.port()).into();
    let mut figure = Figure::new(
        bench,
        format!("{connections} connections"),
        of(ours, |run| run.per_second)?,
        unit,
    )
    .parameter("connections", connections)
    .parameter("repetitions", plan.pairs)
    .parameter("seconds", plan.seconds)
    .parameter("client", client_text(service, address, connections, plan.seconds))
    .parameter("memory_mib", SETTINGS.memory_mib);
    for series in all {
        let name = |what: &str| format!("{}_{what}", series.name);
        let rates: Vec<f64> = series.runs[index].iter().map(|run| run.per_second).collect();
        let failures: u64 = series.runs[index].iter().map(|run| run.failures).sum();
        figure = figure
            .parameter(&name("per_second"), rates)
            .parameter(&name("median_us"), of(series, |run| run.median_us)?)
            .parameter(&name("percentile_99_us"), of(series, |run| run.percentile_99_us)?)
            .parameter(&name("under_way"), of(series, Measured::under_way)?)
            .parameter(&name("failures"), failures)
            .parameter(&name("command"), series.command.clone());
    }
    if let Some(peer) = all.get(1) {
        figure = figure.against(peer.name, of(peer, |run| run.per_second)?);
    }
    if GOAL.0 == service && GOAL.1 == connections {
        figure = figure.goal(Goal::RatioAtLeast(GOAL.2));
    }
    Ok(figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &'static str, rates: &[f64]) -> Series {
        let run = |&per_second: &f64| Measured {
            per_second,
            operations: 1,
            failures: 1,
            median_us: 2.0,
            mean_us: 2e6,
            percentile_99_us: 3.0,
        };
        Series { name, command: "qemu".into(), runs: vec![rates.iter().map(run).collect()] }
    }

    fn plan() -> Plan {
        Plan { pairs: 3, seconds: 5, connections: vec![100] }
    }

    #[test]
    fn a_figure_compares_medians_and_judges_the_goal() {
        let all = [series("reflex", &[50.0, 10.0, 60.0]), series("linux", &[9.0, 10.0, 100.0])];
        let figure = figure(Service::Http, 100, 0, &all, &plan()).unwrap();
        assert_eq!((figure.value, figure.peer_value, figure.ratio), (50.0, Some(10.0), Some(5.0)));
        assert_eq!(figure.met, Some(true));
        assert_eq!(figure.parameters["linux_per_second"][2], 100.0);
        assert_eq!(figure.parameters["reflex_failures"], 3);
        assert_eq!(figure.parameters["reflex_under_way"], 100.0);
    }

    #[test]
    fn connections_that_nobody_serves_are_noticed() {
        // Each run has a mean of 2 s: 50/s are 100 under way.
        let runs = &series("reflex", &[500.0, 50.0]).runs[0];
        assert_eq!(unserved(runs, 200), None);
        assert_eq!(unserved(runs, 201), Some(100.0));
        assert_eq!(unserved(&runs[..1], 201), None);
        assert_eq!(unserved(&series("reflex", &[0.1]).runs[0], 1), None);
    }

    #[test]
    fn alone_there_is_no_ratio_and_elsewhere_no_goal() {
        let all = [series("reflex", &[50.0])];
        let alone = figure(Service::Http, 100, 0, &all, &plan()).unwrap();
        assert_eq!((alone.ratio, alone.met), (None, None));
        assert_eq!(figure(Service::Http, 10, 0, &all, &plan()).unwrap().goal, None);
        assert_eq!(figure(Service::Echo, 100, 0, &all, &plan()).unwrap().goal, None);
        assert!(figure(Service::Echo, 100, 0, &[series("reflex", &[])], &plan()).is_err());
    }
}
