//! The flavour that the web and echo servers, and the event system, are measured against.

use super::{GROUP, INIT, MMIO, PASSWD, PCI, Recipe, Source};

/// Settings under `/proc/sys`.
pub(crate) const SYSCTLS: &str = include_str!("../../../peer/sysctl.conf");

/// The web server's settings.
pub(crate) const NGINX: &str = include_str!("../../../peer/nginx.conf");

/// The key-value server's settings.
pub(crate) const REDIS: &str = include_str!("../../../peer/redis.conf");

/// The page both web servers of a comparison serve as `/small.txt`.
const PAGE: &str = include_str!("../../../../apps/httpd/site/small.txt");

pub(super) static RECIPE: Recipe = Recipe {
    packages: &["busybox-static", "nginx", "redis-tools"],
    // That of redis is one program with several names.
    programs: &["usr/sbin/nginx", "usr/bin/redis-check-rdb"],
    plugins: &[],
    links: &[],
    module_groups: &[PCI, MMIO],
    sources: &[
        Source {
            name: "echo-server",
            files: &[("echo-server.c", include_str!("../../../peer/echo-server.c"))],
            libraries: &[],
        },
        Source {
            name: "event-costs",
            files: &[
                ("measure.h", include_str!("../../../peer/event-costs/measure.h")),
                ("measure.c", include_str!("../../../peer/event-costs/measure.c")),
                ("main.c", include_str!("../../../peer/event-costs/main.c")),
                ("descriptors.c", include_str!("../../../peer/event-costs/descriptors.c")),
                ("signals.c", include_str!("../../../peer/event-costs/signals.c")),
                ("ring.c", include_str!("../../../peer/event-costs/ring.c")),
                ("fan-out.c", include_str!("../../../peer/event-costs/fan-out.c")),
                ("control.c", include_str!("../../../peer/event-costs/control.c")),
                ("hand-over.c", include_str!("../../../peer/event-costs/hand-over.c")),
                ("clone.c", include_str!("../../../peer/event-costs/clone.c")),
                ("memory.c", include_str!("../../../peer/event-costs/memory.c")),
                ("flood.c", include_str!("../../../peer/event-costs/flood.c")),
            ],
            libraries: &[],
        },
        Source {
            name: "busy",
            files: &[("busy.c", include_str!("../../../peer/busy.c"))],
            libraries: &[],
        },
    ],
    files: &[
        INIT,
        PASSWD,
        GROUP,
        ("etc/sysctl.conf", 0o644, SYSCTLS),
        ("etc/nginx/nginx.conf", 0o644, NGINX),
        ("etc/redis.conf", 0o644, REDIS),
        ("site/small.txt", 0o644, PAGE),
    ],
    directories: &["dev", "proc", "sys", "tmp", "run", "var/log/nginx", "var/lib/nginx"],
};
