//! Lays out a site directory at build time, for an appliance to embed.
//!
//! In the appliance's `build.rs`:
//!
//! ```no_run
//! reflex_http_embed::embed("site").expect("the site directory can be embedded");
//! ```
//!
//! and in its `main.rs`, with `http` being the crate `reflex_http` under whatever name:
//!
//! ```text
//! use reflex::http;
//! include!(concat!(env!("OUT_DIR"), "/site.rs"));      // defines `SITE`
//! ```
//!
//! A file is found under its path in the directory. `index.html` is also found under its
//! directory's path with the slash; without the slash, the client is sent there. `404.html` at the
//! top is what clients get when they ask for what is not there. Names that start with a dot are
//! left out.

mod layout;
mod write;

pub use layout::{Entry, Error, File, Layout, Target};

use std::path::{Path, PathBuf};

/// Lays out `directory` (relative to the appliance's manifest) as `$OUT_DIR/site.rs`, and has
/// cargo do so again when the directory changes.
///
/// # Errors
/// What about the directory cannot be embedded.
pub fn embed(directory: impl AsRef<Path>) -> Result<(), Error> {
    let manifest = variable("CARGO_MANIFEST_DIR")?;
    let directory = manifest.join(directory);
    println!("cargo::rerun-if-changed={}", directory.display());
    let layout = Layout::read(&directory)?;
    let output = variable("OUT_DIR")?.join("site.rs");
    std::fs::write(&output, layout.to_rust()).map_err(|source| Error::Io { path: output, source })
}

fn variable(name: &'static str) -> Result<PathBuf, Error> {
    std::env::var_os(name).map(PathBuf::from).ok_or(Error::NotInBuildScript(name))
}
