//! What the driver leaves in the registers. In which order it writes them is for QEMU to judge, end to
//! end.

use reflex_hil::Watchdog;
use reflex_i6300esb::{BAR, BadTime, I6300Esb, IDENTITY, LENGTH, LONGEST_SECONDS};
use reflex_pci::open;
use reflex_pci_fake::{Function, Functions, SpaceHal, peek32, poke32};
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};

const PLACE: DeviceFunction = DeviceFunction { bus: 0, device: 5, function: 0 };
/// Where the window for BARs without addresses begins.
const BASE: u64 = 0xc000_0000;

/// The timer as qboot leaves it: its BAR without an address.
fn machine() -> Functions {
    let mut words = [0; 64];
    words[0] = 0x25ab_8086;
    words[0x60 / 4] = 0xdead_0000;
    Functions::new().add(0, 5, 0, Function { words, bar_masks: [!0xf, 0, 0, 0, 0, 0] })
}

fn timer(functions: Functions) -> I6300Esb<Functions> {
    let opened = open(functions, 0..=255, BASE..BASE + 0x1000, IDENTITY);
    let function = opened.expect("no error").expect("it is there");
    // SAFETY: the function is memory, which `SpaceHal` maps, and nobody else has it.
    let registers = unsafe { function.registers::<SpaceHal>(BAR, LENGTH) };
    I6300Esb::new(function, registers.expect("a BAR that is large enough"))
}

fn word(functions: Functions, offset: u8) -> u32 {
    functions.read_word(PLACE, offset)
}

#[test]
fn it_is_found_given_an_address_and_switched_on() {
    let functions = machine();
    timer(functions);
    assert_eq!(u64::from(word(functions, 0x10)), BASE);
    assert_eq!(word(functions, 0x04) & 0x402, 0x402, "memory, no interrupts");
    assert_eq!(word(functions, 0x68), 0, "it does not run");
    let none = open(Functions::new(), 0..=255, BASE..BASE + 0x1000, IDENTITY);
    assert!(none.expect("no error").is_none());
}

#[test]
fn both_counts_together_last_as_long_as_was_said_and_hardly_longer() {
    for seconds in [1, 2, 29, 30, 1000, LONGEST_SECONDS] {
        let functions = machine();
        let _running = timer(functions).start(seconds).expect("a time that it counts");
        assert_eq!(word(functions, 0x68), 2, "it runs");
        assert_eq!(word(functions, 0x60), 0xdead_0003, "quiet until the reset, and half a word");
        assert_eq!(peek32(BASE + 0xc) & 0xffff, 0x100, "fed before it runs");
        let counts = [0, 4].map(|at| u128::from(peek32(BASE + at)));
        assert_eq!(counts[0], counts[1]);
        assert!(counts[0] < 1 << 20);
        let nanos = 2 * counts[0] * (1 << 15) * 1_000_000_000 / 33_000_000;
        let wanted = u128::from(seconds) * 1_000_000_000;
        assert!((wanted..wanted + 3_000_000).contains(&nanos), "{seconds} s: {nanos} ns");
    }
    for seconds in [0, LONGEST_SECONDS + 1, u32::MAX] {
        let functions = machine();
        assert_eq!(timer(functions).start(seconds).err(), Some(BadTime));
        assert_eq!(word(functions, 0x68), 0, "it does not run");
    }
}

#[test]
fn feeding_begins_the_count_again() {
    let mut running = timer(machine()).start(10).expect("a time that it counts");
    poke32(BASE + 0xc, 0);
    running.feed();
    assert_eq!(peek32(BASE + 0xc) & 0xffff, 0x100);
}

#[test]
fn it_tells_that_it_was_the_one() {
    let mut timer = timer(machine());
    poke32(BASE + 0xc, 0);
    assert!(!timer.take_has_fired());
    poke32(BASE + 0xc, 0x1200);
    assert!(timer.take_has_fired());
    assert_eq!(peek32(BASE + 0xc) & 0xffff, 0x200, "cleared by writing it");
}
