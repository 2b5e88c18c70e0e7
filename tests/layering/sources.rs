//! What a package's sources say of themselves: read as text, comments and strings left out.

use super::graph::Kind;
use std::path::{Path, PathBuf};

/// What a source file must not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lapse {
    /// A crate root without `no_std`.
    Std,
    /// A crate root of a pure crate without `forbid(unsafe_code)`.
    UnsafeNotForbidden,
    /// The word `unsafe`.
    Unsafe,
    /// A static item.
    Static,
}

/// The packages that may have statics: the runtime, what start-up needs of the language and the
/// processor, and the list of in-image tests that the linker puts together.
const WITH_STATICS: [&str; 4] = ["reflex-runtime", "reflex-boot", "reflex-arch", "reflex"];

/// What is wrong with one source file of a package of this kind.
pub(crate) fn lapses(package: &str, kind: Kind, root: bool, text: &str) -> Vec<Lapse> {
    let code = code(text);
    let words = || code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '\'');
    let squeezed: String = code.split_whitespace().collect();
    let has = |attribute: &str| squeezed.contains(attribute);
    let image = matches!(kind, Kind::Application | Kind::UnsafeApplication);
    let target = image || matches!(kind, Kind::Pure | Kind::Memory | Kind::Machine);
    let mut lapses = Vec::new();
    if root && target && !has("#![no_std]") && !has("no_std)]") && !has("(not(test),no_std,") {
        lapses.push(Lapse::Std);
    }
    if root && kind == Kind::Pure && !has("#![forbid(unsafe_code)]") {
        lapses.push(Lapse::UnsafeNotForbidden);
    }
    if matches!(kind, Kind::Pure | Kind::Application) && words().any(|word| word == "unsafe") {
        lapses.push(Lapse::Unsafe);
    }
    if matches!(kind, Kind::Pure | Kind::Memory | Kind::Machine)
        && !WITH_STATICS.contains(&package)
        && words().any(|word| word == "static")
    {
        lapses.push(Lapse::Static);
    }
    lapses
}

/// The text without comments, string literals, and what is only there for the crate's own tests.
pub(crate) fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if next == '"' {
            end_of_string(rest)
        } else if let Some(quoted) = quoted_character(rest) {
            quoted
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        rest = &rest[skipped..];
        code.push(' ');
    }
    match code.find("#[cfg(test)]\nmod ") {
        Some(at) => without_module(&code, at),
        None => code,
    }
}

/// The length of the string literal at the start.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the character literal at the start, if it is one and not a lifetime.
fn quoted_character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    let end = if first == '\\' { inside[2..].find('\'')? + 2 } else { first.len_utf8() };
    inside[end..].starts_with('\'').then_some(end + 2)
}

/// `code` without the test module that begins at `at`, if its body is here.
fn without_module(code: &str, at: usize) -> String {
    let Some(open) = code[at..].find(['{', ';']).map(|open| at + open) else {
        return code.to_owned();
    };
    let mut depth = 0;
    for (place, next) in code[open..].char_indices() {
        match next {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return format!("{}{}", &code[..at], &code[open + place + 1..]);
        }
    }
    code[..at].to_owned()
}

/// Every Rust file below `folder`, but for test modules in files of their own.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = all_files(folder);
    files
        .retain(|path| path.file_stem().is_none_or(|stem| stem != "tests" && stem != "test_space"));
    files
}

/// Every source file below a folder.
pub(crate) fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder);
        for entry in entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a folder's entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
