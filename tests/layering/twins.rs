//! The same logic written twice: runs of lines of code that stand, to the letter, in two places.

use std::collections::BTreeMap;

/// Lines that may stand twice: a signature, a loop and its end are not logic yet.
pub(crate) const MOST: usize = 11;

/// Where a run begins: the file, and the line there.
pub(crate) type Place = (String, usize);

/// Pairs of places that share more than [`MOST`] lines of code, of sources by their paths. Comments, imports and
/// lines without a word are passed over.
pub(crate) fn twins(sources: &BTreeMap<String, String>) -> Vec<(Place, Place)> {
    let mut seen: BTreeMap<Vec<&str>, Place> = BTreeMap::new();
    let mut found: Vec<(Place, Place)> = Vec::new();
    for (path, text) in sources {
        let lines = lines(text);
        let mut after = 0;
        for (at, run) in lines.windows(MOST + 1).enumerate() {
            let place = (path.clone(), run[0].0);
            let words: Vec<&str> = run.iter().map(|(_, line)| *line).collect();
            match seen.get(&words) {
                // The rest of a longer run is not told again.
                Some(first) if at >= after => {
                    found.push((first.clone(), place));
                    after = at + MOST + 1;
                }
                Some(_) => {}
                None => drop(seen.insert(words, place)),
            }
        }
    }
    found
}

/// The lines of code, with their numbers.
fn lines(text: &str) -> Vec<(usize, &str)> {
    let mut import = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        import |= line.starts_with("use ") || line.starts_with("pub use ");
        let word = line.contains(|c: char| c.is_alphanumeric());
        if word && !import && !line.starts_with("//") && !line.starts_with('#') {
            lines.push((number + 1, line));
        }
        import &= !line.ends_with(';');
    }
    lines
}
