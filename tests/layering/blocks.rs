//! How many unsafe blocks there are: each is a place where the compiler takes our word.

use super::sources::{code, files};
use std::path::Path;

/// The most unsafe blocks in the sources below a folder. Where there are none to be spared, as many
/// as there were when the bounds were set: none is gained, but with a driver and the reset of a machine. Of those in `boot`, five are a simulated
/// machine's, four read what an image is told and nine bring processors up and stop them; of those in `kernel/runtime`, one spares an unregistration five instructions;
/// sixteen in `kernel/arch` are instructions on the words that a core has to itself, and
/// two in `kernel/across` move entries in and out of rings; five in `kernel/memory` give blocks back from other cores.
pub(crate) const BOUNDS: [(&str, usize); 5] =
    [("kernel/runtime", 133), ("kernel", 293), ("boot", 53), ("drivers", 64), ("apps", 1)];

/// The unsafe blocks in the sources below a folder of the checkout.
pub(crate) fn blocks_below(folder: &str) -> usize {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(folder);
    files(&root)
        .iter()
        .filter(|file| file.components().any(|part| part.as_os_str() == "src"))
        .map(|file| blocks(&std::fs::read_to_string(file).expect("a source file is text")))
        .sum()
}

/// The statics in the sources below a folder of the checkout.
pub(crate) fn statics_below(folder: &str) -> Vec<String> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(folder);
    let text = |file: &std::path::PathBuf| std::fs::read_to_string(file).expect("it is text");
    let mut found: Vec<_> = files(&root).iter().flat_map(|file| statics(&text(file))).collect();
    found.sort();
    found
}

/// The names of the statics in a text.
pub(crate) fn statics(text: &str) -> Vec<String> {
    let code = code(text);
    let words: Vec<&str> = code.split_whitespace().collect();
    let named = words.windows(2).filter(|pair| pair[0] == "static");
    named.filter_map(|pair| pair[1].strip_suffix(':')).map(str::to_owned).collect()
}

/// The unsafe blocks in a text.
pub(crate) fn blocks(text: &str) -> usize {
    let code = code(text);
    let after = code.split("unsafe").skip(1);
    after.filter(|rest| rest.trim_start().starts_with('{')).count()
}
