//! What the pages say of where things are: files that are there, and each file of the runtime and of the
//! IP stack.

use super::circles::imports;
use std::path::Path;

const PAGES: [&str; 9] = [
    "README.md",
    "SPECIFICATION.md",
    "ARCHITECTURE.md",
    "docs/memory.md",
    "docs/soundness.md",
    "docs/glossary.md",
    "docs/architecture/layers.md",
    "docs/architecture/interrupt.md",
    "docs/architecture/endpoint.md",
];

/// Folders at the top, with which a path begins that is one.
const TOP: [&str; 7] = ["kernel/", "drivers/", "apps/", "boot/", "qemu/", "tests/", "docs/"];

/// The paths on a page: between backticks, from the top; `{a,b}` stands for two.
fn paths(page: &str) -> Vec<String> {
    let quoted = page.split('`').skip(1).step_by(2);
    let paths = quoted.filter(|text| TOP.iter().any(|top| text.starts_with(top)));
    let paths = paths.filter(|text| !text.contains(|c: char| c.is_whitespace() || c == '*'));
    paths.map(|text| text.split("::").next().unwrap_or(text)).flat_map(alternatives).collect()
}

fn alternatives(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((inside, after)) = rest.split_once('}') else { return vec![path.to_owned()] };
    inside.split(',').flat_map(|one| alternatives(&format!("{before}{one}{after}"))).collect()
}

/// The files of modules, named `folder::file`, that a row of a page for their folder does not name.
fn unnamed<'a>(page: &str, modules: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let named = |module: &str| {
        let Some((folder, file)) = module.split_once("::") else { return true };
        let row = page.lines().find(|line| line.starts_with(&format!("| `{folder}` |")));
        row.is_some_and(|row| row.contains(&format!("`{file}`")))
    };
    modules.filter(|module| !named(module)).collect()
}

fn read(page: &str) -> String {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    std::fs::read_to_string(root.join(page)).expect("the page")
}

#[test]
fn the_pages_name_files_that_are_there() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut missing = Vec::new();
    let mut seen = 0;
    for page in PAGES {
        for path in paths(&read(page)) {
            seen += 1;
            if !root.join(&path).exists() {
                missing.push(format!("{page}: {path}"));
            }
        }
    }
    assert!(seen > 100, "{seen} paths");
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn the_map_of_the_runtime_names_each_of_its_files() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../kernel/runtime/src"));
    let imports = imports(folder);
    // Tests of a module are beside it.
    let modules = imports.keys().map(String::as_str).filter(|name| !name.ends_with("::tests"));
    assert_eq!(unnamed(&read("ARCHITECTURE.md"), modules), Vec::<&str>::new());
}

#[test]
fn the_map_of_the_ip_stack_names_each_of_its_files() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../apps/libos/net/src"));
    let imports = imports(folder);
    let modules = imports.keys().map(String::as_str).filter(|name| !name.ends_with("::tests"));
    assert_eq!(unnamed(&read("ARCHITECTURE.md"), modules), Vec::<&str>::new());
}

#[test]
fn the_program_on_the_first_page_is_the_greeter() {
    let page = read("README.md");
    let program = read("apps/greeter/src/main.rs");
    // Behind the line that says so.
    let (_, program) = program.split_once('\n').expect("a program");
    let indent = |line: &str| if line.is_empty() { "\n".into() } else { format!("    {line}\n") };
    let indented: String = program.lines().map(indent).collect();
    assert!(page.contains(&indented), "README.md does not have apps/greeter/src/main.rs");
}

#[test]
fn what_a_page_leaves_out_is_noticed() {
    let page = "`kernel/{a,b/c}.rs` `qemu/src/d.rs::f` `a/b` `apps/x y` `boot`\n| `in` | `one` |";
    assert_eq!(paths(page), ["kernel/a.rs", "kernel/b/c.rs", "qemu/src/d.rs"]);
    assert_eq!(unnamed(page, ["in", "in::one", "in::two"].into_iter()), ["in::two"]);
}
