//! From the boot protocol's entry to the application's `main`.

use crate::conclude::conclude;
use crate::{System, argument, busy, metrics, policy, shutdown, stats};
use reflex_boot::Machine;
use reflex_runtime::Runtime;

#[allow(improper_ctypes, reason = "both sides are this image, by one compiler")]
unsafe extern "Rust" {
    /// The application's `main`, written down by `#[reflex::main]`.
    safe fn reflex_application(system: System);
}

/// What the boot protocol's entry calls.
#[unsafe(no_mangle)]
extern "C" fn reflex_start(start_info: u32) -> ! {
    // SAFETY: only the entry calls this, once, first thing.
    unsafe { reflex_boot::run(start_info, application) }
}

fn application(kernel: Runtime, machine: &'static mut Machine) {
    let system = System::new(kernel, machine);
    argument::check(system);
    metrics::check(system);
    conclude(system, busy::start(system));
    conclude(system, stats::start(system));
    conclude(system, policy::start(system));
    conclude(system, shutdown::start(system));
    reflex_application(system);
    policy::review(system);
}
