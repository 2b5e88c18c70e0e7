//! Links the image as the `reflex` crate says.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let arguments = std::env::var("DEP_REFLEX_LINK_ARGS").expect("the reflex crate publishes it");
    arguments.split(' ').for_each(|argument| println!("cargo::rustc-link-arg-bins={argument}"));
}
