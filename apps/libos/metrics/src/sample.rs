//! What a metric is worth at a time.

use crate::{Histogram, Kind};
use core::fmt;

/// A metric, and what it is worth now.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Its name.
    pub name: &'static str,
    /// What it means, for people.
    pub help: &'static str,
    /// What sets it apart from others of its name.
    pub label: Option<Label>,
    /// What it is worth.
    pub value: Value,
}

/// What sets a series apart from others of its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label {
    /// What is told of it.
    pub key: &'static str,
    /// What is so.
    pub value: LabelValue,
}

/// A label's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabelValue {
    /// Words.
    Text(&'static str),
    /// A number.
    Number(u64),
}

/// What a metric is worth.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A counter's number.
    Counter(u64),
    /// A gauge's number.
    Gauge(i64),
    /// A histogram, which goes on counting.
    Histogram(&'static Histogram),
}

impl Value {
    /// What kind of a metric has it.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }

    /// Whether nothing has been counted.
    pub fn is_zero(self) -> bool {
        match self {
            Self::Counter(number) => number == 0,
            Self::Gauge(level) => level == 0,
            Self::Histogram(histogram) => histogram.count() == 0,
        }
    }
}

/// The name of a series, as Prometheus' text format has it: with its label in braces, if it has one.
#[derive(Clone, Copy, Debug)]
pub struct Name(pub &'static str, pub Option<Label>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, label) = self;
        f.write_str(name)?;
        label.map_or(Ok(()), |label| write!(f, "{{{label}}}"))
    }
}

/// As Prometheus' text format has it: quoted, with `\`, `"` and the end of a line escaped.
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=\"", self.key)?;
        match self.value {
            LabelValue::Number(number) => write!(f, "{number}")?,
            LabelValue::Text(text) => escape(f, text, true)?,
        }
        f.write_str("\"")
    }
}

/// Writes `text` with what would end it escaped; quotes too, where it is `quoted`.
pub(crate) fn escape(f: &mut fmt::Formatter<'_>, text: &str, quoted: bool) -> fmt::Result {
    let special = |c: char| matches!(c, '\\' | '\n') || quoted && c == '"';
    // Without an index into text: its panic has tables of 6 KB.
    for piece in text.split_inclusive(special) {
        match (piece.strip_suffix(special), piece.as_bytes().last()) {
            (Some(before), Some(b'\\')) => write!(f, "{before}\\\\")?,
            (Some(before), Some(b'\n')) => write!(f, "{before}\\n")?,
            (Some(before), _) => write!(f, "{before}\\\"")?,
            (None, _) => f.write_str(piece)?,
        }
    }
    Ok(())
}
