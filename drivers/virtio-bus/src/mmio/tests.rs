use super::*;
use crate::Queues;
use proptest::prelude::*;
use reflex_hil::Acknowledge;
use reflex_pci_fake::{SpaceHal, peek32, poke32};
use std::format;
use std::vec::Vec;
use virtio_drivers::transport::Transport;

const ADDRESS: u64 = 0xfeb0_2e00;

/// A slot with these values in its registers.
fn slot_with(magic: u32, version: u32, id: u32) -> Result<Option<Device>, Error> {
    poke32(ADDRESS, magic);
    poke32(ADDRESS + 4, version);
    poke32(ADDRESS + 8, id);
    let slot = Slot { address: ADDRESS, length: 0x200, gsi: 47 };
    // SAFETY: the slot is memory that `SpaceHal` maps, and nobody else has it.
    unsafe { probe::<SpaceHal>(slot) }
}

#[test]
fn a_device_is_found_and_an_empty_slot_is_none() {
    let device = slot_with(MAGIC_VALUE, 2, 1).expect("no error").expect("a device");
    assert_eq!(device.kind, DeviceType::Network);
    assert_eq!(device.interrupt, Interrupt::Wired { gsi: 47 });
    assert!(slot_with(MAGIC_VALUE, 2, 0).is_ok_and(|device| device.is_none()));
    assert!(slot_with(MAGIC_VALUE, 1, 0).is_ok_and(|device| device.is_none()));
    assert!(slot_with(0, 0, 0).is_ok_and(|device| device.is_none()));
    assert!(slot_with(u32::MAX, u32::MAX, u32::MAX).is_ok_and(|device| device.is_none()));
}

#[test]
fn the_legacy_layout_is_refused_with_advice() {
    let error = slot_with(MAGIC_VALUE, 1, 1).err().expect("legacy");
    assert_eq!(error, Error::LegacyMmio);
    assert!(format!("{error}").contains("-global virtio-mmio.force-legacy=false"));
    assert_eq!(slot_with(MAGIC_VALUE, 3, 1).err(), Some(Error::UnknownMmioVersion));
    assert_eq!(slot_with(MAGIC_VALUE, 2, 999).err(), Some(Error::UnknownDevice));
}

#[test]
fn the_doorbell_and_the_interrupt_are_two_accesses_at_most() {
    let device = slot_with(MAGIC_VALUE, 2, 1).expect("no error").expect("a device");
    let DeviceTransport::Mmio(mut transport) = device.transport else {
        panic!("another transport")
    };
    transport.doorbell(3).expect("a doorbell").ring();
    assert_eq!(peek32(ADDRESS + QUEUE_NOTIFY), 3);
    let mut interrupt = transport.interrupt();
    assert!(!interrupt.acknowledge());
    poke32(ADDRESS + 0x60, 1);
    assert!(interrupt.acknowledge());
    assert_eq!(peek32(ADDRESS + 0x64), 1);
    poke32(ADDRESS + 0x70, 0xf);
    drop(transport);
    assert_eq!(peek32(ADDRESS + 0x70), 0, "dropping it resets the device");
}

/// Byte offset of the notification register (4.2.2).
const QUEUE_NOTIFY: u64 = 0x50;

#[test]
fn configuration_is_read_within_its_bounds() {
    let device = slot_with(MAGIC_VALUE, 2, 1).expect("no error").expect("a device");
    poke32(ADDRESS + 0x1fc, 0x0403_0201);
    assert_eq!(crate::read_config_bytes(&device.transport, 0xfc), Ok([1, 2, 3, 4]));
    assert!(device.transport.read_config_space::<u8>(0x100).is_err());
}

#[test]
fn microvm_has_24_slots_on_the_second_io_apic() {
    let slots: Vec<_> = microvm_slots().collect();
    assert_eq!(slots.len(), 24);
    assert_eq!(slots[0], Slot { address: 0xfeb0_0000, length: 0x200, gsi: 24 });
    assert_eq!(slots[23], Slot { address: ADDRESS, length: 0x200, gsi: 47 });
}

#[test]
fn slots_are_read_from_the_command_line() {
    let values = ["512@0xfeb00000:5", "4K@0xd0000000:0x20:3"];
    let slots: Vec<_> = command_line_slots(values.into_iter()).collect();
    let expected = [
        Ok(Slot { address: 0xfeb0_0000, length: 512, gsi: 5 }),
        Ok(Slot { address: 0xd000_0000, length: 4096, gsi: 32 }),
    ];
    assert_eq!(slots, expected);
    for bad in [
        "",
        "512",
        "512@",
        "512@0xfeb00000",
        "512@0xfeb00000:",
        "@1:1",
        "512@1:1",
        "255@0x1000:1",
        "0x20000@0x1000:1",
        "512@0xfffffffffffffffc:1",
        "512@0x1000:0x100000000",
        "512@0x1000:-1",
        "99999999999999999999@0:1",
        "0xffffffffffffffffK@0:1",
    ] {
        assert_eq!(
            command_line_slots([bad].into_iter()).collect::<Vec<_>>(),
            [Err(Error::BadSlotWord)],
            "{bad}"
        );
    }
}

proptest! {
    #[test]
    fn a_word_is_read_as_it_is_written(
        address in 0u64..1 << 40, length in 0x100u64..0x1_0000, gsi in any::<u32>(),
    ) {
        let address = address & !3;
        let value = format!("{length}@{address:#x}:{gsi}");
        let slots: Vec<_> = command_line_slots([&value[..]].into_iter()).collect();
        prop_assert_eq!(slots, [Ok(Slot { address, length, gsi })]);
    }
}
