//! Where the kernel itself is needed: interfaces that are made of it, benchmarks of it, and tests of it. An application has
//! all it needs from the facade.

use super::sources::all_files;
use std::path::Path;

/// How often the kernel is asked for below a folder, at most. What is won is kept.
const BOUNDS: [(&str, usize); 4] =
    [("apps/compat", 8), ("tests/bench", 11), ("tests/guest", 72), ("tests/typing", 1)];

/// Where applications lie, and tests that are some.
const FOLDERS: [&str; 2] = ["apps", "tests"];

/// How often a text asks for the kernel.
fn asked(text: &str) -> usize {
    text.matches("raw::kernel(").count()
}

#[test]
fn the_kernel_is_reached_from_few_places() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut found = [0; BOUNDS.len()];
    for file in FOLDERS.iter().flat_map(|folder| all_files(&root.join(folder))) {
        let text = std::fs::read_to_string(&file).expect("text");
        let of = |(folder, _): &(&str, usize)| file.starts_with(root.join(folder));
        // This file speaks of it.
        match BOUNDS.iter().position(of) {
            Some(place) => found[place] += asked(&text),
            None if file.ends_with("layering/raw.rs") => {}
            None => assert_eq!(asked(&text), 0, "{} asks for the kernel", file.display()),
        }
    }
    for ((folder, bound), found) in BOUNDS.iter().zip(found) {
        assert!(found <= *bound, "{folder} asks for the kernel {found} times, at most {bound}");
    }
}

#[test]
fn asking_for_the_kernel_is_noticed() {
    assert_eq!(asked("let kernel = raw::kernel(system); reflex::raw::kernel(self.system)"), 2);
    assert_eq!(asked("raw::registration(system, event)"), 0);
}
