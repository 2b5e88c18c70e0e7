//! The flavour that speaks RoCEv2 by `rdma_rxe`: rdma-core's and perftest's programs, our own, and
//! the network emulator that loses packets on request.

use super::{GROUP, INIT, MMIO, PASSWD, PCI, Recipe, Source};

/// Settings under `/proc/sys`: addresses are used at once, without asking whether somebody else
/// has them, and nobody is asked for routers.
const SYSCTLS: &str = "\
net/ipv6/conf/all/accept_dad 0
net/ipv6/conf/eth0/accept_dad 0
net/ipv6/conf/eth0/router_solicitations 0
";

/// What our programs are linked with.
const LIBRARIES: &[&str] = &["libibverbs.so.1", "librdmacm.so.1"];

pub(super) static RECIPE: Recipe = Recipe {
    packages: &[
        "busybox-static",
        "iproute2",
        "ibverbs-providers",
        "ibverbs-utils",
        "rdmacm-utils",
        "perftest",
        "libfabric-bin",
        "qperf",
        // For compiling our own programs.
        "libibverbs-dev",
        "librdmacm-dev",
    ],
    programs: &[
        "usr/bin/rdma",
        "sbin/tc",
        "usr/bin/ibv_devinfo",
        "usr/bin/ibv_rc_pingpong",
        "usr/bin/ibv_uc_pingpong",
        "usr/bin/ibv_ud_pingpong",
        "usr/bin/ibv_srq_pingpong",
        "usr/bin/rping",
        "usr/bin/ucmatose",
        "usr/bin/udaddy",
        "usr/bin/cmtime",
        "usr/bin/rstream",
        "usr/bin/riostream",
        "usr/bin/rcopy",
        "usr/bin/mckey",
        "usr/bin/fi_pingpong",
        "usr/bin/qperf",
        "usr/bin/rdma_client",
        "usr/bin/rdma_server",
        "usr/bin/ib_send_lat",
        "usr/bin/ib_send_bw",
        "usr/bin/ib_write_lat",
        "usr/bin/ib_write_bw",
        "usr/bin/ib_read_lat",
        "usr/bin/ib_read_bw",
        "usr/bin/ib_atomic_lat",
        "usr/bin/ib_atomic_bw",
    ],
    plugins: &[
        // rxe's part of the verbs library; the rest of its name is an interface version.
        "libibverbs/librxe-*",
        // The C library loads it when a thread ends.
        "libgcc_s.so.1",
    ],
    // What libfabric is linked with is one of several libraries.
    links: &[("libpsm_infinipath.so.1", "../libpsm1/libpsm_infinipath.so.1.16")],
    module_groups: &[
        PCI,
        MMIO,
        ("rdma", &["ib_uverbs", "rdma_ucm", "rdma_rxe", "crc32_pclmul", "sch_netem"]),
    ],
    sources: &[
        Source {
            name: "verbs",
            files: &[
                ("endpoint.h", include_str!("../../../peer/rdma/endpoint.h")),
                ("endpoint.c", include_str!("../../../peer/rdma/endpoint.c")),
                ("verbs.h", include_str!("../../../peer/rdma/verbs.h")),
                ("verbs.c", include_str!("../../../peer/rdma/verbs.c")),
                ("server.c", include_str!("../../../peer/rdma/server.c")),
                ("client.h", include_str!("../../../peer/rdma/client.h")),
                ("client.c", include_str!("../../../peer/rdma/client.c")),
                ("cases.h", include_str!("../../../peer/rdma/cases.h")),
                ("cases.c", include_str!("../../../peer/rdma/cases.c")),
                ("messages.c", include_str!("../../../peer/rdma/messages.c")),
                ("remote.c", include_str!("../../../peer/rdma/remote.c")),
                ("orders.c", include_str!("../../../peer/rdma/orders.c")),
                ("refusals.c", include_str!("../../../peer/rdma/refusals.c")),
                ("connections.c", include_str!("../../../peer/rdma/connections.c")),
            ],
            libraries: LIBRARIES,
        },
        Source {
            name: "netio",
            files: &[
                ("endpoint.h", include_str!("../../../peer/rdma/endpoint.h")),
                ("endpoint.c", include_str!("../../../peer/rdma/endpoint.c")),
                ("netio.c", include_str!("../../../peer/rdma/netio.c")),
            ],
            libraries: LIBRARIES,
        },
        Source {
            name: "perf",
            files: &[
                ("endpoint.h", include_str!("../../../peer/rdma/endpoint.h")),
                ("endpoint.c", include_str!("../../../peer/rdma/endpoint.c")),
                ("perf.c", include_str!("../../../peer/rdma/perf.c")),
            ],
            libraries: LIBRARIES,
        },
    ],
    files: &[
        INIT,
        PASSWD,
        GROUP,
        ("etc/sysctl.conf", 0o644, SYSCTLS),
        ("etc/libibverbs.d/rxe.driver", 0o644, "driver rxe\n"),
    ],
    directories: &["dev", "proc", "sys", "tmp", "run"],
};
