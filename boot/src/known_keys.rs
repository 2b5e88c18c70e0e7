//! Which keys of the command line are known: the kernel's, the application's, and those that machines and boot
//! loaders add. Any other is a mistake, and what is said of it names the nearest that is known.

use crate::CommandLine;

/// A key that may be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value is, as in `ADDRESS/PREFIX`; empty for a key without a value.
    pub value: &'static str,
    /// What happens when it is not given; empty when there is nothing to say.
    pub usual: &'static str,
    /// What it is for.
    pub meaning: &'static str,
}

impl Key {
    const fn new(
        name: &'static str,
        value: &'static str,
        usual: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self { name, value, usual, meaning }
    }
}

/// The kernel's keys.
pub const KERNEL: &[Key] = &[
    Key::new("help", "", "", "prints all keys, and ends"),
    Key::new("ip", "dhcp|ADDRESS/PREFIX", "dhcp", "the interface's address"),
    Key::new("gw", "ADDRESS", "none", "the router, beside ip=ADDRESS/PREFIX"),
    Key::new("ip6", "ADDRESS/PREFIX", "none", "an IPv6 address, for RDMA"),
    Key::new("gw6", "ADDRESS", "none", "the router over IPv6"),
    Key::new("dad", "on|off", "on", "looks for other hosts with the same address"),
    Key::new("loopback", "", "", "lets the image connect to itself, by 127.0.0.1"),
    Key::new("log", "off|error|warn|info|debug|trace", "info", "the least severe lines of the log"),
    Key::new("watchdog", "SECONDS", "30", "ends a standstill after this long; 0 never"),
    Key::new("busy", "MILLISECONDS", "never", "prints so often how busy the processor is"),
    Key::new("stats", "MILLISECONDS", "never", "prints so often latencies and counts"),
    Key::new(
        "quarantine",
        "BYTES",
        "half of the memory",
        "bounds what failed contexts leave unused",
    ),
    Key::new("heap", "BYTES", "half of the memory", "how far the global heap may grow"),
    Key::new(
        "shutdown",
        "SECONDS",
        "10",
        "what open connections are given after the power button or Ctrl-Alt-Del",
    ),
    Key::new("context.NAME.KEY", "VALUE", "", "a limit of the context called NAME"),
];

/// Keys that machines and boot loaders add; of a name that ends in a dot, all that begin so. They are of no use to
/// an image.
const FOREIGN: [&str; 24] = [
    "8250.",
    "BOOT_IMAGE",
    "acpi",
    "apic",
    "console",
    "earlycon",
    "earlyprintk",
    "i8042.",
    "initrd",
    "loglevel",
    "lpj",
    "nokaslr",
    "nomodule",
    "noreplace-smp",
    "panic",
    "pci",
    "quiet",
    "random.",
    "reboot",
    "ro",
    "root",
    "rootfstype",
    "rw",
    "tsc",
];
/// Of a machine, and of use: where devices are that nothing else tells of.
pub(crate) const DEVICE: &str = "virtio_mmio.device";
/// More differences than this are another word.
const NEAR: usize = 2;
/// Bytes of the longest name that is compared.
const LONGEST: usize = 32;

/// Whether machines and boot loaders add the key, and images have no use for it.
pub fn is_foreign(key: &str) -> bool {
    FOREIGN.iter().any(|name| match name.ends_with('.') {
        true => key.starts_with(name),
        false => key == *name,
    })
}

/// The first key of `line` that is unknown: neither the kernel's, nor of `others`, nor foreign.
pub fn first_unknown<'a>(line: &CommandLine<'a>, others: &[Key]) -> Option<&'a str> {
    let mut keys = line.words().map(|(key, _)| key);
    keys.find(|key| {
        // Words on contexts have a check of their own, which knows the names behind the first dot.
        let of_context = key.starts_with("context.") || *key == "context";
        let is_known = KERNEL.iter().chain(others).any(|known| known.name == *key);
        !(of_context || is_known || *key == DEVICE || is_foreign(key))
    })
}

/// The known key that `key` was probably to be, if there is one.
pub fn nearest(key: &str, others: &[Key]) -> Option<&'static str> {
    let known = KERNEL.iter().chain(others).map(|known| known.name);
    let near = known.map(|name| (differences(key, name), name));
    // Of a short name that many differences are nothing in common.
    let near = near.filter(|(count, name)| *count <= NEAR && *count < name.len().min(key.len()));
    near.min_by_key(|(count, _)| *count).map(|(_, name)| name)
}

/// How many letters have to be added, left out, replaced or swapped with their neighbour (optimal string alignment);
/// many for long names.
fn differences(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() > LONGEST || other.len() > LONGEST {
        return usize::MAX;
    }
    // Of the first letters of `one`, the last row and the one before.
    let mut rows = [[0_usize; LONGEST + 1]; 3];
    for (column, cell) in rows[0].iter_mut().enumerate() {
        *cell = column;
    }
    for (row, letter) in (1..).zip(one) {
        let [before, above, current] = [(row + 1) % 3, (row + 2) % 3, row % 3];
        rows[current][0] = row;
        for (column, with) in (1..).zip(other) {
            let replaced = rows[above][column - 1] + usize::from(letter != with);
            let added = rows[current][column - 1].min(rows[above][column]) + 1;
            let mut least = replaced.min(added);
            let swapped = row > 1 && column > 1 && one[row - 2] == *with;
            if swapped && other[column - 2] == *letter {
                least = least.min(rows[before][column - 2] + 1);
            }
            rows[current][column] = least;
        }
    }
    rows[one.len() % 3][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: [Key; 2] =
        [Key::new("connections", "N", "1024", ""), Key::new("verbose", "", "", "")];

    fn unknown(text: &str) -> Option<&str> {
        first_unknown(&CommandLine::parse(text.as_bytes()).unwrap(), &OWN)
    }

    #[test]
    fn what_machines_and_boot_loaders_add_is_known() {
        for text in [
            "",
            "log=off watchdog=0 busy=1 stats=1 quarantine=1m heap=1m shutdown=1 help dad=off",
            "ip=10.0.0.2/24 gw=10.0.0.1 ip6=fd00::2/64 gw6=fe80::1 connections=3 verbose",
            "context.web.memory=64k context=1 virtio_mmio.device=512@0xfeb00000:5",
            // GRUB, Firecracker, Cloud Hypervisor.
            "BOOT_IMAGE=/httpd root=/dev/vda1 ro quiet",
            "console=ttyS0 reboot=k panic=1 pci=off nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux",
            "console=hvc0 root=/dev/vda1 rw tsc=reliable",
        ] {
            assert_eq!(unknown(text), None, "{text}");
        }
    }

    #[test]
    fn a_mistake_is_found_with_what_it_was_to_be() {
        for (text, key, near) in [
            ("conections=3", "conections", Some("connections")),
            ("log=off shutdwon=3", "shutdwon", Some("shutdown")),
            ("watch=1", "watch", None),
            ("pi=10.0.0.1/8", "pi", Some("ip")),
            ("statz=3", "statz", Some("stats")),
            ("verbos", "verbos", Some("verbose")),
            ("x=1", "x", None),
            ("virtio_mmio.devices=1", "virtio_mmio.devices", None),
            ("consoles=1", "consoles", None),
        ] {
            assert_eq!(unknown(text), Some(key), "{text}");
            assert_eq!(nearest(key, &OWN), near, "{key}");
        }
    }

    proptest! {
        #[test]
        fn differences_are_a_distance(one in "[a-d]{0,8}", other in "[a-d]{0,8}", at in 0..8_usize) {
            prop_assert_eq!(differences(&one, &one), 0);
            prop_assert_eq!(differences(&one, &other), differences(&other, &one));
            let longer = one.len().max(other.len());
            prop_assert!(differences(&one, &other) <= longer);
            prop_assert!(differences(&one, &other) >= longer - one.len().min(other.len()));
            let mut changed = one.clone();
            changed.insert(at.min(one.len()), 'z');
            prop_assert_eq!(differences(&one, &changed), 1);
        }
    }
}
