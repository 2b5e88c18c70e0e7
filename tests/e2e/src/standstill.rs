//! The watchdog ends a standstill, and nothing else.

use crate::guest::{Guest, PATIENCE, machine};
use reflex_qemu::machine::{Firmware, Icount, Machine, Status};

/// An image that does so, watched: after a second of standstill it is reset.
fn watched(by: &str) -> Machine {
    machine("misbehave").append(format!("by={by} watchdog=1")).watchdog()
}

/// Time is counted in instructions, so that a busy host cannot make the guest look slow, and an idle
/// guest does not wait.
const COUNTED: Icount = Icount { shift: 3, sleep: false };

#[test]
fn a_kernel_that_stands_still_is_reset_and_that_is_told() {
    for by in ["masked", "endless-section"] {
        for firmware in [Firmware::Usual, Firmware::Qboot] {
            let outcome = Guest::start(watched(by).firmware(firmware)).finish();
            assert_eq!(outcome.status, Status::StoodStill, "{by}\n{}", outcome.tail(30));
            assert!(outcome.tail(5).contains("stands still"), "{by}\n{}", outcome.tail(30));
            assert!(!outcome.status.success() && outcome.crashes.is_empty());
        }
    }
}

/// Five times as long as a standstill is borne.
#[test]
fn a_kernel_that_is_idle_or_busy_is_not_reset() {
    for by in ["idle", "busy"] {
        let outcome = Guest::start(watched(by).icount(COUNTED)).finish();
        assert_eq!(outcome.status, Status::Exited(0), "{by}\n{}", outcome.tail(30));
    }
}

/// Where a reset does not end the machine, the image starts again, and knows why.
#[test]
fn an_image_that_was_reset_says_so_and_goes_on() {
    let again = watched("masked").extra(["-action", "reboot=reset"]);
    let mut guest = Guest::start(again);
    for text in ["stands still", "was reset because the kernel stood still", "stands still"] {
        guest.running.wait_for_text(text, PATIENCE).unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(guest.running.kill().status, Status::Killed);
}

#[test]
fn without_a_watchdog_a_standstill_is_not_ended_and_its_key_is_answered() {
    let alone = machine("misbehave").append("by=masked watchdog=1");
    let mut guest = Guest::start(alone);
    guest.running.wait_for_text("this machine has none", PATIENCE).expect("it is told");
    guest.running.wait_for_text("stands still", PATIENCE).expect("it does");
    guest.stop();
    // Off by its key: the image has it, and does not start it.
    let off = machine("misbehave").append("by=idle watchdog=0").extra(["-device", "i6300esb"]);
    let outcome = Guest::start(off.icount(COUNTED)).finish();
    assert_eq!(outcome.status, Status::Exited(0), "{}", outcome.tail(30));
}
