//! That what the command and the tests stand on is built once: Cargo builds a package again for each set of
//! features and each profile that an invocation asks of it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The command, as `cargo reflex` has it built.
const COMMAND: &str = "cargo-reflex";
/// The tests that `cargo reflex test` builds apart from the others.
const END_TO_END: &str = "reflex-e2e";
/// Those that it builds when programs of the world are to be met.
const WORLD: &str = "reflex-world";
/// Host packages that have no tests.
const UNTESTED: [&str; 1] = ["reflex-start"];

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).no_deps();
    command.exec().expect("the workspace's manifests are read")
}

/// Whether it is an image, or simulates machines and is built apart, or has nothing that is tested on the host.
fn is_left_out(package: &Package) -> bool {
    let image = package.dependencies.iter().any(|dependency| dependency.name == "reflex");
    image || !package.targets.iter().any(|target| target.test || target.doctest)
}

/// The packages of an invocation with their features, by name and version. `edges` are Cargo's kinds of
/// dependencies.
fn features(packages: &[&str], edges: &str) -> BTreeMap<String, String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args([
        "tree",
        "--offline",
        "--prefix",
        "none",
        "--format",
        "{p}|{f}",
        "--edges",
        edges,
    ]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names are text");
    let lines = text.lines().filter_map(|line| line.trim_end_matches(" (*)").split_once('|'));
    lines.map(|(package, features)| (package.to_owned(), features.to_owned())).collect()
}

/// What both invocations build, and each with other features.
fn differing(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
    let differs = |package: &&String| other.get(*package).is_some_and(|f| *f != one[*package]);
    let differing: BTreeSet<&String> = one.keys().filter(differs).collect();
    let told = |package: &&String| format!("{package}: {} and {}", one[*package], other[*package]);
    differing.iter().map(told).collect()
}

#[test]
fn the_command_and_the_tests_share_what_they_stand_on() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let tested = packages.iter().filter(|package| !is_left_out(package));
    let apart = [END_TO_END, WORLD];
    let tested: Vec<&str> =
        tested.map(|package| package.name.as_str()).filter(|name| !apart.contains(name)).collect();
    assert!(tested.contains(&COMMAND) && !tested.contains(&UNTESTED[0]), "{tested:?}");

    let command = features(&[COMMAND], "normal");
    let host = features(&tested, "normal,dev");
    assert!(command.len() > 20 && command.keys().all(|package| host.contains_key(package)));
    assert_eq!(differing(&command, &host), Vec::<String>::new());
    // What only these tests use is built with them.
    for package in apart {
        assert_eq!(differing(&command, &features(&[package], "normal,dev")), Vec::<String>::new());
    }
}

#[test]
fn other_features_are_noticed() {
    let set = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<BTreeMap<_, _>>()
    };
    let one = set(&[("nix v0.31.3", "net"), ("libc v0.2.1", "std"), ("only v1", "a")]);
    let other = set(&[("nix v0.31.3", "net,user"), ("libc v0.2.1", "std"), ("else v1", "b")]);
    assert_eq!(differing(&one, &other), ["nix v0.31.3: net and net,user"]);
}

/// What would be no part of any program: test files beside a `main.rs` that does not name them.
fn forgotten(main: &str, own_targets: &[&str], files: &[&str]) -> Vec<String> {
    let named = |file: &&&str| {
        let plain = main.contains(&format!("mod {file};"));
        plain || main.contains(&format!("#[path = \"{file}.rs\"]")) || own_targets.contains(file)
    };
    let others = files.iter().filter(|file| **file != "main").filter(|file| !named(file));
    others.map(|file| (*file).to_owned()).collect()
}

/// Where a package's tests are one program, each file of theirs is in it.
#[test]
fn no_test_file_is_forgotten() {
    let mut programs = 0;
    for package in metadata().workspace_packages() {
        let folder = package.manifest_path.parent().expect("a manifest has a folder").join("tests");
        let Ok(main) = std::fs::read_to_string(folder.join("main.rs")) else { continue };
        let entries = folder.read_dir_utf8().expect("it is a folder");
        let files: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().strip_suffix(".rs").map(str::to_owned))
            .collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let targets: Vec<&str> =
            package.targets.iter().filter_map(|target| target.src_path.file_stem()).collect();
        assert_eq!(forgotten(&main, &targets, &files), Vec::<String>::new(), "{}", package.name);
        programs += 1;
    }
    assert!(programs >= 5, "{programs} packages have such a program");
}

#[test]
fn a_forgotten_file_is_noticed() {
    let main = "mod one;\n#[path = \"two.rs\"]\nmod second;\n";
    let files = ["main", "one", "two", "three", "loom"];
    assert_eq!(forgotten(main, &["loom"], &files), ["three"]);
}

/// The alias, a new project's alias and the tests name one profile, which unwinds as tests do.
#[test]
fn they_are_built_in_one_profile() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let read = |file: &str| std::fs::read_to_string(format!("{root}/{file}")).expect("it is there");
    let manifest = read("Cargo.toml");
    let profile =
        metadata().workspace_metadata["reflex"]["host-profile"].as_str().map(str::to_owned);
    let profile = profile.expect("the tests' profile is named");
    assert!(read(".cargo/config.toml").contains(&format!("--profile {profile} ")));
    let template = read("qemu/templates/new/config.toml.in");
    assert!(template.contains(&format!("\"--profile\", \"{profile}\"")));
    let start = read("qemu/start/src/main.rs");
    assert!(start.contains(&format!("const PROFILE: &str = \"{profile}\";")));
    let (_, section) = manifest.split_once(&format!("[profile.{profile}]")).expect("it is there");
    let section = section.split("\n[").next().unwrap_or_default();
    assert!(section.contains("panic = \"unwind\""), "{section}");
}
