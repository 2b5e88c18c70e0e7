//! Lays out the site, and links the image as the `reflex` crate says.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Err(error) = reflex_http_embed::embed("site") {
        panic!("the site cannot be embedded: {error}");
    }
    let arguments = std::env::var("DEP_REFLEX_LINK_ARGS").expect("the reflex crate publishes it");
    arguments.split(' ').for_each(|argument| println!("cargo::rustc-link-arg-bins={argument}"));
}
