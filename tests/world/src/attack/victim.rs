//! The image that is attacked, in a network with nothing else, and what it tells of itself.

use crate::place::Place;
use reflex_qemu::build;
use reflex_qemu::machine::{Machine, Network, Offloads, Outcome, Running, Status, Tap};
use reflex_qemu::protocol::{Event, MetricValue, Protocol};
use reflex_wire::Wire;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The longest a guest lives.
const LIFE: Duration = Duration::from_secs(600);
/// How often the guest tells what it has counted, in milliseconds.
const PERIOD: u32 = 200;
/// What it always tells, and so what one report ends and the next begins with.
const FIRST: &str = "reflex_net_frames_total";
/// The echo service.
pub(crate) const ECHO: u16 = 7;

/// The hardware address of a machine that asks for no other.
pub(crate) const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x77, 0x00, 0x02];

/// An image that runs, and the network it is in.
pub(crate) struct Victim {
    pub(crate) place: Place,
    pub(crate) tap: Tap,
    guest: Running,
}

/// What an image has told of itself, all of it after it was asked to.
#[derive(Debug)]
pub(crate) struct Report {
    counts: BTreeMap<String, u64>,
    /// By context, in bytes.
    used: BTreeMap<String, u64>,
}

impl Report {
    /// What the stack has counted under this name; nothing is told of what was never counted.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let counted = self.counts.get(&format!("reflex_net_{name}_total"));
        counted.copied().unwrap_or(0)
    }

    /// What of DHCP was counted under this name.
    pub(crate) fn dhcp(&self, name: &str) -> u64 {
        self.counts.get(&format!("reflex_dhcp_{name}_total")).copied().unwrap_or(0)
    }

    /// What of DHCP was refused, by reason.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (&str, u64)> {
        let refused = self.counts.iter().map(|(name, count)| (name.as_str(), *count));
        refused.filter(|(name, _)| name.starts_with("reflex_dhcp_refused_total"))
    }

    /// Connections that are half open.
    pub(crate) fn half_open(&self) -> u64 {
        self.counts["reflex_net_half_open"]
    }

    /// Connections there are.
    pub(crate) fn connections(&self) -> u64 {
        self.count("accepted") + self.count("connected")
            - self.count("ended")
            - self.count("failed")
    }

    /// Bytes of event memory and of the heap that each context has.
    pub(crate) fn memory(&self) -> &BTreeMap<String, u64> {
        &self.used
    }
}

/// Memory of a guest: a site has buffers for ten thousand connections.
fn memory_mib(image: &str) -> u32 {
    match image {
        "httpd" => 1_024,
        _ => 128,
    }
}

/// A metric that is one number.
fn number(value: &MetricValue) -> Option<u64> {
    match value {
        MetricValue::Counter(count) => Some(*count),
        MetricValue::Gauge(level) => u64::try_from(*level).ok(),
        MetricValue::Histogram(_) => None,
    }
}

impl Victim {
    /// Boots an image with these arguments and an address, in a network of its own.
    pub(crate) fn boot(image: &str, append: &str) -> Option<Self> {
        let place = Place::new()?;
        let tap = place.run(|| Tap::fresh(Offloads::Withheld));
        let tap = tap.unwrap_or_else(|error| panic!("{error}"));
        Some(Self::boot_in(place, tap, image, append))
    }

    /// Boots an image with these arguments in a network that there is.
    pub(crate) fn boot_in(place: Place, tap: Tap, image: &str, append: &str) -> Self {
        let file = build::image(image).unwrap_or_else(|error| panic!("{image}: {error:#}"));
        let machine =
            Machine::new(file).network(Network::Tap(tap.clone())).memory_mib(memory_mib(image));
        let machine = machine.append(format!("stats={PERIOD} {append}")).timeout(LIFE);
        let guest = machine.spawn().unwrap_or_else(|error| panic!("{error}"));
        Self { place, tap, guest }
    }

    /// The image's address: what it has told, before that what its network has for it.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.guest.address().expect("a tap of ours has an address for its guest")
    }

    /// Whether the image has told that it has an address.
    pub(crate) fn has_address(&mut self) -> bool {
        while self.guest.next_line(Some(Duration::ZERO)).is_some() {}
        self.guest.lines().iter().any(|line| matches!(line.event, Some(Event::Address(_))))
    }

    /// The image's address and prefix, as soon as it has told them.
    pub(crate) fn told_address(&mut self) -> String {
        self.guest.wait_for_address(PATIENCE).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Whether the image has said this, as far as its lines were taken.
    pub(crate) fn has_said(&self, words: &str) -> bool {
        self.guest.lines().iter().any(|line| line.text.contains(words))
    }

    /// Where a service of the image is, as soon as it is.
    pub(crate) fn endpoint(&mut self, protocol: Protocol, port: u16) -> SocketAddr {
        let listens = self.guest.wait_for_listen(protocol, port, PATIENCE);
        listens.unwrap_or_else(|error| panic!("{error}"));
        self.told_address();
        SocketAddr::new(self.address().into(), port)
    }

    /// The wire between the image and everybody else.
    pub(crate) fn wire(&self) -> Wire {
        let name = self.tap.name().to_owned();
        let wire = self.place.run(move || Wire::open(&name));
        wire.expect("a user that may make a tap may write on it")
    }

    /// What the image tells from now on.
    pub(crate) fn report(&mut self) -> Report {
        while self.guest.next_line(Some(Duration::ZERO)).is_some() {}
        let mut report = Report { counts: BTreeMap::new(), used: BTreeMap::new() };
        let mut begun = false;
        let told = self.guest.wait_for("what is counted", PATIENCE, |line| {
            match &line.event {
                Some(Event::Metric { name, value }) => {
                    let (first, was_begun) = (name == FIRST, begun);
                    begun |= first;
                    if let (true, Some(count)) = (begun, number(value)) {
                        report.counts.insert(name.clone(), count);
                    }
                    return (was_begun && first).then_some(());
                }
                Some(Event::Context { name, amounts, .. }) if begun => {
                    let bytes = ["used", "heap"].map(|what| amounts.get(what).copied());
                    let bytes = bytes.into_iter().flatten().sum();
                    report.used.insert(name.clone(), bytes);
                }
                _ => {}
            }
            None
        });
        told.unwrap_or_else(|error| panic!("{error}"));
        report
    }

    /// Waits until what the image tells is so.
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn(&Report) -> bool) -> Report {
        let begun = Instant::now();
        loop {
            let report = self.report();
            if is_so(&report) {
                return report;
            }
            assert!(begun.elapsed() < PATIENCE, "in vain waited until {what}: {report:#?}");
        }
    }

    /// A client is served by the echo service.
    pub(crate) fn echoes(&mut self) {
        let server = self.endpoint(Protocol::Tcp, ECHO);
        let echoed = self.place.run(move || {
            let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"anybody?")?;
            let mut echoed = [0; 8];
            stream.read_exact(&mut echoed).map(|()| echoed)
        });
        assert_eq!(echoed.expect("an answer"), *b"anybody?");
    }

    /// Ends the image, which has to be well still, and has complained of nothing but what is `expected`.
    pub(crate) fn end(self, expected: &[&str]) -> Outcome {
        let outcome = self.guest.kill();
        let said = outcome.tail(50);
        assert_eq!(outcome.status, Status::Killed, "\n{said}");
        assert!(outcome.crashes.is_empty(), "{:?}\n{said}", outcome.crashes);
        let complaints: Vec<&str> = outcome.lines.iter().map(|line| line.text.as_str()).collect();
        let complaints = complaints.into_iter().filter(|text| {
            let complains = text.contains(" ERROR ") || text.contains(" WARN ");
            complains && !expected.iter().any(|words| text.contains(words))
        });
        assert_eq!(complaints.collect::<Vec<_>>(), Vec::<&str>::new());
        outcome
    }
}
