//! Collections of a context's own: bounded by its memory, and given back with it (PE-12).

use crate::containment::{SOON, fail, until};
use alloc::boxed::Box;
use alloc::format;
use core::fmt::Write;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex::collections::{Map, Memory, String, Vec};
use reflex::supervise::Setup;
use reflex::{Error, Reason, Reuse, SignalMode, System};

/// Sessions by name, and their order.
struct Sessions {
    memory: Memory,
    by_name: Map<String, u64>,
    order: Vec<String>,
}

impl Sessions {
    fn new(memory: Memory) -> Self {
        Self { memory, by_name: memory.map(), order: memory.vec() }
    }

    /// Opens sessions until there is no room for one; says how many there are.
    fn fill(&mut self) -> usize {
        while self.open(self.order.len() as u64).is_some() {}
        self.order.len()
    }

    fn open(&mut self, number: u64) -> Option<()> {
        let mut name = self.memory.string();
        write!(name, "session {number}").ok()?;
        let mut listed = self.memory.string();
        listed.try_push_str(&name).ok()?;
        self.by_name.try_reserve(1).ok()?;
        self.order.try_reserve(1).ok()?;
        self.by_name.insert(name, number);
        self.order.push(listed);
        Some(())
    }

    fn check(&self) {
        assert_eq!(self.by_name.len(), self.order.len());
        for (number, name) in self.order.iter().enumerate() {
            assert_eq!(self.by_name.get(name.as_str()), Some(&(number as u64)), "{name}");
        }
    }
}

/// A context fills its memory with collections, is told so, and fails; its next life has as much. So it goes
/// whether its memory is used again or is quarantined, and neither the global heap nor another context notices.
#[reflex::test(group = "collections")]
fn a_full_memory_is_whole_again_in_the_next_life(system: System) -> Result<(), Error> {
    static LIVES: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    static FILLED: AtomicU32 = AtomicU32::new(0);
    // SAFETY: nothing that runs there leaves a pointer to its stack or its memory anywhere.
    let at_once = unsafe { Reuse::at_once() };
    for (which, (reuse, lives)) in [(at_once, 30), (Reuse::NEVER, 5)].into_iter().enumerate() {
        let context = system
            .context_with("sessions", move |setup: Setup<'_, Sessions>| {
                LIVES[which].fetch_add(1, Relaxed);
                Ok::<_, Error>(Sessions::new(setup.memory()))
            })
            .memory(64 << 10)
            .backoff(SOON, SOON)
            .after_failure(reuse)
            .build()?;
        let mut first = None;
        for life in 1..=lives {
            until(|| LIVES[which].load(Relaxed) == life);
            let filling =
                system.signal(SignalMode::Counter).on(context, |sessions: &mut Sessions, _| {
                    FILLED.store(sessions.fill() as u32, Relaxed);
                    sessions.check();
                })?;
            let (heap, empty) = (system.heap(), system.usage(context.id())?);
            filling.fire()?;
            let (filled, usage) = (FILLED.load(Relaxed), system.usage(context.id())?);
            assert_eq!(system.heap(), heap);
            assert!(filled > 100 && usage.memory.failures > empty.memory.failures, "{usage:?}");
            assert!(usage.memory.allocated > usage.memory.capacity / 2, "{usage:?}");
            let now = (filled, empty.memory.allocated, usage.memory.allocated, usage.memory.blocks);
            assert_eq!(*first.get_or_insert(now), now, "life {life}");
            system.give_up(context.id())?;
        }
    }
    Ok(())
}

/// A collection that cannot do without what it is refused ends its context alone.
#[reflex::test(group = "collections")]
fn what_cannot_grow_fails_its_context_alone(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let context = system
        .context_with("greedy", |setup: Setup<'_, Vec<u64>>| {
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(setup.memory().vec())
        })
        .memory(16 << 10)
        .backoff(SOON, SOON)
        .build()?;
    until(|| LIVES.load(Relaxed) == 1);
    let fill = system.signal(SignalMode::Counter).on(context, |words: &mut Vec<u64>, _| {
        (0..1 << 20).for_each(|word| words.push(word));
    })?;
    fill.fire()?;
    let stopped = system.stopped(context.id())?;
    assert_eq!(stopped.reason, Reason::Panic);
    let text = stopped.text.as_str();
    assert!(text.starts_with("memory allocation of 8192 bytes failed"), "{text}");
    until(|| LIVES.load(Relaxed) == 2);
    Ok(())
}

/// What a context takes by `alloc`'s types is counted as its own, whatever becomes of its failure; and what is
/// lost of it, when it fails.
#[reflex::test(group = "collections")]
fn what_is_taken_of_the_heap_is_counted_by_context(system: System) -> Result<(), Error> {
    const BYTES: usize = 10_000;
    let taker = system.context("taker", None::<Box<[u8; BYTES]>>).build()?;
    let take = system.signal(SignalMode::Counter).on(taker, |held, _| {
        *held = match held {
            None => Some(Box::new([1; BYTES])),
            Some(_) => None,
        };
    })?;
    let usage = || system.usage(taker.id()).map(|usage| usage.heap);
    assert_eq!(usage()?, 0);
    take.fire()?;
    assert_eq!(usage()?, BYTES as u64);
    take.fire()?;
    assert_eq!(usage()?, 0);
    let loser = system.context_with("loser", |_: Setup<'_, ()>| Ok::<_, Error>(())).build()?;
    let stopped = fail(system, loser, || {
        core::mem::forget(format!("{BYTES:>BYTES$}"));
        panic!("with memory in hand");
    })?;
    assert!(stopped.lost >= BYTES as u64, "{stopped:?}");
    assert_eq!(system.usage(loser.id())?.heap, 0);
    Ok(())
}
