//! The simulated kernel as the library OS has it.

use super::*;

impl EventSystem for SimKernel {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn section<R>(&self, work: impl FnOnce() -> R) -> R {
        let interruption = {
            let mut tables = self.lock();
            tables.sections += 1;
            tables.counts.sections += u64::from(tables.sections == 1);
            let handler = tables.current >= 0 && tables.sections == 1;
            match &mut tables.interruption {
                Some((number, _)) if handler && *number > 1 => {
                    *number -= 1;
                    None
                }
                Some(_) if handler => tables.interruption.take(),
                _ => None,
            }
        };
        if let Some((_, event)) = interruption {
            let _ = self.activate(event, 1);
        }
        let result = work();
        let (doomed, handler) = {
            let mut tables = self.lock();
            tables.sections -= 1;
            if tables.sections > 0 {
                return result;
            }
            (std::mem::take(&mut tables.doomed), tables.current >= 0)
        };
        doomed.into_iter().for_each(|at| self.end_at(at));
        if handler {
            self.preempt();
        }
        result
    }

    fn pool<S>(&self, context: Context<S>) -> Result<&'static Pool, Error> {
        let tables = self.lock();
        let slot = tables.contexts.get(usize::from(context.id().index)).ok_or(Error::NoContext)?;
        Ok(slot.pool)
    }

    fn register<S, F>(
        &self,
        context: Context<S>,
        registration: Registration,
        handler: F,
    ) -> Result<EventId, Error>
    where
        S: 'static,
        F: Fn(&mut S, Activation) + Send + 'static,
    {
        let mut tables = self.lock();
        let owner = usize::from(context.id().index);
        match &tables.contexts.get(owner).ok_or(Error::NoContext)?.state {
            // A running context registers with itself, mostly; its type shows at the first run.
            Some(state) if !(**state).is::<S>() => return Err(Error::WrongState),
            _ => {}
        }
        let handler: Handler = Box::new(move |state, activation| {
            handler(state.downcast_mut().expect("the registration's state type"), activation);
        });
        let free = tables.slots.iter().position(|slot| !slot.live);
        let (index, generation) = match free {
            Some(index) => (index, tables.slots[index].generation + 1),
            None => (tables.slots.len(), 1),
        };
        let slot = Slot {
            generation,
            live: true,
            context: owner,
            registration,
            handler: Some(handler),
            pending: 0,
            queued: false,
        };
        if index == tables.slots.len() {
            tables.slots.push(slot);
        } else {
            tables.slots[index] = slot;
        }
        Ok(EventId { index: index as u32, generation })
    }

    fn unregister(&self, event: EventId) -> Result<(), Error> {
        let dropped = {
            let mut tables = self.lock();
            let slot = tables.live(event)?;
            slot.live = false;
            slot.pending = 0;
            slot.queued = false;
            let level = usize::from(slot.registration.priority.level());
            let handler = slot.handler.take();
            tables.ready[level].retain(|index| *index != event.index);
            handler
        };
        drop(dropped);
        Ok(())
    }

    fn set_priority(&self, event: EventId, priority: Priority) -> Result<(), Error> {
        let mut tables = self.lock();
        let slot = tables.live(event)?;
        let before = usize::from(slot.registration.priority.level());
        slot.registration.priority = priority;
        if slot.queued {
            tables.ready[before].retain(|index| *index != event.index);
            tables.ready[usize::from(priority.level())].push_back(event.index);
        }
        Ok(())
    }

    fn activate(&self, event: EventId, count: u32) -> Result<(), Error> {
        let nested = {
            let mut tables = self.lock();
            tables.counts.activations += 1;
            let slot = tables.live(event)?;
            slot.pending = slot.pending.checked_add(count).ok_or(Error::Overrun)?;
            if !slot.queued && slot.pending > 0 {
                slot.queued = true;
                let level = usize::from(slot.registration.priority.level());
                tables.ready[level].push_back(event.index);
            }
            tables.current >= 0
        };
        if nested {
            self.preempt();
        }
        Ok(())
    }

    fn timer(&self, event: EventId) -> Result<TimerId, Error> {
        let mut tables = self.lock();
        tables.live(event)?;
        let free = tables.timers.iter().position(|timer| !timer.live);
        let index = free.unwrap_or(tables.timers.len());
        let generation = tables.timers.get(index).map_or(1, |timer| timer.generation + 1);
        let timer = Timer { generation, live: true, event, due: None };
        if index == tables.timers.len() {
            tables.timers.push(timer);
        } else {
            tables.timers[index] = timer;
        }
        Ok(TimerId { index: index as u32, generation })
    }

    fn arm(
        &self,
        timer: TimerId,
        deadline: Instant,
        period: Option<Duration>,
    ) -> Result<(), Error> {
        self.lock().counts.timers += 1;
        self.with_timer(timer, |timer| timer.due = Some((deadline, period)))
    }

    fn disarm(&self, timer: TimerId) -> Result<(), Error> {
        self.lock().counts.timers += 1;
        self.with_timer(timer, |timer| timer.due = None)
    }

    fn release(&self, timer: TimerId) -> Result<(), Error> {
        self.with_timer(timer, |timer| (timer.live, timer.due) = (false, None))
    }

    fn report(&self, context: ContextId, trouble: Trouble) -> Result<(), Error> {
        let mut tables = self.lock();
        let context = tables.contexts.get_mut(usize::from(context.index));
        context.ok_or(Error::NoContext)?.troubles.push(trouble);
        Ok(())
    }

    fn on_end(&self, context: ContextId, event: EventId) -> Result<(), Error> {
        let mut tables = self.lock();
        let context = tables.contexts.get_mut(usize::from(context.index));
        let mourners = &mut context.ok_or(Error::NoContext)?.mourners;
        if !mourners.contains(&event) {
            // As many as the kernel of an image has places for.
            if mourners.len() == 4 {
                return Err(Error::LimitReached);
            }
            mourners.push(event);
        }
        Ok(())
    }

    fn failures(&self, context: ContextId) -> Result<u64, Error> {
        let tables = self.lock();
        let context = tables.contexts.get(usize::from(context.index));
        Ok(context.ok_or(Error::NoContext)?.failures)
    }

    fn guarded<R>(&self, work: impl FnOnce() -> R) -> R {
        work()
    }

    fn random(&self, bytes: &mut [u8]) {
        self.lock().random.fill(bytes);
    }
}

/// A value that is held meanwhile, and cleaned up when `work` panics.
struct Held<T> {
    kernel: SimKernel,
    value: Option<T>,
    cleanup: fn(T, Borrowed),
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            let borrowed = self.kernel.lock().borrowed;
            (self.cleanup)(value, borrowed);
        }
    }
}

impl SimKernel {
    /// Takes a value, has `work` done with it, and finishes with the two; `cleanup` gets the value if that fails.
    fn hold<T: Send + 'static, V, R>(
        &self,
        take: impl FnOnce() -> Result<T, R>,
        cleanup: fn(T, Borrowed),
        work: impl FnOnce(&mut T) -> V,
        finish: impl FnOnce(T, V) -> R,
    ) -> R {
        let value = match take() {
            Ok(value) => value,
            Err(result) => return result,
        };
        let mut held = Held { kernel: self.clone(), value: Some(value), cleanup };
        let result = work(held.value.as_mut().expect("it was put there"));
        finish(held.value.take().expect("as above"), result)
    }
}

impl Kernel for SimKernel {
    fn activate_by(&self, choose: impl FnOnce() -> Option<(EventId, u32)>) -> bool {
        self.section(|| {
            let chosen = choose();
            chosen.into_iter().for_each(|(event, count)| {
                let _ = self.activate(event, count);
            });
            chosen.is_some()
        })
    }

    fn yield_by(&self, choose: impl FnOnce() -> Option<(EventId, u32)>) -> Chosen {
        let mut named = None;
        self.activate_by(|| {
            named = choose();
            named
        });
        let Some((event, _)) = named else { return Chosen::Nothing };
        if self.lock().current >= 0 {
            self.run_above(|tables| tables.yielding(event));
        }
        let begun = self.lock().live(event).is_ok_and(|slot| !slot.queued);
        if begun { Chosen::Begun } else { Chosen::Queued }
    }

    fn keep<T: Send + 'static, V, R>(
        &self,
        take: impl FnOnce() -> Result<T, R>,
        bytes: fn(&mut T) -> &[u8],
        cleanup: fn(T, Borrowed),
        work: impl FnOnce(&[u8]) -> V,
        finish: impl FnOnce(T, V) -> R,
    ) -> R {
        self.hold(take, cleanup, |value| work(bytes(value)), finish)
    }

    fn hand<T: Send + 'static, L: Lend + ?Sized, V, R>(
        &self,
        take: impl FnOnce() -> Result<T, R>,
        part: fn(&mut T) -> &mut L,
        cleanup: fn(T, Borrowed),
        work: impl FnOnce(L::View<'_>) -> V,
        finish: impl FnOnce(T, V) -> R,
    ) -> R {
        self.hold(take, cleanup, |value| work(part(value).lend()), finish)
    }

    fn contained<T, R>(
        &self,
        context: ContextId,
        value: T,
        work: impl FnOnce(&T) -> R,
    ) -> Result<(T, R), Borrowed> {
        let value = ManuallyDrop::new(value);
        self.section(|| {
            let sections = self.lock().sections;
            match catch_unwind(AssertUnwindSafe(|| work(&value))) {
                Ok(result) => Ok((ManuallyDrop::into_inner(value), result)),
                Err(panic) => {
                    let mut tables = self.lock();
                    if tables.sections != sections {
                        // In a section of its own: the kernel's own affair.
                        drop(tables);
                        resume_unwind(panic);
                    }
                    tables.forgotten += 1;
                    tables.doomed.insert(usize::from(context.index));
                    Err(tables.borrowed)
                }
            }
        })
    }

    fn quarantine(&self, pool: &'static Pool, bytes: usize) {
        let mut tables = self.lock();
        tables.quarantined += bytes;
        if let Some(owner) = pool.owner() {
            tables.contexts[owner as usize].troubles.push(Trouble::MemoryQuarantined);
        }
    }

    fn replacement(
        &self,
        of: &'static Pool,
        bytes: usize,
        content: Content,
    ) -> Result<&'static Pool, Error> {
        let mut tables = self.lock();
        tables.free = tables.free.checked_sub(bytes).ok_or(Error::OutOfMemory)?;
        let pool = pool_of(bytes, content, |_| {});
        of.owner().into_iter().for_each(|owner| pool.set_owner(owner));
        Ok(pool)
    }

    fn extend(&self, context: ContextId, bytes: usize) -> Result<&'static Pool, usize> {
        let mut tables = self.lock();
        tables.free = tables.free.checked_sub(bytes).ok_or(tables.free)?;
        let pool = pool_of(bytes, Content::Objects, |_| {});
        pool.set_owner(context.index.into());
        Ok(pool)
    }
}

impl SimKernel {
    fn with_timer(&self, id: TimerId, work: impl FnOnce(&mut Timer)) -> Result<(), Error> {
        let mut tables = self.lock();
        let timer = tables.timers.get_mut(id.index as usize).ok_or(Error::Stale)?;
        if !timer.live || timer.generation != id.generation {
            return Err(Error::Stale);
        }
        work(timer);
        Ok(())
    }
}
