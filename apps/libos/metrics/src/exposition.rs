//! Prometheus' text format, version 0.0.4 (`text/plain; version=0.0.4`).

use crate::sample::escape;
use crate::{Histogram, Label, Name, Sample, Value};
use core::fmt;

/// Writes samples as text: those of a name are to follow each other.
///
/// Of a histogram there is a bucket for each power of two up to the greatest value.
pub struct Exposition<'w> {
    writer: &'w mut dyn fmt::Write,
    /// The name of the last one.
    before: Option<&'static str>,
    result: fmt::Result,
}

impl<'w> Exposition<'w> {
    /// Writes to `writer`.
    pub fn new(writer: &'w mut dyn fmt::Write) -> Self {
        Self { writer, before: None, result: Ok(()) }
    }

    /// Writes one more, unless something could not be written before.
    pub fn add(&mut self, sample: Sample) {
        if self.result.is_ok() {
            self.result = self.write(sample);
        }
    }

    /// Whether all has been written.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(self) -> fmt::Result {
        self.result
    }

    fn write(&mut self, sample: Sample) -> fmt::Result {
        let (f, Sample { name, help, label, value }) = (&mut *self.writer, sample);
        if self.before != Some(name) {
            let (help, kind) = (Escaped(help), value.kind().name());
            write!(f, "# HELP {name} {help}\n# TYPE {name} {kind}\n")?;
            self.before = Some(name);
        }
        match value {
            Value::Counter(number) => writeln!(f, "{} {number}", Name(name, label)),
            Value::Gauge(level) => writeln!(f, "{} {level}", Name(name, label)),
            Value::Histogram(histogram) => write_histogram(f, name, label, histogram),
        }
    }
}

fn write_histogram(
    f: &mut dyn fmt::Write,
    name: &str,
    label: Option<Label>,
    histogram: &Histogram,
) -> fmt::Result {
    let bounds = (0..=u64::BITS).map(|bits| 1u64.checked_shl(bits).unwrap_or(0).wrapping_sub(1));
    let mut buckets = histogram.buckets().peekable();
    let mut count = 0;
    for bound in bounds {
        if buckets.peek().is_none() {
            break;
        }
        while let Some((_, more)) = buckets.next_if(|(last, _)| *last <= bound) {
            count += more;
        }
        writeln!(f, "{name}_bucket{{{}le=\"{bound}\"}} {count}", First(label))?;
    }
    writeln!(f, "{name}_bucket{{{}le=\"+Inf\"}} {count}", First(label))?;
    writeln!(f, "{name}_sum{} {}", Braces(label), histogram.sum())?;
    writeln!(f, "{name}_count{} {count}", Braces(label))
}

/// Help, with what would end it escaped.
struct Escaped(&'static str);

impl fmt::Display for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, self.0, false)
    }
}

/// A label alone, in braces.
struct Braces(Option<Label>);

impl fmt::Display for Braces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |label| write!(f, "{{{label}}}"))
    }
}

/// A label before another.
struct First(Option<Label>);

impl fmt::Display for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |label| write!(f, "{label},"))
    }
}
