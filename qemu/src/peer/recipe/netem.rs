//! The flavour that is client, server, and the router between others, which loses, doubles, reorders and
//! corrupts packets on request.

use super::{GROUP, INIT, MMIO, PASSWD, PCI, Recipe, Source};

/// Settings under `/proc/sys`.
const SYSCTLS: &str = "net/ipv4/ip_forward 1\n";

pub(super) static RECIPE: Recipe = Recipe {
    packages: &["busybox-static", "iproute2"],
    programs: &["sbin/tc", "bin/ip"],
    plugins: &[],
    links: &[],
    module_groups: &[PCI, MMIO, ("netem", &["sch_netem", "sch_prio", "cls_u32"])],
    sources: &[Source {
        name: "stream",
        files: &[("stream.c", include_str!("../../../peer/stream.c"))],
        libraries: &[],
    }],
    files: &[INIT, PASSWD, GROUP, ("etc/sysctl.conf", 0o644, SYSCTLS)],
    directories: &["dev", "proc", "sys", "tmp", "run"],
};
