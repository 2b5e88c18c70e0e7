//! How many processors an image finds, and which it leaves out.

use crate::guest::{Guest, machine};
use reflex_qemu::machine::{Machine, Model};
use std::io::Write;
use tempfile::NamedTempFile;

/// Boots `hello`, which is to succeed; returns what it said of processors.
fn said(machine: Machine) -> Vec<String> {
    let outcome = Guest::start(machine).finish();
    assert!(outcome.status.success(), "{}", outcome.tail(30));
    let lines = outcome.lines.iter().map(|line| line.text.as_str());
    lines
        .filter(|line| line.contains("processor"))
        .map(|line| line.split_once(": ").map_or(line, |(_, text)| text).to_owned())
        .collect()
}

/// As many as there are, and no other word: their time stamps agree, too.
fn start_all(machine: impl Fn() -> Machine) {
    for cpus in [1, 2, 4, 8] {
        let expected = if cpus == 1 { vec![] } else { vec![format!("{cpus} processors")] };
        assert_eq!(said(machine().cpus(cpus)), expected);
    }
}

#[test]
fn all_start_on_q35() {
    start_all(|| machine("hello"));
}

#[test]
fn all_start_on_pc() {
    start_all(|| machine("hello").extra(["-M", "pc"]));
}

#[test]
fn all_start_on_microvm() {
    start_all(|| machine("hello").model(Model::Microvm));
}

/// Without ACPI they are found in the MP table.
#[test]
fn all_start_on_microvm_without_acpi() {
    start_all(|| machine("hello").model(Model::Microvm).extra(["-M", "acpi=off"]));
}

/// A table beside the machine's own MADT, which it replaces: processors 0 and those of `ids`, and the I/O APIC.
fn madt(ids: &[u8]) -> NamedTempFile {
    let mut table = [0xfee0_0000_u32, 1].map(u32::to_le_bytes).concat();
    for id in [0].iter().chain(ids) {
        table.extend([0, 8, *id, *id, 1, 0, 0, 0]);
    }
    table.extend([1, 12, 0, 0]);
    table.extend([0xfec0_0000_u32, 0].map(u32::to_le_bytes).concat());
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&table).unwrap();
    file
}

fn with_madt(ids: &[u8], cpus: u32) -> Vec<String> {
    let file = madt(ids);
    let table = format!("sig=APIC,data={}", file.path().display());
    said(machine("hello").cpus(cpus).extra(["-acpitable", &table]))
}

#[test]
fn one_that_does_not_come_up_is_named_and_left_out() {
    let silent = "processor 77 is left out: it did not come up within a second";
    assert_eq!(with_madt(&[77], 1), [silent, "1 of 2 processors"]);
    // The next one is started all the same, and gets the number.
    assert_eq!(with_madt(&[77, 1], 2), [silent, "2 of 3 processors"]);
}

/// An entry without an end: nothing of the tables is believed, and SeaBIOS's MP table names the first one.
#[test]
fn damaged_tables_leave_one() {
    let mut file = madt(&[1]);
    file.write_all(&[0, 0]).unwrap();
    let table = format!("sig=APIC,data={}", file.path().display());
    assert_eq!(said(machine("hello").cpus(2).extra(["-acpitable", &table])), [""; 0]);
}

/// An application needs memory more than processors do.
#[test]
fn stacks_of_processors_leave_memory_to_the_application() {
    assert_eq!(said(machine("hello").cpus(4).memory_mib(5)), ["4 processors"]);
    let lines = said(machine("hello").cpus(8).memory_mib(3));
    let [left_out @ .., count] = &lines[..] else { panic!("no word of processors") };
    assert!(count.ends_with("of 8 processors") && !left_out.is_empty(), "{lines:?}");
    assert!(left_out.iter().all(|line| line.ends_with("too little memory is left for its stacks")));
}
