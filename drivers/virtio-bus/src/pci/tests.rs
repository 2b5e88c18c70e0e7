use super::*;
use crate::Queues;
use reflex_hil::MsiMessage;
use reflex_pci_fake::{Function, Functions, NET, SpaceHal, net, peek32, physical, poke32};
use virtio_drivers::transport::Transport;

const WINDOW: Range<u64> = 0xc000_0000..0xc010_0000;
/// Where SeaBIOS had put the two BARs.
const BAR1: u64 = 0xfebc_0000;
const BAR4: u64 = 0xfebf_c000;

fn find(functions: Functions) -> Vec<Found> {
    // SAFETY: the functions are memory, which `SpaceHal` maps, and nobody else has them.
    unsafe { discover::<SpaceHal, _>(functions, 0..=255, WINDOW) }
}

/// The network device with some words of its configuration space replaced.
fn net_with(changes: &[(usize, u32)]) -> Function {
    let mut words = NET;
    changes.iter().for_each(|&(offset, word)| words[offset / 4] = word);
    Function { words, ..net() }
}

/// The reason the one device there is cannot be used.
fn reason(changes: &[(usize, u32)]) -> Option<Error> {
    let found = find(Functions::new().add(0, 3, 0, net_with(changes)));
    assert_eq!(found.len(), 1);
    found.into_iter().next().and_then(|found| found.device.err())
}

fn word(functions: Functions, device: u8, offset: u8) -> u32 {
    functions.read_word(DeviceFunction { bus: 0, device, function: 0 }, offset)
}

#[test]
fn a_device_is_used_where_firmware_put_it() {
    let functions = Functions::new().add(0, 3, 0, net());
    let mut found = find(functions);
    let device = found.remove(0).device.expect("a good device");
    assert_eq!(device.kind, DeviceType::Network);
    assert_eq!(device.interrupt, Interrupt::Messages { vectors: 4 });
    assert_eq!((word(functions, 3, 0x14), word(functions, 3, 0x20)), (0xfebc_0000, 0xfebf_c00c));
    assert_eq!(word(functions, 3, 0x04) & 0xffff, 0x0406, "memory, bus master, no INTx");
    assert_eq!(word(functions, 3, 0x98) >> 30, 0b10, "MSI-X on, not all masked");
    let masked: Vec<_> = (0..4).map(|vector| peek32(BAR1 + 16 * vector + 12)).collect();
    assert_eq!(masked, [1; 4]);
}

#[test]
fn queues_have_vectors_and_doorbells() {
    let mut found = find(Functions::new().add(0, 3, 0, net()));
    let mut transport = found.remove(0).device.expect("a good device").transport;
    let message = |data| MsiMessage { address: 0x1_fee0_1000, data };
    assert_eq!(transport.route(&[]), Err(Error::MessageCount));
    assert_eq!(transport.route(&[message(0); 5]), Err(Error::MessageCount));
    assert_eq!(transport.route(&[message(0x41), message(0x42)]), Ok(()));
    let entry = |n: u64| [0, 4, 8, 12].map(|at| peek32(BAR1 + 16 * n + at));
    assert_eq!(entry(0), [0xfee0_1000, 1, 0x41, 0]);
    assert_eq!(entry(1), [0xfee0_1000, 1, 0x42, 0]);
    assert_eq!(entry(2)[3], 1);
    // The queue's vector is the upper half of this word, `queue_notify_off` that of the next.
    let vector = || peek32(BAR4 + 24) >> 16;
    for (queue, expected) in [(0, 0), (1, 1), (2, 1)] {
        transport.queue_set(queue, 8, 0x1_2345_6000, 0x2000, 0x3000);
        assert_eq!(vector(), expected);
    }
    assert_eq!((peek32(BAR4 + 32), peek32(BAR4 + 36)), (0x2345_6000, 1));
    assert_eq!(peek32(BAR4 + 28) & 0xffff, 1, "enabled");
    poke32(BAR4 + 28, 1 | 5 << 16);
    transport.doorbell(2).expect("a doorbell").ring();
    assert_eq!(peek32(BAR4 + 0x3000 + 20), 2);
    // The device shows that it has no vector for it.
    poke32(BAR4 + 24, 8 | 0xffff << 16);
    assert_eq!(transport.doorbell(2).err(), Some(Error::VectorRefused));
    // Its notification register lies behind the end.
    poke32(BAR4 + 24, 8 | 1 << 16);
    poke32(BAR4 + 28, 1 | 1023 << 16);
    assert!(transport.doorbell(2).is_ok());
    poke32(BAR4 + 28, 1 | 1024 << 16);
    assert_eq!(transport.doorbell(2).err(), Some(Error::BadCapability));
}

#[test]
fn configuration_is_read_within_its_bounds() {
    let mut found = find(Functions::new().add(0, 3, 0, net()));
    let transport = found.remove(0).device.expect("a good device").transport;
    poke32(BAR4 + 0x2000, 0x1200_5452);
    assert_eq!(crate::read_config_bytes(&transport, 0), Ok([0x52, 0x54, 0, 0x12]));
    assert_eq!(transport.read_config_space::<u16>(2), Ok(0x1200));
    assert_eq!(transport.read_config_space::<u32>(0xffc), Ok(0));
    assert!(transport.read_config_space::<u32>(0xffd).is_err());
    assert!(transport.read_config_space::<u8>(usize::MAX).is_err());
}

#[test]
fn bars_without_an_address_get_one_that_nobody_has() {
    // One device in the window already, at its start; two without addresses.
    let taken = net_with(&[(0x14, 0xc000_0000), (0x20, 0xc000_400c)]);
    let bare = || net_with(&[(0x14, 0), (0x20, 0x0000_000c), (0x24, 0)]);
    let functions = Functions::new().add(0, 1, 0, bare()).add(0, 2, 0, taken).add(0, 3, 0, bare());
    let found = find(functions);
    assert!(found.len() == 3 && found.iter().all(|found| found.device.is_ok()));
    let bars = |device| (word(functions, device, 0x14), word(functions, device, 0x20));
    assert_eq!(bars(1), (0xc000_1000, 0xc000_800c));
    assert_eq!(bars(2), (0xc000_0000, 0xc000_400c));
    assert_eq!(bars(3), (0xc000_c000, 0xc001_000c));
    // SAFETY: as in `find`.
    let none =
        unsafe { discover::<SpaceHal, _>(Functions::new().add(0, 3, 0, bare()), 0..=0, 0..0) };
    assert!(matches!(none[0].device, Err(Error::WindowFull)));
}

#[test]
fn a_device_that_cannot_be_used_says_why() {
    assert_eq!(reason(&[]), None);
    assert_eq!(reason(&[(0x04, 0x0000_0107)]), Some(Error::LegacyPci));
    assert_eq!(reason(&[(0x84, 0x0514_0009)]), Some(Error::LegacyPci));
    assert_eq!(reason(&[(0x70, 0x0210_6009)]), Some(Error::MissingCapability));
    assert_eq!(reason(&[(0x34, 0x84)]), Some(Error::NoMsix));
    assert_eq!(reason(&[(0x00, 0x103f_1af4)]), Some(Error::UnknownDevice));
    assert_eq!(reason(&[(0x00, 0x10ff_1af4)]), Some(Error::UnknownDevice));
    // Structures behind their BAR's end, by sums that do not fit 32 bits too.
    assert_eq!(reason(&[(0x78, 0x3002)]), Some(Error::BadCapability));
    assert_eq!(reason(&[(0x78, 0xffff_f002), (0x7c, 0x1000)]), Some(Error::BadCapability));
    assert_eq!(reason(&[(0x9c, 0xfd1)]), Some(Error::BadCapability));
    assert_eq!(reason(&[(0x98, 0x07ff_8411)]), Some(Error::BadCapability));
    // In a BAR that is I/O, or is none.
    assert_eq!(reason(&[(0x44, 0)]), Some(Error::BadBar));
    assert_eq!(reason(&[(0x44, 2)]), Some(Error::BadBar));
    assert_eq!(reason(&[(0x44, 5)]), Some(Error::BadBar));
}

#[test]
fn bridges_are_followed_and_no_bus_is_walked_twice() {
    let bridge = |secondary: u32| {
        let mut words = [0; 64];
        words[0] = 0x0001_1234;
        words[3] = 1 << 16;
        words[6] = secondary << 8;
        Function { words, bar_masks: [0; 6] }
    };
    let several = net_with(&[(0x0c, 1 << 23)]);
    let functions = Functions::new()
        .add(0, 0, 0, bridge(1))
        .add(0, 5, 0, several)
        .add(0, 5, 6, net())
        .add(1, 31, 0, net())
        .add(1, 2, 0, bridge(0))
        .add(1, 3, 0, bridge(7))
        .add(7, 0, 0, net())
        // Nobody leads here, and a lone function has no neighbours.
        .add(9, 0, 0, net())
        .add(1, 31, 1, net());
    let found = |last| {
        // SAFETY: as in `find`.
        let found = unsafe { discover::<SpaceHal, _>(functions, 0..=last, WINDOW) };
        let mut places: Vec<_> = found
            .iter()
            .map(|f| (f.function.bus, f.function.device, f.function.function))
            .collect();
        places.sort_unstable();
        places
    };
    // A bridge that has no number is told of, for nothing is found behind it.
    assert_eq!(found(255), [(0, 5, 0), (0, 5, 6), (1, 2, 0), (1, 31, 0), (7, 0, 0)]);
    assert_eq!(found(1), [(0, 5, 0), (0, 5, 6), (1, 2, 0), (1, 31, 0)]);
    assert!(find(Functions::new()).is_empty());
}

/// A bridge, or, as `host`, a host bridge.
fn other(class: u32, header: u32, secondary: u32) -> Function {
    let mut words = [0; 64];
    (words[0], words[2], words[3]) = (0x0001_1234, class << 16, header << 16);
    words[6] = secondary << 8;
    Function { words, bar_masks: [0; 6] }
}

/// What was found, and why it cannot be used.
fn places(functions: Functions) -> Vec<(u8, u8, Option<Error>)> {
    let found = find(functions).into_iter();
    found.map(|it| (it.function.bus, it.function.device, it.device.err())).collect()
}

/// QEMU's `pxb-pcie` puts a host bridge onto bus 0 and a root bus of its own elsewhere, where no bridge
/// leads to.
#[test]
fn other_root_buses_are_walked_where_there_is_another_host_bridge() {
    let host = || other(0x0600, 0, 0);
    let functions = Functions::new()
        .add(0, 0, 0, host())
        .add(0, 3, 0, net())
        .add(64, 1, 0, other(0x0604, 1, 65))
        .add(65, 0, 0, net())
        .add(200, 31, 0, net());
    assert_eq!(places(functions), [(0, 3, None)], "one host bridge: not looked for");
    let functions = functions.add(0, 4, 0, host());
    assert_eq!(places(functions), [(0, 3, None), (65, 0, None), (200, 31, None)]);
}

#[test]
fn without_a_device_on_the_first_all_root_buses_are_walked() {
    let functions = Functions::new()
        .add(0, 0, 0, other(0x0600, 0, 0))
        .add(128, 0, 0, other(0x0604, 1, 129))
        .add(129, 0, 0, net());
    assert_eq!(places(functions), [(129, 0, None)]);
}

/// qboot numbers no buses: what is behind a root port is not seen, and the image says why.
#[test]
fn a_bridge_without_a_number_is_told_of() {
    let functions = Functions::new().add(0, 2, 0, other(0x0604, 1, 0)).add(0, 3, 0, net());
    let unnumbered = Some(Error::UnnumberedBridge);
    assert_eq!(places(functions), [(0, 3, None), (0, 2, unnumbered)]);
    let text = std::format!("{}", Error::UnnumberedBridge);
    assert!(text.contains("root port") && text.contains("SeaBIOS"), "{text}");
}

/// qboot numbers the bus behind a root port, and gives no addresses: reads of the device would tell
/// of a device that is none.
#[test]
fn a_device_without_addresses_behind_a_bridge_is_told_of() {
    let bare = || net_with(&[(0x14, 0), (0x20, 0x0000_000c), (0x24, 0)]);
    let port = || other(0x0604, 1, 1);
    let functions = Functions::new().add(0, 2, 0, port()).add(1, 0, 0, bare());
    assert_eq!(places(functions), [(1, 0, Some(Error::ClosedBridge))]);
    let functions = Functions::new().add(0, 2, 0, port()).add(1, 0, 0, net());
    assert_eq!(places(functions), [(1, 0, None)]);
    let text = std::format!("{}", Error::ClosedBridge);
    assert!(text.contains("root port") && text.contains("SeaBIOS"), "{text}");
}

#[test]
fn dropping_a_device_resets_it() {
    let mut found = find(Functions::new().add(0, 3, 0, net()));
    let device = found.remove(0).device.expect("a good device");
    poke32(BAR4 + 20, 0x0f);
    drop(device);
    // SAFETY: mapped.
    assert_eq!(unsafe { physical(BAR4 + 20).read_volatile() }, 0);
}
