//! What a metric is called, is and means.

use crate::check;
use crate::sample::{Label, LabelValue, Sample, Value};
use core::panic::Location;

/// What kind of a metric it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A number that only grows.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// How often values of which size were observed.
    Histogram,
}

impl Kind {
    /// Its name in Prometheus' formats.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric as it was declared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Description {
    /// Its name.
    pub name: &'static str,
    /// What it means, for people.
    pub help: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What sets it apart from others of the name.
    pub label: Option<(&'static str, &'static str)>,
    /// Where it was declared.
    pub declared: &'static Location<'static>,
}

impl Description {
    /// An application's.
    #[track_caller]
    pub(crate) const fn new(name: &'static str, help: &'static str, kind: Kind) -> Self {
        assert!(!check::is_reserved(name), "names that begin with `reflex_` are the system's own");
        Self::system(name, help, kind)
    }

    /// One of the system's own.
    ///
    /// # Panics
    /// When the name is none; this is for constants.
    #[doc(hidden)]
    #[track_caller]
    pub const fn system(name: &'static str, help: &'static str, kind: Kind) -> Self {
        if let Some(fault) = check::fault(name, matches!(kind, Kind::Counter)) {
            panic!("{}", fault);
        }
        Self { name, help: help.trim_ascii(), kind, label: None, declared: Location::caller() }
    }

    pub(crate) const fn label(self, key: &'static str, value: &'static str) -> Self {
        if let Some(fault) = check::label_fault(key) {
            panic!("{}", fault);
        }
        assert!(self.label.is_none(), "a metric has one label");
        Self { label: Some((key, value)), ..self }
    }

    /// A counter or a gauge that is worth `number`, at most `i64::MAX` if it is a gauge.
    pub fn number(&self, number: u64) -> Sample {
        self.sample(match self.kind {
            Kind::Gauge => Value::Gauge(i64::try_from(number).unwrap_or(i64::MAX)),
            _ => Value::Counter(number),
        })
    }

    /// What it is worth now.
    pub(crate) fn sample(&self, value: Value) -> Sample {
        let label = self.label.map(|(key, text)| Label { key, value: LabelValue::Text(text) });
        Sample { name: self.name, help: self.help, label, value }
    }
}

/// A metric that was declared: a [`Counter`](crate::Counter), a [`Gauge`](crate::Gauge), a
/// [`Histogram`](crate::Histogram).
pub trait Metric: Sync {
    /// As it was declared.
    fn description(&self) -> &Description;

    /// What it is worth now.
    fn sample(&'static self) -> Sample;
}
