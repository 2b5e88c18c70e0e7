//! The drawing of the layers, `docs/architecture/layers.md`, read as what it says: which crate is on
//! which floor.

use super::graph::{Kind, Rule};
use std::collections::BTreeMap;

/// The floor of each crate, by its folder: lines of the drawing that begin with a number.
pub(crate) fn floors(page: &str) -> BTreeMap<&str, usize> {
    let drawing = page.split("```").nth(1).unwrap_or_default();
    let mut floors = BTreeMap::new();
    let mut floor = None;
    for line in drawing.lines() {
        // An arrow leads to a crate that has its place elsewhere.
        let line = line.split('▶').next().unwrap_or_default();
        floor = line.split_whitespace().next().and_then(|word| word.parse().ok()).or(floor);
        let Some(floor) = floor else { continue };
        let words = line.split_whitespace().map(|word| word.trim_end_matches(','));
        let folders = words.filter(|word| *word == "boot" || word.contains('/'));
        floors.extend(folders.filter(|word| !word.contains('*')).map(|folder| (folder, floor)));
    }
    floors
}

/// What is wrong with the drawing: crates of an image that are not on it, folders that are none, and
/// imports that do not lead down. `folders` has each package's.
pub(crate) fn faults(
    page: &str,
    rules: &[Rule],
    folders: &BTreeMap<String, String>,
) -> Vec<String> {
    let floors = floors(page);
    let floor = |package: &str| floors.get(folders.get(package)?.as_str()).copied();
    let mut faults = Vec::new();
    for rule in rules {
        let library = matches!(rule.kind, Kind::Pure | Kind::Memory | Kind::Machine);
        match floor(rule.package) {
            None if library => faults.push(format!("{} is missing", rule.package)),
            None => {}
            Some(own) => {
                let up =
                    rule.imports.iter().filter(|import| floor(import).is_some_and(|at| at >= own));
                faults.extend(up.map(|import| format!("{} imports {import}", rule.package)));
            }
        }
    }
    let known = |folder: &str| folders.values().any(|it| it == folder);
    faults.extend(floors.keys().filter(|it| !known(it)).map(|it| format!("{it} is no crate")));
    faults
}
