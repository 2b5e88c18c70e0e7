//! One figure of a benchmark, as it stands in the JSON file and in the table.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A measured value with all that is needed to measure it again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The benchmark it belongs to.
    pub bench: String,
    /// What was measured.
    pub case: String,
    /// How: the commands, counts and settings.
    pub parameters: BTreeMap<String, Value>,
    /// The figure, in `unit`.
    pub value: f64,
    /// Unit of `value` and `peer_value`.
    pub unit: String,
    /// What it is compared to.
    pub peer: Option<String>,
    /// The peer's figure.
    pub peer_value: Option<f64>,
    /// `value / peer_value`.
    pub ratio: Option<f64>,
    /// The goal, as text.
    pub goal: Option<String>,
    /// Whether the goal is met; nothing when it could not be judged.
    pub met: Option<bool>,
}

/// What a figure should reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most this, in the figure's unit.
    AtMost(f64),
    /// At most the peer's figure times this.
    RatioAtMost(f64),
    /// At least the peer's figure times this.
    RatioAtLeast(f64),
}

impl Figure {
    /// A figure with no parameters, peer or goal.
    pub fn new(bench: &str, case: impl Into<String>, value: f64, unit: &str) -> Self {
        Self {
            bench: bench.into(),
            case: case.into(),
            parameters: BTreeMap::new(),
            value,
            unit: unit.into(),
            peer: None,
            peer_value: None,
            ratio: None,
            goal: None,
            met: None,
        }
    }

    /// Adds something to know about how it was measured.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// Sets what it is compared to.
    #[must_use]
    pub fn against(mut self, peer: &str, value: f64) -> Self {
        self.peer = Some(peer.into());
        self.peer_value = Some(value);
        self.ratio = (value != 0.0).then(|| self.value / value);
        self
    }

    /// Sets the goal and judges it; a goal relative to a peer comes after [`Figure::against`].
    #[must_use]
    pub fn goal(mut self, goal: Goal) -> Self {
        let (text, met) = match goal {
            Goal::AtMost(limit) => (format!("<= {limit} {}", self.unit), Some(self.value <= limit)),
            Goal::RatioAtMost(limit) => (
                // Small ratios read better as a part of the whole.
                format!("<= 1/{} of the peer", (1.0 / limit).round()),
                self.ratio.map(|ratio| ratio <= limit),
            ),
            Goal::RatioAtLeast(limit) => {
                (format!(">= {limit} x the peer"), self.ratio.map(|ratio| ratio >= limit))
            }
        };
        self.goal = Some(text);
        self.met = met;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_object_has_exactly_the_promised_keys() {
        let figure = Figure::new("http", "100 connections", 10.0, "requests/s")
            .parameter("pairs", 3)
            .against("linux", 2.0)
            .goal(Goal::RatioAtLeast(5.0));
        let json = serde_json::to_value(&figure).unwrap();
        let mut keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let mut promised = [
            "bench",
            "case",
            "parameters",
            "value",
            "unit",
            "peer",
            "peer_value",
            "ratio",
            "goal",
            "met",
        ];
        promised.sort_unstable();
        assert_eq!(keys, promised);
        assert_eq!(json["ratio"], 5.0);
        assert_eq!(json["met"], true);
        assert_eq!(json["parameters"]["pairs"], 3);
    }

    #[test]
    fn goals_are_judged_at_their_edges_and_not_without_a_peer() {
        let figure = || Figure::new("start", "q35", 10.0, "ms");
        assert_eq!(figure().goal(Goal::AtMost(10.0)).met, Some(true));
        assert_eq!(figure().goal(Goal::AtMost(9.9)).met, Some(false));
        assert_eq!(figure().goal(Goal::RatioAtMost(0.05)).met, None);
        let missed = figure().against("linux", 199.0).goal(Goal::RatioAtMost(0.05));
        assert_eq!(missed.met, Some(false));
        assert_eq!(missed.goal.as_deref(), Some("<= 1/20 of the peer"));
        assert_eq!(figure().against("linux", 200.0).goal(Goal::RatioAtMost(0.05)).met, Some(true));
    }

    #[test]
    fn a_peer_figure_of_zero_gives_no_ratio() {
        let figure = Figure::new("x", "y", 1.0, "z").against("linux", 0.0);
        assert_eq!(figure.ratio, None);
        assert_eq!(figure.goal(Goal::RatioAtLeast(1.0)).met, None);
    }
}
