//! Images that refer to what nobody defines.
//!
//! For a dependency on the `libc` crate rustc asks for the C library before an image's own arguments forbid
//! it; the linker then takes it for a dynamic library, leaves the references open and says nothing.
//! The image boots, and crashes at the first of these calls. Its symbol table tells beforehand.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::Path;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, Object, ObjectSymbol};

use crate::project::Image;

/// The platform that images are compiled for, by which their dependencies are chosen.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
/// Packages that name the C library for what they have on operating systems, of which nothing is in an image:
/// the heap's.
const INNOCENT: [&str; 1] = ["rlsf"];
/// How many names are told.
const TOLD: usize = 8;

/// Refuses an image with undefined symbols, and names them and the packages that bring them.
///
/// # Errors
/// That refusal; and when the file cannot be read.
pub(crate) fn refuse(file: &Path, image: &Image) -> Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
    let names = undefined(&bytes).with_context(|| format!("{}", file.display()))?;
    if names.is_empty() {
        return Ok(());
    }
    let mut list: Vec<&str> = names.iter().take(TOLD).map(String::as_str).collect();
    let more = format!("{} more", names.len() - list.len());
    if names.len() > TOLD {
        list.push(&more);
    }
    let list = list.join(", ");
    let from = match way_to(image, "libc") {
        Some(way) => format!(
            "They are the C library's, which an image does not have. This is how it is asked for:\n    {}\n\
             Leave the dependency out, or the feature by which it wants an operating system.",
            way.join(" needs\n    ")
        ),
        None => "Some dependency declares them `extern` and leaves them to others.".to_owned(),
    };
    bail!(
        "`{}` would crash: it calls functions that nothing in it defines: {list}\n{from}",
        image.name
    )
}

/// The symbols that an image refers to and that nothing defines, sorted. Weak ones may stay open; and a program
/// that asks for a dynamic linker is no image, which is told of where it is to be booted.
fn undefined(bytes: &[u8]) -> Result<BTreeSet<String>> {
    let header = FileHeader64::<LittleEndian>::parse(bytes)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, bytes)?;
    if segments.iter().any(|segment| segment.p_type(endian) == PT_INTERP) {
        return Ok(BTreeSet::new());
    }
    open_symbols(bytes)
}

fn open_symbols(bytes: &[u8]) -> Result<BTreeSet<String>> {
    let file = object::File::parse(bytes)?;
    let open = file.symbols().filter(|symbol| symbol.is_undefined() && !symbol.is_weak());
    let names = open.filter_map(|symbol| symbol.name().ok().filter(|name| !name.is_empty()));
    Ok(names.map(str::to_owned).collect())
}

/// The packages from the image's to the one called `name`, each of which needs the next; `None` when no
/// dependency leads there, or Cargo does not tell.
fn way_to(image: &Image, name: &str) -> Option<Vec<String>> {
    let mut command = MetadataCommand::new();
    command.manifest_path(&image.manifest);
    command.other_options(["--filter-platform", PLATFORM].map(str::to_owned));
    let metadata = command.exec().ok()?;
    let package = metadata.packages.iter().find(|package| *package.name == image.package)?;
    shortest(&metadata, &package.id, name)
}

/// The shortest way over dependencies that are linked.
fn shortest(metadata: &Metadata, from: &PackageId, name: &str) -> Option<Vec<String>> {
    let graph = metadata.resolve.as_ref()?;
    let mut before: HashMap<&PackageId, Option<&PackageId>> = HashMap::from([(from, None)]);
    let mut queue = VecDeque::from([from]);
    while let Some(id) = queue.pop_front() {
        if *metadata[id].name == name {
            let ids = std::iter::successors(Some(id), |id| before.get(*id).copied().flatten());
            let name = |id| format!("{} {}", metadata[id].name, metadata[id].version);
            let mut way: Vec<String> = ids.map(name).collect();
            way.reverse();
            return Some(way);
        }
        let node = graph.nodes.iter().find(|node| node.id == *id)?;
        for dependency in &node.deps {
            let linked =
                dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            // Macros run in the compiler.
            let is_macro =
                metadata[&dependency.pkg].targets.iter().any(|target| target.is_proc_macro());
            let innocent = INNOCENT.contains(&metadata[&dependency.pkg].name.as_str());
            if linked && !is_macro && !innocent && !before.contains_key(&dependency.pkg) {
                before.insert(&dependency.pkg, Some(id));
                queue.push_back(&dependency.pkg);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dynamic_program_leaves_open_is_found() {
        let own = std::fs::read(std::env::current_exe().expect("this test")).expect("readable");
        assert!(undefined(&own).expect("an ELF file").is_empty(), "it is no image");
        let names = open_symbols(&own).expect("an ELF file");
        assert!(names.iter().any(|name| name.starts_with("malloc")), "{names:?}");
        assert!(undefined(b"no ELF file").is_err());
    }

    #[test]
    fn the_way_to_a_dependency_is_named() {
        let manifest = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).to_owned();
        let image = Image {
            package: "cargo-reflex".to_owned(),
            name: "cargo-reflex".to_owned(),
            target: std::path::PathBuf::new(),
            manifest,
            tests: false,
            settings: Default::default(),
        };
        let way = way_to(&image, "libc").expect("the command has an operating system");
        assert!(way[0].starts_with("cargo-reflex "), "{way:?}");
        assert!(way[way.len() - 1].starts_with("libc "), "{way:?}");
        assert_eq!(way_to(&image, "no such package"), None);
    }
}
