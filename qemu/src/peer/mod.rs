//! The Linux guest that ours is measured against: Debian's kernel with nginx, an epoll echo
//! server and a program that measures Linux's own event costs.
//!
//! [`Peer::ensure`] builds it once from Debian packages into the user's cache (half a minute),
//! and afterwards finds it there. The parts: [`recipe`] lists what goes in, [`packages`]
//! downloads and unpacks, [`kernel`] and [`modules`] take Linux out of its package, [`initrd`]
//! puts the root file system together as an [`archive`], [`guest`] says how to boot it.

mod archive;
mod guest;
mod initrd;
mod kernel;
mod modules;
mod packages;
mod recipe;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use guest::{Guest, Serve};

/// A built peer in the cache.
#[derive(Clone, Debug)]
pub struct Peer {
    directory: PathBuf,
}

impl Peer {
    /// The peer for the present recipe, built now if the cache has none.
    ///
    /// A build happens in a temporary directory beside its final place and is renamed when it is
    /// complete, so that an interrupted or a concurrent one leaves nothing half made.
    pub fn ensure() -> Result<Self> {
        let cache = cache()?;
        let name = format!("peer-{:016x}", recipe::version());
        let directory = cache.join(&name);
        if !directory.exists() {
            eprintln!("building the Linux peer in {} (once)", directory.display());
            fs::create_dir_all(&cache)
                .with_context(|| format!("{} cannot be made", cache.display()))?;
            let work = tempfile::Builder::new().prefix("building-").tempdir_in(&cache)?;
            let built = work.path().join(&name);
            fs::create_dir(&built)?;
            build(&work.path().join("parts"), &built)?;
            if let Err(error) = fs::rename(&built, &directory)
                && !directory.exists()
            {
                return Err(error).context("the built Linux peer cannot be moved into place");
            }
        }
        Ok(Self { directory })
    }

    /// The kernel, an ELF file with a PVH note.
    pub fn kernel(&self) -> PathBuf {
        self.directory.join("vmlinux")
    }

    /// The initial root file system.
    pub fn initrd(&self) -> PathBuf {
        self.directory.join("initrd.cpio")
    }

    /// The Debian packages it was made of, one `name_version_architecture` a line.
    pub fn versions(&self) -> Result<String> {
        Ok(fs::read_to_string(self.directory.join("VERSIONS"))?)
    }
}

/// Everything that was done to make this Linux fast, for printing beside its figures.
pub fn tuning() -> String {
    let settings = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines.map(|line| format!("    {line}\n")).collect::<String>()
    };
    format!(
        "  kernel arguments\n    {}\n  sysctls\n{}  nginx.conf\n{}",
        guest::TUNING,
        settings(recipe::SYSCTLS),
        settings(recipe::NGINX)
    )
}

/// Makes the peer's files in `out`, using the not yet existing directory `parts`.
fn build(parts: &Path, out: &Path) -> Result<()> {
    let (root, work) = (parts.join("root"), parts.join("work"));
    fs::create_dir_all(&root)?;
    fs::create_dir_all(&work)?;
    let unpacked = packages::unpack(&root, &parts.join("apt"))?;
    let release = kernel::release(&root)?;
    kernel::extract(&root, &release, &out.join("vmlinux"))?;
    initrd::write(&root, &release, &work, &out.join("initrd.cpio"))?;
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
