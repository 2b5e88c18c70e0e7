//! The Linux guest that ours is measured against and talks to: Debian's kernel, with nginx, an
//! epoll echo server and a program that measures Linux's own event costs, or with RDMA.
//!
//! [`Peer::ensure`] builds it once from Debian packages into the user's cache (half a minute),
//! and afterwards finds it there. The parts: [`recipe`] lists what goes in, [`packages`]
//! downloads and unpacks, [`kernel`] and [`modules`] take Linux out of its package, [`initrd`]
//! puts a root file system together as an [`archive`]. A [`Guest`] is a boot that does one thing;
//! a [`Session`] runs whatever command it is given. A [`Hub`] joins several guests, a [`Cable`] two; a [`Router`]
//! stands between two networks.

mod archive;
mod cable;
mod guest;
mod hub;
mod initrd;
mod kernel;
mod modules;
mod packages;
mod recipe;
mod router;
mod session;

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use cable::{Cable, End};
pub use guest::{Guest, Serve};
pub use hub::Hub;
pub(crate) use packages::run;
pub use recipe::Flavour;
pub use router::{Class, Router};
pub use session::{Command, Ended, Session, Station};

/// A built peer in the cache.
#[derive(Clone, Debug)]
pub struct Peer {
    directory: PathBuf,
}

impl Peer {
    /// The peer for the present recipe, built now if the cache has none.
    pub fn ensure() -> Result<Self> {
        let cache = cache()?;
        let name = format!("peer-{:016x}", recipe::version());
        let directory = once(&cache, &name, |work, out| {
            eprintln!("building the Linux peer in {} (once)", cache.join(&name).display());
            let name = format!("packages-{:016x}", recipe::packages_version());
            let downloads = once(&cache, &name, |work, out| packages::download(out, work))?;
            build(&downloads, work, out)
        })?;
        Ok(Self { directory })
    }

    /// The kernel, an ELF file with a PVH note.
    pub fn kernel(&self) -> PathBuf {
        self.directory.join("vmlinux")
    }

    /// The initial root file system of this flavour.
    pub fn initrd(&self, flavour: Flavour) -> PathBuf {
        self.directory.join(flavour.file())
    }

    /// The Debian packages it was made of, one `name_version_architecture` a line.
    pub fn versions(&self) -> Result<String> {
        Ok(fs::read_to_string(self.directory.join("VERSIONS"))?)
    }
}

/// The programs of these Debian packages, unpacked into a folder of the cache and not installed; the
/// folder is the root of what the packages have, and its file `VERSIONS` says which they are. The first call
/// with this `name` and list, on this release of the distribution, downloads them.
///
/// # Errors
/// When this is no Debian, or its archive cannot be reached.
pub fn unpacked(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let release = fs::read("/etc/os-release").unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    (packages, release).hash(&mut hasher);
    let name = format!("{name}-{:016x}", hasher.finish());
    once(&cache()?, &name, |work, out| {
        eprintln!("unpacking {} into the cache (once)", packages.join(", "));
        let downloads = work.join("downloads");
        fs::create_dir(&downloads)?;
        packages::download_beside_installed(packages, &downloads, work)?;
        let unpacked = packages::unpack(&downloads, out)?;
        fs::write(out.join("VERSIONS"), unpacked)?;
        Ok(())
    })
}

/// Everything that was done to make this Linux fast, for printing beside its figures.
pub fn tuning() -> String {
    let settings = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines.map(|line| format!("    {line}\n")).collect::<String>()
    };
    format!(
        "  kernel arguments\n    {}\n  sysctls\n{}  nginx.conf\n{}  redis.conf\n{}",
        guest::TUNING,
        settings(recipe::SYSCTLS),
        settings(recipe::NGINX),
        settings(recipe::REDIS)
    )
}

/// The directory `name` of the cache, made now by `make` if it is not there.
///
/// It is made in a temporary directory beside its final place and renamed when it is complete, so
/// that an interrupted or a concurrent call leaves nothing half made. `make` gets an empty directory
/// to work in, and one to fill.
fn once(
    cache: &Path,
    name: &str,
    make: impl FnOnce(&Path, &Path) -> Result<()>,
) -> Result<PathBuf> {
    let directory = cache.join(name);
    if directory.exists() {
        return Ok(directory);
    }
    fs::create_dir_all(cache).with_context(|| format!("{} cannot be made", cache.display()))?;
    let building = tempfile::Builder::new().prefix("building-").tempdir_in(cache)?;
    let (work, made) = (building.path().join("work"), building.path().join(name));
    fs::create_dir(&work)?;
    fs::create_dir(&made)?;
    make(&work, &made)?;
    if let Err(error) = fs::rename(&made, &directory)
        && !directory.exists()
    {
        return Err(error).with_context(|| format!("{name} cannot be moved into place"));
    }
    Ok(directory)
}

/// Makes the peer's files in `out`.
fn build(downloads: &Path, work: &Path, out: &Path) -> Result<()> {
    let root = work.join("root");
    fs::create_dir(&root)?;
    let unpacked = packages::unpack(downloads, &root)?;
    let release = kernel::release(&root)?;
    kernel::extract(&root, &release, &out.join("vmlinux"))?;
    for flavour in Flavour::ALL {
        let (work, file) = (work.join(flavour.file()), out.join(flavour.file()));
        initrd::write(flavour.recipe(), &root, &release, &work, &file)?;
    }
    fs::write(out.join("VERSIONS"), unpacked)?;
    Ok(())
}

/// `REFLEX_CACHE`, or the user's cache directory by the XDG convention.
fn cache() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(directory) = variable("REFLEX_CACHE") {
        return Ok(directory.into());
    }
    if let Some(directory) = variable("XDG_CACHE_HOME") {
        return Ok(Path::new(&directory).join("reflex"));
    }
    let home =
        variable("HOME").context("neither REFLEX_CACHE nor HOME is set: set REFLEX_CACHE")?;
    Ok(Path::new(&home).join(".cache/reflex"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_made_once_and_never_half() {
        let cache = tempfile::tempdir().unwrap();
        let failed = once(cache.path(), "a", |_, out| {
            fs::write(out.join("file"), "half")?;
            anyhow::bail!("no more")
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
        let made = once(cache.path(), "a", |_, out| Ok(fs::write(out.join("file"), "whole")?));
        let again = once(cache.path(), "a", |_, _| panic!("made again"));
        assert_eq!(again.unwrap(), made.unwrap());
        assert_eq!(fs::read_to_string(cache.path().join("a/file")).unwrap(), "whole");
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);
    }
}
