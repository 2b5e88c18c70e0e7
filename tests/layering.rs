//! The import graph and the ground rules of each layer, asserted on the workspace as Cargo tells
//! it, and on deliberately wrong ones.

#[path = "layering/blocks.rs"]
mod blocks;
#[path = "layering/circles.rs"]
mod circles;
#[path = "layering/examples.rs"]
mod examples;
#[path = "layering/floors.rs"]
mod floors;
#[path = "layering/graph.rs"]
mod graph;
#[path = "layering/pages.rs"]
mod pages;
#[path = "layering/raw.rs"]
mod raw;
#[path = "layering/rules.rs"]
mod rules;
#[path = "layering/sizes.rs"]
mod sizes;
#[path = "layering/sources.rs"]
mod sources;
#[path = "layering/twins.rs"]
mod twins;
#[path = "layering/words.rs"]
mod words;

use blocks::{BOUNDS, blocks, blocks_below, statics, statics_below};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use circles::{by_the_root, by_the_root_of, circles, imports, imports_of, upward};
use graph::{Edge, Fault, Graph, Kind, Rule};
use rules::RULES;
use sizes::{TABLES, TEST_FILE, long_functions};
use sources::{Lapse, code, files, lapses};
use std::path::Path;

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo tells")
}

fn real() -> Graph {
    Graph::of(&metadata())
}

fn edge(from: &str, to: &str, development: bool) -> Edge {
    Edge { from: from.to_owned(), to: to.to_owned(), development }
}

/// The real graph with one more edge.
fn with(from: &str, to: &str, development: bool) -> Vec<Fault> {
    let mut graph = real();
    assert!(graph.packages.contains(from) && graph.packages.contains(to), "{from} {to}");
    assert!(graph.edges.insert(edge(from, to, development)), "{from} already imports {to}");
    graph.faults(RULES)
}

#[test]
fn no_import_points_upward() {
    let graph = real();
    assert!(graph.edges.len() > 30, "so few imports that something is amiss: {graph:?}");
    let faults: Vec<String> = graph.faults(RULES).iter().map(Fault::to_string).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_forbidden_import_is_noticed() {
    for (from, to) in [
        ("reflex-event", "reflex-runtime"),
        ("reflex-memory", "reflex-event"),
        ("reflex-arch", "reflex-memory"),
        ("reflex-runtime", "reflex-boot"),
        ("reflex-hil", "reflex-event"),
        ("reflex-virtio-net", "reflex-runtime"),
        ("reflex-virtio-net", "reflex-arch"),
        ("reflex-virtio-net", "reflex-net"),
        ("reflex-net", "reflex-virtio-net"),
        ("reflex-net", "reflex-runtime"),
        ("reflex-http", "reflex-net"),
        ("reflex-boot", "reflex-net"),
        ("echo", "reflex-net"),
        ("hello", "reflex-http-embed"),
        ("guest-bench", "reflex-runtime"),
        ("cargo-reflex", "reflex-event"),
        ("reflex-event", "reflex-testkit"),
        ("reflex", "reflex-arch"),
    ] {
        assert_eq!(with(from, to, false), [Fault::Forbidden(edge(from, to, false))]);
    }
}

#[test]
fn tests_import_fakes_and_nothing_else() {
    assert_eq!(with("reflex-http", "reflex-testkit", true), []);
    assert_eq!(
        with("reflex-event", "reflex-runtime", true),
        [Fault::Forbidden(edge("reflex-event", "reflex-runtime", true))]
    );
    // Not even what it may import otherwise, if it does so for its tests alone.
    assert_eq!(
        with("reflex-http", "reflex-event", true),
        [Fault::Forbidden(edge("reflex-http", "reflex-event", true))]
    );
    assert_eq!(
        with("reflex-tests", "cargo-reflex", true),
        [Fault::Forbidden(edge("reflex-tests", "cargo-reflex", true))]
    );
}

#[test]
fn a_package_without_a_rule_and_a_rule_without_a_package_are_noticed() {
    let mut graph = real();
    graph.packages.insert("newcomer".to_owned());
    graph.packages.remove("hello");
    graph.edges.retain(|edge| edge.from != "hello");
    assert_eq!(
        graph.faults(RULES),
        [Fault::UnknownPackage("newcomer".into()), Fault::MissingPackage("hello".into())]
    );
}

#[test]
fn rules_that_lead_in_a_circle_are_noticed() {
    let rule = |package, imports| Rule { package, kind: Kind::Pure, imports };
    let rules = [rule("a", &["b"]), rule("b", &["c"]), rule("c", &["a"]), rule("d", &["a"])];
    let packages = ["a", "b", "c", "d"].map(str::to_owned).into();
    let circles = ["a", "b", "c"].map(|name| Fault::Circle(name.to_owned()));
    assert_eq!(Graph { packages, ..Graph::default() }.faults(&rules), circles);
}

/// The graph is read from Cargo's own words, not only from a value made here.
#[test]
fn a_workspace_with_a_wrong_manifest_is_noticed() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong-workspace");
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("in the folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    write("Cargo.toml", "[workspace]\nmembers = [\"event\", \"runtime\", \"kit\"]\n");
    for (name, dependencies) in [
        ("event", "[build-dependencies]\nruntime = { path = \"../runtime\" }\n"),
        ("runtime", "[dev-dependencies]\nkit = { path = \"../kit\" }\n"),
        ("kit", ""),
    ] {
        let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n{dependencies}");
        write(&format!("{name}/Cargo.toml"), &manifest);
        write(&format!("{name}/src/lib.rs"), "");
    }
    let mut command = MetadataCommand::new();
    let metadata = command.current_dir(&folder).no_deps().exec().expect("cargo tells");
    let rule = |package, kind| Rule { package, kind, imports: &[] };
    let rules =
        [rule("event", Kind::Pure), rule("runtime", Kind::Machine), rule("kit", Kind::Fake)];
    let faults = Graph::of(&metadata).faults(&rules);
    assert_eq!(faults, [Fault::Forbidden(edge("event", "runtime", false))]);
}

#[test]
fn the_drawing_of_the_layers_is_as_the_rules_are() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let page = std::fs::read_to_string(root.join("docs/architecture/layers.md")).expect("the page");
    let metadata = metadata();
    let folder = |package: &Package| {
        let folder = package.manifest_path.parent().expect("a manifest lies in a folder");
        folder.strip_prefix(&metadata.workspace_root).expect("in the workspace").to_string()
    };
    let packages = metadata.workspace_packages();
    let folders =
        packages.iter().map(|package| (package.name.to_string(), folder(package))).collect();
    assert!(floors::floors(&page).len() > 20, "so few crates that something is amiss");
    let faults = floors::faults(&page, RULES, &folders);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_wrong_drawing_of_the_layers_is_noticed() {
    let rule = |package, imports| Rule { package, kind: Kind::Pure, imports };
    let rules = [rule("a", &["b"]), rule("b", &["c"]), rule("c", &[]), rule("d", &["c"])];
    let folders = ["a", "b", "c", "d"].map(|it| (it.to_owned(), format!("x/{it}"))).into();
    let faults = |drawing: &str| floors::faults(&format!("```\n{drawing}\n```"), &rules, &folders);
    assert!(faults(" floor\n 2 x/a, a\n 1 x/b (b) x/d\n   └──▶ x/c\n 0 x/c x/*").is_empty());
    assert_eq!(faults("1 x/a x/b x/d\n0 x/c"), ["a imports b"]);
    assert_eq!(faults("2 x/a\n1 x/b\n0 x/c x/e"), ["d is missing", "x/e is no crate"]);
}

/// What the images are built on (C-1).
#[test]
fn the_image_is_built_on_the_agreed_packages() {
    let metadata = metadata();
    let imports: Vec<&str> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| {
            let rule = RULES.iter().find(|rule| rule.package == package.name.as_str());
            rule.is_some_and(|rule| !matches!(rule.kind, Kind::Host | Kind::Fake))
        })
        .flat_map(|package| &package.dependencies)
        .filter(|dependency| dependency.kind == cargo_metadata::DependencyKind::Normal)
        .map(|dependency| dependency.name.as_str())
        .collect();
    for package in ["x86_64", "smoltcp", "virtio-drivers", "spin", "linked_list_allocator"] {
        assert!(imports.contains(&package), "no image is built on {package}");
    }
}

/// What lies at the top (C-7).
#[test]
fn the_top_level_is_as_agreed() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let agreed = ["kernel", "drivers", "apps", "boot", "qemu", "tests", "docs"];
    // Where Cargo builds, unless it is told otherwise.
    let folders: Vec<String> = std::fs::read_dir(root)
        .expect("the checkout")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    for name in agreed {
        assert!(folders.iter().any(|folder| folder == name), "{name} is not there");
    }
    for folder in folders {
        assert!(agreed.contains(&folder.as_str()), "{folder} is not agreed");
    }
    // What a stranger looks for by name.
    for page in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"] {
        assert!(Path::new(root).join(page).is_file(), "{page} is not there");
    }
}

#[test]
fn sources_keep_the_rules_of_their_layer() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for package in metadata.workspace_packages() {
        let rule = RULES.iter().find(|rule| rule.package == package.name.as_str());
        let Some(rule) = rule else { continue };
        let roots: Vec<_> = package.targets.iter().map(|target| &target.src_path).collect();
        let folder = package.manifest_path.parent().expect("a manifest lies in a folder");
        let sources = folder.join("src");
        if !sources.is_dir() {
            continue;
        }
        for file in files(sources.as_std_path()) {
            let text = std::fs::read_to_string(&file).expect("a source file is text");
            let root = roots.iter().any(|root| root.as_std_path() == file);
            for lapse in lapses(rule.package, rule.kind, root, &text) {
                wrong.push(format!("{}: {lapse:?}", file.display()));
            }
            looked_at += 1;
        }
    }
    assert!(looked_at > 100, "{looked_at} files");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn lapses_in_sources_are_noticed() {
    let pure = |text: &str| lapses("reflex-event", Kind::Pure, true, text);
    let good = "#![no_std]\n#![forbid(unsafe_code)]\n";
    assert_eq!(pure(good), []);
    assert_eq!(pure("#![no_std]\n"), [Lapse::UnsafeNotForbidden]);
    assert_eq!(pure("#![forbid(unsafe_code)]\n"), [Lapse::Std]);
    let with = |more: &str| pure(&format!("{good}{more}"));
    assert_eq!(with("fn f() { unsafe { g() } }"), [Lapse::Unsafe]);
    assert_eq!(with("static X: u8 = 0;"), [Lapse::Static]);
    assert_eq!(with("fn f(x: &'static str) {}"), []);
    assert_eq!(with("// unsafe static\nconst A: &str = \"unsafe \\\" static\";"), []);
    assert_eq!(
        with("const A: char = '\"'; static B: u8 = 0; const C: char = '\"';"),
        [Lapse::Static]
    );
    assert_eq!(with("#[cfg(test)]\nmod tests { static X: u8 = 0; }\nfn f() {}"), []);
    assert_eq!(with("#[cfg(test)]\nmod tests;\nstatic X: u8 = 0;"), [Lapse::Static]);
    let memory = "#![cfg_attr(not(test), no_std)]\nunsafe fn f() {}";
    assert_eq!(lapses("reflex-memory", Kind::Memory, true, memory), []);
    let image = "#![no_std]\nstatic DONE: bool = false; unsafe fn f() {}";
    assert_eq!(lapses("echo", Kind::Application, true, image), [Lapse::Unsafe]);
    assert_eq!(
        lapses("reflex-virtio-net", Kind::Machine, false, "static A: u8 = 0;"),
        [Lapse::Static]
    );
    assert_eq!(lapses("reflex-runtime", Kind::Machine, false, "static A: u8 = 0;"), []);
}

#[test]
fn code_is_what_is_neither_comment_nor_text() {
    assert_eq!(code("a /* b */ c // d\ne").split_whitespace().collect::<Vec<_>>(), ["a", "c", "e"]);
    assert_eq!(code("f::<'a>('\\'', 'b', \"c\")").replace(' ', ""), "f::<'a>(,,)");
}

#[test]
fn no_file_leads_back_to_itself() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().expect("a manifest lies in a folder");
        let sources = folder.join("src");
        if sources.is_dir() {
            let circles = circles(&imports(sources.as_std_path()));
            if !circles.is_empty() {
                wrong.push(format!("{}: {circles:?}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_circle_of_files_is_noticed() {
    let texts = [
        ("a", "use crate::{b::{self, B}, other::Thing};"),
        ("b", "fn f() { crate::c::d::g() }"),
        ("c", "mod d; // crate::a"),
        ("c::d", "use super::super::a::A; use core::fmt;"),
        ("e", "use crate::a::A; const TEXT: &str = \"crate::f\";"),
        ("f", "use crate::e;"),
    ];
    let sources = texts.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let imports = imports_of(&sources);
    assert_eq!(circles(&imports), [["a", "b", "c::d"].map(str::to_owned)]);
    assert_eq!(upward(&imports, &["a", "b", "c"]), ["a imports b", "b imports c::d"]);
    assert_eq!(upward(&imports, &["c", "b", "a"]), ["c::d imports a"]);
    assert_eq!(by_the_root_of(&sources), ["a names other::Thing"]);
}

/// The folders of the runtime, the lowest first.
const RUNTIME: [&str; 8] =
    ["cpu", "dispatch", "context", "event", "failure", "spawn", "replace", "entry"];

#[test]
fn no_import_points_up_between_the_folders_of_the_runtime() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../kernel/runtime/src"));
    let mut imports = imports(folder);
    let folder_of = |name: &str| name.split("::").next().unwrap_or(name).to_owned();
    let elsewhere: Vec<_> =
        imports.keys().filter(|name| !RUNTIME.contains(&folder_of(name).as_str())).collect();
    assert!(elsewhere.is_empty(), "in none of the folders: {elsewhere:?}");
    assert!(upward(&imports, &RUNTIME).is_empty(), "{:?}", upward(&imports, &RUNTIME));
    // A path by way of the crate's root would be seen by neither rule.
    assert!(by_the_root(folder).is_empty(), "{:?}", by_the_root(folder));
    // Nor would a call of the traits that the highest folder implements.
    for file in files(folder) {
        let text = std::fs::read_to_string(&file).expect("a source file is text");
        let calls = code(&text).contains("EventSystem") && !file.starts_with(folder.join("entry"));
        assert!(!calls, "{} imports what `entry` implements", file.display());
    }
    // Of each folder something is used above it, so that another order is noticed.
    for (place, lower) in RUNTIME.iter().enumerate().take(RUNTIME.len() - 3) {
        let mut order = RUNTIME.to_vec();
        order.remove(place);
        order.push(*lower);
        assert!(!upward(&imports, &order).is_empty(), "{lower} may as well be the highest");
    }
    let stack = imports.get_mut("cpu::stack").expect("the type of stacks");
    stack.insert("entry::kernel".to_owned());
    assert_eq!(upward(&imports, &RUNTIME), ["cpu::stack imports entry::kernel"]);
}

/// The folders of the IP stack, the lowest first.
const NET: [&str; 5] = ["types", "ip", "table", "path", "api"];

#[test]
fn no_import_points_up_between_the_folders_of_the_ip_stack() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../apps/libos/net/src"));
    let mut imports = imports(folder);
    let folder_of = |name: &str| name.split("::").next().unwrap_or(name).to_owned();
    let elsewhere: Vec<_> =
        imports.keys().filter(|name| !NET.contains(&folder_of(name).as_str())).collect();
    assert!(elsewhere.is_empty(), "in none of the folders: {elsewhere:?}");
    assert!(upward(&imports, &NET).is_empty(), "{:?}", upward(&imports, &NET));
    assert!(by_the_root(folder).is_empty(), "{:?}", by_the_root(folder));
    // Each two that are neighbours stand on one another in this order alone.
    for place in 1..NET.len() {
        let mut order = NET.to_vec();
        order.swap(place - 1, place);
        assert!(!upward(&imports, &order).is_empty(), "{order:?} would do as well");
    }
    let record = imports.get_mut("table::connection_record").expect("the record of a connection");
    record.insert("api::connection".to_owned());
    assert_eq!(upward(&imports, &NET), ["table::connection_record imports api::connection"]);
}

#[test]
fn unsafe_blocks_do_not_grow() {
    for (folder, bound) in BOUNDS {
        let found = blocks_below(folder);
        assert!(found <= bound, "{found} unsafe blocks in {folder}, at most {bound}");
    }
    assert!(blocks_below("kernel/runtime") > 20, "so few that something is amiss");
}

#[test]
fn unsafe_blocks_are_counted_and_nothing_else() {
    assert_eq!(blocks("fn f() { unsafe { g() } unsafe {\n h() } unsafe{} }"), 3);
    assert_eq!(
        blocks("unsafe fn f() {} unsafe impl A for B {} unsafe extern \"C\" { fn g(); }"),
        0
    );
    assert_eq!(blocks("// unsafe { }\nconst A: &str = \"unsafe { }\";"), 0);
    assert_eq!(blocks("#[cfg(test)]\nmod tests { fn f() { unsafe { g() } } }"), 0);
}

/// Packages with unsafe code that `.ci/sanitize` runs no host tests of: the runtime and the facade
/// have none, images run in a guest, and the host command's tests start guests and other programs.
const NOT_SANITIZED: [&str; 5] =
    ["reflex-runtime", "reflex", "guest-tests", "misbehave", "cargo-reflex"];

#[test]
fn the_sanitizer_runs_the_tests_of_every_crate_with_unsafe_code() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let script = std::fs::read_to_string(root.join(".ci/sanitize")).expect("the script");
    let list = script.split_once("packages=(").and_then(|(_, rest)| rest.split_once(')'));
    let sanitized: Vec<&str> = list.expect("a list").0.split_whitespace().collect();
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let expected = has_unsafe(package);
        let run = sanitized.contains(&name);
        let left_out = NOT_SANITIZED.contains(&name);
        assert!(!expected || run != left_out, "{name} has unsafe code: is it in .ci/sanitize?");
        assert!(expected || !left_out, "{name} has no unsafe code to leave out");
    }
    let names: Vec<String> = RULES.iter().map(|rule| rule.package.to_owned()).collect();
    for name in sanitized {
        assert!(names.iter().any(|known| known == name), "{name} is no package");
    }
}

/// Whether a package's sources have the word in code.
fn has_unsafe(package: &Package) -> bool {
    let folder = package.manifest_path.as_std_path().with_file_name("src");
    let sources = if folder.is_dir() { files(&folder) } else { Vec::new() };
    sources.iter().map(|file| std::fs::read_to_string(file).expect("text")).any(|text| {
        let code = code(&text);
        code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
    })
}

/// The crates in the table of unsafe code, which is the one with families.
fn explained(page: &str) -> Vec<&str> {
    let (_, table) = page.split_once("| crate | families of unsafe |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn the_page_on_soundness_explains_every_crate_with_unsafe_code() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let page = std::fs::read_to_string(root.join("docs/soundness.md")).expect("the page");
    let mut explained = explained(&page);
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let mut unsafe_ones: Vec<&str> = packages
        .iter()
        .filter(|package| has_unsafe(package))
        .map(|package| package.name.as_str())
        .collect();
    explained.sort_unstable();
    unsafe_ones.sort_unstable();
    assert_eq!(explained, unsafe_ones);
}

#[test]
fn a_crate_that_is_not_explained_is_noticed() {
    let page = "text\n| crate | families of unsafe | why |\n| --- | --- | --- |\n\
        | `a`, `b` | x | `y` |\n| `c` | z | – |\n\n| `d` | no |\n";
    assert_eq!(explained(page), ["a", "b", "c"]);
}

/// What belongs to a core is one block, and its words; the others are what all cores share: memory that has not been
/// given out, which cores there are, names and sums, the last number of a state, the place of signals that cannot be,
/// whether there is more than one core. And what a simulated core's block is
/// made anew from.
#[test]
fn what_belongs_to_a_core_is_one_block() {
    let found = statics_below("kernel/runtime/src");
    assert_eq!(
        found,
        ["BLOCK", "END", "FRESH", "LAST", "NEXT", "NOBODYS", "SEATS", "SEVERAL", "SHARED", "WORDS"]
    );
    assert_eq!(
        statics("pub(crate) static A: u8 = 0; fn f(x: &'static u8) { static B: u8 = 0; }"),
        ["A", "B"]
    );
}

#[test]
fn functions_fit_on_a_screen() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut long = Vec::new();
    for package in metadata().workspace_packages() {
        let folder = package.manifest_path.as_std_path().with_file_name("src");
        for file in if folder.is_dir() { files(&folder) } else { Vec::new() } {
            let text = std::fs::read_to_string(&file).expect("text");
            let path = file.strip_prefix(root.canonicalize().expect("the root")).unwrap_or(&file);
            let path = path.to_str().expect("a name in UTF-8").to_owned();
            // What a guest is tested by is told step by step.
            if !path.starts_with("tests/guest/") {
                long.extend(
                    long_functions(&text).into_iter().map(|(name, _)| (path.clone(), name)),
                );
            }
        }
    }
    long.sort();
    let mut known: Vec<_> =
        TABLES.iter().map(|(path, name)| ((*path).to_owned(), (*name).to_owned())).collect();
    known.sort();
    assert_eq!(long, known);
}

#[test]
fn files_of_tests_are_of_one_concept() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut seen = 0;
    for package in metadata().workspace_packages() {
        let folder = package.manifest_path.as_std_path().parent().expect("a folder");
        let tests = if folder.starts_with(root.canonicalize().expect("the root").join("tests")) {
            folder.to_owned()
        } else {
            folder.join("tests")
        };
        for file in if tests.is_dir() { files(&tests) } else { Vec::new() } {
            let lines = std::fs::read_to_string(&file).expect("text").lines().count();
            assert!(lines <= TEST_FILE, "{}: {lines} lines", file.display());
            seen += 1;
        }
    }
    assert!(seen > 100, "so few that something is amiss");
}

#[test]
fn a_long_function_is_noticed() {
    let body = "        work();\n".repeat(60);
    let text = format!(
        "impl A {{\n    pub(crate) fn long(\n    ) {{\n{body}    }}\n    fn short() {{\n    }}\n}}\n"
    );
    assert_eq!(long_functions(&text), [("long".to_owned(), 63)]);
    assert_eq!(long_functions("trait A {\n    fn a(\n        b: u8,\n    );\n}\n"), []);
}

#[test]
fn no_logic_is_written_twice() {
    let root =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).canonicalize().expect("a root");
    let mut sources = std::collections::BTreeMap::new();
    for package in metadata().workspace_packages() {
        let folder = package.manifest_path.as_std_path().with_file_name("src");
        for file in if folder.is_dir() { files(&folder) } else { Vec::new() } {
            let path = file.strip_prefix(&root).expect("in the repository").display().to_string();
            // Tests say each case in full.
            if !path.starts_with("tests/") {
                sources.insert(path, std::fs::read_to_string(&file).expect("text"));
            }
        }
    }
    assert!(sources.len() > 300, "so few that something is amiss");
    let twins = twins::twins(&sources);
    assert!(twins.is_empty(), "{twins:#?}");
}

#[test]
fn what_is_written_twice_is_noticed() {
    let body: String = (0..12).map(|number| format!("    step({number});\n")).collect();
    let one = format!("use a::b;\nfn one() {{\n{body}}}\n");
    let other = format!("// Another.\nfn other() {{\n    // Steps.\n{body}}}\n");
    let sources = |other: &str| {
        [("one", one.as_str()), ("other", other)].map(|(a, b)| (a.to_owned(), b.to_owned())).into()
    };
    let place = |path: &str, line| (path.to_owned(), line);
    assert_eq!(twins::twins(&sources(&other)), [(place("one", 3), place("other", 4))]);
    assert_eq!(twins::twins(&sources(&other.replace("step(5)", "step(7)"))), []);
}
