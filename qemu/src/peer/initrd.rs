//! The peer's root file systems: the recipe's programs with their libraries, our own programs,
//! modules and settings.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::archive::Archive;
use super::modules::Modules;
use super::packages;
use super::recipe::{Recipe, Source};

const LOADER: &str = "lib64/ld-linux-x86-64.so.2";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Writes the archive to `out`, from the packages unpacked in `root`; the not yet existing `work`
/// is for compiling.
pub(crate) fn write(
    recipe: &Recipe,
    root: &Path,
    release: &str,
    work: &Path,
    out: &Path,
) -> Result<()> {
    let mut archive = Archive::default();
    for directory in recipe.directories {
        archive.directory(directory);
    }
    for &(path, permissions, contents) in recipe.files {
        archive.file(path, permissions, contents.as_bytes());
    }
    archive.file("bin/busybox", 0o755, &read(&find(root, "bin/busybox")?)?);
    archive.link("bin/sh", "busybox");
    for (name, target) in recipe.links {
        let link = root.join(LIBRARIES).join(name);
        symlink(target, &link).with_context(|| format!("{} cannot be made", link.display()))?;
    }
    let mut programs = Programs { root, loader: find(root, LOADER)?, libraries: BTreeSet::new() };
    for program in recipe.programs {
        programs.packaged(program, &mut archive)?;
    }
    for plugin in recipe.plugins {
        programs.plugin(plugin, &mut archive)?;
    }
    fs::create_dir_all(work)?;
    for source in recipe.sources {
        let binary = compile(source, root, work)?;
        programs.add(source.name, &binary, &mut archive)?;
    }
    programs.finish(&mut archive)?;
    modules(recipe, &Modules::new(root, release)?, &mut archive)?;
    fs::write(out, archive.finish())?;
    Ok(())
}

/// Programs, and the libraries they have been found to load.
struct Programs<'a> {
    root: &'a Path,
    loader: PathBuf,
    libraries: BTreeSet<PathBuf>,
}

impl Programs<'_> {
    /// A package's program.
    fn packaged(&mut self, program: &str, archive: &mut Archive) -> Result<()> {
        let path = find(self.root, program)?;
        let name = program.rsplit('/').next().unwrap_or(program);
        self.add(name, &path, archive)
    }

    /// A program in this file, under this name.
    fn add(&mut self, name: &str, file: &Path, archive: &mut Archive) -> Result<()> {
        archive.file(&format!("usr/bin/{name}"), 0o755, &read(file)?);
        self.needed_by(file)
    }

    /// A library that no program names, by its path below the libraries' directory.
    fn plugin(&mut self, plugin: &str, archive: &mut Archive) -> Result<()> {
        let file = find_library(self.root, plugin)?;
        let below = plugin.rsplit_once('/').map_or(String::new(), |(below, _)| format!("{below}/"));
        let name = match plugin.strip_suffix('*') {
            Some(_) => file.file_name().unwrap_or_default().to_string_lossy(),
            None => plugin.rsplit('/').next().unwrap_or(plugin).into(),
        };
        archive.file(&format!("{LIBRARIES}/{below}{name}"), 0o644, &read(&file)?);
        self.needed_by(&file)
    }

    /// Notes the libraries of `root` that its own loader would map for `program`; a program that is
    /// linked statically has none.
    fn needed_by(&mut self, program: &Path) -> Result<()> {
        let mut verify = Command::new(&self.loader);
        if !verify.arg("--verify").arg(program).status()?.success() {
            return Ok(());
        }
        let paths = ["lib/x86_64-linux-gnu", LIBRARIES].map(|path| self.root.join(path));
        let paths = std::env::join_paths(paths).context("the cache's path has a colon")?;
        let mut command = Command::new(&self.loader);
        command.arg("--library-path").arg(paths).arg("--list").arg(program);
        let listing = packages::run(&mut command)?;
        self.libraries.extend(listed(&String::from_utf8_lossy(&listing), self.root));
        Ok(())
    }

    /// The libraries, and the loader itself.
    fn finish(self, archive: &mut Archive) -> Result<()> {
        archive.file(LOADER, 0o755, &read(&self.loader)?);
        for library in self.libraries {
            let name = library.file_name().unwrap_or_default().to_string_lossy();
            archive.file(&format!("{LIBRARIES}/{name}"), 0o644, &read(&library)?);
        }
        Ok(())
    }
}

/// Paths under `root` in the loader's lines of the form `name => path (address)`.
fn listed(listing: &str, root: &Path) -> Vec<PathBuf> {
    let paths = listing.lines().filter_map(|line| {
        let (_, path) = line.split_once(" => ")?;
        Some(PathBuf::from(path.rsplit_once(" (")?.0))
    });
    paths.filter(|path| path.starts_with(root) && !path.ends_with(LOADER)).collect()
}

/// One of our own programs.
fn compile(source: &Source, root: &Path, work: &Path) -> Result<PathBuf> {
    let directory = work.join(source.name);
    fs::create_dir(&directory)?;
    let binary = directory.join(source.name);
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-s", "-pthread", "-o"]).arg(&binary);
    for &(file, text) in source.files {
        let path = directory.join(file);
        fs::write(&path, text)?;
        // Headers are found beside the files that include them.
        if file.ends_with(".c") {
            compiler.arg(&path);
        }
    }
    if source.libraries.is_empty() {
        compiler.arg("-static");
    } else {
        // After the system's own headers: the packages may have those of another C library.
        compiler.arg("-idirafter").arg(root.join("usr/include"));
        for library in source.libraries {
            compiler.arg(find_library(root, library)?);
        }
        // What those libraries need themselves is looked for at run time.
        compiler.arg("-Wl,--allow-shlib-undefined");
    }
    packages::run(&mut compiler).context("the peer's own programs do not compile")?;
    Ok(binary)
}

/// Each module once, and for each group the list of its modules in their order.
fn modules(recipe: &Recipe, modules: &Modules, archive: &mut Archive) -> Result<()> {
    let mut stored = BTreeSet::new();
    for &(group, names) in recipe.module_groups {
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
        if target.exists() {
            return Ok(target);
        }
    }
    anyhow::bail!("the packages have no {path}")
}

/// A library by its path below the libraries' directory; what follows a last `*` may be anything.
fn find_library(root: &Path, path: &str) -> Result<PathBuf> {
    let Some(beginning) = path.strip_suffix('*') else {
        return find(root, &format!("{}/{path}", LIBRARIES.trim_start_matches("usr/")));
    };
    let beginning = root.join(LIBRARIES).join(beginning);
    let directory = beginning.parent().context("a plugin without a directory")?;
    for entry in fs::read_dir(directory).with_context(|| format!("there is no {path}"))? {
        let file = entry?.path();
        if file.as_os_str().as_encoded_bytes().starts_with(beginning.as_os_str().as_encoded_bytes())
        {
            return Ok(file);
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
    fn only_libraries_of_the_root_are_taken() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffe)\n\
                       \tlibz.so.1 => /r/lib/libz.so.1 (0x00007f00)\n\
                       \tlibc.so.6 => /usr/lib/libc.so.6 (0x00007f01)\n\
                       \t/lib64/ld-linux-x86-64.so.2 => /r/lib64/ld-linux-x86-64.so.2 (0x00007f02)\n";
        assert_eq!(listed(listing, Path::new("/r")), [PathBuf::from("/r/lib/libz.so.1")]);
    }
}
