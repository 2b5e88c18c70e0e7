//! All that was declared, in order, none of it twice.

use crate::{Description, Metric, Sample};
use alloc::vec::Vec;
use core::fmt;

/// The metrics that were declared, by name and label.
pub struct Registry(Vec<&'static dyn Metric>);

/// Two metrics that cannot be in one image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clash(&'static Description, &'static Description);

impl Registry {
    /// Puts what was declared in order.
    ///
    /// # Errors
    /// When two have the same name: with the same label or none, or with another kind, help or key.
    pub fn new(declared: impl IntoIterator<Item = &'static dyn Metric>) -> Result<Self, Clash> {
        let mut metrics: Vec<&'static dyn Metric> = Vec::new();
        // Few: the library's sort would be 3 KB of every image.
        for metric in declared {
            let this = key(metric.description());
            let at = metrics.partition_point(|before| key(before.description()) <= this);
            metrics.insert(at, metric);
        }
        for pair in metrics.windows(2) {
            let (one, other) = (pair[0], pair[1]);
            let (one, other) = (one.description(), other.description());
            if one.name == other.name && !go_together(one, other) {
                return Err(Clash(one, other));
            }
        }
        Ok(Self(metrics))
    }

    /// Tells what each is worth now, those of a name one after the other.
    pub fn each(&self, tell: &mut dyn FnMut(Sample)) {
        self.0.iter().for_each(|metric| tell(metric.sample()));
    }
}

/// By what they are in order: where two cannot go together, so that it is always the same two.
fn key(
    of: &Description,
) -> (&'static str, Option<(&'static str, &'static str)>, &'static str, u32) {
    (of.name, of.label, of.declared.file(), of.declared.line())
}

/// Whether two of the same name can be told apart, and are alike else.
fn go_together(one: &Description, other: &Description) -> bool {
    let keys = [one, other].map(|it| it.label.map(|(key, _)| key));
    let alike = one.kind == other.kind && one.help == other.help && keys[0] == keys[1];
    alike && one.label != other.label
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(one, other) = self;
        let what = if one.label == other.label {
            "is declared twice"
        } else {
            "is declared with two kinds, helps or labels"
        };
        write!(f, "the metric {} {what}: in {} and in {}", one.name, one.declared, other.declared)
    }
}

impl core::error::Error for Clash {}
