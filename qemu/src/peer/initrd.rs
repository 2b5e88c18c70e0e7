//! The peer's root file system: the recipe's programs with their libraries, our own programs,
//! modules and settings.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::archive::Archive;
use super::modules::Modules;
use super::{packages, recipe};

const LOADER: &str = "lib64/ld-linux-x86-64.so.2";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Writes the archive to `out`, from the packages unpacked in `root`; `work` is for compiling.
pub(crate) fn write(root: &Path, release: &str, work: &Path, out: &Path) -> Result<()> {
    let mut archive = Archive::default();
    for directory in recipe::DIRECTORIES {
        archive.directory(directory);
    }
    for &(path, permissions, contents) in recipe::FILES {
        archive.file(path, permissions, contents.as_bytes());
    }
    archive.file("bin/busybox", 0o755, &read(&find(root, "bin/busybox")?)?);
    archive.link("bin/sh", "busybox");
    programs(root, &mut archive)?;
    sources(work, &mut archive)?;
    modules(&Modules::new(root, release)?, &mut archive)?;
    fs::write(out, archive.finish())?;
    Ok(())
}

/// Packages' programs, the libraries they load and the loader itself.
fn programs(root: &Path, archive: &mut Archive) -> Result<()> {
    let loader = find(root, LOADER)?;
    let mut libraries = BTreeSet::new();
    for program in recipe::PROGRAMS {
        let path = find(root, program)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        archive.file(&format!("usr/bin/{name}"), 0o755, &read(&path)?);
        libraries.extend(needed(root, &loader, &path)?);
    }
    archive.file(LOADER, 0o755, &read(&loader)?);
    for library in libraries {
        let name = library.file_name().unwrap_or_default().to_string_lossy();
        archive.file(&format!("{LIBRARIES}/{name}"), 0o644, &read(&library)?);
    }
    Ok(())
}

/// The libraries of `root` that its own loader would map for `program`.
fn needed(root: &Path, loader: &Path, program: &Path) -> Result<Vec<PathBuf>> {
    let paths = ["lib/x86_64-linux-gnu", LIBRARIES].map(|path| root.join(path));
    let paths = std::env::join_paths(paths).context("the cache's path has a colon")?;
    let mut command = Command::new(loader);
    command.arg("--library-path").arg(paths).arg("--list").arg(program);
    let listing = packages::run(&mut command)?;
    Ok(listed(&String::from_utf8_lossy(&listing), root))
}

/// Paths under `root` in the loader's lines of the form `name => path (address)`.
fn listed(listing: &str, root: &Path) -> Vec<PathBuf> {
    let paths = listing.lines().filter_map(|line| {
        let (_, path) = line.split_once(" => ")?;
        Some(PathBuf::from(path.rsplit_once(" (")?.0))
    });
    paths.filter(|path| path.starts_with(root) && !path.ends_with(LOADER)).collect()
}

/// Our own programs, compiled statically.
fn sources(work: &Path, archive: &mut Archive) -> Result<()> {
    for &(name, files) in recipe::SOURCES {
        let directory = work.join(name);
        fs::create_dir(&directory)?;
        let binary = directory.join(name);
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-static", "-s", "-pthread", "-o"]).arg(&binary);
        for &(file, text) in files {
            let source = directory.join(file);
            fs::write(&source, text)?;
            // Headers are found beside the files that include them.
            if file.ends_with(".c") {
                compiler.arg(&source);
            }
        }
        packages::run(&mut compiler).context("the peer's own programs do not compile")?;
        archive.file(&format!("usr/bin/{name}"), 0o755, &read(&binary)?);
    }
    Ok(())
}

/// Each module once, and for each group the list of its modules in their order.
fn modules(modules: &Modules, archive: &mut Archive) -> Result<()> {
    let mut stored = BTreeSet::new();
    for &(group, names) in recipe::MODULE_GROUPS {
        let mut list = String::new();
        for module in modules.in_order(names)? {
            list.push_str(&format!("/lib/modules/{}\n", module.name));
            if stored.insert(module.name.clone()) {
                let path = format!("lib/modules/{}.ko", module.name);
                archive.file(&path, 0o644, &module.contents);
            }
        }
        archive.file(&format!("lib/modules/groups/{group}"), 0o644, list.as_bytes());
    }
    Ok(())
}

/// A package's file: some Debian releases keep it under `usr`, others not. Links are followed,
/// within `root`.
fn find(root: &Path, path: &str) -> Result<PathBuf> {
    for candidate in [root.join(path), root.join("usr").join(path)] {
        let Ok(metadata) = fs::symlink_metadata(&candidate) else { continue };
        if !metadata.is_symlink() {
            return Ok(candidate);
        }
        let target = fs::read_link(&candidate)?;
        let target = match target.strip_prefix("/") {
            Ok(absolute) => root.join(absolute),
            Err(_) => candidate.parent().unwrap_or(root).join(target),
        };
        if fs::metadata(&target).is_ok_and(|target| target.permissions().mode() & 0o111 != 0) {
            return Ok(target);
        }
    }
    anyhow::bail!("the packages have no {path}")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_file_is_in_the_recipe() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer/event-costs");
        let (_, listed) = recipe::SOURCES.iter().find(|(name, _)| *name == "event-costs").unwrap();
        let listed: BTreeSet<String> = listed.iter().map(|(file, _)| (*file).into()).collect();
        let files = fs::read_dir(directory).unwrap();
        let files: BTreeSet<String> =
            files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(listed, files);
    }

    #[test]
    fn only_libraries_of_the_root_are_taken() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffe)\n\
                       \tlibz.so.1 => /r/lib/libz.so.1 (0x00007f00)\n\
                       \tlibc.so.6 => /usr/lib/libc.so.6 (0x00007f01)\n\
                       \t/lib64/ld-linux-x86-64.so.2 => /r/lib64/ld-linux-x86-64.so.2 (0x00007f02)\n";
        assert_eq!(listed(listing, Path::new("/r")), [PathBuf::from("/r/lib/libz.so.1")]);
    }
}
