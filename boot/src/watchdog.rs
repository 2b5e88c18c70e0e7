//! The machine's watchdog timer, where it has one, and what it is told.

use crate::configuration_space::{self, BAR_WINDOW};
use crate::identity::Identity;
use crate::machine::Machine;
use alloc::boxed::Box;
use core::time::Duration;
use reflex_i6300esb::{BAR, I6300Esb, IDENTITY, LENGTH};
use reflex_runtime::watchdog;

/// How often it is fed in the time after which it fires: one that is late is made up for.
const FEEDS: u32 = 3;

/// Has the machine reset when its kernel stands still for as long as the command line says.
pub(crate) fn start(machine: &Machine) {
    let seconds = machine.arguments.watchdog;
    if seconds == 0 {
        return;
    }
    let opened = match configuration_space::find(machine) {
        Some((access, buses)) => reflex_pci::open(access, buses, BAR_WINDOW, IDENTITY),
        None => Ok(None),
    };
    let function = match opened {
        Ok(Some(function)) => function,
        Ok(None) => {
            if machine.arguments.get("watchdog").is_some() {
                log::warn!("watchdog: this machine has none");
            }
            return;
        }
        Err(error) => return log::warn!("watchdog: {error}"),
    };
    // SAFETY: `Identity` maps BARs, and this function alone looks for this device, once.
    let mut timer = match unsafe { function.registers::<Identity>(BAR, LENGTH) } {
        Ok(registers) => I6300Esb::new(function, registers),
        Err(error) => return log::warn!("watchdog: {error}"),
    };
    if timer.take_has_fired() {
        log::warn!("watchdog: the machine was reset because the kernel stood still");
    }
    match timer.start(seconds) {
        Ok(running) => {
            let period = Duration::from_secs(seconds.into()) / FEEDS;
            if let Err(error) = watchdog::start(Box::leak(Box::new(running)), period) {
                // It runs, and nobody feeds it.
                log::error!("watchdog: {error}");
            }
        }
        Err(error) => log::warn!("watchdog: {error}"),
    }
}
