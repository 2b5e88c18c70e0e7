//! What applications and the context of disks share of a device, behind one dispatch ceiling: all of it is touched
//! in short sections only, and each call here takes constant time.

use crate::error::Failure;
use crate::lists::{List, Ready, Slots};
use crate::name::Name;
use crate::slot::Phase;
use crate::visit::Visit;
use crate::{Error, Request};
use alloc::boxed::Box;
use core::ops::Range;
use core::time::Duration;
use reflex_event::{EventId, Instant, Owner, Priority, Sweep};
use reflex_hil::{Block, BlockDone, BlockInfo, Pieces};
use reflex_timer::{Once as NoPeriod, Wheel};

/// Disks that a device has at most.
pub(crate) const MOST_DISKS: u16 = u32::BITS as u16;
/// Places for requests of all these, at most.
pub(crate) const MOST_REQUESTS: usize = 1 << 13;
/// Requests of closed disks that are passed over at a time, on the way to one that can be done.
const PASSED: usize = 8;

/// What a device has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests that were taken.
    pub taken: u64,
    /// Of these, ones that had to wait for the device.
    pub waited: u64,
    /// Ones that failed, with or without the device.
    pub failed: u64,
    /// Ones with a deadline that came first.
    pub timed_out: u64,
    /// Requests that were refused, since all places were taken.
    pub refused: u64,
    /// What the driver has counted.
    pub device: reflex_hil::BlockCounters,
}

/// A disk that was opened.
pub(crate) struct Opened {
    /// Which of all that there have been.
    pub(crate) number: u64,
    pub(crate) owner: Owner,
    pub(crate) range: Range<u64>,
    pub(crate) info: BlockInfo,
    pub(crate) priority: Priority,
    pub(crate) within: Duration,
    /// Its places that are free, and all of them.
    pub(crate) free: List,
    pub(crate) depth: u16,
    pub(crate) used: u16,
    /// What its handler is to be told.
    pub(crate) done: List,
    pub(crate) event: Option<EventId>,
    /// The next that is done activates the event.
    pub(crate) armed: bool,
    /// It is given up: what waits goes back, what the device has is waited for.
    pub(crate) closed: bool,
    /// The places of closed disks of which requests may be with the device still, that would be overtaken: a bit each.
    pub(crate) blockers: u32,
    /// What waits for them.
    pub(crate) parked: List,
}

/// What is to be done when the section is over.
#[derive(Default)]
pub(crate) struct After {
    /// To be activated.
    pub(crate) event: Option<EventId>,
    /// There is something to be cleared away.
    pub(crate) sweep: bool,
    /// To be dropped.
    pub(crate) memory: Pieces,
}

/// A disk that is open, by its place and its number.
#[inline]
pub(crate) fn disk(
    disks: &mut [Option<Opened>],
    at: u16,
    number: u64,
) -> Result<&mut Opened, Error> {
    let disk = disks.get_mut(usize::from(at)).and_then(Option::as_mut);
    disk.filter(|disk| disk.number == number && !disk.closed).ok_or(Error::Closed)
}

/// A device, its disks and their requests.
pub(crate) struct State {
    pub(crate) device: Box<dyn Block>,
    pub(crate) slots: Slots,
    pub(crate) disks: Box<[Option<Opened>]>,
    /// Disks there have been.
    pub(crate) opened: u64,
    pub(crate) ready: Ready,
    /// Requests that the device has, and may have.
    pub(crate) flying: u16,
    pub(crate) room: u16,
    pub(crate) deadlines: Box<[Wheel<Name, NoPeriod>; 1]>,
    /// What the timer is set to.
    pub(crate) alarm: Option<u64>,
    pub(crate) sweep: Sweep<Visit>,
    pub(crate) counters: Counters,
}

impl State {
    pub(crate) fn new(device: Box<dyn Block>) -> Result<Self, Error> {
        Ok(Self {
            room: device.info().in_flight,
            device,
            slots: Slots::new(MOST_DISKS.into()),
            disks: (0..MOST_DISKS).map(|_| None).collect(),
            opened: 0,
            ready: Ready::new(),
            flying: 0,
            deadlines: Wheel::boxed(MOST_REQUESTS).map_err(|_| Error::OutOfMemory)?,
            alarm: None,
            sweep: Sweep::default(),
            counters: Counters::default(),
        })
    }

    /// Takes a request, and gives it to the device if there is room: its place, and when the timer is to be set to
    /// another time, that. What is refused stays where it is.
    #[inline]
    pub(crate) fn take(
        &mut self,
        at: u16,
        number: u64,
        request: &mut Option<Request>,
        now: Instant,
    ) -> Result<(Name, Option<u64>), Error> {
        let disk = disk(&mut self.disks, at, number)?;
        let asked = request.as_ref().ok_or(Error::Gone)?;
        disk.info.check(&asked.block)?;
        let (priority, within) = (asked.priority.unwrap_or(disk.priority), asked.within);
        let deadline = now + within.unwrap_or(disk.within);
        let Some(name) = disk.free.first() else {
            self.counters.refused += 1;
            return Err(Error::QueueFull);
        };
        let mut taken = request.take().ok_or(Error::Gone)?;
        self.slots.remove(&mut disk.free, name);
        disk.used += 1;
        // It was found to be in the range, or names no sector.
        taken.block.sector += disk.range.start;
        let slot = self.slots.at(name);
        slot.put(name, taken, priority);
        let timer = slot.timer;
        self.counters.taken += 1;
        if disk.blockers != 0 || disk.parked.first().is_some() {
            self.slots.at(name).phase = Phase::Parked;
            self.slots.push(&mut disk.parked, name);
            self.counters.waited += 1;
        } else {
            self.counters.waited += u64::from(self.flying >= self.room || !self.ready.is_empty());
            self.ready.push(&mut self.slots, name);
        }
        if let Some(timer) = timer {
            // It was set aside for the place.
            let _ = self.deadlines[0].arm(timer, deadline.as_nanos(), None);
        }
        Ok((name, self.next_alarm()))
    }

    /// When the timer is to go off, if that is before it would.
    pub(crate) fn next_alarm(&mut self) -> Option<u64> {
        let next = self.deadlines[0].next_expiry()?;
        let sooner = self.alarm.is_none_or(|alarm| next < alarm);
        sooner.then(|| *self.alarm.insert(next))
    }

    /// Gives the most urgent of what waits to the device, as long as that has room: true when there may be more. What
    /// the device refuses has failed.
    #[inline]
    pub(crate) fn feed(&mut self) -> (bool, After) {
        for _ in 0..PASSED {
            if self.flying >= self.room {
                return (false, After::default());
            }
            let Some(name) = self.ready.pop(&mut self.slots) else {
                return (false, After::default());
            };
            if self.disks[usize::from(name.disk)].as_ref().is_none_or(|disk| disk.closed) {
                // It is found by the sweep, in no list.
                self.slots.at(name).phase = Phase::Left;
                continue;
            }
            let slot = self.slots.at(name);
            let Some(request) = slot.request.take() else { continue };
            match self.device.submit(request) {
                Ok(()) => {
                    (slot.phase, slot.flying) = (Phase::WithDevice, true);
                    self.flying += 1;
                    return (!self.ready.is_empty(), After::default());
                }
                Err((error, request)) => {
                    let result = Err(Failure::Disk(error));
                    return (true, self.end(name, result, request.memory));
                }
            }
        }
        (true, After::default())
    }

    /// A request is over that is in no list: its handler is to be told.
    #[inline]
    pub(crate) fn end(&mut self, name: Name, result: Result<(), Failure>, memory: Pieces) -> After {
        let slot = self.slots.at(name);
        (slot.phase, slot.result, slot.memory) = (Phase::Done, result, memory);
        if let Some(timer) = slot.timer {
            // It was set aside for the place.
            let _ = self.deadlines[0].disarm(timer);
        }
        self.counters.failed += u64::from(result.is_err());
        let Some(disk) = &mut self.disks[usize::from(name.disk)] else { return After::default() };
        self.slots.push(&mut disk.done, name);
        if disk.closed {
            return After { sweep: true, ..After::default() };
        }
        let event = core::mem::take(&mut disk.armed).then_some(disk.event).flatten();
        After { event, ..After::default() }
    }

    /// The device is done with a request.
    #[inline]
    pub(crate) fn done(&mut self, done: BlockDone) -> After {
        let BlockDone { tag, result, memory } = done;
        let name = Name::of(tag);
        let Some(slot) = self.slots.get_mut(name).filter(|slot| slot.flying) else {
            // The driver returns what it was given.
            return After { memory, ..After::default() };
        };
        slot.flying = false;
        self.flying -= 1;
        match slot.phase {
            Phase::WithDevice => self.end(name, result.map_err(Failure::Disk), memory),
            // Its handler has been told, or is going to be, without the memory.
            Phase::Left => {
                let sweep = self.release(name);
                After { event: None, sweep, memory }
            }
            _ => After { memory, ..After::default() },
        }
    }

    /// Ends a request before the device has: by its deadline, or since it was cancelled.
    pub(crate) fn give_up(&mut self, name: Name, failure: Failure) -> Result<After, Error> {
        let slot = self.slots.get_mut(name).ok_or(Error::Gone)?;
        let memory = match slot.phase {
            Phase::Parked | Phase::Waiting => self.withdraw(name),
            Phase::WithDevice => Pieces::default(),
            Phase::Free | Phase::Done | Phase::Left => return Err(Error::Gone),
        };
        self.counters.timed_out += u64::from(failure == Failure::TimedOut);
        Ok(self.end(name, Err(failure), memory))
    }

    /// Takes a request that waits out of the list that it is in: its memory.
    pub(crate) fn withdraw(&mut self, name: Name) -> Pieces {
        let slot = self.slots.at(name);
        let (parked, request) = (slot.phase == Phase::Parked, slot.request.take());
        match &mut self.disks[usize::from(name.disk)] {
            Some(disk) if parked => self.slots.remove(&mut disk.parked, name),
            _ => self.ready.remove(&mut self.slots, name),
        }
        request.map(|request| request.memory).unwrap_or_default()
    }

    /// Gives a place back that is in no list. True when its disk is closed, and was waiting for that.
    #[inline]
    pub(crate) fn release(&mut self, name: Name) -> bool {
        let Some(disk) = &mut self.disks[usize::from(name.disk)] else { return false };
        self.slots.at(name).phase = Phase::Free;
        self.slots.push(&mut disk.free, name);
        disk.used -= 1;
        disk.closed
    }

    /// Takes the oldest of what a handler is to be told. The event is activated by the next when there is none.
    #[inline]
    pub(crate) fn next_told(&mut self, at: u16, number: u64) -> Option<Told> {
        let disk = disk(&mut self.disks, at, number).ok()?;
        let first = disk.done.first();
        disk.armed |= first.is_none();
        let name = first?;
        self.slots.remove(&mut disk.done, name);
        let slot = self.slots.at(name);
        let told = Told {
            id: slot.id,
            operation: slot.operation,
            result: slot.result,
            memory: core::mem::take(&mut slot.memory),
        };
        if slot.flying {
            slot.phase = Phase::Left;
        } else {
            self.release(name);
        }
        Some(told)
    }
}

/// What a handler is told.
pub(crate) struct Told {
    pub(crate) id: u64,
    pub(crate) operation: reflex_hil::BlockOperation,
    pub(crate) result: Result<(), Failure>,
    pub(crate) memory: Pieces,
}
