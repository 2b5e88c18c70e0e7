//! How many unsafe blocks there are: each is a place where the compiler takes our word.

use super::sources::{code, files};
use std::path::Path;

/// The most unsafe blocks in the sources below a folder. Where there are none to be spared, as many
/// as there were when the bounds were set: none is gained.
pub(crate) const BOUNDS: [(&str, usize); 5] =
    [("kernel/runtime", 120), ("kernel", 250), ("boot", 33), ("drivers", 52), ("apps", 1)];

/// The unsafe blocks in the sources below a folder of the checkout.
pub(crate) fn blocks_below(folder: &str) -> usize {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(folder);
    files(&root)
        .iter()
        .filter(|file| file.components().any(|part| part.as_os_str() == "src"))
        .map(|file| blocks(&std::fs::read_to_string(file).expect("a source file is text")))
        .sum()
}

/// The unsafe blocks in a text.
pub(crate) fn blocks(text: &str) -> usize {
    let code = code(text);
    let after = code.split("unsafe").skip(1);
    after.filter(|rest| rest.trim_start().starts_with('{')).count()
}
