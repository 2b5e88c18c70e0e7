//! How long functions and test files are. A reader has a function before the eyes as a whole, and finds
//! a test in a file of one concept.

/// Lines of a function, from its name to its closing brace.
pub(crate) const FUNCTION: usize = 60;
/// Lines of a file of tests.
pub(crate) const TEST_FILE: usize = 600;

/// Functions that are tables, in assembly or of cases: nothing in them is to be split.
pub(crate) const TABLES: &[(&str, &str)] =
    &[("boot/src/string.rs", "memmove"), ("tests/bench/src/operations.rs", "all")];

/// The functions of a formatted file that are longer than [`FUNCTION`], with their lines.
pub(crate) fn long_functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (begin, line) in lines.iter().enumerate() {
        let Some(name) = function(line) else { continue };
        let indentation = line.len() - line.trim_start().len();
        let closing = format!("{}}}", &line[..indentation]);
        // The first line at the indentation of the name that is not of the signature ends it.
        let ends = |line: &&str| {
            let outside = line.len() > indentation && !line[indentation..].starts_with([' ', ')']);
            **line == closing || (outside && line.ends_with(';'))
        };
        if line.ends_with(';') || line.ends_with('}') {
            continue;
        }
        let Some(length) = lines[begin + 1..].iter().position(ends) else { continue };
        if length + 2 > FUNCTION {
            found.push((name.to_owned(), length + 2));
        }
    }
    found
}

/// The name of the function that begins in this line.
fn function(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let (before, after) = line.split_once("fn ")?;
    let word = |word: &str| {
        word.starts_with("pub") || ["const", "async", "unsafe", "extern", "\"C\""].contains(&word)
    };
    before.split_whitespace().all(word).then_some(())?;
    after.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}
