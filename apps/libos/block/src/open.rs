//! How a disk comes to be.

use crate::disk::Disk;
use crate::lists::List;
use crate::name::Name;
use crate::slot::Slot;
use crate::state::{MOST_REQUESTS, Opened, State, disk};
use crate::{Completion, Device, Error};
use alloc::boxed::Box;
use core::ops::Range;
use core::time::Duration;
use reflex_event::{Accumulation, Context, EventId, Kernel, Owner, Priority, Registration};
use reflex_hil::SECTOR;
use reflex_timer::{Chunk, TimerKey};

/// Most requests that a disk may have under way.
const MOST_DEPTH: u16 = 1 << 10;
/// Places that are made in a section.
const PIECE: u16 = 16;

/// What a disk is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its sectors on the device; all unless said here.
    pub range: Option<Range<u64>>,
    /// It is not written to, and others may read it at the same time.
    pub read_only: bool,
    /// Requests that may be under way, 1 to 1,024: each has a place from its submission until its handler has been
    /// told.
    pub depth: u16,
    /// The handler's priority.
    pub priority: Priority,
    /// After how long a request fails that says nothing of it.
    pub within: Duration,
}

impl Default for Options {
    /// All of the device, for 32 requests, which have 30 seconds each.
    fn default() -> Self {
        Self {
            range: None,
            read_only: false,
            depth: 32,
            priority: Priority::DEFAULT,
            within: Duration::from_secs(30),
        }
    }
}

impl<K: Kernel> Device<K> {
    /// A disk of `context`, of which the state is given to `handler` for each request that is done. It is closed when
    /// it is dropped, or its context is given up.
    ///
    /// # Errors
    /// [`Error::NotStarted`], [`Error::InUse`], [`Error::LimitReached`], [`Error::BadDepth`], [`Error::BadRange`],
    /// [`Error::OutOfMemory`], [`Error::Event`].
    pub fn open<S: 'static>(
        &self,
        context: impl Into<Context<S>>,
        options: Options,
        handler: impl Fn(&mut S, &mut Completion<'_>) + Send + 'static,
    ) -> Result<Disk<K>, Error> {
        let (context, inner) = (context.into(), &self.0);
        if options.depth == 0 || options.depth > MOST_DEPTH {
            return Err(Error::BadDepth);
        }
        inner.kernel.guarded(|| {
            let owner = self.owner(context)?;
            let slots: Box<[Slot]> = (0..options.depth).map(|_| Slot::new()).collect();
            let (at, number, _none) = inner.with(|state| {
                let (at, number) = state.enter(owner, &options, &inner.kernel)?;
                Ok::<_, Error>((at, number, state.slots.replace(at, slots)))
            })?;
            let disk = Disk::new(self.clone(), at, number);
            // From here on it is closed by being dropped, or with its context: that may be another than the caller's.
            self.make_places(at, number, options.depth)?;
            let port = self.clone();
            let registration =
                Registration { priority: options.priority, accumulation: Accumulation::Count };
            let event = inner.kernel.register(context, registration, move |state: &mut S, _| {
                port.tell(at, number, |done| handler(state, done));
            })?;
            let highest = inner.with(|state| state.set_event(at, number, event));
            let highest = highest.inspect_err(|_| {
                // It may have ended with its context.
                let _ = inner.kernel.unregister(event);
            })?;
            // The device's work is as urgent as what is told of it. The event is there as long as the image.
            let _ = inner.kernel.set_priority(inner.events()?.served, highest);
            if !owner.is_alive(&inner.kernel) {
                inner.sweep_soon();
            }
            Ok(disk)
        })
    }

    /// The present life of a context, which a disk is of.
    fn owner<S>(&self, context: Context<S>) -> Result<Owner, Error> {
        let kernel = &self.0.kernel;
        kernel.permit(context.id(), "disk")?;
        let ended = self.0.events()?.ended;
        // In one life of the context: its end is told once.
        kernel.section(|| {
            kernel.on_end(context.id(), ended)?;
            Ok(Owner::of(kernel, context.id())?)
        })
    }

    /// Sets timers aside for a disk's places, and makes them free.
    fn make_places(&self, disk: u16, number: u64, depth: u16) -> Result<(), Error> {
        let inner = &self.0;
        for first in (0..depth).step_by(PIECE.into()) {
            while inner
                .with(|state| state.deadlines[0].needs_chunk())
                .map_err(|_| Error::LimitReached)?
            {
                let chunk = Chunk::new(Name { disk, slot: 0 }).map_err(|_| Error::OutOfMemory)?;
                // Dropped outside of the section, when it was not needed after all.
                let _surplus = inner.with(|state| state.deadlines[0].supply(chunk));
            }
            let end = depth.min(first + PIECE);
            inner.with(|state| {
                (first..end).try_for_each(|slot| state.add_place(Name { disk, slot }, number))
            })?;
        }
        Ok(())
    }
}

impl State {
    /// Gives a disk its place, if its sectors are nobody's.
    fn enter(
        &mut self,
        owner: Owner,
        options: &Options,
        kernel: &impl reflex_event::EventSystem,
    ) -> Result<(u16, u64), Error> {
        let mut info = *self.device.info();
        let range = options.range.clone().unwrap_or(0..info.sectors);
        let block = u64::from(info.block) / SECTOR as u64;
        let whole = range.start.is_multiple_of(block) && range.end.is_multiple_of(block);
        if range.is_empty() || range.end > info.sectors || !whole {
            return Err(Error::BadRange);
        }
        info.sectors = range.end - range.start;
        info.read_only |= options.read_only;
        let mut blockers = 0_u32;
        for (place, other) in (0..).zip(&mut self.disks) {
            let Some(other) = other else { continue };
            if other.range.start >= range.end || range.start >= other.range.end {
                continue;
            }
            // The look for those may not have come to it yet.
            other.closed |= !other.owner.is_alive(kernel);
            if other.closed {
                blockers |= 1 << place;
            } else if !info.read_only || !other.info.read_only {
                return Err(Error::InUse);
            }
        }
        let places: usize = self.disks.iter().flatten().map(|disk| usize::from(disk.depth)).sum();
        let free = self.disks.iter().position(Option::is_none);
        let at = free.filter(|_| places + usize::from(options.depth) <= MOST_REQUESTS);
        let at = at.ok_or(Error::LimitReached)?;
        self.opened += 1;
        self.disks[at] = Some(Opened {
            number: self.opened,
            owner,
            range,
            info,
            priority: options.priority,
            within: options.within,
            free: List::default(),
            depth: options.depth,
            used: 0,
            done: List::default(),
            event: None,
            armed: true,
            closed: false,
            blockers,
            parked: List::default(),
        });
        Ok((at as u16, self.opened))
    }

    /// Makes a place free, with a timer of its own.
    fn add_place(&mut self, name: Name, number: u64) -> Result<(), Error> {
        let disk = disk(&mut self.disks, name.disk, number)?;
        let key: TimerKey = self.deadlines[0].insert(name).map_err(|_| Error::LimitReached)?;
        self.slots.at(name).timer = Some(key);
        self.slots.push(&mut disk.free, name);
        Ok(())
    }

    /// A disk has its handler: the highest priority of all.
    fn set_event(&mut self, at: u16, number: u64, event: EventId) -> Result<Priority, Error> {
        disk(&mut self.disks, at, number)?.event = Some(event);
        let priorities = self.disks.iter().flatten().map(|disk| disk.priority);
        Ok(priorities.max().unwrap_or(Priority::DEFAULT))
    }
}
