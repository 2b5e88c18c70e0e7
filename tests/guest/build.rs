//! Links the image as the `reflex` crate says, and takes the code of the guide to event kinds out
//! of its page.

use std::path::Path;
use std::{env, fs};

const GUIDE: &str = "../../apps/libos/kind/GUIDE.md";

fn main() {
    let arguments = env::var("DEP_REFLEX_LINK_ARGS").expect("the reflex crate publishes it");
    arguments.split(' ').for_each(|argument| println!("cargo::rustc-link-arg-bins={argument}"));

    println!("cargo::rerun-if-changed={GUIDE}");
    let page = fs::read_to_string(GUIDE).expect("the guide is where it was");
    let out = env::var("OUT_DIR").expect("Cargo says where to put it");
    fs::write(Path::new(&out).join("guide.rs"), code(&page)).expect("Cargo's folder is writable");
}

/// What stands between the fences of Rust code.
fn code(page: &str) -> String {
    let blocks = page.split("```rust\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default()).collect()
}
