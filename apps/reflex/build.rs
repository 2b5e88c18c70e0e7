//! Publishes how an image is linked. An application's build script reads it from
//! `DEP_REFLEX_LINK_ARGS`, because Cargo lets no library pass arguments to the linker of others.

use std::path::Path;

fn main() {
    if std::env::var_os("CARGO_FEATURE_TESTING").is_some() {
        // A program of the host, which is linked as any other; there has to be an argument.
        println!("cargo::metadata=LINK_ARGS=-Wl,--as-needed");
        return;
    }
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let script = Path::new(&root).join("../../boot/link.ld");
    let script = script.canonicalize().expect("the linker script lies in boot/");
    println!("cargo::rerun-if-changed={}", script.display());
    let script = format!("-Wl,-T,{}", script.display());
    let arguments = [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,--gc-sections",
        "-Wl,-z,max-page-size=4096",
        "-Wl,-z,noexecstack",
        &script,
    ];
    println!("cargo::metadata=LINK_ARGS={}", arguments.join(" "));
}
