//! The text of a script, line by line: what each asks for, or what is wrong with it.

use super::packet::{Kind, Packet, Value};
use super::packet_text;
use std::time::Duration;

/// A script that makes sense.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) when: When,
    pub(super) what: What,
}

/// When a step is due, counted from the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    Now,
    After(Duration),
    Within(Duration, Duration),
    Ever,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// A parameter of the host, which is made at the first other step.
    Config(String, String),
    /// A packet arrives.
    In(Packet),
    /// A packet is sent.
    Out(Packet),
    /// A TCP port is listened on.
    Listen(u16, Options),
    /// A UDP port is opened.
    Open(u16),
    /// A connection is opened.
    Connect(u16, Options),
    /// The application sends so many bytes of its stream.
    Send(usize),
    /// A datagram is sent.
    Emit(Packet),
    Close,
    Abort,
    /// The application reads so many bytes; it has been told not to do so by itself.
    Read(usize),
    /// The application has been told exactly this since the last time it was asked.
    Told(Vec<String>),
    /// The application has received so many bytes since the last time, all of them right.
    Got(usize),
    State(String),
    /// The stack has counted so many.
    Count(String, u64),
    /// Nothing is sent for so long.
    Quiet(Duration),
}

/// What a line may say of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Options {
    pub(super) receive: Option<usize>,
    pub(super) send: Option<usize>,
    pub(super) connections: Option<u32>,
    pub(super) backlog: Option<u32>,
    pub(super) keep_alive: Option<u64>,
    pub(super) idle: Option<u64>,
    /// The application does not read by itself.
    pub(super) deaf: bool,
}

/// What is wrong with a script, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Nonsense {
    pub(super) line: usize,
    pub(super) why: String,
}

impl What {
    fn checks(&self) -> bool {
        matches!(
            self,
            Self::Out(_)
                | Self::Told(_)
                | Self::Got(_)
                | Self::Read(_)
                | Self::State(_)
                | Self::Count(..)
                | Self::Quiet(_)
        )
    }
}

/// Reads a script of the RFC of that number.
pub(super) fn script(text: &str, rfc: u32) -> Result<Script, Nonsense> {
    let at = |line, why: String| Nonsense { line, why };
    let title = text.lines().next().unwrap_or("");
    title_of(title, rfc).map_err(|why| at(1, why))?;
    let mut steps: Vec<Step> = Vec::new();
    let mut checks = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        let (when, rest) = when(line).map_err(|why| at(number, why))?;
        let step =
            |when, what, text: &str| Step { line: number, text: text.to_owned(), when, what };
        if let Some(lines) = handshake(rest, &steps).map_err(|why| at(number, why))? {
            for text in lines {
                steps.push(step(When::Now, what(&text).map_err(|why| at(number, why))?, &text));
            }
            continue;
        }
        let what = what(rest).map_err(|why| at(number, why))?;
        if matches!(what, What::Config(..)) && !steps.iter().all(|step| step.is_config()) {
            return Err(at(number, "a parameter comes before everything else".to_owned()));
        }
        if !matches!(what, What::Out(_)) && matches!(when, When::Within(..) | When::Ever) {
            return Err(at(number, "only what is sent has a time between two".to_owned()));
        }
        checks |= what.checks();
        steps.push(step(when, what, line));
    }
    if !checks {
        return Err(at(text.lines().count(), "nothing is checked".to_owned()));
    }
    Ok(Script { steps })
}

impl Step {
    fn is_config(&self) -> bool {
        matches!(self.what, What::Config(..))
    }
}

/// `# RFC 9293, 3.10.7.4: what is so.`
fn title_of(line: &str, rfc: u32) -> Result<(), String> {
    let usual = || format!("the first line is \"# RFC {rfc}, SECTION: WHAT IS SO\", not {line:?}");
    let rest = line.strip_prefix(&format!("# RFC {rfc}, ")).ok_or_else(usual)?;
    let (section, text) = rest.split_once(": ").ok_or_else(usual)?;
    let plausible = |c: char| c.is_ascii_alphanumeric() || ".-(), ".contains(c);
    let named = section.starts_with(|c: char| c.is_ascii_alphanumeric());
    if named && section.chars().all(plausible) && text.len() > 8 { Ok(()) } else { Err(usual()) }
}

/// The lines that `established` and `opened` stand for: a connection that the peer has opened, or
/// that we have.
fn handshake(line: &str, before: &[Step]) -> Result<Option<Vec<String>>, String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (mut window, mut segment, mut options) = ("8000", "mss 1460".to_owned(), String::new());
    let mut words = rest.split_whitespace();
    if !["established", "opened"].contains(&word) {
        return Ok(None);
    }
    while let Some(name) = words.next() {
        match name {
            "deaf" => options.push_str(" deaf"),
            _ => {
                let value = words.next().ok_or_else(|| format!("{name:?} has no value"))?;
                match name {
                    "win" => window = value,
                    "mss" => segment = format!("mss {value}"),
                    _ => options.push_str(&format!(" {name} {value}")),
                }
            }
        }
    }
    let listens = before.iter().any(|step| matches!(step.what, What::Listen(..)));
    let lines = if word == "established" {
        vec![
            if listens { String::new() } else { format!("listen 80{options}") },
            format!("< S 0:0(0) win {window} {segment}"),
            "> S. 0:0(0) ack 1".to_owned(),
            format!("< . 1:1(0) ack 1 win {window}"),
            "told accepted".to_owned(),
        ]
    } else {
        vec![
            format!("connect 9{options}"),
            "> S 0:0(0)".to_owned(),
            format!("< S. 0:0(0) ack 1 win {window} {segment}"),
            "> . 1:1(0) ack 1".to_owned(),
            "told connected".to_owned(),
        ]
    };
    Ok(Some(lines.into_iter().filter(|line| !line.is_empty()).collect()))
}

/// The time in front of a line, and the rest.
fn when(line: &str) -> Result<(When, &str), String> {
    let Some(rest) = line.strip_prefix('+') else { return Ok((When::Now, line)) };
    let (time, rest) = rest.split_once(' ').ok_or("a time alone is no step")?;
    let when = match time.split_once('~') {
        _ if time == "*" => When::Ever,
        Some((least, most)) => {
            let (least, most) = (seconds(least)?, seconds(most)?);
            if least > most {
                return Err(format!("{time:?} ends before it begins"));
            }
            When::Within(least, most)
        }
        None => When::After(seconds(time)?),
    };
    Ok((when, rest.trim()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..1e6).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| format!("{text:?} is no time in seconds"))
}

fn number<T: std::str::FromStr>(word: Option<&str>) -> Result<T, String> {
    let word = word.ok_or("a number is missing")?;
    word.parse().map_err(|_| format!("{word:?} is no number, or none of that size"))
}

/// The states of RFC 9293, 3.3.2.
const STATES: [&str; 11] = [
    "LISTEN",
    "SYN-SENT",
    "SYN-RECEIVED",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
    "CLOSED",
];

/// What an application may be told, failures by their reasons.
const NEWS: [&str; 17] = [
    "nothing",
    "accepted",
    "connected",
    "received",
    "sent",
    "closed",
    "ended",
    "refused",
    "reset",
    "timed-out",
    "address-lost",
    "unreachable",
    "datagram",
    "undeliverable",
    "undeliverable:port",
    "undeliverable:host",
    "undeliverable:too-long",
];

fn what(line: &str) -> Result<What, String> {
    if let Some(rest) = line.strip_prefix("< ") {
        return packet_text::packet(rest.trim()).map(What::In);
    }
    if let Some(rest) = line.strip_prefix("> ") {
        return packet_text::packet(rest.trim()).map(What::Out);
    }
    let mut words = line.split_whitespace();
    let command = words.next().unwrap_or("");
    let what = match command {
        "listen" => What::Listen(number(words.next())?, options(&mut words)?),
        "connect" => What::Connect(number(words.next())?, options(&mut words)?),
        "udp" => What::Open(number(words.next())?),
        "send" => What::Send(number(words.next())?),
        "read" => What::Read(number(words.next())?),
        "got" => What::Got(number(words.next())?),
        "close" => What::Close,
        "abort" => What::Abort,
        "quiet" => What::Quiet(seconds(words.next().ok_or("how long?")?)?),
        "count" => {
            let name = words.next().ok_or("a counter is missing")?.to_owned();
            What::Count(name, number(words.next())?)
        }
        "state" => {
            let state = words.next().filter(|state| STATES.contains(state));
            What::State(state.ok_or("a state of RFC 9293 is missing")?.to_owned())
        }
        "told" => told(&mut words)?,
        "emit" => {
            let rest: Vec<&str> = words.by_ref().collect();
            let packet = packet_text::packet(&rest.join(" "))?;
            let to = matches!(packet.get("to"), Some(Value::Address(_)) | None);
            if packet.kind != Kind::Udp || !to {
                return Err("only a datagram is emitted".to_owned());
            }
            What::Emit(packet)
        }
        "config" => {
            let name = words.next().ok_or("a parameter is missing")?.to_owned();
            let value: Vec<&str> = words.by_ref().collect();
            What::Config(name, value.join(" "))
        }
        _ => return Err(format!("{command:?} is no command")),
    };
    match words.next() {
        None => Ok(what),
        Some(word) => Err(format!("{word:?} is too much")),
    }
}

fn told<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<What, String> {
    let mut news = Vec::new();
    for word in words {
        if !NEWS.contains(&word) {
            return Err(format!("nobody is told {word:?}"));
        }
        news.push(word.to_owned());
    }
    if news.is_empty() {
        return Err("what is told, or nothing".to_owned());
    }
    news.retain(|word| word != "nothing");
    Ok(What::Told(news))
}

fn options<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(word) = words.next() {
        match word {
            "recv" => options.receive = Some(number(words.next())?),
            "send" => options.send = Some(number(words.next())?),
            "connections" => options.connections = Some(number(words.next())?),
            "backlog" => options.backlog = Some(number(words.next())?),
            "keepalive" => options.keep_alive = Some(number(words.next())?),
            "idle" => options.idle = Some(number(words.next())?),
            "deaf" => options.deaf = true,
            _ => return Err(format!("{word:?} is no option")),
        }
    }
    Ok(options)
}
