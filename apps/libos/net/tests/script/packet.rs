//! A packet as scripts write it, and as what was sent is described: a kind, and fields with values.

use super::names;
use super::numbers::{LISTENING, PEERS};
use crate::common::raw::{MAC, PEER};
use std::fmt;
use std::net::IpAddr;

/// The protocol that a packet is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Tcp,
    Udp,
    Icmp,
    Arp,
    Nd,
    Dhcp,
    /// A piece of an IPv4 packet, of whatever protocol.
    Piece,
    /// Anything else: nothing that a script can write.
    Unknown,
}

impl Kind {
    pub(super) fn named(word: &str) -> Option<Self> {
        Some(match word {
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "icmp" => Self::Icmp,
            "arp" => Self::Arp,
            "nd" => Self::Nd,
            "dhcp" => Self::Dhcp,
            "piece" => Self::Piece,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Arp => "arp",
            Self::Nd => "nd",
            Self::Dhcp => "dhcp",
            Self::Piece => "piece",
            Self::Unknown => "unknown",
        }
    }
}

/// What a field's value is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// The name alone.
    Set,
    /// A number, or two with `..` between them.
    Number,
    /// An IP address or its name.
    Address,
    /// A hardware address or its name.
    Station,
    Word,
}

/// What a field is, or is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Set,
    Number(i64),
    /// At least, and at most.
    Range(i64, i64),
    Address(IpAddr),
    Station([u8; 6]),
    Word(String),
    /// Whatever it is, it is there.
    Any,
    /// It is not there.
    Absent,
}

/// Fields of every packet: Ethernet's addresses.
const LINK: &[(&str, Shape)] = &[("via", Shape::Station), ("source", Shape::Station)];

/// Fields of an IPv4 packet, whatever it carries.
const IP: &[(&str, Shape)] = &[
    ("from", Shape::Address),
    ("to", Shape::Address),
    ("df", Shape::Set),
    ("ttl", Shape::Number),
    ("tos", Shape::Number),
    ("id", Shape::Number),
    ("part", Shape::Word),
    ("more", Shape::Set),
    ("corrupt", Shape::Set),
    ("data", Shape::Word),
];

const TCP: &[(&str, Shape)] = &[
    ("ack", Shape::Number),
    ("win", Shape::Number),
    ("urg", Shape::Number),
    ("mss", Shape::Number),
    ("wscale", Shape::Number),
    ("sackok", Shape::Set),
    ("sack", Shape::Word),
    ("option", Shape::Number),
    ("at", Shape::Number),
    ("on", Shape::Number),
    ("junk", Shape::Set),
    ("since", Shape::Number),
];

const UDP: &[(&str, Shape)] = &[("len", Shape::Number), ("nosum", Shape::Set)];

const ICMP: &[(&str, Shape)] = &[
    ("code", Shape::Number),
    ("mtu", Shape::Number),
    ("ident", Shape::Number),
    ("seq", Shape::Number),
    ("len", Shape::Number),
];

const ARP: &[(&str, Shape)] = &[
    ("target", Shape::Address),
    ("sender", Shape::Address),
    ("mac", Shape::Station),
    ("tmac", Shape::Station),
    ("hardware", Shape::Number),
];

const ND: &[(&str, Shape)] = &[
    ("from", Shape::Address),
    ("to", Shape::Address),
    ("target", Shape::Address),
    ("mac", Shape::Station),
    ("flags", Shape::Word),
    ("hops", Shape::Number),
    ("corrupt", Shape::Set),
];

const DHCP: &[(&str, Shape)] = &[
    ("yours", Shape::Address),
    ("client", Shape::Address),
    ("server", Shape::Address),
    ("requested", Shape::Address),
    ("router", Shape::Address),
    ("mask", Shape::Number),
    ("lease", Shape::Number),
    ("t1", Shape::Number),
    ("t2", Shape::Number),
    ("mtu", Shape::Number),
    ("stranger", Shape::Set),
    ("broadcast", Shape::Set),
    ("secs", Shape::Number),
];

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Packet {
    pub(super) kind: Kind,
    fields: Vec<(&'static str, Value)>,
    /// The packet that an ICMP error is about.
    pub(super) quoted: Option<Box<Packet>>,
}

impl Packet {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, fields: Vec::new(), quoted: None }
    }

    /// The field of that name, if packets of this kind have one, and how its value is written.
    pub(super) fn field(&self, name: &str) -> Option<(&'static str, Shape)> {
        let (own, ip): (&[_], &[_]) = match self.kind {
            Kind::Tcp => (TCP, IP),
            Kind::Udp => (UDP, IP),
            Kind::Icmp => (ICMP, IP),
            Kind::Dhcp => (DHCP, IP),
            Kind::Piece => (UDP, IP),
            Kind::Arp => (ARP, &[]),
            Kind::Nd => (ND, &[]),
            Kind::Unknown => (&[], &[]),
        };
        let mut all = own.iter().chain(ip).chain(LINK);
        all.find(|(known, _)| *known == name).copied()
    }

    /// Adds a field; one of that name is replaced.
    pub(super) fn set(&mut self, name: &'static str, value: Value) {
        self.fields.retain(|(other, _)| *other != name);
        self.fields.push((name, value));
    }

    pub(super) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.set(name, value);
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name) == Some(&Value::Set)
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn word(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Why `actual` is not what this one says it has to be.
    pub(super) fn mismatch(&self, actual: &Self) -> Option<String> {
        if self.kind != actual.kind {
            return Some(format!("{} is no {}", actual.kind.name(), self.kind.name()));
        }
        // Bytes that are not those of the stream are a fault whatever was expected.
        let damaged = actual.get("data").filter(|_| self.get("data").is_none());
        if let Some(Value::Word(how)) = damaged {
            return Some(format!("its bytes are wrong: {how}"));
        }
        for (name, expected) in &self.fields {
            if !agrees(name, expected, actual.get(name)) {
                let found = actual.get(name).map_or("absent".to_owned(), |value| show(name, value));
                return Some(format!("{found}, not {}", show(name, expected)));
            }
        }
        match (&self.quoted, &actual.quoted) {
            (None, _) => None,
            (Some(_), None) => Some("nothing is quoted".to_owned()),
            (Some(expected), Some(actual)) => {
                expected.mismatch(actual).map(|why| format!("quoted: {why}"))
            }
        }
    }
}

/// Whether a field is as expected.
fn agrees(name: &str, expected: &Value, actual: Option<&Value>) -> bool {
    match (expected, actual) {
        (Value::Absent, found) => found.is_none(),
        (_, None) => false,
        (Value::Any, Some(_)) => true,
        (Value::Range(least, most), Some(Value::Number(number))) => {
            (least..=most).contains(&number)
        }
        // When to push is up to the sender (RFC 9293, 3.9.1).
        (Value::Word(expected), Some(Value::Word(actual))) if name == "flags" => {
            let pushes = |word: &str| word.replace('P', "");
            expected == actual || (!expected.contains('P') && *expected == pushes(actual))
        }
        (expected, Some(actual)) => expected == actual,
    }
}

/// What goes without saying.
fn is_usual(name: &str, value: &Value) -> bool {
    match (name, value) {
        ("from", value) => *value == Value::Address(names::US.into()),
        ("to", value) => *value == Value::Address(PEER.into()),
        ("via", value) => *value == Value::Station(MAC),
        ("source", value) => *value == Value::Station(names::OUR_MAC),
        ("ttl", Value::Number(64)) | ("tos" | "id", Value::Number(0)) => true,
        ("on", Value::Number(port)) => *port == i64::from(LISTENING),
        ("at", Value::Number(port)) => *port == i64::from(PEERS),
        _ => false,
    }
}

fn show(name: &str, value: &Value) -> String {
    match value {
        Value::Set => name.to_owned(),
        Value::Number(number) => format!("{name} {number}"),
        Value::Range(least, most) => format!("{name} {least}..{most}"),
        Value::Address(address) => format!("{name} {}", names::of_address(*address)),
        Value::Station(mac) => format!("{name} {}", names::of_station(*mac)),
        Value::Word(word) => format!("{name} {word}"),
        Value::Any => format!("{name} *"),
        Value::Absent => format!("!{name}"),
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut positional: &[&str] = &["type"];
        match self.kind {
            Kind::Tcp => {
                positional = &["flags", "seq", "len"];
                let begin = self.number("seq").unwrap_or(0);
                let length = self.number("len").unwrap_or(0);
                let flags = self.word("flags").unwrap_or("*");
                write!(f, "{flags} {begin}:{}({length})", begin + length)?;
            }
            kind => {
                write!(f, "{}", kind.name())?;
                if let Some(word) = self.word("type") {
                    write!(f, " {word}")?;
                }
            }
        }
        let told =
            |(name, value): &&(&str, Value)| !positional.contains(name) && !is_usual(name, value);
        for (name, value) in self.fields.iter().filter(told) {
            write!(f, " {}", show(name, value))?;
        }
        match &self.quoted {
            Some(quoted) => write!(f, " quoting {quoted}"),
            None => Ok(()),
        }
    }
}
