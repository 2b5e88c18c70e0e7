//! `netio`: NetIO's messages from a publisher to its subscribers, buffered and unbuffered, over RDMA and TCP.
//!
//! Two images, `netio-publish` and `netio-subscribe`, are joined by a [`Cable`]; the second makes as many connections as
//! there are to be subscribers. The publisher sends as fast as they take it. Under instruction counting both say
//! what a message took of them, for each subscriber. Beside them, two Linux guests with the peer's program
//! `netio`, which speaks the same protocol over plain verbs (`qemu/peer/rdma/netio.c`), polling for completions.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Report;
use super::figure::{Figure, Goal};
use super::sample::median;
use crate::build;
use crate::machine::{Icount, Machine, Outcome};
use crate::peer::{Cable, End, Peer, Session, Station};
use crate::protocol::{Event, Line};

const MEMORY_MIB: u32 = 256;
const LIMIT: Duration = Duration::from_secs(180);
const LIFETIME: Duration = Duration::from_secs(600);
/// Bytes of a message.
const SIZE: u32 = 64;
/// What images should reach of what Linux does, with messages in pages.
const GOAL: f64 = 5.0;
/// Idle time passes as it does elsewhere: nobody is to think that an answer is overdue.
const COUNTED: Icount = Icount { shift: 0, sleep: true };

/// What is measured: over what, how messages are sent, to how many, and how many messages arrive in all.
#[derive(Clone, Copy, Debug)]
struct Case {
    over: &'static str,
    how: &'static str,
    subscribers: u32,
    messages: u32,
}

const CASES: [Case; 10] = [
    case("rdma", "buffered", 1),
    case("rdma", "buffered", 8),
    case("rdma", "buffered", 64),
    case("rdma", "unbuffered", 1),
    case("rdma", "unbuffered", 8),
    case("rdma", "unbuffered", 64),
    case("tcp", "buffered", 1),
    case("tcp", "buffered", 8),
    case("tcp", "buffered", 64),
    case("tcp", "unbuffered", 1),
];

const fn case(over: &'static str, how: &'static str, subscribers: u32) -> Case {
    let messages = match how.len() {
        // Buffered.
        8 => 64_000,
        _ => 12_800,
    };
    Case { over, how, subscribers, messages }
}

impl Case {
    fn name(&self) -> String {
        let Case { over, how, subscribers, .. } = self;
        format!("{how}, {SIZE} B, {subscribers} subscribers, {over}")
    }

    /// How many are published.
    fn count(&self) -> u32 {
        self.messages / self.subscribers
    }

    fn figure(&self, what: &str, value: f64, unit: &str) -> Figure {
        Figure::new("netio", format!("{}, {what}", self.name()), value, unit)
            .parameter("count", self.count())
    }

    /// What the two images are told.
    fn words(&self, publisher: &str) -> [String; 2] {
        let Case { over, how, subscribers, .. } = self;
        let count = self.count();
        let unbuffered = if *how == "unbuffered" { "unbuffered" } else { "" };
        [
            format!(
                "over={over} rate=0 size={SIZE} subscribers={subscribers} count={count} {unbuffered}"
            ),
            format!("over={over} publisher={publisher} links={subscribers} count={count}"),
        ]
    }
}

/// Measures images, and Linux if there is a peer.
pub(crate) fn run(peer: Option<&Peer>, repetitions: u32, report: &mut Report) -> Result<()> {
    let images = [build::image("netio-publish")?, build::image("netio-subscribe")?];
    for case in &CASES {
        if let Err(error) = measure(case, &images, peer, repetitions, report) {
            report.failed(format!("netio, {}: {error:#}", case.name()));
        }
    }
    Ok(())
}

fn measure(
    case: &Case,
    images: &[PathBuf; 2],
    peer: Option<&Peer>,
    repetitions: u32,
    report: &mut Report,
) -> Result<()> {
    let counted = images_of(case, images, Some(COUNTED))?;
    let publish = format!("{}-publish-instructions", case.how);
    let published = value(&counted[0], &publish)? / f64::from(case.subscribers);
    report.add(case.figure("instructions to send one", published, "instructions"));
    let received = value(&counted[1], "receive-instructions")?;
    report.add(case.figure("instructions to receive one", received, "instructions"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..repetitions {
        ours.push(value(&images_of(case, images, None)?[1], "received")?);
        if let Some(peer) = peer.filter(|_| case.over == "rdma") {
            theirs.push(linux(case, peer)?);
        }
    }
    let Some(rate) = median(&ours) else { return Ok(()) };
    let mut figure = case.figure("rate", rate, "messages/s").parameter("repetitions", ours);
    if let Some(peers) = median(&theirs) {
        figure = figure.against("plain verbs, linux to linux", peers);
        if case.how == "buffered" {
            figure = figure.goal(Goal::RatioAtLeast(GOAL));
        }
    }
    eprintln!("  netio {}: {rate:.0} messages/s", case.name());
    report.add(figure);
    Ok(())
}

/// Runs both images: what they printed, the publisher's first.
fn images_of(case: &Case, images: &[PathBuf; 2], icount: Option<Icount>) -> Result<[Outcome; 2]> {
    let cable = Cable::new()?;
    let machine = |number, end, image: &PathBuf| -> (Machine, String) {
        let station = Station::new(number, cable.network(end)).life(LIFETIME);
        let machine = station.machine(image).memory_mib(MEMORY_MIB).append("log=error");
        let machine = match icount {
            Some(icount) => machine.icount(icount).append("icount"),
            None => machine,
        };
        (machine, station.ipv4().to_string())
    };
    let (publisher, address) = machine(1, End::Near, &images[0]);
    let words = case.words(&address);
    let mut publisher = publisher.append(&words[0]).spawn()?;
    publisher.wait_for_text("publishes at port", LIMIT)?;
    let (subscriber, _) = machine(2, End::Far, &images[1]);
    let subscriber = subscriber.timeout(LIMIT).append(&words[1]).spawn()?.finish();
    ensure!(subscriber.status.success(), "{}:\n{}", subscriber.status, subscriber.tail(20));
    if icount.is_some() {
        publisher.wait_for_text("publish-instructions", LIMIT)?;
    }
    Ok([publisher.kill(), subscriber])
}

/// The last figure of that name that was printed.
fn value(outcome: &Outcome, case: &str) -> Result<f64> {
    last(&outcome.lines, case).with_context(|| format!("no {case}:\n{}", outcome.tail(20)))
}

fn last(lines: &[Line], case: &str) -> Option<f64> {
    lines.iter().rev().find_map(|line| match &line.event {
        Some(Event::Figure(figure)) if figure.case == case => Some(figure.value),
        _ => None,
    })
}

/// The same between two Linux guests.
fn linux(case: &Case, peer: &Peer) -> Result<f64> {
    let Case { how, subscribers, .. } = case;
    let cable = Cable::new()?;
    let session =
        |number, end| Session::boot(peer, Station::new(number, cable.network(end)).life(LIFETIME));
    let (mut near, mut far) = (session(1, End::Near)?, session(2, End::Far)?);
    let (address, count) = (near.ipv4(), case.count());
    let command = format!("netio publish {address} {SIZE} {count} {subscribers} {how}");
    let publisher = near.start(&command)?;
    near.wait_for_output(publisher, "ready", LIMIT)?;
    let output = far.run(&format!("netio subscribe {address} {subscribers} {count}"), LIMIT)?;
    let output = output.success()?;
    let lines = output.lines().map(|line| Line::parse(line.to_owned(), Duration::ZERO));
    last(&lines.collect::<Vec<_>>(), "received").context("the subscriber has printed no figure")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_images_are_told_the_same() {
        let case = case("rdma", "unbuffered", 64);
        assert_eq!((case.messages, case.count()), (12_800, 200));
        let [publisher, subscriber] = case.words("10.88.0.1");
        for word in ["over=rdma", "count=200"] {
            assert!(publisher.contains(word) && subscriber.contains(word));
        }
        assert!(publisher.contains("subscribers=64") && publisher.ends_with("unbuffered"));
        assert!(subscriber.contains("links=64"));
        let buffered = super::case("tcp", "buffered", 1);
        assert!(!buffered.words("").concat().contains("unbuffered"));
    }

    #[test]
    fn the_last_figure_of_a_name_counts() {
        let text =
            |value| format!("#! figure netio received size=64 value={value} unit=messages/s");
        let lines = [1, 2].map(|value| Line::parse(text(value), Duration::ZERO));
        assert_eq!((last(&lines, "received"), last(&lines, "other")), (Some(2.0), None));
    }
}
