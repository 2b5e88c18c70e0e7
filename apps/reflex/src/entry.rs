//! From the boot protocol's entry to the application's `main`.

use crate::conclude::conclude;
use crate::{Argument, System, argument, busy, metrics, policy, shutdown, stats};

#[cfg(not(feature = "testing"))]
#[allow(improper_ctypes, reason = "both sides are this image, by one compiler")]
unsafe extern "Rust" {
    /// The application's `main`, written down by `#[reflex::main]`.
    safe fn reflex_application(system: System);

    /// The application's arguments, written down there, too.
    safe fn reflex_arguments() -> &'static [Argument];
}

/// What the boot protocol's entry calls.
#[cfg(not(feature = "testing"))]
#[unsafe(no_mangle)]
extern "C" fn reflex_start(start_info: u32) -> ! {
    // SAFETY: only the entry calls this, once, first thing.
    unsafe {
        reflex_boot::run(start_info, |kernel, machine| {
            begin(System::new(kernel, machine), reflex_arguments(), reflex_application);
        })
    }
}

/// Starts what every image has, and then the application, which takes `arguments`.
pub(crate) fn begin(
    system: System,
    arguments: &'static [Argument],
    application: impl FnOnce(System),
) {
    argument::check(system, arguments);
    metrics::check(system);
    conclude(system, busy::start(system));
    conclude(system, stats::start(system));
    conclude(system, policy::start(system));
    conclude(system, shutdown::start(system));
    application(system);
    policy::review(system);
}
