//! From the text of a packet to the packet.

use super::names;
use super::packet::{Kind, Packet, Shape, Value};

/// TCP's flags in the order in which they are written; `.` is ACK.
pub(super) const FLAGS: [(char, u8); 8] =
    [('F', 1), ('S', 2), ('R', 4), ('P', 8), ('.', 16), ('U', 32), ('E', 64), ('C', 128)];

/// What a number is called.
type Code = (&'static str, u8);

/// ICMP's messages (RFC 792), with what their codes are called.
pub(super) const MESSAGES: [(&str, u8, &[Code]); 7] = [
    ("echo-reply", 0, &[]),
    (
        "unreachable",
        3,
        &[
            ("net", 0),
            ("host", 1),
            ("protocol", 2),
            ("port", 3),
            ("frag", 4),
            ("source-route", 5),
            ("prohibited", 13),
        ],
    ),
    ("quench", 4, &[]),
    ("redirect", 5, &[]),
    ("echo", 8, &[]),
    ("time-exceeded", 11, &[("transit", 0), ("reassembly", 1)]),
    ("parameter-problem", 12, &[]),
];

/// DHCP's messages (RFC 2132, 9.6), from 1 on.
pub(super) const DHCP_MESSAGES: [&str; 8] =
    ["discover", "offer", "request", "decline", "ack", "nak", "release", "inform"];

/// Reads a packet from the words of a line.
pub(super) fn packet(text: &str) -> Result<Packet, String> {
    // Options stand in angle brackets with commas between them; the arrow between two ports stays.
    let words = text.split_whitespace().flat_map(|word| word.split(','));
    let words = words.map(|word| word.trim_start_matches('<').trim_end_matches('>'));
    let mut words = words.filter(|word| !word.is_empty()).peekable();
    let first = words.next().ok_or("a packet is missing")?;
    let mut packet = match Kind::named(first) {
        Some(kind) => Packet::new(kind),
        None => {
            flags(first).ok_or_else(|| format!("{first:?} is neither a protocol nor TCP flags"))?;
            Packet::new(Kind::Tcp).with("flags", Value::Word(first.to_owned()))
        }
    };
    match packet.kind {
        Kind::Tcp => {
            if packet.get("flags").is_none() {
                return Err("a segment begins with its flags".to_owned());
            }
            sequence(&mut packet, words.next().ok_or("BEGIN:END(LENGTH) is missing")?)?;
        }
        Kind::Udp => ports(&mut packet, words.next().ok_or("FROM>TO is missing")?)?,
        Kind::Icmp | Kind::Arp | Kind::Nd | Kind::Dhcp => {
            let word = words.next().ok_or("the message is missing")?;
            message(&mut packet, word)?;
            if let Some(code) = words.peek().and_then(|code| code_of(word, code)) {
                words.next();
                packet.set("code", Value::Number(code.into()));
            }
        }
        Kind::Piece | Kind::Unknown => {}
    }
    while let Some(word) = words.next() {
        if word == "quoting" {
            let rest: Vec<&str> = words.collect();
            packet.quoted = Some(Box::new(self::packet(&rest.join(" "))?));
            break;
        }
        let (word, absent) = match word.strip_prefix('!') {
            Some(word) => (word, true),
            None => (word, false),
        };
        let field = packet.field(word);
        let (name, shape) = field.ok_or_else(|| format!("{first:?} has no field {word:?}"))?;
        let value = match (absent, shape) {
            (true, _) => Value::Absent,
            (false, Shape::Set) => Value::Set,
            (false, shape) => {
                let text = words.next().ok_or_else(|| format!("{name:?} has no value"))?;
                value(shape, text).ok_or_else(|| format!("{text:?} is no value of {name:?}"))?
            }
        };
        packet.set(name, value);
    }
    Ok(packet)
}

/// The byte of flags that a word stands for.
pub(super) fn flags(word: &str) -> Option<u8> {
    let mut byte = 0;
    // A segment without any is written so.
    if word == "0" {
        return Some(byte);
    }
    for letter in word.chars() {
        let (_, flag) = FLAGS.iter().find(|(known, _)| *known == letter)?;
        byte |= flag;
    }
    (byte != 0).then_some(byte)
}

/// The number of an ICMP message's code.
fn code_of(message: &str, code: &str) -> Option<u8> {
    let (.., codes) = MESSAGES.iter().find(|(name, ..)| *name == message)?;
    codes.iter().find(|(name, _)| *name == code).map(|(_, code)| *code)
}

fn message(packet: &mut Packet, word: &str) -> Result<(), String> {
    let known = match packet.kind {
        Kind::Icmp => MESSAGES.iter().any(|(name, ..)| *name == word),
        Kind::Arp => ["request", "reply"].contains(&word),
        Kind::Nd => ["solicit", "advertise"].contains(&word),
        _ => DHCP_MESSAGES.contains(&word),
    };
    packet.set("type", Value::Word(word.to_owned()));
    if known { Ok(()) } else { Err(format!("{word:?} is no message of that protocol")) }
}

/// `BEGIN:END(LENGTH)`, or `*`.
fn sequence(packet: &mut Packet, word: &str) -> Result<(), String> {
    if word == "*" {
        return Ok(());
    }
    let parts = || {
        let (begin, rest) = word.split_once(':')?;
        let (end, length) = rest.strip_suffix(')')?.split_once('(')?;
        Some((begin.parse().ok()?, end.parse().ok()?, length.parse().ok()?))
    };
    let (begin, end, length): (i64, i64, i64) =
        parts().ok_or_else(|| format!("{word:?} is not BEGIN:END(LENGTH)"))?;
    if end - begin != length {
        return Err(format!("from {begin} to {end} there are {} bytes, not {length}", end - begin));
    }
    packet.set("seq", Value::Number(begin));
    packet.set("len", Value::Number(length));
    Ok(())
}

fn ports(packet: &mut Packet, word: &str) -> Result<(), String> {
    let parts = || {
        let (from, to) = word.split_once('>')?;
        Some((from.parse::<u16>().ok()?, to.parse::<u16>().ok()?))
    };
    let (from, to) = parts().ok_or_else(|| format!("{word:?} is not FROM>TO"))?;
    packet.set("sport", Value::Number(from.into()));
    packet.set("dport", Value::Number(to.into()));
    Ok(())
}

fn value(shape: Shape, text: &str) -> Option<Value> {
    if text == "*" {
        return Some(Value::Any);
    }
    match shape {
        Shape::Set => Some(Value::Set),
        Shape::Number => match text.split_once("..") {
            Some((least, most)) => Some(Value::Range(least.parse().ok()?, most.parse().ok()?)),
            None => text.parse().ok().map(Value::Number),
        },
        Shape::Address => names::address(text).map(Value::Address),
        Shape::Station => names::station(text).map(Value::Station),
        Shape::Word => Some(Value::Word(text.to_owned())),
    }
}
