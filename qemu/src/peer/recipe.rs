//! What the Linux peer is made of, in one place. To add to it, add a line here: the version
//! changes with any of these lists and texts, and the next run builds the new peer.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Debian packages to unpack, with the libraries they depend on. The kernel comes besides.
pub(crate) const PACKAGES: &[&str] = &["busybox-static", "nginx"];

/// The package that depends on Debian's present kernel.
pub(crate) const KERNEL_PACKAGE: &str = "linux-image-amd64";

/// Programs of those packages, by path in the package; they land in `/usr/bin`.
pub(crate) const PROGRAMS: &[&str] = &["usr/sbin/nginx"];

/// Kernel modules in groups: a boot names the groups it wants (`peer.modules=`).
pub(crate) const MODULE_GROUPS: &[(&str, &[&str])] =
    &[("pci", &["virtio_pci", "virtio_net"]), ("mmio", &["virtio_mmio", "virtio_net"])];

/// Our own programs, compiled statically: name, and the names and texts of their C files.
pub(crate) const SOURCES: &[(&str, &[(&str, &str)])] = &[
    ("echo-server", &[("echo-server.c", include_str!("../../peer/echo-server.c"))]),
    (
        "event-costs",
        &[
            ("measure.h", include_str!("../../peer/event-costs/measure.h")),
            ("measure.c", include_str!("../../peer/event-costs/measure.c")),
            ("main.c", include_str!("../../peer/event-costs/main.c")),
            ("descriptors.c", include_str!("../../peer/event-costs/descriptors.c")),
            ("signals.c", include_str!("../../peer/event-costs/signals.c")),
            ("ring.c", include_str!("../../peer/event-costs/ring.c")),
            ("fan-out.c", include_str!("../../peer/event-costs/fan-out.c")),
            ("control.c", include_str!("../../peer/event-costs/control.c")),
            ("hand-over.c", include_str!("../../peer/event-costs/hand-over.c")),
            ("clone.c", include_str!("../../peer/event-costs/clone.c")),
            ("memory.c", include_str!("../../peer/event-costs/memory.c")),
            ("flood.c", include_str!("../../peer/event-costs/flood.c")),
        ],
    ),
    ("busy", &[("busy.c", include_str!("../../peer/busy.c"))]),
];

/// Settings under `/proc/sys`.
pub(crate) const SYSCTLS: &str = include_str!("../../peer/sysctl.conf");

/// The web server's settings.
pub(crate) const NGINX: &str = include_str!("../../peer/nginx.conf");

/// The page both web servers of a comparison serve as `/small.txt`.
const PAGE: &str = include_str!("../../../apps/httpd/site/small.txt");

/// Text files: path in the guest, permissions, contents.
pub(crate) const FILES: &[(&str, u32, &str)] = &[
    ("init", 0o755, include_str!("../../peer/init")),
    ("etc/sysctl.conf", 0o644, SYSCTLS),
    ("etc/nginx/nginx.conf", 0o644, NGINX),
    ("etc/passwd", 0o644, "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"),
    ("etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n"),
    ("site/small.txt", 0o644, PAGE),
];

/// Empty directories.
pub(crate) const DIRECTORIES: &[&str] =
    &["dev", "proc", "sys", "tmp", "run", "var/log/nginx", "var/lib/nginx"];

/// Rises when the way of building changes while the lists stay.
const FORMAT: u32 = 1;

/// Identifies the recipe: equal versions give interchangeable peers.
pub(crate) fn version() -> u64 {
    let mut hasher = DefaultHasher::new();
    (FORMAT, KERNEL_PACKAGE, PACKAGES, PROGRAMS, MODULE_GROUPS).hash(&mut hasher);
    (SOURCES, FILES, DIRECTORIES).hash(&mut hasher);
    hasher.finish()
}
