//! All builds of an appliance give the same files, byte for byte, in whatever folder.

use crate::place::Place;
use reflex_qemu::project::cargo;
use reflex_qemu::{build, cli, image, process};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Copies what is in the repository to a folder.
fn copy(to: &Path) {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(checkout()).output();
    let listed = listed.expect("git, by which the repository came here").stdout;
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    for name in names.map(|name| std::str::from_utf8(name).expect("names are text")) {
        let place = to.join(name);
        fs::create_dir_all(place.parent().expect("a folder")).expect("room");
        fs::copy(checkout().join(name), place).expect("room");
    }
}

/// Builds `hello` of a copy of the repository in this folder: the ELF file, stripped.
fn built_in(folder: &Path) -> Vec<u8> {
    copy(folder);
    let mut command = cargo();
    command.args(["build", "--release", "--locked", "--quiet", "--package", "hello"]);
    command.current_dir(folder).env("CARGO_TARGET_DIR", folder.join("target"));
    command.stdin(Stdio::null());
    let status = process::outside(move || command.status()).expect("cargo");
    assert!(status.success(), "its words are above");
    let bytes = fs::read(folder.join("target/release/hello")).expect("what was built");
    image::strip(&bytes).expect("an image")
}

#[test]
fn two_builds_in_different_folders_are_the_same() {
    // In a network of its own, as all are; and so that the test ends with the command that started it.
    let Some(_place) = Place::new() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let own = build::image("hello").unwrap_or_else(|error| panic!("{error:#}"));
    let own = image::strip(&fs::read(own).expect("what was built")).expect("an image");
    let other = built_in(&home.path().join("another"));
    assert!(own == other, "{} and {} bytes", own.len(), other.len());
}

/// A disk or an ISO of an image.
fn made(file: &Path, format: &str, output: &Path) -> Vec<u8> {
    let [file, name] = [file, output].map(|path| path.to_str().expect("text"));
    let words = ["cargo-reflex", "image", file, "--format", format, "-o", name];
    assert_eq!(cli::main(words.map(Into::into)), ExitCode::SUCCESS, "its words are above");
    fs::read(output).expect("it was written")
}

fn second() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is right").as_secs()
}

#[test]
fn disks_and_isos_of_equal_images_are_the_same_at_any_time() {
    let Some(_place) = Place::new() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let file = build::image("hello").unwrap_or_else(|error| panic!("{error:#}"));
    for format in ["raw", "qcow2", "iso"] {
        let begun = second();
        let one = made(&file, format, &home.path().join("one"));
        while second() < begun + 2 {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(one == made(&file, format, &home.path().join("other")), "{format}");
    }
}
