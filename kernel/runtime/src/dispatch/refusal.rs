//! What contexts are refused: told in a line that names the context, what it asked for and what there is.
//!
//! A context that is refused again and again is told of at its first, second, fourth, eighth … refusal, so that the
//! log is not flooded. In a section nothing is said, since a line would keep all others waiting; it counts there, too.

use crate::cpu;
use crate::dispatch::section;
use crate::dispatch::section::section;
use core::fmt::Display;

/// Tells of the context at a place that it is refused `what`.
#[cold]
#[inline(never)]
pub(crate) fn tell(index: u16, what: &dyn Display) {
    let silent = section::deferred();
    let name = section(|cs| {
        let places = &cpu::this().places;
        let place = places.with(cs, |places| places.get(usize::from(index)).copied())?;
        let count = place.refusals.get(cs).saturating_add(1);
        place.refusals.set(cs, count);
        (count.is_power_of_two() && !silent).then_some(place.name)
    });
    if let Some(name) = name {
        log::warn!("context {index} \"{name}\" is refused {what}");
    }
}
