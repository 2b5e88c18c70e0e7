//! What the pages say of where things are: files that are there, each file of the runtime and of the
//! IP stack, and each page from the first, which is short.

use super::circles::imports;
use std::path::{Path, PathBuf};

/// Pages at the top; those below `docs` are found there.
const PAGES: [&str; 5] =
    ["README.md", "SPECIFICATION.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];

/// Lines of the first page: what there is to read before the first command.
const FIRST_PAGE: usize = 120;
/// Lines of an example, which is read as a whole.
const EXAMPLE: usize = 60;

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

/// What the links of a page lead to in this repository, from the page's folder, without the place on a page.
fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let targets = targets.map(|(target, _)| target.split('#').next().unwrap_or(target));
    targets.filter(|target| !target.is_empty() && !target.contains("://")).collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).expect("the page")
}

/// The pages in a folder, and in those in it.
fn below(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| format!("{folder}/{}", name.to_string_lossy()));
    let (folders, pages): (Vec<_>, Vec<_>) = names.partition(|name| root().join(name).is_dir());
    pages.into_iter().chain(folders.iter().flat_map(|folder| below(folder))).collect()
}

fn all_pages() -> Vec<String> {
    PAGES.map(str::to_owned).into_iter().chain(below("docs")).collect()
}

/// Where the links of a page lead.
fn leads_to(page: &str) -> Vec<PathBuf> {
    let folder = root().join(page).parent().expect("a page lies in a folder").to_owned();
    links(&read(page)).into_iter().map(|target| folder.join(target)).collect()
}

#[test]
fn the_pages_name_files_that_are_there() {
    let mut missing = Vec::new();
    let mut seen = 0;
    for page in all_pages() {
        let named = paths(&read(&page)).into_iter().map(|path| root().join(path));
        for path in named.chain(leads_to(&page)) {
            seen += 1;
            if !path.exists() {
                missing.push(format!("{page}: {}", path.display()));
            }
        }
    }
    assert!(seen > 200, "{seen} paths");
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn the_first_page_is_short_and_leads_to_all_others() {
    let lines = read("README.md").lines().count();
    assert!(lines <= FIRST_PAGE, "{lines} lines");
    let shown: Vec<_> = leads_to("README.md").iter().flat_map(|it| it.canonicalize()).collect();
    for page in all_pages().iter().filter(|page| *page != "README.md") {
        let there = root().join(page).canonicalize().expect("a page");
        assert!(shown.contains(&there), "README.md does not lead to {page}");
    }
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
    let (program, _) = program.split_once("\n#[cfg(test)]").expect("it has tests");
    let indent = |line: &str| if line.is_empty() { "\n".into() } else { format!("    {line}\n") };
    let indented: String = program.lines().map(indent).collect();
    assert!(page.contains(&indented), "README.md does not have apps/greeter/src/main.rs");
}

/// What newcomers read first is read at a glance, and does what it says.
#[test]
fn the_examples_are_short_and_each_is_booted() {
    let tests = ["appliances", "disks"].map(|file| read(&format!("tests/e2e/src/{file}.rs")));
    let tests = tests.concat();
    let page = read("docs/application.md");
    let metadata = crate::metadata();
    let examples = metadata.workspace_packages().into_iter().find(|it| *it.name == "examples");
    let examples = &examples.expect("the package").targets;
    let examples: Vec<_> = examples.iter().filter(|target| target.is_bin()).collect();
    assert!(examples.len() >= 8, "{} examples", examples.len());
    for example in examples {
        let program = std::fs::read_to_string(&example.src_path).expect("text");
        let lines = program.lines().count();
        assert!(lines <= EXAMPLE, "{}: {lines} lines", example.name);
        assert!(tests.contains(&format!("(\"{}\"", example.name)), "{}: no test", example.name);
        assert!(page.contains(&format!("[`{}`]", example.name)), "{}: not listed", example.name);
    }
}

#[test]
fn what_a_page_leaves_out_is_noticed() {
    let page = "`kernel/{a,b/c}.rs` `qemu/src/d.rs::f` `a/b` `apps/x y` `boot`\n| `in` | `one` |";
    assert_eq!(paths(page), ["kernel/a.rs", "kernel/b/c.rs", "qemu/src/d.rs"]);
    assert_eq!(unnamed(page, ["in", "in::one", "in::two"].into_iter()), ["in::two"]);
    let page = "[a](b.md) [c](../d.md#e) [f](#g) [h](https://i.example/)";
    assert_eq!(links(page), ["b.md", "../d.md"]);
}
