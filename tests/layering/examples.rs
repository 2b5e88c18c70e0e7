//! Examples on the pages that rustdoc makes. Those in Rust are compiled with the tests of their package: none is
//! left out, and none stands where Cargo does not look for it. Tests have no pages.

use super::sources::all_files;
use cargo_metadata::Package;

/// What the fence of an example in Rust begins with; that of anything else names its language.
const RUST: [&str; 7] =
    ["", "rust", "no_run", "should_panic", "compile_fail", "standalone_crate", "ignore"];

/// What opens the examples in Rust of a source file, line by line, counted from 1.
fn openings(text: &str) -> Vec<(usize, &str)> {
    let mut openings = Vec::new();
    let mut inside = false;
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim_start();
        let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        let Some(fence) = comment.and_then(|text| text.trim().strip_prefix("```")) else {
            continue;
        };
        inside = !inside;
        if inside && fence.split(',').next().is_some_and(|word| RUST.contains(&word)) {
            openings.push((number, fence));
        }
    }
    openings
}

/// The lines of a file at which an example begins that nothing compiles.
fn uncompiled(text: &str, looked_at: bool) -> Vec<usize> {
    let left_out = |fence: &str| fence.split(',').any(|word| word.starts_with("ignore"));
    let openings = openings(text).into_iter();
    openings.filter(|(_, fence)| !looked_at || left_out(fence)).map(|(line, _)| line).collect()
}

/// Whether Cargo looks for examples in a package's sources.
fn is_looked_at(package: &Package) -> bool {
    package.targets.iter().any(|target| target.doctest)
}

#[test]
fn every_example_on_a_page_is_compiled() {
    let (mut examples, mut left) = (0, Vec::new());
    let metadata = crate::metadata();
    let tests = metadata.workspace_root.join("tests");
    let packages = metadata.workspace_packages().into_iter();
    for package in packages.filter(|package| !package.manifest_path.starts_with(&tests)) {
        let home = package.manifest_path.parent().expect("a manifest lies in a folder").join("src");
        for file in if home.is_dir() { all_files(home.as_std_path()) } else { Vec::new() } {
            let text = std::fs::read_to_string(&file).expect("text");
            examples += openings(&text).len();
            let lines = uncompiled(&text, is_looked_at(package)).into_iter();
            left.extend(lines.map(|line| format!("{}:{line}", file.display())));
        }
    }
    assert!(examples > 20, "{examples} examples");
    assert!(left.is_empty(), "no test compiles the examples at\n{}", left.join("\n"));
}

#[test]
fn an_example_that_nothing_compiles_is_noticed() {
    let text = "/// ```ignore\n/// a();\n/// ```\n//! ```text\n//! ```\n    /// ```\n    /// ```\nlet x = \"```\";\n/// ```no_run,ignore-windows\n/// ```\n";
    assert_eq!(openings(text), [(1, "ignore"), (6, ""), (9, "no_run,ignore-windows")]);
    assert_eq!(uncompiled(text, true), [1, 9]);
    assert_eq!(uncompiled(text, false), [1, 6, 9]);
}
