//! The plugin that counts the instructions of each processor, by a program of a known number of them.

use crate::guest::{Guest, machine};
use reflex_qemu::machine::{Counter, Emulator};
use std::fs;
use tempfile::TempDir;

/// What QEMU takes for firmware: processors begin at the fifteenth byte from its end.
const FIRMWARE: usize = 64 << 10;
const ROUNDS: u16 = 1000;

/// `nopl` with a mark's number in its displacement; in 16-bit code it has a prefix for the size of addresses.
fn mark(number: u8) -> [u8; 9] {
    [0x67, 0x0f, 0x1f, 0x84, 0x00, b'R', b'F', b'X', number]
}

/// A loop of two instructions between two marks, and the end of the machine. Each mark is alone in its block, with the jump
/// that ends it.
fn firmware() -> Vec<u8> {
    let jump_to_next = [0xeb, 0x00];
    let [low, high] = ROUNDS.to_le_bytes();
    let rounds = [0xb9, low, high, 0x49, 0x75, 0xfd];
    let end = [0xb0, 0x10, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd];
    let program: [&[u8]; 6] = [&mark(1), &jump_to_next, &rounds, &mark(2), &jump_to_next, &end];
    let mut firmware = program.concat();
    firmware.resize(FIRMWARE, 0xf4);
    // A near jump, back to the first byte: the segment has as many as the firmware.
    let start = FIRMWARE - 16;
    firmware[start..start + 3].copy_from_slice(&[0xe9, 0x0d, 0x00]);
    firmware
}

#[test]
fn instructions_are_counted_exactly_and_halted_processors_have_none() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("firmware");
    fs::write(&file, firmware()).unwrap();
    let emulator = Emulator::of_process().unwrap();
    let counter = Counter::build(emulator, folder.path()).unwrap();
    let machine = machine("hello").cpus(2).extra(["-bios".as_ref(), file.as_os_str()]);
    let outcome = Guest::start(machine.extra(counter.arguments())).finish();
    let marks = counter.marks().unwrap_or_else(|error| panic!("{error:#}: {}", outcome.tail(30)));

    let numbers: Vec<_> = marks.iter().map(|mark| (mark.number, mark.processor)).collect();
    assert_eq!(numbers, [(1, 0), (2, 0)]);
    let between: Vec<u64> = marks[1]
        .counts
        .iter()
        .zip(&marks[0].counts)
        .map(|(after, before)| after - before)
        .collect();
    // `mov`, the rounds of two, and the second mark's block of two.
    assert_eq!(between[0], 1 + 2 * u64::from(ROUNDS) + 2);
    assert!(between[1..].iter().all(|count| *count == 0), "{between:?}");
}
