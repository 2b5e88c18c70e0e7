//! What Linux has for our cases: its own ways of telling a program of something, measured in the
//! same machine by the peer's program `event-costs`, or as recorded once.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

use super::{ICOUNT, LIFETIME, MEMORY_MIB, Printed, boot, flood, noted, plain, registered};
use crate::bench::Report;
use crate::bench::figure::{Figure, Goal};
use crate::machine::Model;
use crate::peer::{Guest, Peer, Serve};

/// What a pair is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    /// At least [`TIMES_FEWER`] times fewer.
    Fewer,
    /// Only shown: neither side enters a kernel for it, or the figure has a goal of its own.
    Shown,
}
use Aim::{Fewer, Shown};

/// The goal of a pair: so many times fewer than Linux.
const TIMES_FEWER: f64 = 15.0;

/// Our cases, and what Linux does for the same work. Where it has several ways, all are named.
const PAIRS: &[(&str, &str, Aim)] = &[
    ("activation-to-handler", "eventfd-epoll", Fewer),
    ("activation-to-handler", "eventfd-epoll-thread", Fewer),
    ("activation-to-handler", "ring-poll-eventfd", Fewer),
    ("activation-to-handler", "ring-read-eventfd", Fewer),
    ("activation-and-back", "eventfd-epoll-thread-and-back", Fewer),
    ("signal-to-handler", "kill-signal", Fewer),
    ("signal-to-handler", "kill-signalfd-epoll", Fewer),
    ("timer-interrupt-to-handler", "timer-signal", Fewer),
    ("timer-interrupt-to-handler", "timerfd-epoll-preempting", Fewer),
    ("timer-interrupt-to-handler-idle", "timerfd-epoll", Fewer),
    ("timer-interrupt-to-handler-idle", "timer-signalfd-epoll", Fewer),
    ("timer-interrupt-to-handler-idle", "ring-timeout", Fewer),
    ("wait-to-wake", "futex-preempt", Fewer),
    ("wait-to-wake", "eventfd-epoll-thread", Fewer),
    ("preempt", "futex-preempt", Fewer),
    ("resume", "futex-resume", Fewer),
    ("inheritance", "inherit-boost", Fewer),
    ("inheritance", "inherit-hand-over", Fewer),
    ("fanout-1", "fan-out-1", Fewer),
    ("fanout-1", "fan-out-threads-1", Fewer),
    ("fanout-10", "fan-out-10", Fewer),
    ("fanout-10", "fan-out-threads-10", Fewer),
    ("fanout-100", "fan-out-100", Fewer),
    ("fanout-100", "fan-out-threads-100", Fewer),
    ("cloner-to-handler", "thread-to-child", Fewer),
    ("cloner-to-handler", "fork-to-child", Fewer),
    ("cloner-whole", "thread-whole", Fewer),
    ("cloner-whole", "fork-whole", Fewer),
    ("register", "eventfd-register", Fewer),
    ("unregister", "eventfd-unregister", Fewer),
    ("control-disable-enable", "epoll-disable-enable", Fewer),
    ("control-set-priority", "thread-priority", Fewer),
    ("timer-arm", "timerfd-arm", Fewer),
    ("timer-disarm", "timerfd-disarm", Fewer),
    ("ring-take", "ring-reap", Shown),
    ("ring-take-batch", "ring-reap-batch", Shown),
    ("bytes-an-event", "bytes-eventfd", Shown),
    ("flood-latency-idle", "flood-latency-idle", Fewer),
    ("flood-latency-p99", "flood-latency-p99", Fewer),
    ("flood-latency-maximum", "flood-latency-maximum", Fewer),
];

/// Figures of Linux 6.1, for runs that do not measure them anew.
const RECORDED: &[(&str, f64)] = &[
    ("eventfd-epoll", 1628.0),
    ("eventfd-epoll-thread", 3849.0),
    ("ring-poll-eventfd", 1868.0),
    ("ring-read-eventfd", 2694.0),
    ("eventfd-epoll-thread-and-back", 7725.0),
    ("kill-signal", 3042.0),
    ("kill-signalfd-epoll", 2693.0),
    ("timer-signal", 2352.0),
    ("timerfd-epoll-preempting", 3971.0),
    ("timerfd-epoll", 4572.0),
    ("timer-signalfd-epoll", 4951.0),
    ("ring-timeout", 5180.0),
    ("futex-preempt", 2972.0),
    ("futex-resume", 2659.0),
    ("inherit-boost", 4145.0),
    ("inherit-hand-over", 4927.0),
    ("fan-out-1", 1736.0),
    ("fan-out-threads-1", 3812.0),
    ("fan-out-10", 4553.0),
    ("fan-out-threads-10", 40784.0),
    ("fan-out-100", 32723.0),
    ("fan-out-threads-100", 410504.0),
    ("thread-to-child", 41489.0),
    ("fork-to-child", 170888.0),
    ("thread-whole", 46103.0),
    ("fork-whole", 241592.0),
    ("eventfd-register", 3975.0),
    ("eventfd-unregister", 2979.0),
    ("epoll-disable-enable", 1280.0),
    ("thread-priority", 1241.0),
    ("timerfd-arm", 1208.0),
    ("timerfd-disarm", 963.0),
    ("ring-reap", 18.0),
    ("ring-reap-batch", 9.0),
    ("bytes-eventfd", 749.0),
    ("flood-latency-idle", 4399.0),
    ("flood-latency-p99", 278172.0),
    ("flood-latency-maximum", 1663214.0),
];

/// A figure of Linux's and how it came about.
#[derive(Clone, Debug)]
struct Theirs {
    value: f64,
    command: Option<String>,
}

/// Linux's figures by its own cases, and what to call their source.
pub(super) struct Reference {
    name: &'static str,
    figures: BTreeMap<String, Theirs>,
    /// What was measured, as it was printed.
    printed: Vec<Printed>,
}

/// Measures Linux.
pub(super) fn measure(peer: &Peer, report: &mut Report) -> Result<Reference> {
    // On q35: its HPET or local timer gives Linux high-resolution timers.
    let timeout = LIFETIME.as_secs() as u32;
    let guest = Guest { serve: Serve::Events, model: Model::Q35, timeout, report_busy: false };
    let machine = guest.machine(peer).memory_mib(MEMORY_MIB).timeout(LIFETIME).icount(ICOUNT);
    let mut printed = boot(machine).context("event costs of Linux")?;
    printed.extend(noted(flood::linux(peer), "flood of Linux", report).unwrap_or_default());
    let of = |case: &str| printed.iter().any(|printed| printed.case == case);
    for (case, _) in RECORDED.iter().filter(|(case, _)| !case.starts_with("flood-")) {
        ensure!(of(case), "the Linux peer printed no figure {case}");
    }
    let figures = printed.iter().map(|printed| {
        let command = printed.parameters.get("command").cloned();
        (printed.case.clone(), Theirs { value: printed.value, command })
    });
    Ok(Reference { name: "linux", figures: figures.collect(), printed })
}

/// The recorded figures.
pub(super) fn recorded() -> Reference {
    let figures =
        RECORDED.iter().map(|&(case, value)| (case.into(), Theirs { value, command: None }));
    Reference { name: "linux 6.1 (recorded)", figures: figures.collect(), printed: Vec::new() }
}

/// Ours beside Linux's: a figure for each pair of which both sides were measured, ours with the
/// most events registered. Then those of Linux's that stand beside none of ours.
pub(super) fn figures(printed: &[Printed], reference: &Reference) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut beside_ours = BTreeSet::new();
    for &(ours, theirs, aim) in PAIRS {
        let counted = |printed: &&Printed| {
            printed.case == ours && matches!(printed.unit.as_str(), "instructions" | "bytes")
        };
        let ours = printed.iter().filter(counted).max_by_key(|printed| registered(printed));
        if let (Some(ours), Some(figure)) = (ours, reference.figures.get(theirs)) {
            figures.push(beside(ours, theirs, figure, reference.name, aim));
            beside_ours.insert(theirs);
        }
    }
    let others =
        reference.printed.iter().filter(|printed| !beside_ours.contains(printed.case.as_str()));
    figures.extend(others.map(alone));
    figures
}

fn beside(ours: &Printed, case: &str, theirs: &Theirs, name: &str, aim: Aim) -> Figure {
    let mut figure = plain(ours).against(name, theirs.value).parameter("peer_case", case);
    figure.case = format!("{} against {case}", figure.case);
    if let Some(command) = &theirs.command {
        figure = figure.parameter("peer_command", command.clone());
    }
    match aim {
        Fewer => figure.goal(Goal::RatioAtMost(1.0 / TIMES_FEWER)),
        Shown => figure,
    }
}

/// A figure of Linux's as it is.
fn alone(printed: &Printed) -> Figure {
    let mut figure = plain(printed);
    figure.bench.clone_from(&printed.bench);
    figure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::events::tests::print;

    #[test]
    fn every_pair_has_a_recorded_figure_and_no_case_two() {
        let mut recorded: Vec<_> = RECORDED.iter().map(|&(case, _)| case).collect();
        for (ours, theirs, _) in PAIRS {
            assert!(recorded.contains(theirs), "{ours} against {theirs}");
        }
        recorded.sort_unstable();
        let all = recorded.len();
        recorded.dedup();
        assert_eq!(recorded.len(), all);
    }

    #[test]
    fn ours_with_the_most_events_stands_beside_each_way_of_linux() {
        let ours = [
            print("events signal-to-handler events=10 value=10 unit=instructions"),
            print("events signal-to-handler events=1000 value=200 unit=instructions"),
            print("events signal-to-handler events=1000000 value=900 unit=ns"),
            print("events ring-take events=10 value=18 unit=instructions"),
        ];
        let theirs = |value| Theirs { value, command: None };
        let figures =
            [("kill-signal", 3000.0), ("kill-signalfd-epoll", 2999.0), ("ring-reap", 18.0)];
        let figures = figures.map(|(case, value)| (case.into(), theirs(value))).into();
        let printed = vec![
            print("linux-events kill-signal value=3000 unit=instructions"),
            print("linux-events ring-nop value=900 unit=instructions"),
        ];
        let figures = super::figures(&ours, &Reference { name: "linux", figures, printed });
        let rows: Vec<_> =
            figures.iter().map(|figure| (figure.case.as_str(), figure.value, figure.met)).collect();
        assert_eq!(
            rows,
            [
                ("signal-to-handler, 1000 events against kill-signal", 200.0, Some(true)),
                ("signal-to-handler, 1000 events against kill-signalfd-epoll", 200.0, Some(false)),
                ("ring-take, 10 events against ring-reap", 18.0, None),
                ("ring-nop", 900.0, None),
            ]
        );
        assert_eq!(figures[0].peer.as_deref(), Some("linux"));
        assert_eq!(figures[2].ratio, Some(1.0));
    }
}
