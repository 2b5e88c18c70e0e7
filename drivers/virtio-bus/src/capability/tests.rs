use super::*;
use proptest::prelude::*;
use reflex_pci_fake::NET;

fn read(words: &[u32; 64]) -> Result<Capabilities, Error> {
    read_mapped(words, |_| true)
}

fn read_mapped(
    words: &[u32; 64],
    is_mapped: impl Fn(&Location) -> bool,
) -> Result<Capabilities, Error> {
    let word = |at: u8| {
        assert_eq!(at % 4, 0, "a misaligned read");
        words[usize::from(at / 4)]
    };
    Capabilities::read(word, is_mapped)
}

/// The captured space with some words replaced.
fn with(changes: &[(usize, u32)]) -> Result<Capabilities, Error> {
    let mut words = NET;
    changes.iter().for_each(|&(offset, word)| words[offset / 4] = word);
    read(&words)
}

#[test]
fn the_captured_device_is_understood() {
    let place = |offset| Location { bar: 4, offset, length: 0x1000 };
    let expected = Capabilities {
        common: place(0),
        isr: place(0x1000),
        device: Some(place(0x2000)),
        notify: place(0x3000),
        notify_multiplier: 4,
        msix: Some(Msix {
            capability: 0x98,
            vectors: 4,
            table: Location { bar: 1, offset: 0, length: 64 },
        }),
    };
    assert_eq!(read(&NET), Ok(expected));
}

#[test]
fn chains_that_leave_the_space_or_never_end_are_refused() {
    // To itself, back to the start, into the header, and past the end.
    assert_eq!(with(&[(0x84, 0x0514_8409)]), Err(Error::BadCapabilityChain));
    assert_eq!(with(&[(0x40, 0x0110_9809)]), Err(Error::BadCapabilityChain));
    assert_eq!(with(&[(0x98, 0x0003_3c11)]), Err(Error::BadCapabilityChain));
    assert_eq!(with(&[(0x34, 0x10)]), Err(Error::BadCapabilityChain));
    assert_eq!(with(&[(0x34, 0xfc), (0xfc, 0x0110_0009)]), Err(Error::BadCapabilityChain));
    assert_eq!(with(&[(0x34, 0xf8), (0xf8, 0x0003_0011)]), Err(Error::BadCapabilityChain));
}

#[test]
fn structures_that_are_missing_or_impossible_are_refused() {
    assert_eq!(with(&[(0x04, 0)]), Err(Error::LegacyPci));
    assert_eq!(with(&[(0x34, 0)]), Err(Error::LegacyPci));
    // Common configuration: too short, misaligned.
    assert_eq!(with(&[(0x4c, 55)]), Err(Error::BadCapability));
    assert_eq!(with(&[(0x48, 2)]), Err(Error::BadCapability));
    // The notification structure's capability without its multiplier is none.
    assert_eq!(with(&[(0x70, 0x0210_6009)]), Err(Error::MissingCapability));
    assert_eq!(with(&[(0x80, 3)]), Err(Error::BadCapability));
    // BARs from 6 on are reserved, and such structures passed over.
    assert_eq!(with(&[(0x44, 6)]), Err(Error::LegacyPci));
    assert_eq!(with(&[(0x9c, 7)]), Err(Error::BadCapability));
    assert_eq!(with(&[(0x50, 0xff10_4009)]), Err(Error::MissingCapability));
    assert_eq!(with(&[(0x60, 0xff10_5009)]).unwrap().device, None);
    assert_eq!(with(&[(0x98, 0)]), Err(Error::LegacyPci));
    assert_eq!(with(&[(0x34, 0x84)]).unwrap().msix, None);
}

/// 4.1.4: the first that the driver can use. QEMU's `modern-pio-notify=on` puts notifications by I/O
/// ports first.
#[test]
fn of_several_places_the_first_that_can_be_used_counts() {
    let mut words = NET;
    // In front of the chain: notifications, in a BAR of ports or misaligned, then what was there.
    let first = NET[0x34 / 4] & 0xff;
    words[0x34 / 4] = 0xc0;
    words[0xc0 / 4] = 0x0214_0009 | first << 8;
    (words[0xc4 / 4], words[0xc8 / 4], words[0xcc / 4]) = (2, 0, 4);
    words[0xd0 / 4] = 0;
    let usual = read(&NET).unwrap();
    let found = read_mapped(&words, |place| place.bar == 4).unwrap();
    assert_eq!((found.notify, found.notify_multiplier), (usual.notify, 4));
    words[0xc4 / 4] = 4;
    words[0xc8 / 4] = 1;
    assert_eq!(read(&words).unwrap().notify, usual.notify, "misaligned");
    words[0xc8 / 4] = 0x800;
    let first = read(&words).unwrap();
    assert_eq!(first.notify, Location { bar: 4, offset: 0x800, length: 4 }, "it can be used");
    // None can: the first is what is complained of.
    let none = read_mapped(&words, |_| false).unwrap();
    assert_eq!(none.notify.offset, 0x800);
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(
        noise in proptest::collection::vec((0usize..64, any::<u32>()), 0..64),
        start in any::<u8>(),
    ) {
        let mut words = NET;
        noise.iter().for_each(|&(place, word)| words[place] = word);
        words[1] |= HAS_CAPABILITIES;
        words[13] = start.into();
        if let Ok(found) = read(&words) {
            prop_assert!(found.common.length >= 56 && found.common.bar < 6);
            prop_assert!(found.notify.length >= 2 && found.isr.length >= 1);
            prop_assert!(found.msix.is_none_or(|msix| (1..=2048).contains(&msix.vectors)));
        }
    }
}
