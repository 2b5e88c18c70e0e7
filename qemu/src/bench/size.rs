//! `size`: bytes of stripped images, and which crates they are of.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolSection};

use super::Report;
use super::figure::{Figure, Goal};
use crate::build;
use crate::image::strip;
use crate::process;
use crate::project::Project;

/// What is measured, and the most bytes that it should have.
const IMAGES: [(&str, f64); 2] = [("hello", 120e3), ("httpd", 300e3)];
/// Crates that are told by name: those of most bytes.
const TOLD: usize = 12;

/// Measures the files that `cargo reflex image` writes: of `project`'s appliances where there is one, and else those
/// that goals are about.
pub(crate) fn run(project: Option<&Project>, report: &mut Report) -> Result<()> {
    let Some(project) = project else {
        return IMAGES.into_iter().try_for_each(|(name, goal)| {
            measure(name, &build::image(name)?, Some(Goal::AtMost(goal)), report)
        });
    };
    for image in project.appliances().cloned() {
        let name = image.name.clone();
        measure(&name, &process::outside(move || build::build(&image))?, None, report)?;
    }
    Ok(())
}

fn measure(name: &str, file: &Path, goal: Option<Goal>, report: &mut Report) -> Result<()> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    let stripped = strip(&bytes)?.len();
    let command = format!("cargo reflex image {name}");
    let whole = Figure::new("size", format!("{name}, stripped"), stripped as f64, "bytes");
    let whole = whole.parameter("command", command);
    report.add(match goal {
        Some(goal) => whole.goal(goal),
        None => whole,
    });
    for (origin, bytes) in shares(by_crate(&bytes)?, stripped) {
        report.add(Figure::new("size", format!("{name}: {origin}"), bytes as f64, "bytes"));
    }
    Ok(())
}

/// The crates of most bytes, and what is left of the whole.
fn shares(by_crate: BTreeMap<String, usize>, whole: usize) -> Vec<(String, usize)> {
    let mut shares: Vec<(String, usize)> = by_crate.into_iter().collect();
    shares.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    shares.truncate(TOLD);
    let told: usize = shares.iter().map(|(_, bytes)| bytes).sum();
    shares.push(("constants without a name, and other crates".into(), whole.saturating_sub(told)));
    shares
}

/// The bytes of named code and data by the crate that they are written in; a generic function counts for its own
/// crate, and what was put into its callers for theirs.
fn by_crate(image: &[u8]) -> Result<BTreeMap<String, usize>> {
    let file = object::File::parse(image)?;
    let mut crates = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.size() > 0) {
        let SymbolSection::Section(index) = symbol.section() else { continue };
        // What starts as zero is not in the file.
        let kind = file.section_by_index(index)?.kind();
        if !matches!(kind, SectionKind::Text | SectionKind::ReadOnlyData | SectionKind::Data) {
            continue;
        }
        *crates.entry(crate_of(symbol.name()?)).or_default() += symbol.size() as usize;
    }
    Ok(crates)
}

/// The crate of a symbol: the first name of the first path in it.
fn crate_of(symbol: &str) -> String {
    let name = format!("{:#}", rustc_demangle::demangle(symbol));
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let path = name.split("::").next().filter(|first| first.len() < name.len());
    let origin = path.and_then(|path| path.rsplit(|letter| !is_part(letter)).next());
    origin.filter(|origin| !origin.is_empty()).unwrap_or("names without a path").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_of_the_crate_that_its_first_path_begins_with() {
        for (symbol, origin) in [
            ("_ZN14reflex_runtime8dispatch6switch8finished17h0123456789abcdefE", "reflex_runtime"),
            (
                "_ZN59_$LT$reflex..error..Error$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
                "reflex",
            ),
            ("_ZN42_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE", "core"),
            ("memcpy", "names without a path"),
        ] {
            assert_eq!(crate_of(symbol), origin);
        }
    }

    #[test]
    fn shares_are_of_the_largest_and_sum_up_to_the_whole() {
        let sizes = (1..=20).map(|number| (format!("crate{number}"), number * 10)).collect();
        let shares = shares(sizes, 5000);
        assert_eq!(shares[0], ("crate20".to_owned(), 200));
        assert_eq!(shares.len(), TOLD + 1);
        assert_eq!(shares.iter().map(|(_, bytes)| bytes).sum::<usize>(), 5000);
    }

    #[test]
    fn the_bytes_of_this_program_are_of_its_crates() {
        let own = fs::read(std::env::current_exe().expect("this test")).expect("readable");
        let crates = by_crate(&own).expect("an ELF file");
        assert!(crates["reflex_qemu"] > 10_000 && crates["core"] > 10_000);
    }
}
