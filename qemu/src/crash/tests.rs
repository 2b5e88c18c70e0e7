//! Symbols of this very program, which is an ELF file with debug information like an image.

use std::hint::black_box;

use super::*;

#[inline(never)]
fn innermost(value: u64) -> u64 {
    black_box(value) + 1
}

#[inline(never)]
fn outer(value: u64) -> u64 {
    let inner = innermost(black_box(value));
    black_box(inner) * 3
}

/// An address of this program as its file has it: programs of the host are moved when loaded.
fn in_file(address: usize) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let this = std::env::current_exe().unwrap();
    let first = maps.lines().find(|line| line.ends_with(this.to_str().unwrap())).unwrap();
    let start = u64::from_str_radix(first.split('-').next().unwrap(), 16).unwrap();
    address as u64 - start
}

/// A report as if `innermost` had crashed at its first instruction, called by `outer`.
fn report() -> CrashReport {
    assert_eq!(outer(1), 6);
    let stack = 0x8000u64;
    let mut collector = CrashCollector::default();
    let pc = in_file(innermost as fn(u64) -> u64 as usize);
    let caller = in_file(outer as fn(u64) -> u64 as usize) + 4;
    collector.take(&Event::Register("rip".into(), 1));
    collector.take(&Event::Crash("page fault at 0x10".into()));
    collector.take(&Event::Register("rip".into(), pc));
    collector.take(&Event::Register("rsp".into(), stack));
    collector.take(&Event::Register("rbp".into(), 0));
    collector.take(&Event::Stack(stack, caller.to_le_bytes().to_vec()));
    collector.take(&Event::CrashEnd);
    assert!(!collector.open());
    collector.take_reports().remove(0)
}

#[test]
fn a_backtrace_has_functions_files_and_lines() {
    let symbols = Symbols::load(&std::env::current_exe().unwrap()).unwrap();
    let report = report();
    let frames = symbols.backtrace(&report);
    assert!(frames[0].function.ends_with("crash::tests::innermost"), "{frames:?}");
    let caller = frames.iter().find(|f| f.function.ends_with("crash::tests::outer"));
    let caller = caller.expect("the caller is found");
    assert!(caller.certain, "{frames:?}");
    assert!(caller.location.as_ref().unwrap().contains("crash/tests.rs:"), "{frames:?}");
    let text = report.render(Some(&symbols));
    assert!(text.starts_with("the guest crashed: page fault at 0x10\n   0: "), "{text}");
    assert!(text.contains("rsp 0000000000008000"), "{text}");
}

#[test]
fn a_contained_crash_is_told_as_one() {
    let mut collector = CrashCollector::default();
    collector.take(&Event::Contained("context 3".into()));
    collector.take(&Event::Register("rip".into(), 1));
    // The image itself crashes before that report is complete.
    collector.take(&Event::Crash("panic".into()));
    collector.take(&Event::CrashEnd);
    let reports = collector.take_reports();
    assert_eq!(reports.iter().map(|report| report.contained).collect::<Vec<_>>(), [true, false]);
    assert!(reports[0].render(None).starts_with("a context was given up: context 3\n"));
}

#[test]
fn what_other_cores_were_at_is_told_apart() {
    let mut collector = CrashCollector::default();
    collector.take(&Event::Core(1, "of no crash".into()));
    collector.take(&Event::Crash("panic".into()));
    collector.take(&Event::Register("rip".into(), 1));
    collector.take(&Event::Core(1, "no context".into()));
    collector.take(&Event::Register("rip".into(), 2));
    collector.take(&Event::CrashEnd);
    let [report] = &collector.take_reports()[..] else { panic!("not one crash") };
    let [other] = &report.others[..] else { panic!("not one other core") };
    assert_eq!((report.registers["rip"], other.registers["rip"], other.core), (1, 2, Some(1)));
    assert!(report.render(None).contains("at that time on core 1: no context\n"));
}

#[test]
fn without_symbols_the_registers_are_left() {
    let text = report().render(None);
    assert!(text.contains("page fault at 0x10") && text.contains("rip 0000"), "{text}");
}

#[test]
fn a_damaged_stack_ends_the_backtrace() {
    let symbols = Symbols::load(&std::env::current_exe().unwrap()).unwrap();
    let mut report = report();
    report.stack.clear();
    assert!(!symbols.backtrace(&report).is_empty());
    report.registers.insert("rip".into(), u64::MAX);
    report.registers.insert("rsp".into(), u64::MAX - 3);
    report.stack.insert(u64::MAX - 3, vec![0xff; 4]);
    symbols.render(&report);
}
