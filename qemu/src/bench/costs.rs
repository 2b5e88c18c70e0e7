//! `costs`: what the event system costs in guest instructions, beside what is on record: fails when one
//! is worse, and when one is better and not recorded.
//!
//! Under `-icount` a count is the same on every machine, so that one boot says it, and so a record of
//! counts can be kept with the sources (`tests/bench/costs.txt`, a case and its count a line).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::events::{self, ICOUNT, IMAGE};
use super::{Figure, Report};
use crate::build;

/// Where the record is, in the checkout.
const RECORD: &str = "tests/bench/costs.txt";
/// The image's command line.
const COUNTED: &str = "icount events=1000";

/// By how much a count may differ from its record: by more of either, whichever is more.
const PERCENT: f64 = 2.0;
const INSTRUCTIONS: f64 = 4.0;

/// A count by its case.
type Counts = BTreeMap<String, f64>;

/// How counts differ from their record.
#[derive(Clone, PartialEq, Debug)]
enum Fault {
    /// More instructions than on record.
    Worse { case: String, recorded: f64, counted: f64 },
    /// Fewer, which nobody would notice losing again.
    Better { case: String, recorded: f64, counted: f64 },
    /// A case on record was not counted.
    NotCounted(String),
    /// A case that was counted is not on record.
    NotRecorded { case: String, counted: f64 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worse { case, recorded, counted } => {
                write!(
                    f,
                    "{case} takes {counted} instructions; on record ({RECORD}) are {recorded}"
                )
            }
            Self::Better { case, recorded, counted } => write!(
                f,
                "{case} takes {counted} instructions, fewer than the {recorded} on record: \
                 write that into {RECORD}"
            ),
            Self::NotCounted(case) => {
                write!(f, "{case} is on record ({RECORD}) and was not counted")
            }
            Self::NotRecorded { case, counted } => {
                write!(
                    f,
                    "{case} takes {counted} instructions and is not on record: add it to {RECORD}"
                )
            }
        }
    }
}

/// Counts, and compares to the record.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no checkout")?;
    let file = checkout.join(RECORD);
    let text = std::fs::read_to_string(&file);
    let recorded = parse(&text.with_context(|| format!("{} cannot be read", file.display()))?)?;
    let image = build::image(IMAGE)?;
    let printed = events::boot(events::machine(&image, COUNTED).icount(ICOUNT))?;
    let counted: Counts = printed
        .iter()
        .filter(|printed| printed.unit == "instructions")
        .map(|printed| (printed.case.clone(), printed.value))
        .collect();
    ensure!(!counted.is_empty(), "the image has counted nothing");
    for (case, &value) in &counted {
        let figure = Figure::new("costs", case, value, "instructions").parameter("append", COUNTED);
        report.add(match recorded.get(case) {
            Some(&recorded) => figure.against("the record", recorded),
            None => figure,
        });
    }
    for fault in compare(&recorded, &counted) {
        report.refused(fault.to_string());
    }
    Ok(())
}

/// Reads a record: a case and its count a line; lines that begin with `#` say something to people.
fn parse(text: &str) -> Result<Counts> {
    let mut counts = Counts::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (case, count) =
            line.split_once(' ').with_context(|| format!("no count in {line:?}"))?;
        let count: u32 = count.trim().parse().with_context(|| format!("no count in {line:?}"))?;
        if counts.insert(case.to_owned(), f64::from(count)).is_some() {
            bail!("{case} is on record twice");
        }
    }
    Ok(counts)
}

fn compare(recorded: &Counts, counted: &Counts) -> Vec<Fault> {
    let known = recorded.iter().filter_map(|(case, &recorded)| {
        let Some(&counted) = counted.get(case) else {
            return Some(Fault::NotCounted(case.clone()));
        };
        let tolerated = INSTRUCTIONS.max(recorded * PERCENT / 100.0);
        let case = case.clone();
        if counted > recorded + tolerated {
            Some(Fault::Worse { case, recorded, counted })
        } else if counted < recorded - tolerated {
            Some(Fault::Better { case, recorded, counted })
        } else {
            None
        }
    });
    let unknown = counted.iter().filter(|(case, _)| !recorded.contains_key(*case));
    let unknown =
        unknown.map(|(case, &counted)| Fault::NotRecorded { case: case.clone(), counted });
    known.chain(unknown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &str = "# instructions\nactivate 100\n\nregister 1000\n";

    fn compared(counted: &str) -> Vec<Fault> {
        compare(&parse(SOME).unwrap(), &parse(counted).unwrap())
    }

    #[test]
    fn a_regression_is_refused() {
        assert_eq!(compared("activate 100\nregister 1000"), []);
        // 4 instructions, or 2 %, are tolerated, whichever is more.
        assert_eq!(compared("activate 104\nregister 1020"), []);
        let worse = |case: &str, recorded, counted| {
            vec![Fault::Worse { case: case.into(), recorded, counted }]
        };
        assert_eq!(compared("activate 105\nregister 1000"), worse("activate", 100.0, 105.0));
        assert_eq!(compared("activate 100\nregister 1021"), worse("register", 1000.0, 1021.0));
    }

    #[test]
    fn an_improvement_is_to_be_recorded() {
        assert_eq!(compared("activate 96\nregister 980"), []);
        let faults = compared("activate 95\nregister 979");
        assert!(matches!(&faults[..], [Fault::Better { .. }, Fault::Better { .. }]), "{faults:?}");
        assert_eq!(
            faults[0].to_string(),
            "activate takes 95 instructions, fewer than the 100 on record: write that into \
             tests/bench/costs.txt"
        );
    }

    #[test]
    fn cases_come_and_go_by_the_record_alone() {
        let counted = 7.0;
        assert_eq!(
            compared("activate 100\nring 7"),
            [
                Fault::NotCounted("register".into()),
                Fault::NotRecorded { case: "ring".into(), counted }
            ]
        );
    }

    #[test]
    fn a_record_is_a_count_a_line() {
        assert_eq!(parse(SOME).unwrap().len(), 2);
        for wrong in ["activate", "activate many", "activate -1", "a 1\na 2"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    /// The record of the checkout can be read, and says what the page of promises says.
    #[test]
    fn the_promises_are_what_is_on_record() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let read = |name| std::fs::read_to_string(checkout.join(name)).unwrap();
        let recorded = parse(&read(RECORD)).unwrap();
        let page = read("SPECIFICATION.md");
        let mut promised = 0;
        for line in page.lines().filter(|line| line.contains("`costs`: ")) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, _, count, benchmark, ..] = cells[..] else { panic!("no row: {line}") };
            let cases = benchmark.split('`').skip(3).step_by(2);
            for (case, count) in cases.zip(count.split(" / ")) {
                assert_eq!(
                    recorded.get(case).map(f64::to_string).as_deref(),
                    Some(count),
                    "{case}"
                );
                promised += 1;
            }
        }
        assert!(promised > 10, "{promised} counts on the page");
    }
}
