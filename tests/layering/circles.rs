//! Import circles among the files of one crate: files that lead back to themselves by `crate::`
//! and `super::` paths. A reader of such a file has to know all the others first.
//!
//! A path counts for the file that it names. What a crate's root re-exports counts for nobody: the
//! root names everything, and is the place for it.

use super::sources::{code, files};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Which module imports which, of one crate; a module is named as in `crate::NAME`.
pub(crate) type Imports = BTreeMap<String, BTreeSet<String>>;

/// The imports of a crate that has its sources in `folder`.
pub(crate) fn imports(folder: &Path) -> Imports {
    imports_of(&sources(folder))
}

/// The imports of the modules with these texts.
pub(crate) fn imports_of(sources: &BTreeMap<String, String>) -> Imports {
    let names: BTreeSet<&str> = sources.keys().map(String::as_str).collect();
    let one = |(name, text): (&String, &String)| {
        let paths = paths(name, text);
        let named = paths.iter().filter_map(|path| longest(path, &names));
        let others = named.filter(|named| named != name).map(str::to_owned);
        (name.clone(), others.collect())
    };
    sources.iter().map(one).collect()
}

/// The paths of a crate that name none of its modules: what the root re-exports, and so hides from where
/// it comes.
pub(crate) fn by_the_root(folder: &Path) -> Vec<String> {
    by_the_root_of(&sources(folder))
}

/// The paths in these texts that name none of the modules.
pub(crate) fn by_the_root_of(sources: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&str> = sources.keys().map(String::as_str).collect();
    let one = |(name, text): (&String, &String)| {
        let paths = paths(name, text).into_iter().filter(|path| longest(path, &names).is_none());
        paths.map(|path| format!("{name} names {}", path.join("::"))).collect::<Vec<_>>()
    };
    sources.iter().flat_map(one).collect()
}

/// The texts of the modules in a folder.
fn sources(folder: &Path) -> BTreeMap<String, String> {
    let sources = files(folder).into_iter().filter_map(|file| {
        let text = std::fs::read_to_string(&file).expect("a source file is text");
        Some((module(file.strip_prefix(folder).ok()?)?, text))
    });
    sources.collect()
}

/// The paths in the text of a module that begin with its crate, or with a module around it.
fn paths(name: &str, text: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let code: String = code(text).split_whitespace().collect::<Vec<_>>().join(" ");
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let inside_a_word = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if inside_a_word || code[..at].ends_with(['$', ':']) {
                continue;
            }
            let (base, tree) = base(name, &code[at..]);
            tree_paths(base, tree, &mut paths);
        }
    }
    paths
}

/// Every circle: the modules of each group in which all lead to one another, sorted.
pub(crate) fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|name| (name.as_str(), reach(imports, name))).collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (name, reach) in &reached {
        let circle = reach.iter().filter(|other| reached[*other].contains(name));
        let circle: Vec<String> = circle.map(|other| (*other).to_owned()).collect();
        if !circle.is_empty() {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

/// The arrows that lead from a folder to one that comes after it in `order`, the lowest first.
pub(crate) fn upward(imports: &Imports, order: &[&str]) -> Vec<String> {
    let floor = |name: &str| {
        let folder = name.split("::").next().unwrap_or(name);
        order.iter().position(|known| *known == folder)
    };
    let mut wrong = Vec::new();
    for (name, others) in imports {
        for other in others {
            if let (Some(from), Some(to)) = (floor(name), floor(other))
                && from < to
            {
                wrong.push(format!("{name} imports {other}"));
            }
        }
    }
    wrong
}

/// The name of the module that a file holds; none for the crate's root.
fn module(file: &Path) -> Option<String> {
    let parts = file.with_extension("");
    let mut parts: Vec<_> = parts.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    let name = parts.join("::");
    (!matches!(name.as_str(), "" | "lib" | "main")).then_some(name)
}

/// Where a path that starts with `crate::` or with any number of `super::` begins, and the rest.
fn base<'a>(module: &str, path: &'a str) -> (Vec<String>, &'a str) {
    if let Some(rest) = path.strip_prefix("crate::") {
        return (Vec::new(), rest);
    }
    let mut base: Vec<String> = module.split("::").map(str::to_owned).collect();
    let mut rest = path;
    while let Some(further) = rest.strip_prefix("super::") {
        base.pop();
        rest = further;
    }
    (base, rest)
}

/// Adds every path of the tree at the start of `text`: `a::b`, `a::{b, c::d}`.
fn tree_paths<'a>(
    mut path: Vec<String>,
    mut text: &'a str,
    paths: &mut Vec<Vec<String>>,
) -> &'a str {
    loop {
        text = text.trim_start();
        if let Some(mut inside) = text.strip_prefix('{') {
            loop {
                inside = inside.trim_start();
                if let Some(rest) = inside.strip_prefix('}') {
                    return rest;
                }
                let rest = tree_paths(path.clone(), inside, paths);
                let rest = rest.trim_start();
                inside = match rest.find([',', '}']) {
                    Some(end) if rest[end..].starts_with(',') => &rest[end + 1..],
                    Some(end) => &rest[end..],
                    None => return "",
                };
            }
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        path.push(text[..end].to_owned());
        text = &text[end..];
        match text.strip_prefix("::") {
            Some(rest) if end > 0 => text = rest,
            _ => {
                paths.push(path);
                return text;
            }
        }
    }
}

/// The module with the longest name that a path begins with.
fn longest<'a>(path: &[String], names: &BTreeSet<&'a str>) -> Option<&'a str> {
    let candidates = (1..=path.len()).rev().map(|length| path[..length].join("::"));
    candidates.into_iter().find_map(|name| names.get(name.as_str()).copied())
}

/// All modules that `name` leads to.
fn reach<'a>(imports: &'a Imports, name: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = vec![name];
    while let Some(at) = next.pop() {
        for import in imports.get(at).into_iter().flatten() {
            if reached.insert(import.as_str()) {
                next.push(import);
            }
        }
    }
    reached
}
