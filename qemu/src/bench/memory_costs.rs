//! `memory-costs`: what the global heap costs beside 1, 1,000 and 100,000 live blocks and as many holes, in
//! guest instructions, and for how long it defers dispatch at most.
//!
//! The image `guest-bench` measures itself and prints `#! figure memory-costs CASE blocks=N ...` lines. It is
//! booted under `-icount`, and once more with its feature `measure`, for the longest sections.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::Report;
use super::events::{self, ICOUNT, IMAGE, Printed};
use super::figure::{Figure, Goal};
use crate::build;

/// The image's command line.
const APPEND: &str = "icount memory-costs";
/// How far a case's figures may lie apart over the numbers of blocks.
const FLAT_PERCENT: f64 = 5.0;
/// Cases that tell of the longest sections begin so, and have this goal in instructions.
const SECTIONS: (&str, f64) = ("longest-", 200.0);

/// Measures our heap.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let image = build::image(IMAGE)?;
    let counted = events::boot(events::machine(&image, APPEND).icount(ICOUNT));
    report.figures.extend(figures(&counted.context("instructions")?));
    let measuring = events::build_measuring()?;
    let sections = events::boot(events::machine(&measuring, APPEND).icount(ICOUNT));
    report.figures.extend(self::sections(&sections.context("longest sections")?));
    Ok(())
}

/// The guest's figures, then how flat each case is.
fn figures(printed: &[Printed]) -> Vec<Figure> {
    let mut figures: Vec<Figure> = printed.iter().filter_map(plain).collect();
    figures.extend(flatness(printed));
    figures
}

/// The longest sections, by the image that measures them.
fn sections(printed: &[Printed]) -> Vec<Figure> {
    let sections = printed.iter().filter(|printed| printed.case.starts_with(SECTIONS.0));
    let figures = sections.filter_map(plain);
    figures
        .map(|figure| figure.parameter("features", "measure").goal(Goal::AtMost(SECTIONS.1)))
        .collect()
}

/// A printed figure as it is; `None` for one that is not of this benchmark.
fn plain(printed: &Printed) -> Option<Figure> {
    let blocks = blocks(printed)?;
    let case = format!("{}, {blocks} blocks", printed.case);
    let mut figure = Figure::new("memory-costs", case, printed.value, &printed.unit);
    for (name, value) in &printed.parameters {
        figure = figure.parameter(name, value.clone());
    }
    Some(figure)
}

fn blocks(printed: &Printed) -> Option<u64> {
    printed.parameters.get("blocks")?.parse().ok()
}

/// By how many percent of the smallest figure of a case the largest lies above it. That is for medians: the
/// longest of many depends on whether chance has left a hole of the very size, and that is all.
fn flatness(printed: &[Printed]) -> Vec<Figure> {
    let mut cases: BTreeMap<&str, Vec<&Printed>> = BTreeMap::new();
    let median = |printed: &&Printed| {
        let call =
            ["heap-allocate-", "heap-free-"].iter().any(|call| printed.case.starts_with(call));
        call && !printed.case.ends_with("-longest") && blocks(printed).is_some()
    };
    for printed in printed.iter().filter(median) {
        cases.entry(&printed.case).or_default().push(printed);
    }
    let mut figures = Vec::new();
    for (case, printed) in cases {
        let values = || printed.iter().map(|printed| printed.value);
        let (smallest, largest) =
            (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        if printed.len() < 2 || smallest <= 0.0 {
            continue;
        }
        let blocks: Vec<u64> = printed.iter().filter_map(|printed| blocks(printed)).collect();
        let spread = (largest / smallest - 1.0) * 100.0;
        figures.push(
            Figure::new("memory-costs", format!("{case}, spread over blocks"), spread, "%")
                .parameter("blocks", blocks)
                .goal(Goal::AtMost(FLAT_PERCENT)),
        );
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::events::tests::print;

    #[test]
    fn flatness_is_the_spread_over_numbers_of_blocks() {
        let printed = [
            print("memory-costs heap-free-24 blocks=1 value=200 unit=instructions"),
            print("memory-costs heap-free-24 blocks=1000 value=211 unit=instructions"),
            print("memory-costs heap-free-24 blocks=100000 value=205 unit=instructions"),
            print("memory-costs heap-free-24-longest blocks=1 value=200 unit=instructions"),
            print("memory-costs heap-free-24-longest blocks=1000 value=300 unit=instructions"),
            print("memory-costs heap-grow blocks=1 value=600 unit=instructions"),
            print("memory-costs heap-grow blocks=1000 value=700 unit=instructions"),
            print("events tsc-frequency value=5 unit=Hz"),
        ];
        let figures = figures(&printed);
        assert_eq!(figures.len(), 8);
        let spread = &figures[7];
        assert_eq!(spread.case, "heap-free-24, spread over blocks");
        assert!((spread.value - 5.5).abs() < 1e-9 && spread.met == Some(false), "{spread:?}");
        assert_eq!(figures[0].case, "heap-free-24, 1 blocks");
    }

    #[test]
    fn sections_are_judged_and_alone_taken_from_the_image_that_measures_them() {
        let printed = [
            print("memory-costs heap-free-24 blocks=1 value=200 unit=instructions"),
            print("memory-costs longest-deferred blocks=1 value=201 unit=instructions"),
            print("memory-costs longest-deferred blocks=1000 value=200 unit=instructions"),
        ];
        let met: Vec<_> = sections(&printed).into_iter().map(|figure| figure.met).collect();
        assert_eq!(met, [Some(false), Some(true)]);
    }
}
