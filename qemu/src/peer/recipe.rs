//! What the Linux peer is made of, in one place: packages, and a root file system for each
//! [`Flavour`]. To add to one, add a line to its list: the version changes with any of the lists
//! and texts, and the next run builds the new peer.

mod netem;
mod rdma;
mod server;

use std::hash::{DefaultHasher, Hash, Hasher};

pub(crate) use server::{NGINX, REDIS, SYSCTLS};

/// What a peer is for. Each flavour is an initial root file system of its own, so that what one
/// needs makes no other slower to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// Web and echo servers, and the programs that measure event costs.
    Server,
    /// Soft-RoCE with its tools and our verbs programs.
    Rdma,
    /// A router with the network emulator, and what sends and receives through it.
    Netem,
}

impl Flavour {
    /// All there are.
    pub(crate) const ALL: [Flavour; 3] = [Flavour::Server, Flavour::Rdma, Flavour::Netem];

    /// The name of its file in a built peer.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Flavour::Server => "initrd.cpio",
            Flavour::Rdma => "rdma.cpio",
            Flavour::Netem => "netem.cpio",
        }
    }

    /// What goes into it.
    pub(crate) fn recipe(self) -> &'static Recipe {
        match self {
            Flavour::Server => &server::RECIPE,
            Flavour::Rdma => &rdma::RECIPE,
            Flavour::Netem => &netem::RECIPE,
        }
    }
}

/// The package that depends on Debian's present kernel.
pub(crate) const KERNEL_PACKAGE: &str = "linux-image-amd64";

/// A root file system.
#[derive(Hash)]
pub(crate) struct Recipe {
    /// Debian packages to unpack, with the libraries they depend on. The kernel comes besides.
    pub(crate) packages: &'static [&'static str],
    /// Programs of those packages, by path in the package; they land in `/usr/bin`.
    pub(crate) programs: &'static [&'static str],
    /// Libraries that programs load by name, by path below the directory of libraries; they land in
    /// the same place. What follows a last `*` may be anything.
    pub(crate) plugins: &'static [&'static str],
    /// Links that installing the packages would make, among the libraries: name, and where it leads from there.
    pub(crate) links: &'static [(&'static str, &'static str)],
    /// Kernel modules in groups: a boot names the groups it wants (`peer.modules=`).
    pub(crate) module_groups: &'static [(&'static str, &'static [&'static str])],
    /// Our own programs.
    pub(crate) sources: &'static [Source],
    /// Text files: path in the guest, permissions, contents.
    pub(crate) files: &'static [(&'static str, u32, &'static str)],
    /// Empty directories.
    pub(crate) directories: &'static [&'static str],
}

/// A program in C.
#[derive(Hash)]
pub(crate) struct Source {
    /// Its name in `/usr/bin`.
    pub(crate) name: &'static str,
    /// Names and texts of its files.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Shared libraries of the packages that it is linked with; with none, it is linked statically.
    pub(crate) libraries: &'static [&'static str],
}

/// What every flavour has.
const INIT: (&str, u32, &str) = ("init", 0o755, include_str!("../../peer/init"));
const PASSWD: (&str, u32, &str) =
    ("etc/passwd", 0o644, "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n");
const GROUP: (&str, u32, &str) = ("etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n");
const PCI: (&str, &[&str]) = ("pci", &["virtio_pci", "virtio_net"]);
const MMIO: (&str, &[&str]) = ("mmio", &["virtio_mmio", "virtio_net"]);

/// Rises when the way of building changes while the lists stay.
const FORMAT: u32 = 2;

/// Identifies the downloaded packages.
pub(crate) fn packages_version() -> u64 {
    let mut hasher = DefaultHasher::new();
    KERNEL_PACKAGE.hash(&mut hasher);
    for flavour in Flavour::ALL {
        flavour.recipe().packages.hash(&mut hasher);
    }
    hasher.finish()
}

/// Identifies the whole: equal versions give interchangeable peers.
pub(crate) fn version() -> u64 {
    let mut hasher = DefaultHasher::new();
    (FORMAT, KERNEL_PACKAGE).hash(&mut hasher);
    for flavour in Flavour::ALL {
        flavour.recipe().hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// A file that is not listed would be left out of the version as well as of the program.
    #[test]
    fn every_source_file_is_in_a_recipe() {
        let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer");
        let sources = || Flavour::ALL.iter().flat_map(|flavour| flavour.recipe().sources);
        for (directory, program) in [("event-costs", Some("event-costs")), ("rdma", None)] {
            let listed = sources()
                .filter(|source| match program {
                    Some(name) => source.name == name,
                    None => !source.libraries.is_empty(),
                })
                .flat_map(|source| source.files.iter().map(|(file, _)| (*file).to_owned()));
            let files = fs::read_dir(peer.join(directory)).unwrap();
            let files: BTreeSet<String> =
                files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            assert_eq!(listed.collect::<BTreeSet<_>>(), files);
        }
    }
}
