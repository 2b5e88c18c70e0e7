//! Tables of QEMU 7.2, captured with two processors and 8 MiB of memory, whole and damaged.

use super::*;
use crate::Error;
use crate::ioapic::{Polarity, Trigger};
use proptest::prelude::*;

/// What a machine's memory holds, by address.
#[derive(Clone)]
struct Captured {
    root: u64,
    pieces: Vec<(u64, Vec<u8>)>,
}

impl Captured {
    fn read(&self) -> Result<Facts, Error> {
        super::read(self.root, |address, length| {
            self.pieces.iter().find_map(|(base, bytes)| {
                let offset = usize::try_from(address.checked_sub(*base)?).ok()?;
                bytes.get(offset..offset.checked_add(length)?)
            })
        })
    }
}

/// SeaBIOS on q35: revision 0, an RSDT, a FADT with fixed registers.
fn q35() -> Captured {
    let root = *b"RSD PTR \xe7BOCHS \0\xcb\x22\x7e\0";
    let tables = include_bytes!("captured/q35.bin").to_vec();
    Captured { root: 0xf59e0, pieces: vec![(0xf59e0, root.to_vec()), (0x7e_0040, tables)] }
}

/// qboot on microvm: revision 2, an XSDT, hardware-reduced ACPI.
fn microvm() -> Captured {
    let root = *b"RSD PTR PBOCHS \x02\0\0\0\0\x24\0\0\0\xb6\xff\x0e\0\0\0\0\0\x19\0\0\0";
    let tables = include_bytes!("captured/microvm.bin").to_vec();
    Captured { root: 0xf34d0, pieces: vec![(0xf34d0, root.to_vec()), (0xefd00, tables)] }
}

#[test]
fn q35_has_a_pm_timer_pci_and_fixed_sleep_registers() {
    let facts = q35().read().unwrap();
    assert_eq!(facts.madt.controllers(), [Controller { address: 0xfec0_0000, first: 0 }]);
    assert_eq!(facts.madt.processors.ids(), [0, 1]);
    assert_eq!(facts.pm_timer, Some(0x608));
    let space = facts.configuration_space.unwrap();
    assert_eq!((space.address(), space.length()), (0xb000_0000, 256 << 20));
    assert_eq!(facts.sleep, Some(SleepControl::Fixed { controls: [0x604, 0], types: [0, 0] }));
}

#[test]
fn q35_moves_and_inverts_isa_interrupts() {
    let madt = q35().read().unwrap().madt;
    let interrupt = |global, trigger, polarity| Interrupt { global, trigger, polarity };
    // The 8254 arrives at pin 2; the keyboard where it always does; 9 is ACPI's.
    assert_eq!(madt.isa(0), interrupt(2, Trigger::Edge, Polarity::High));
    assert_eq!(madt.isa(1), interrupt(1, Trigger::Edge, Polarity::High));
    assert_eq!(madt.isa(9), interrupt(9, Trigger::Level, Polarity::High));
    assert_eq!(madt.isa(200).global, 200);
}

#[test]
fn microvm_has_two_controllers_and_a_sleep_register() {
    let facts = microvm().read().unwrap();
    assert_eq!(
        facts.madt.controllers(),
        [
            Controller { address: 0xfec0_0000, first: 0 },
            Controller { address: 0xfec1_0000, first: 24 },
        ]
    );
    assert_eq!((facts.pm_timer, facts.configuration_space), (None, None));
    let control = Register::Memory(0xfea0_0200);
    assert_eq!(facts.sleep, Some(SleepControl::Reduced { control, sleep_type: 5 }));
}

#[test]
fn the_power_button_is_a_fixed_feature_or_an_event_of_the_generic_device() {
    let fixed = PowerButton::Fixed {
        status: 0x600,
        enable: 0x602,
        control: 0x604,
        take_over: Some((0xb2, 2)),
        line: 9,
    };
    assert_eq!(q35().read().unwrap().power_button, Some(fixed));
    let generic = PowerButton::Generic {
        register: 0xfea0_0000,
        mask: 2,
        global: 9,
        trigger: Trigger::Edge,
        polarity: Polarity::High,
    };
    assert_eq!(microvm().read().unwrap().power_button, Some(generic));
}

/// Both tables are recent enough to say it; one that is older says nothing, and has one unless it has none of
/// the registers of old.
#[test]
fn a_keyboard_controller_is_told_of_by_a_flag_or_by_age() {
    assert!(q35().read().unwrap().keyboard);
    assert!(!microvm().read().unwrap().keyboard);
    for (hardware_reduced, revision, flags, there) in [
        (0, 3, 0, false),
        (0, 3, 2, true),
        (0, 1, 0, true),
        (0x10, 5, 2, true),
        (0x10, 2, 0, false),
    ] {
        let mut fadt = vec![0; 276];
        (fadt[8], fadt[109], fadt[114]) = (revision, flags, hardware_reduced);
        assert_eq!(Fadt::parse(Bytes(&fadt)).unwrap().keyboard, there);
    }
}

#[test]
fn a_generic_device_that_is_cut_off_has_no_button() {
    let code = &microvm().pieces[1].1;
    let end = code.windows(4).position(|name| name == b"FACP").unwrap();
    let whole = button::generic(&code[..end]);
    let shortest = (0..=end).find(|length| button::generic(&code[..*length]).is_some()).unwrap();
    assert!((0..shortest).all(|length| button::generic(&code[..length]).is_none()));
    assert!((shortest..=end).all(|length| button::generic(&code[..length]) == whole));
}

#[test]
fn damage_is_named() {
    let mut captured = q35();
    captured.pieces[0].1[0] = b'X';
    assert_eq!(captured.read().unwrap_err(), Error::BadSignature);
    let mut captured = q35();
    captured.pieces[0].1[9] ^= 1;
    assert_eq!(captured.read().unwrap_err(), Error::BadChecksum);
    let mut captured = q35();
    captured.pieces[1].1.truncate(0x2000);
    assert_eq!(captured.read().unwrap_err(), Error::TableTruncated);
    let mut captured = q35();
    captured.root += 1;
    assert_eq!(captured.read().unwrap_err(), Error::TableTruncated);
}

#[test]
fn an_entry_of_length_zero_ends_in_an_error() {
    let mut madt = vec![0; 44];
    madt.extend([0, 8, 0, 0, 1, 0, 0, 0, 1, 0]);
    assert_eq!(Madt::parse(Bytes(&madt)).unwrap_err(), Error::TableTruncated);
}

#[test]
fn processors_are_those_that_are_enabled_each_once() {
    let mut madt = vec![0; 44];
    let xapic = |id: u8, flags: u8| [0, 8, 0, id, flags, 0, 0, 0];
    let x2apic = |id: u32, flags: u8| {
        let [a, b, c, d] = id.to_le_bytes();
        [9, 16, 0, 0, a, b, c, d, flags, 0, 0, 0, 0, 0, 0, 0]
    };
    for entry in [xapic(4, 1), xapic(1, 2), xapic(0xff, 1), xapic(0, 3), xapic(4, 1)] {
        madt.extend(entry);
    }
    for entry in [x2apic(300, 1), x2apic(4, 1), x2apic(301, 0), x2apic(u32::MAX, 1)] {
        madt.extend(entry);
    }
    assert_eq!(Madt::parse(Bytes(&madt)).unwrap().processors.ids(), [4, 0, 300]);
}

#[test]
fn processors_for_which_there_is_no_room_are_counted() {
    let mut madt = vec![0; 44];
    let all = crate::processors::MOST as u32 + 3;
    for id in 0..all {
        let [a, b, c, d] = id.to_le_bytes();
        madt.extend([9, 16, 0, 0, a, b, c, d, 1, 0, 0, 0, 0, 0, 0, 0]);
    }
    let processors = Madt::parse(Bytes(&madt)).unwrap().processors;
    assert!(processors.ids().iter().copied().eq(0..crate::processors::MOST as u32));
    assert_eq!(processors.beyond(), 3);
}

#[test]
fn more_controllers_than_are_kept_are_an_error() {
    let mut madt = vec![0; 44];
    for _ in 0..=Madt::CONTROLLERS {
        madt.extend([1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    assert_eq!(Madt::parse(Bytes(&madt)).unwrap_err(), Error::TooMany);
}

proptest! {
    /// Whatever a single table says, once its sum is right again, no read goes astray.
    #[test]
    fn no_damage_panics(
        micro: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut captured = if micro { microvm() } else { q35() };
        let whole = captured.clone();
        for (place, value) in changes {
            let tables = &mut captured.pieces[1].1;
            let place = place.index(tables.len());
            tables[place] = value;
        }
        // Sums are repaired, so that the damage gets past them; the last byte takes the blame.
        for (start, length) in tables_of(&whole) {
            let table = &mut captured.pieces[1].1[start..start + length];
            let sum = table.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
            let last = table.last_mut().unwrap();
            *last = last.wrapping_sub(sum);
        }
        let _ = captured.read();
    }
}

/// Where the tables are in a capture's second piece.
fn tables_of(captured: &Captured) -> Vec<(usize, usize)> {
    let bytes = &captured.pieces[1].1;
    let signatures: [&[u8]; 6] = [b"DSDT", b"FACP", b"APIC", b"MCFG", b"RSDT", b"XSDT"];
    let found = |signature: &&[u8]| {
        let start = bytes.windows(4).position(|window| window == *signature)?;
        let length = Bytes(bytes).u32(start + 4).ok()? as usize;
        (start + length <= bytes.len()).then_some((start, length))
    };
    signatures.iter().filter_map(found).collect()
}
