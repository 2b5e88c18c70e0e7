//! Which package may import which: the left column of the crate graph with its
//! right column. A package that is not here is a mistake.

use super::graph::{Kind, Rule};

/// Every package of the workspace.
pub(crate) const RULES: &[Rule] = &[
    // The exokernel.
    rule("reflex-memory", Kind::Memory, &[]),
    rule("reflex-timer", Kind::Pure, &["reflex-memory"]),
    rule("reflex-event", Kind::Pure, &["reflex-memory"]),
    rule("reflex-across", Kind::Memory, &["reflex-event", "reflex-memory"]),
    rule("reflex-hil", Kind::Pure, &["reflex-memory"]),
    rule("reflex-arch", Kind::Machine, &[]),
    rule(
        "reflex-runtime",
        Kind::Machine,
        &[
            "reflex-across",
            "reflex-arch",
            "reflex-event",
            "reflex-memory",
            "reflex-timer",
            "reflex-hil",
        ],
    ),
    // Drivers.
    rule("reflex-pci", Kind::Machine, &[]),
    rule("reflex-pci-fake", Kind::Fake, &["reflex-pci"]),
    rule("reflex-i6300esb", Kind::Pure, &["reflex-hil", "reflex-pci"]),
    rule("reflex-virtio-bus", Kind::Machine, &["reflex-hil", "reflex-memory", "reflex-pci"]),
    rule("reflex-virtio-blk", Kind::Machine, DRIVER),
    rule("reflex-virtio-net", Kind::Machine, DRIVER),
    rule("reflex-virtio-rng", Kind::Machine, DRIVER),
    rule("reflex-virtio-fake", Kind::Fake, &["reflex-memory", "reflex-virtio-bus"]),
    rule("reflex-rdma-crc", Kind::Machine, &[]),
    rule("reflex-rdma-wire", Kind::Pure, &["reflex-rdma-crc"]),
    rule("reflex-rdma-engine", Kind::Pure, &["reflex-rdma-wire"]),
    rule(
        "reflex-rdma-device",
        Kind::Pure,
        &["reflex-hil", "reflex-memory", "reflex-rdma-engine", "reflex-rdma-wire"],
    ),
    // The library OS.
    rule("reflex-block", Kind::Pure, LIBRARY),
    rule("reflex-channel", Kind::Pure, LIBRARY),
    rule("reflex-collections", Kind::Pure, &["reflex-memory"]),
    rule("reflex-dhcp", Kind::Pure, &["reflex-event"]),
    rule("reflex-keyed-timers", Kind::Pure, LIBRARY),
    rule("reflex-kind", Kind::Pure, LIBRARY),
    rule("reflex-metrics", Kind::Pure, &[]),
    rule(
        "reflex-net",
        Kind::Pure,
        &["reflex-dhcp", "reflex-event", "reflex-hil", "reflex-memory", "reflex-metrics"],
    ),
    // A RoCE port is software over any interface: its driver is pure, too.
    rule(
        "reflex-rdma",
        Kind::Pure,
        &[
            "reflex-event",
            "reflex-memory",
            "reflex-metrics",
            "reflex-hil",
            "reflex-rdma-device",
            "reflex-rdma-engine",
            "reflex-rdma-wire",
        ],
    ),
    // Over either of two transports.
    rule(
        "reflex-messaging",
        Kind::Pure,
        &[
            "reflex-collections",
            "reflex-event",
            "reflex-keyed-timers",
            "reflex-memory",
            "reflex-net",
            "reflex-rdma",
        ],
    ),
    rule("reflex-http", Kind::Pure, LIBRARY),
    rule("reflex-http-embed", Kind::Host, &[]),
    // Wiring.
    rule(
        "reflex-boot",
        Kind::Machine,
        &[
            "reflex-arch",
            "reflex-event",
            "reflex-memory",
            "reflex-timer",
            "reflex-runtime",
            "reflex-hil",
            "reflex-pci",
            "reflex-i6300esb",
            "reflex-virtio-blk",
            "reflex-virtio-bus",
            "reflex-virtio-net",
            "reflex-virtio-rng",
        ],
    ),
    rule("reflex-macros", Kind::Host, &[]),
    rule(
        "reflex",
        Kind::Machine,
        &[
            "reflex-event",
            "reflex-memory",
            "reflex-hil",
            "reflex-runtime",
            "reflex-block",
            "reflex-boot",
            "reflex-channel",
            "reflex-collections",
            "reflex-keyed-timers",
            "reflex-kind",
            "reflex-macros",
            "reflex-messaging",
            "reflex-metrics",
            "reflex-net",
            "reflex-rdma",
            "reflex-http",
            // With the feature `testing`, of which it is a part.
            "reflex-testkit",
        ],
    ),
    // The documents' interfaces, over public names alone.
    rule("reflex-aem", Kind::Application, FACADE),
    rule("reflex-netio", Kind::Application, FACADE),
    // Images.
    rule("hello", Kind::Application, FACADE),
    rule("greeter", Kind::Application, FACADE),
    rule("examples", Kind::Application, FACADE),
    rule("aem-server", Kind::Application, &["reflex", "reflex-aem"]),
    rule("netio-hello", Kind::Application, &["reflex", "reflex-netio"]),
    rule("netio-signal", Kind::Application, &["reflex", "reflex-netio"]),
    rule("netio-timer", Kind::Application, &["reflex", "reflex-netio"]),
    rule("netio-publish", Kind::Application, FACADE),
    rule("netio-subscribe", Kind::Application, FACADE),
    rule("netio-readout", Kind::Application, FACADE),
    rule("echo", Kind::Application, FACADE),
    rule("rping", Kind::Application, FACADE),
    rule("rdma-pingpong", Kind::Application, FACADE),
    rule("rdma-script", Kind::Application, FACADE),
    rule("rdma-perf", Kind::Application, &["rdma-script", "reflex"]),
    rule("rdma-world", Kind::Application, &["rdma-script", "reflex"]),
    rule("keyval-engine", Kind::Pure, &["reflex-collections"]),
    rule("keyval", Kind::Application, &["keyval-engine", "reflex"]),
    rule("httpd", Kind::Application, &["reflex", "reflex-http-embed"]),
    // Its handlers fault on purpose.
    rule("guest-tests", Kind::UnsafeApplication, &["reflex", "reflex-aem"]),
    rule("guest-bench", Kind::Application, FACADE),
    rule("steady", Kind::Application, FACADE),
    rule("upgrade", Kind::Application, FACADE),
    // It has to reach past what the facade allows, to be stopped there.
    rule("misbehave", Kind::UnsafeApplication, FACADE),
    // It reads the console by the interface that the facade stands on.
    rule("guest-typing", Kind::Application, &["reflex", "reflex-boot"]),
    rule("guest-kinds", Kind::Application, FACADE),
    rule("guest-rdma", Kind::Application, FACADE),
    rule("guest-transfer", Kind::Application, FACADE),
    // The host.
    rule("cargo-reflex", Kind::Host, &["reflex-load"]),
    rule("reflex-load", Kind::Host, &[]),
    rule("reflex-start", Kind::Host, &[]),
    rule("reflex-testkit", Kind::Fake, &["reflex-hil", "reflex-event", "reflex-memory"]),
    rule("reflex-tests", Kind::Host, &[]),
    rule("reflex-simulation", Kind::Host, FACADE),
    rule("reflex-wire", Kind::Host, &[]),
    rule("reflex-e2e", Kind::Host, &["cargo-reflex", "reflex-wire"]),
    rule(
        "reflex-world",
        Kind::Host,
        &["cargo-reflex", "reflex-dhcp", "reflex-load", "reflex-wire"],
    ),
    rule(
        "reflex-fuzz",
        Kind::Host,
        &[
            "reflex-dhcp",
            "reflex-event",
            "reflex-hil",
            "reflex-net",
            "reflex-rdma-engine",
            "reflex-rdma-wire",
        ],
    ),
];

const FACADE: &[&str] = &["reflex"];
const DRIVER: &[&str] = &["reflex-hil", "reflex-memory", "reflex-virtio-bus"];
const LIBRARY: &[&str] = &["reflex-event", "reflex-memory", "reflex-timer", "reflex-hil"];

const fn rule(package: &'static str, kind: Kind, imports: &'static [&'static str]) -> Rule {
    Rule { package, kind, imports }
}
