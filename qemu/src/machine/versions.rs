//! What differs between versions of QEMU, and what is done about it: all of it, in one place.
//!
//! | since | before | what | done |
//! | --- | --- | --- | --- |
//! | 7.2 | | joins guests by the backend `stream`, which peers need | [`OLDEST`] |
//! | | 8.1 | translates barriers and locked instructions away where there is room for one processor | [`processors`] |
//! | 5.2 | | takes SeaBIOS for a microvm with ACPI, and where that is no link to qboot the image never starts | [`firmware`] |
//! | 9.0 | | has x2APIC in the translator, and its timer cannot be read while instructions are counted ("Bad icount read") | [`processor`] |
//!
//! Nothing asks for the version that runs: what one version needs harms no other. A version older than
//! [`OLDEST`] is refused.

use std::fmt;
use std::path::Path;

use super::{Accel, Entropy, Firmware, Machine, Model};

/// The oldest version that is used: the first with a backend `stream`, which joins guests, and the oldest that
/// the tests have run with.
pub const OLDEST: (u32, u32) = (7, 2);

/// A version of QEMU, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
    /// The third.
    pub micro: u32,
    /// The packager's words on it, if there are any.
    pub package: String,
}

impl Version {
    /// Whether the machines of this crate run with it.
    pub fn is_usable(&self) -> bool {
        (self.major, self.minor) >= OLDEST
    }
}

/// As QEMU writes it: `7.2.22 (Debian 1:7.2+dfsg-7)`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)?;
        if self.package.is_empty() { Ok(()) } else { write!(f, " ({})", self.package) }
    }
}

/// The firmware that is named to QEMU; nothing where its own choice is wanted.
pub(super) fn firmware(machine: &Machine) -> Option<&Path> {
    match (machine.model, &machine.firmware) {
        (_, Firmware::File(path)) => Some(path),
        (Model::Q35 | Model::Pc, Firmware::Usual) => None,
        (Model::Microvm, _) | (_, Firmware::Qboot) => Some(Path::new(super::QBOOT)),
    }
}

/// The processor's model: the translator's best, without what is not wanted or does not work.
pub(super) fn processor(machine: &Machine) -> String {
    let mut model = "max".to_owned();
    if !matches!(machine.entropy, Entropy::All | Entropy::Processor) {
        model += ",-rdrand,-rdseed";
    }
    if machine.icount.is_some() {
        model += ",-x2apic";
    }
    model
}

/// How many processors there are, and how many there is room for.
///
/// With room for one only, the translator may leave out the guest's memory barriers and locked
/// instructions. Devices work in threads of their own all the same: the guest's "I am going to
/// sleep" and the network card's "here is a frame" can then miss each other, and the frame lies there
/// until another comes. Counting instructions takes turns in one thread anyway.
pub(super) fn processors(machine: &Machine) -> String {
    match machine.cpus {
        1 if machine.accel == Accel::Tcg && machine.icount.is_none() => "1,maxcpus=2".into(),
        cpus => cpus.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Icount;

    fn version(major: u32, minor: u32) -> Version {
        Version { major, minor, micro: 0, package: String::new() }
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        assert!(version(10, 0) > version(7, 2) && version(7, 10) > version(7, 2));
        assert!(version(7, 2).is_usable() && version(10, 0).is_usable());
        assert!(!version(7, 1).is_usable() && !version(6, 9).is_usable());
    }

    #[test]
    fn a_version_is_written_with_its_package() {
        assert_eq!(version(9, 1).to_string(), "9.1.0");
        let packaged = Version { package: "Debian 1:9.1".into(), ..version(9, 1) };
        assert_eq!(packaged.to_string(), "9.1.0 (Debian 1:9.1)");
    }

    #[test]
    fn microvm_is_never_left_to_qemus_choice_of_firmware() {
        let firmware = |model, choice| {
            firmware(&Machine::new("x").model(model).firmware(choice)).map(Path::to_owned)
        };
        assert_eq!(firmware(Model::Q35, Firmware::Usual), None);
        assert_eq!(firmware(Model::Pc, Firmware::Usual), None);
        for (model, choice) in [
            (Model::Q35, Firmware::Qboot),
            (Model::Microvm, Firmware::Usual),
            (Model::Microvm, Firmware::Qboot),
        ] {
            assert_eq!(firmware(model, choice), Some("qboot.rom".into()));
        }
    }

    #[test]
    fn counting_instructions_leaves_x2apic_out() {
        let counting = Icount { shift: 0, sleep: false };
        assert_eq!(processor(&Machine::new("x")), "max");
        assert_eq!(processor(&Machine::new("x").icount(counting)), "max,-x2apic");
        let both = Machine::new("x").icount(counting).entropy(Entropy::None);
        assert_eq!(processor(&both), "max,-rdrand,-rdseed,-x2apic");
    }

    #[test]
    fn one_processor_has_room_for_another_where_time_is_not_counted() {
        assert_eq!(processors(&Machine::new("x")), "1,maxcpus=2");
        assert_eq!(processors(&Machine::new("x").cpus(3)), "3");
        let counting = Machine::new("x").icount(Icount { shift: 0, sleep: true });
        assert_eq!(processors(&counting), "1");
    }
}
