//! Figures as a table for people.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde_json::Value;

use super::EMULATOR;
use super::figure::Figure;

/// One table of figures; the verdict column says `MISSED` where a goal is missed.
pub(crate) fn render(figures: &[Figure]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "bench", "case", "value", "unit", "peer", "peer's", "ratio", "goal", "", "QEMU",
    ]);
    for (case, figure) in rows(figures) {
        table.add_row([
            figure.bench.clone(),
            case,
            number(figure.value),
            figure.unit.clone(),
            figure.peer.clone().unwrap_or_default(),
            figure.peer_value.map(number).unwrap_or_default(),
            figure.ratio.map(ratio).unwrap_or_default(),
            figure.goal.clone().unwrap_or_default(),
            verdict(figure).into(),
            emulator(figure).into(),
        ]);
    }
    for column in [2, 5, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// A row for each figure, but one for neighbours that differ only in how many events were
/// registered: flat costs are the ordinary case.
fn rows(figures: &[Figure]) -> Vec<(String, &Figure)> {
    let mut rows: Vec<(String, &Figure)> = Vec::new();
    for figure in figures {
        if let Some((case, first)) = rows.last_mut()
            && let Some(base) = same_but_for_events(first, figure)
        {
            let events = |figure: &Figure| match &figure.parameters["events"] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            *case = format!("{base}, {} to {} events", events(first), events(figure));
        } else {
            rows.push((figure.case.clone(), figure));
        }
    }
    rows
}

/// The case both are of, if all but the number of events is equal.
fn same_but_for_events<'a>(one: &'a Figure, other: &Figure) -> Option<&'a str> {
    let base = |figure: &'a Figure| {
        figure.parameters.get("events")?;
        Some(figure.case.rsplit_once(", ")?.0)
    };
    let case = base(one)?;
    let of_case = other.case.strip_prefix(case)?.starts_with(", ");
    let equal = one.bench == other.bench
        && (one.value, &one.unit) == (other.value, &other.unit)
        && (&one.peer, one.peer_value) == (&other.peer, other.peer_value)
        && (&one.goal, one.met) == (&other.goal, other.met);
    (of_case && equal && other.parameters.contains_key("events")).then_some(case)
}

/// The numbers of QEMU's version, without the packager's words; nothing where no guest ran.
fn emulator(figure: &Figure) -> &str {
    let version = figure.parameters.get(EMULATOR).and_then(Value::as_str).unwrap_or_default();
    version.split(' ').next().unwrap_or_default()
}

fn verdict(figure: &Figure) -> &'static str {
    match (&figure.goal, figure.met) {
        (_, Some(true)) => "met",
        (_, Some(false)) => "MISSED",
        (Some(_), None) => "not judged",
        (None, None) => "",
    }
}

/// Three significant digits at least, thousands grouped.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude < 100.0 && value.fract() != 0.0 {
        return format!("{value:.*}", if magnitude < 10.0 { 2 } else { 1 });
    }
    let digits = format!("{magnitude:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value < 0.0 { format!("-{grouped}") } else { grouped }
}

fn ratio(ratio: f64) -> String {
    if ratio < 0.2 { format!("1/{:.1}", 1.0 / ratio) } else { format!("{ratio:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figure::Goal;

    #[test]
    fn a_missed_goal_is_said_plainly() {
        let missed = Figure::new("size", "httpd", 400_000.0, "bytes").goal(Goal::AtMost(300_000.0));
        let met = Figure::new("size", "hello", 1.0, "bytes").goal(Goal::AtMost(300_000.0));
        let text = render(&[missed, met]);
        let row = |case: &str| text.lines().find(|line| line.contains(case)).unwrap().to_string();
        assert!(row("httpd").contains("400,000") && row("httpd").contains("MISSED"), "{text}");
        assert!(row("hello").contains("met") && !row("hello").contains("MISSED"), "{text}");
    }

    #[test]
    fn a_figure_tells_its_emulator() {
        let booted =
            Figure::new("start", "q35", 9.0, "ms").parameter(EMULATOR, "99.1.3 (Nobody's)");
        let text = render(&[booted, Figure::new("size", "httpd", 9.0, "bytes")]);
        assert!(text.contains("99.1.3") && !text.contains("Nobody"), "{text}");
    }

    #[test]
    fn only_neighbours_that_are_flat_share_a_row() {
        let of = |case: &str, events: &str, value| {
            let case = format!("{case}, {events} events");
            Figure::new("events", case, value, "instructions").parameter("events", events)
        };
        let figures = [
            of("arm", "10", 5.0),
            of("arm", "1000", 5.0),
            of("arm", "100000", 5.0),
            of("arm", "1000000", 6.0),
            of("arm-again", "10", 6.0),
            Figure::new("events", "longest", 6.0, "instructions"),
        ];
        let rows = rows(&figures);
        let cases: Vec<_> = rows.iter().map(|(case, _)| case.as_str()).collect();
        assert_eq!(
            cases,
            ["arm, 10 to 100000 events", "arm, 1000000 events", "arm-again, 10 events", "longest"]
        );
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(123.4), "123");
        assert_eq!(number(12.34), "12.3");
        assert_eq!(number(1.236), "1.24");
        assert_eq!(number(60.0), "60");
        assert_eq!(number(-1000.0), "-1,000");
        assert_eq!(ratio(0.05), "1/20.0");
        assert_eq!(ratio(5.25), "5.25");
    }
}
