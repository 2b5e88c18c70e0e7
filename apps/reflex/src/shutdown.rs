//! Turning the machine off politely: by its power button, which is what a hypervisor's "shut down", `cargo
//! reflex run`'s first Ctrl-C and QEMU's `system_powerdown` press, by Ctrl-Alt-Del, where there is a keyboard, or by the
//! application itself ([`System::shut_down`]).
//!
//! ```text
//!            press                    no connection is left, or the time is over
//!  Running ─────────▶ ShuttingDown ───────────────────────────────────────────▶ exit 0
//!                          │ press
//!                          └──────▶ exit 0, at once
//! ```
//!
//! Whatever has [subscribed](System::on_shutdown) is told at the first press, or when it subscribes if that comes later: it
//! stops accepting, and answers what is in hand. The machine is turned off when all handlers have run that are due and no TCP connection is
//! open; at the latest after `shutdown=SECONDS` of the kernel command line.

use crate::argument::SHUTDOWN;
use crate::{Context, Error, Priority, Registered, System, status};
use core::cell::Cell;
use core::time::Duration;
use reflex_boot::PressError;
use reflex_boot::keyboard::watch_ctrl_alt_del;
use reflex_boot::power_button::watch_power_button;
use reflex_event::{Accumulation, EventSystem as Kernel, Registration};

/// Seconds that what is in hand may take when nothing is said.
const USUAL_PATIENCE: usize = 10;
/// How often it is looked at whether a connection is still open.
const LOOK: Duration = Duration::from_millis(5);

/// The machine is to be turned off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShutdownRequested {
    /// After this long it is turned off, whatever is in hand.
    pub patience: Duration,
}

/// Has the power button and Ctrl-Alt-Del turn the machine off, where there is one and the other.
pub(crate) fn start(system: System) -> Result<(), Error> {
    let patience = system.number(SHUTDOWN).unwrap_or(USUAL_PATIENCE);
    let patience = Duration::from_secs(patience as u64);
    let (kernel, context) = (system.kernel(), system.system_context()?);
    // Below all others: it runs once the handlers that are due have run.
    let lowest = Registration { priority: Priority::LOWEST, accumulation: Accumulation::Count };
    let look = kernel.register(context, lowest, move |_, _| look(system))?;
    let looks = kernel.timer(look)?;
    // Above all others: none keeps the machine on.
    let highest = Registration { priority: Priority::HIGHEST, accumulation: Accumulation::Count };
    let over = kernel.register(context, highest, move |_, _| {
        log::warn!("{} connections are cut off: the time to shut down is over", open(system));
        system.exit(status::SUCCESS);
    })?;
    let end = kernel.timer(over)?;
    let requested = Cell::new(false);
    let pressed = kernel.register(context, highest, move |_, activation| {
        if requested.replace(true) || activation.count > 1 {
            log::warn!("the power button or Ctrl-Alt-Del was pressed again: the machine is turned off at once");
            system.exit(status::SUCCESS);
        }
        log::info!("the power button or Ctrl-Alt-Del was pressed: {} connections are open", open(system));
        let now = system.now();
        // Both timers were reserved.
        let _ = kernel.arm(end, now + patience, None);
        let _ = kernel.arm(looks, now, Some(LOOK));
        system.request_shutdown(ShutdownRequested { patience });
    })?;
    let request = move |presses| {
        // Registered for good, so it cannot be refused.
        let _ = kernel.activate(pressed, presses);
    };
    system.shutdown_event().call_once(|| pressed);
    say("the power button", watch_power_button(system.machine(), request));
    say("Ctrl-Alt-Del", watch_ctrl_alt_del(system.machine(), request));
    Ok(())
}

/// Says what is not heard: it is no reason not to run.
fn say(what: &str, watched: Result<(), PressError>) {
    match watched {
        Ok(()) => {}
        Err(error @ (PressError::NoButton | PressError::NoKeyboard)) => log::debug!("{error}"),
        Err(error) => log::warn!("{what} is not heard: {error}"),
    }
}

/// Turns the machine off when nothing is in hand.
fn look(system: System) {
    if open(system) == 0 {
        system.exit(status::SUCCESS);
    }
}

/// TCP connections that are open.
fn open(system: System) -> u64 {
    system.started_net().map_or(0, |net| {
        let counted = net.counters();
        (counted.accepted + counted.connected).saturating_sub(counted.ended + counted.failed)
    })
}

impl System {
    /// Has the machine turned off as by its power button: whatever has asked for it is [told](Self::on_shutdown), and
    /// what is in hand comes to its end. A second call, as a second press, turns the machine off at once.
    pub fn shut_down(self) {
        log::info!("the application turns the machine off, as its power button does");
        if let Some(event) = self.shutdown_event().get() {
            // Registered for good, so it cannot be refused.
            let _ = self.kernel().activate(*event, 1);
        }
    }

    /// Has `handler` told when the machine is to be turned off, which is when its power button or
    /// Ctrl-Alt-Del is pressed for the first time: it closes listeners, and has what is in hand come to its
    /// end. The machine is turned off, with status 0, when no TCP connection is open any more; when the time
    /// is over that `shutdown=SECONDS` of the kernel command line gives (10 when nothing is said); or at a
    /// second press. A context that asks to be told after the first press is told at once.
    ///
    /// # Errors
    /// When memory or a table does not allow one registration more.
    pub fn on_shutdown<S, F>(
        self,
        context: Context<S>,
        handler: F,
    ) -> Result<Registered<ShutdownRequested>, Error>
    where
        S: 'static,
        F: Fn(&mut S, ShutdownRequested) + Send + 'static,
    {
        let source = self.make_shutdown_source()?.clone();
        // A press may come while this subscribes, and is delivered again below: others have heard of it then.
        let told = Cell::new(false);
        let subscribed = self.subscribe(source).on(context, move |state, event| {
            if !told.replace(true) {
                handler(state, event.data);
            }
        })?;
        if let Some(requested) = self.requested_shutdown() {
            self.request_shutdown(requested);
        }
        Ok(subscribed)
    }
}
