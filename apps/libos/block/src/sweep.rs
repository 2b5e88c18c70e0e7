//! What becomes of disks that are closed, with their contexts or by being dropped: in bounded steps.

use crate::Device;
use crate::name::Name;
use crate::slot::{Phase, Slot};
use crate::state::{MOST_DISKS, Opened, State};
use crate::visit::Visit;
use alloc::boxed::Box;
use reflex_event::{EventSystem, Kernel};
use reflex_hil::Pieces;

/// What is to be dropped outside of the section.
#[derive(Default)]
struct Remains {
    _memory: Pieces,
    disk: Option<Opened>,
    _slots: Box<[Slot]>,
}

impl<K: Kernel> Device<K> {
    /// Looks at a few places, if disks were closed or their contexts have come to an end.
    pub(crate) fn sweep(&self, count: u32) {
        let inner = &self.0;
        let mut sweep = inner.with(|state| {
            state.sweep.activated(count);
            state.sweep
        });
        let more = sweep.go_on(|place| {
            let (next, remains) = inner.with(|state| state.look(place, &inner.kernel));
            if let Some(event) = remains.disk.as_ref().and_then(|disk| disk.event) {
                // It may have ended with its context.
                let _ = inner.kernel.unregister(event);
            }
            next
        });
        inner.with(|state| state.sweep = sweep);
        inner.feed();
        if more {
            inner.sweep_soon();
        }
    }
}

impl State {
    /// Looks at one place: the next one, and what was found to be of no use any more.
    fn look(&mut self, place: Visit, kernel: &impl EventSystem) -> (Option<Visit>, Remains) {
        let behind = place.disk + 1;
        let next = (behind < MOST_DISKS).then_some(Visit { disk: behind, slot: 0 });
        let Some(disk) = &mut self.disks[usize::from(place.disk)] else {
            return (next, Remains::default());
        };
        disk.closed |= !disk.owner.is_alive(kernel);
        if !disk.closed {
            let again = self.unpark(place.disk);
            return (if again { Some(place) } else { next }, Remains::default());
        }
        if place.slot < disk.depth {
            let memory = self.clear(Name { disk: place.disk, slot: place.slot });
            let next = Visit { slot: place.slot + 1, ..place };
            return (Some(next), Remains { _memory: memory, ..Remains::default() });
        }
        if disk.used > 0 {
            // The device has them: their coming back begins the look anew.
            return (next, Remains::default());
        }
        let remains = self.remove(place.disk);
        // Others may have waited for that, before it too.
        (Some(Visit::default()), remains)
    }

    /// Gives one request of a disk that has waited for closed ones to those that wait for the device; false when
    /// there is none, or not yet.
    fn unpark(&mut self, at: u16) -> bool {
        let Some(disk) = self.disks[usize::from(at)].as_mut().filter(|disk| disk.blockers == 0)
        else {
            return false;
        };
        let Some(name) = self.slots.pop(&mut disk.parked) else { return false };
        self.slots.at(name).phase = Phase::Waiting;
        self.ready.push(&mut self.slots, name);
        true
    }

    /// Clears a place of a closed disk: memory that nobody waits for.
    fn clear(&mut self, name: Name) -> Pieces {
        let slot = self.slots.at(name);
        let (phase, flying) = (slot.phase, slot.flying);
        let mut memory = core::mem::take(&mut slot.memory);
        if let Some(timer) = slot.timer.take() {
            // It was set aside for the place.
            let _ = self.deadlines[0].remove(timer);
        }
        match phase {
            Phase::Parked | Phase::Waiting => memory = self.withdraw(name),
            Phase::Done => {
                if let Some(disk) = &mut self.disks[usize::from(name.disk)] {
                    self.slots.remove(&mut disk.done, name);
                }
            }
            Phase::Free | Phase::WithDevice | Phase::Left => {}
        }
        if phase != Phase::Free {
            if flying {
                self.slots.at(name).phase = Phase::Left;
            } else {
                self.release(name);
            }
        }
        memory
    }

    /// Takes a closed disk out of which nothing is under way. Those that have its sectors now go on.
    fn remove(&mut self, at: u16) -> Remains {
        let disk = self.disks[usize::from(at)].take();
        self.disks.iter_mut().flatten().for_each(|other| other.blockers &= !(1 << at));
        Remains { _memory: Pieces::default(), disk, _slots: self.slots.replace(at, Box::default()) }
    }
}
