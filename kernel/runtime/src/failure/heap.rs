//! What contexts have of the global heap, and what is lost of it with them.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::registry;
use crate::cpu::shared::SHARED;
use crate::dispatch::event_core::with_core;
use crate::dispatch::section;
use crate::dispatch::section::section;
use crate::failure::queue;
use core::sync::atomic::Ordering::Relaxed;

/// The running context has taken `bytes` from the global heap, or given them back if that is less
/// than 0. The kernel has been started, and the caller is in a section of its own; what is taken in another
/// around that is the kernel's, and nobody's.
pub fn account(bytes: i64) {
    if !section::is_outermost() {
        return;
    }
    section(|cs| {
        let context = with_core(cs, |core| {
            let context = core.running()?;
            // What a guarded call takes is not the context's.
            (core.machine(context).scopes.open() == 0).then_some(context)
        });
        let Some(mut context) = context else { return };
        if queue::is_made() && queue::is_supervisor(cs, context) {
            // What it gives back was the dead one's.
            context = queue::drops_for(cs).map_or(context, |dead| dead.context(cs));
        }
        if let Ok(place) = registry::get(cs, context) {
            place.heap.set(cs, place.heap.get(cs) + bytes);
        }
    });
}

/// Bytes of the global heap that were lost with contexts that were given up: what they had taken
/// in their own handlers, less what they had given back.
pub fn lost() -> u64 {
    SHARED.lost.load(Relaxed)
}
