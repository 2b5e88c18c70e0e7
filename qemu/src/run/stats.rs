//! `--stats`: how long activations waited for their handlers, what contexts have, and metrics, as the guest
//! told last.

use std::collections::BTreeMap;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use crate::protocol::{Event, MetricValue, Waits};

/// How often the guest tells, in milliseconds.
pub(super) const PERIOD_MS: u32 = 500;

/// What the guest has told.
#[derive(Default)]
pub(super) struct Stats {
    /// Time stamp counts a second.
    hz: Option<u64>,
    /// By priority.
    waits: BTreeMap<u8, Waits>,
    /// By name and label.
    metrics: BTreeMap<String, MetricValue>,
    /// By place: name and amounts.
    contexts: BTreeMap<u16, (String, BTreeMap<String, u64>)>,
}

/// What is shown of a context: the header, and the amount by its name.
const AMOUNTS: [(&str, &str); 9] = [
    ("registrations", "registrations"),
    ("memory used", "used"),
    ("at most", "peak"),
    ("of", "of"),
    ("lent", "lent"),
    ("refused", "refused"),
    ("set aside", "aside"),
    ("stack", "stack"),
    ("heap", "heap"),
];

impl Stats {
    /// Takes note of a line, if it is about waits, contexts or metrics.
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::LatencyUnit(hz) => self.hz = Some(*hz),
            Event::Latency(priority, waits) => {
                self.waits.insert(*priority, waits.clone());
            }
            Event::Metric { name, value } => {
                self.metrics.insert(name.clone(), value.clone());
            }
            Event::Context { index, name, amounts } => {
                self.contexts.insert(*index, (name.clone(), amounts.clone()));
            }
            _ => {}
        }
    }

    /// A table of the metrics, by name; `None` when none was told of.
    pub(super) fn metrics(&self) -> Option<String> {
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["metric", "value"]);
        for (name, value) in &self.metrics {
            table.add_row([name.clone(), shown(value)]);
        }
        if let Some(values) = table.column_mut(1) {
            values.set_cell_alignment(CellAlignment::Right);
        }
        (!self.metrics.is_empty()).then(|| table.to_string())
    }

    /// A table of what each context has, in bytes, and of all together; `None` when none was told of.
    pub(super) fn contexts(&self) -> Option<String> {
        if self.contexts.is_empty() {
            return None;
        }
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["context"].into_iter().chain(AMOUNTS.map(|(header, _)| header)));
        let mut all = [0; AMOUNTS.len()];
        for (name, amounts) in self.contexts.values() {
            let amounts = AMOUNTS.map(|(_, key)| amounts.get(key).copied().unwrap_or(0));
            all.iter_mut().zip(amounts).for_each(|(all, amount)| *all += amount);
            table.add_row([name.clone()].into_iter().chain(amounts.map(|it| it.to_string())));
        }
        let all = all.map(|it| it.to_string());
        table.add_row(["all".to_owned()].into_iter().chain(all));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Some(table.to_string())
    }

    /// A table of all priorities, the highest first; `None` when the guest has told nothing.
    pub(super) fn table(&self) -> Option<String> {
        if self.waits.is_empty() {
            return None;
        }
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header([
            "priority",
            "activations",
            "at once",
            "50 % under",
            "99 % under",
            "all under",
        ]);
        for (priority, waits) in self.waits.iter().rev() {
            let under = |permille| self.time(waits.quantile(permille));
            table.add_row([
                priority.to_string(),
                waits.total().to_string(),
                waits.at_once.to_string(),
                under(500),
                under(990),
                under(1000),
            ]);
        }
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Some(table.to_string())
    }

    /// A number of counts as a time.
    fn time(&self, counts: u64) -> String {
        let Some(hz) = self.hz.filter(|hz| *hz > 0) else { return format!("{counts} counts") };
        let nanos = counts as f64 * 1e9 / hz as f64;
        match nanos {
            n if n < 1e3 => format!("{n:.0} ns"),
            n if n < 1e6 => format!("{:.1} us", n / 1e3),
            n if n < 1e9 => format!("{:.1} ms", n / 1e6),
            n => format!("{:.1} s", n / 1e9),
        }
    }
}

/// A metric's value in the table.
fn shown(value: &MetricValue) -> String {
    match value {
        MetricValue::Counter(count) => count.to_string(),
        MetricValue::Gauge(level) => level.to_string(),
        MetricValue::Histogram(numbers) => {
            let number = |key| numbers.get(key).copied().unwrap_or(0);
            let [count, p50, p99, max] = ["count", "p50", "p99", "max"].map(number);
            format!("{count} values, 50 % to {p50}, 99 % to {p99}, all to {max}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_that_was_told_counts_and_the_highest_priority_comes_first() {
        let mut stats = Stats::default();
        assert_eq!(stats.table(), None);
        let waits = |at_once, waited: &[(u64, u64)]| Waits { at_once, waited: waited.to_vec() };
        stats.note(&Event::LatencyUnit(1_000_000_000));
        stats.note(&Event::Latency(3, waits(1, &[])));
        stats.note(&Event::Latency(48, waits(98, &[(512, 1), (4096, 1)])));
        stats.note(&Event::Latency(3, waits(5, &[(2048, 5)])));
        let table = stats.table().unwrap();
        let rows: Vec<&str> =
            table.lines().filter(|line| line.contains(" s") || line.contains("us")).collect();
        assert_eq!(rows.len(), 2, "{table}");
        assert!(rows[0].contains("48") && rows[0].contains("512 ns") && rows[0].contains("4.1 us"));
        assert!(rows[1].contains("10") && rows[1].contains("2.0 us"));
    }

    #[test]
    fn of_each_context_the_last_is_shown_and_all_are_added_up() {
        let mut stats = Stats::default();
        assert_eq!(stats.contexts(), None);
        for (index, name, used) in [(0, "main", 1), (1, "httpd", 200), (1, "httpd", 300)] {
            let amounts = [("used".to_owned(), used), ("of".to_owned(), 1_000)].into();
            stats.note(&Event::Context { index, name: name.to_owned(), amounts });
        }
        let table = stats.contexts().unwrap();
        let row = |name: &str| {
            let row = table.lines().find(|line| line.contains(name)).unwrap();
            row.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u64>>()
        };
        assert_eq!(row("httpd"), [0, 300, 0, 1_000, 0, 0, 0, 0, 0], "{table}");
        assert_eq!(row("all "), [0, 301, 0, 2_000, 0, 0, 0, 0, 0], "{table}");
    }

    #[test]
    fn of_each_metric_the_last_is_shown() {
        let mut stats = Stats::default();
        assert_eq!(stats.metrics(), None);
        let took = [("count", 9), ("p50", 3), ("p99", 7), ("max", 8)];
        let took = took.map(|(key, number)| (key.to_owned(), number));
        for (name, value) in [
            ("sent_total", MetricValue::Counter(2)),
            ("depth", MetricValue::Gauge(-1)),
            ("took", MetricValue::Histogram(took.into())),
            ("sent_total", MetricValue::Counter(3)),
        ] {
            stats.note(&Event::Metric { name: name.to_owned(), value });
        }
        let table = stats.metrics().unwrap();
        let row = |name: &str| table.lines().find(|line| line.contains(name)).unwrap();
        assert!(row("sent_total").contains(" 3 ") && row("depth").contains(" -1 "), "{table}");
        assert!(row("took").contains("9 values, 50 % to 3, 99 % to 7, all to 8"), "{table}");
        assert_eq!(table.matches("sent_total").count(), 1, "{table}");
    }
}
