//! The lines a guest prints for machines, among its ordinary log.
//!
//! A line that starts with `#! ` is an [`Event`]; every other line is free text. The guest's
//! end marker `#! exit STATUS` says what the exit status should be; a status counts only when
//! the marker and QEMU's exit code agree (see [`crate::machine::Status`]).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a machine line begins.
pub const MARK: &str = "#! ";

/// Transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            _ => Err(()),
        }
    }
}

/// What a machine line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The last line before the machine is turned off.
    Exit(u8),
    /// The network interface has this address, as `10.0.2.15/24`.
    Address(String),
    /// A port is open.
    Listen(Protocol, u16),
    /// The console's input is read from here on, `#! input`; what was sent before may be lost.
    Input,
    /// A test of the image, `#! test-list [GROUP] NAME`; printed by `test.list`.
    TestList {
        /// The group it boots with, when the image has several.
        group: Option<String>,
        /// The test's full name.
        name: String,
    },
    /// A test starts.
    TestBegin(String),
    /// A test ended well.
    TestPass(String),
    /// A test ended badly.
    TestFail {
        /// The test's full name.
        name: String,
        /// Why, for a person.
        reason: String,
    },
    /// One benchmark figure.
    Figure(Figure),
    /// Time stamp counts a second, in which [`Event::Latency`] is told.
    LatencyUnit(u64),
    /// How long activations of a priority have waited since the start.
    Latency(u8, Waits),
    /// What a metric of the image is worth: `#! metric KIND VALUE NAME`.
    Metric {
        /// Its name, with its label.
        name: String,
        /// What it is worth.
        value: MetricValue,
    },
    /// What a context has of the machine: `#! context INDEX KEY=N ... NAME`.
    Context {
        /// Its place.
        index: u16,
        /// What it is called.
        name: String,
        /// Amounts by their names, in bytes but for `refused` and `registrations`.
        amounts: BTreeMap<String, u64>,
    },
    /// A crash report starts, the image's last.
    Crash(String),
    /// A crash report starts of a context that was given up: the image goes on.
    Contained(String),
    /// A register of the crash report.
    Register(String, u64),
    /// Bytes of the crashed stack, from this address upward.
    Stack(u64, Vec<u8>),
    /// What follows in the crash report is of another core, on which this ran: `#! core NUMBER TEXT`.
    Core(u32, String),
    /// The crash report is complete.
    CrashEnd,
    /// A machine line this version does not know or cannot read.
    Unknown(String),
}

/// How long activations waited for their handlers:
/// `#! latency PRIORITY at_once=N BUCKET=N ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Those with a handler that began on the spot.
    pub at_once: u64,
    /// The others: how many waited less than a time, and no less than half of it.
    pub waited: Vec<(u64, u64)>,
}

impl Waits {
    /// How many there were.
    pub fn total(&self) -> u64 {
        self.at_once + self.waited.iter().map(|(_, count)| count).sum::<u64>()
    }

    /// The bound that at least so many thousandths of them stayed under; 0 when they all began
    /// on the spot.
    pub fn quantile(&self, permille: u64) -> u64 {
        let wanted = (self.total() * permille).div_ceil(1000);
        let mut seen = self.at_once;
        let mut bound = 0;
        for (under, count) in &self.waited {
            if seen >= wanted {
                break;
            }
            seen += count;
            bound = *under;
        }
        bound
    }
}

/// What a metric is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricValue {
    /// A counter's number.
    Counter(u64),
    /// A gauge's number.
    Gauge(i64),
    /// A histogram's numbers by their names: `count=N sum=N p50=N p99=N max=N`.
    Histogram(BTreeMap<String, u64>),
}

/// One benchmark figure: `#! figure BENCH CASE key=value ... value=N unit=UNIT`.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The benchmark.
    pub bench: String,
    /// The case within it.
    pub case: String,
    /// Everything given as `key=value` but the two below.
    pub parameters: BTreeMap<String, String>,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: String,
}

/// One line of the serial console.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The text, without its end of line; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// When the host read it, counted from the start of QEMU.
    pub elapsed: Duration,
    /// What it says, if it is a machine line.
    pub event: Option<Event>,
}

impl Line {
    /// Reads one line of text.
    pub fn parse(text: String, elapsed: Duration) -> Line {
        let event = text.strip_prefix(MARK).map(parse_event);
        Line { text, elapsed, event }
    }
}

/// Reads what follows the mark; what is not understood is kept as it stands.
fn parse_event(body: &str) -> Event {
    let (word, rest) = body.split_once(' ').unwrap_or((body, ""));
    let rest = rest.trim();
    known_event(word, rest).unwrap_or_else(|| Event::Unknown(body.to_owned()))
}

fn known_event(word: &str, rest: &str) -> Option<Event> {
    let mut words = rest.split_ascii_whitespace();
    let event = match word {
        "exit" => Event::Exit(rest.parse().ok()?),
        "address" if !rest.is_empty() => Event::Address(rest.to_owned()),
        "listen" => Event::Listen(words.next()?.parse().ok()?, words.next()?.parse::<u16>().ok()?),
        "input" if rest.is_empty() => Event::Input,
        "test-list" => {
            let (group, name) = match rest.split_once(' ') {
                Some((group, name)) => (Some(group.to_owned()), name.trim()),
                None => (None, rest),
            };
            if name.is_empty() {
                return None;
            }
            Event::TestList { group, name: name.to_owned() }
        }
        "test-begin" => Event::TestBegin(words.next()?.to_owned()),
        "test-pass" => Event::TestPass(words.next()?.to_owned()),
        "test-fail" => {
            let (name, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            if name.is_empty() {
                return None;
            }
            Event::TestFail { name: name.to_owned(), reason: reason.trim().to_owned() }
        }
        "figure" => Event::Figure(figure(rest)?),
        "latency-unit" => Event::LatencyUnit(rest.parse().ok()?),
        "latency" => latency(rest)?,
        "metric" => metric(rest)?,
        "context" => context(rest)?,
        "crash" => Event::Crash(rest.to_owned()),
        "contained" if !rest.is_empty() => Event::Contained(rest.to_owned()),
        "register" => Event::Register(words.next()?.to_owned(), hex(words.next()?)?),
        "stack" => Event::Stack(hex(words.next()?)?, bytes(words.next()?)?),
        "core" => {
            let (number, text) = rest.split_once(' ')?;
            Event::Core(number.parse().ok()?, text.to_owned())
        }
        "crash-end" => Event::CrashEnd,
        _ => return None,
    };
    Some(event)
}

fn figure(rest: &str) -> Option<Figure> {
    let mut words = rest.split_ascii_whitespace();
    let bench = words.next()?.to_owned();
    let case = words.next()?.to_owned();
    let mut parameters = BTreeMap::new();
    for word in words {
        let (key, value) = word.split_once('=')?;
        parameters.insert(key.to_owned(), value.to_owned());
    }
    let value = parameters.remove("value")?.parse().ok()?;
    let unit = parameters.remove("unit")?;
    Some(Figure { bench, case, parameters, value, unit })
}

fn metric(rest: &str) -> Option<Event> {
    let (kind, rest) = rest.split_once(' ')?;
    if kind == "histogram" {
        let (numbers, name) = amounts(rest);
        let value = MetricValue::Histogram(numbers);
        return Some(Event::Metric { name: name.to_owned(), value });
    }
    let (number, name) = rest.split_once(' ')?;
    let value = match kind {
        "counter" => MetricValue::Counter(number.parse().ok()?),
        "gauge" => MetricValue::Gauge(number.parse().ok()?),
        _ => return None,
    };
    Some(Event::Metric { name: name.to_owned(), value })
}

fn context(rest: &str) -> Option<Event> {
    let (index, rest) = rest.split_once(' ')?;
    let (amounts, name) = amounts(rest);
    Some(Event::Context { index: index.parse().ok()?, name: name.to_owned(), amounts })
}

/// Reads `KEY=N ... NAME`: the name is what comes behind the amounts, and may have blanks.
fn amounts(mut rest: &str) -> (BTreeMap<String, u64>, &str) {
    let mut amounts = BTreeMap::new();
    while let Some((key, (amount, others))) =
        rest.split_once('=').and_then(|(key, behind)| Some((key, behind.split_once(' ')?)))
    {
        let Ok(amount) = amount.parse() else { break };
        amounts.insert(key.to_owned(), amount);
        rest = others;
    }
    (amounts, rest)
}

fn latency(rest: &str) -> Option<Event> {
    let mut words = rest.split_ascii_whitespace();
    let priority = words.next()?.parse().ok()?;
    let at_once = words.next()?.strip_prefix("at_once=")?.parse().ok()?;
    let bucket = |word: &str| {
        let (under, count) = word.split_once('=')?;
        Some((under.parse().ok()?, count.parse().ok()?))
    };
    let waited = words.map(bucket).collect::<Option<_>>()?;
    Some(Event::Latency(priority, Waits { at_once, waited }))
}

fn hex(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x").unwrap_or(word), 16).ok()
}

fn bytes(word: &str) -> Option<Vec<u8>> {
    let digits = word.as_bytes();
    if !digits.len().is_multiple_of(2) || !word.is_ascii() {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(text: &str) -> Option<Event> {
        Line::parse(text.to_owned(), Duration::ZERO).event
    }

    #[test]
    fn every_kind_of_line_is_read() {
        assert_eq!(event("#! exit 101"), Some(Event::Exit(101)));
        assert_eq!(event("#! address 10.0.2.15/24"), Some(Event::Address("10.0.2.15/24".into())));
        assert_eq!(event("#! listen udp 7"), Some(Event::Listen(Protocol::Udp, 7)));
        assert_eq!(event("#! input"), Some(Event::Input));
        assert_eq!(
            event("#! test-list net tcp::echo"),
            Some(Event::TestList { group: Some("net".into()), name: "tcp::echo".into() })
        );
        assert_eq!(
            event("#! test-list tcp::echo"),
            Some(Event::TestList { group: None, name: "tcp::echo".into() })
        );
        assert_eq!(event("#! test-begin a::b"), Some(Event::TestBegin("a::b".into())));
        assert_eq!(event("#! test-pass a::b"), Some(Event::TestPass("a::b".into())));
        assert_eq!(
            event("#! test-fail a::b left 1, right 2"),
            Some(Event::TestFail { name: "a::b".into(), reason: "left 1, right 2".into() })
        );
        assert_eq!(event("#! register rip 0000000000101000"), {
            Some(Event::Register("rip".into(), 0x10_1000))
        });
        assert_eq!(event("#! stack 0x2000 00ff10"), Some(Event::Stack(0x2000, vec![0, 255, 16])));
        assert_eq!(event("#! core 3 its text"), Some(Event::Core(3, "its text".into())));
        assert_eq!(event("#! crash-end"), Some(Event::CrashEnd));
        assert_eq!(event("#! contained it broke"), Some(Event::Contained("it broke".into())));
        let metric = |name: &str, value| Some(Event::Metric { name: name.to_owned(), value });
        assert_eq!(
            event("#! metric counter 3 refused_total{reason=\"the offer is none\"}"),
            metric("refused_total{reason=\"the offer is none\"}", MetricValue::Counter(3))
        );
        assert_eq!(event("#! metric gauge -3 depth"), metric("depth", MetricValue::Gauge(-3)));
        assert_eq!(
            event("#! metric histogram count=2 p50=1 took{by=\"a b\"}"),
            metric(
                "took{by=\"a b\"}",
                MetricValue::Histogram([("count".to_owned(), 2), ("p50".to_owned(), 1)].into())
            )
        );
        assert_eq!(
            event("#! context 3 used=5 of=64 DHCP a=b client"),
            Some(Event::Context {
                index: 3,
                name: "DHCP a=b client".to_owned(),
                amounts: [("used".to_owned(), 5), ("of".to_owned(), 64)].into()
            })
        );
        assert!(matches!(event("#! context x used=5 a"), Some(Event::Unknown(_))));
        for text in ["counter many offers", "counter -1 offers", "level 1 offers", "gauge 1"] {
            assert!(
                matches!(event(&format!("#! metric {text}")), Some(Event::Unknown(_))),
                "{text}"
            );
        }
        assert_eq!(event("#! latency-unit 1000000000"), Some(Event::LatencyUnit(1_000_000_000)));
        assert_eq!(
            event("#! latency 48 at_once=7 1=2 1024=3"),
            Some(Event::Latency(48, Waits { at_once: 7, waited: vec![(1, 2), (1024, 3)] }))
        );
    }

    #[test]
    fn a_figure_keeps_its_parameters() {
        let Some(Event::Figure(figure)) =
            event("#! figure events activate registered=1000 value=60.5 unit=instructions")
        else {
            panic!("not a figure")
        };
        assert_eq!((figure.bench.as_str(), figure.case.as_str()), ("events", "activate"));
        assert_eq!(figure.parameters["registered"], "1000");
        assert_eq!((figure.value, figure.unit.as_str()), (60.5, "instructions"));
        assert_eq!(figure.parameters.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_never_taken_for_a_status() {
        for text in ["#! exit", "#! exit 256", "#! exit -1", "#! exit 0 0", "#! listen tcp 65536"] {
            assert!(matches!(event(text), Some(Event::Unknown(_))), "{text}");
        }
        for text in ["exit 0", "#!exit 0", " #! exit 0", "log: #! exit 0"] {
            assert_eq!(event(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_refused(text in "(#! )?(exit|stack|register|figure|listen|test-fail)?.*") {
            let line = Line::parse(text.clone(), Duration::ZERO);
            prop_assert_eq!(line.event.is_some(), text.starts_with(MARK));
        }

        #[test]
        fn stack_bytes_come_back(address: u64, data in prop::collection::vec(any::<u8>(), 1..32)) {
            let digits: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            let text = format!("#! stack {address:016x} {digits}");
            prop_assert_eq!(event(&text), Some(Event::Stack(address, data)));
        }
    }
}
