//! The global heap: it grows as it is needed, to its bound; what it refuses is counted and told, and hurts
//! nobody else (PE-11, PE-13).

use crate::containment::{SOON, fail, until};
use alloc::alloc::{alloc, dealloc};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex::{Error, OnFailure, PoolBox, Reason, Setup, System};

/// What the heap grows by.
const CHUNK: usize = 64 << 10;

/// A table that doubles again and again finds room as long as the machine has some, and what it leaves behind
/// is used again.
#[reflex::test(group = "heap")]
fn it_grows_out_of_the_machines_memory_and_no_further_than_needed(
    system: System,
) -> Result<(), Error> {
    const ENTRIES: u64 = 40_000;
    let before = (system.heap(), system.available_memory());
    let mut table: Vec<u64> = Vec::new();
    for number in 0..ENTRIES {
        if table.len() == table.capacity() {
            table.try_reserve(1).map_err(|_| "no room for the table")?;
        }
        table.push(number);
    }
    assert!(table.iter().copied().eq(0..ENTRIES));
    // More than it has got so far.
    let most = system.heap().size / size_of::<u64>() + 1;
    table.try_reserve_exact(most - table.len()).map_err(|_| "no room for more than there was")?;
    let after = system.heap();
    let grown = after.size - before.0.size;
    assert!(grown > ENTRIES as usize * size_of::<u64>() && after.size <= after.bound, "{after:?}");
    let taken = before.1 - system.available_memory();
    // Chunks are aligned.
    assert!((grown..grown + 4096).contains(&taken), "{grown} {taken}");
    drop(table);
    // The second time all is there.
    let table: Vec<u64> = Vec::with_capacity(most);
    assert!(table.capacity() >= most);
    assert_eq!(system.heap().size, after.size);
    drop(table);
    assert_eq!(system.heap().used, before.0.used);
    Ok(())
}

/// Small blocks, so many that they take many chunks, of which nothing is lost.
#[reflex::test(group = "heap")]
fn many_small_blocks_take_many_chunks_and_come_back(system: System) -> Result<(), Error> {
    const ENTRIES: u32 = 20_000;
    let before = system.heap();
    let fill = || -> BTreeMap<u32, Box<[u32]>> {
        (0..ENTRIES).map(|key| (key, [key].repeat(key as usize % 40 + 1).into())).collect()
    };
    let map = fill();
    assert!(map.iter().all(|(key, words)| words.iter().all(|word| word == key)));
    let grown = system.heap();
    assert!(grown.used - before.used > 10 * CHUNK, "{grown:?}");
    assert!(grown.size - before.size < 2 * (grown.used - before.used), "{grown:?}");
    drop(map);
    assert_eq!(system.heap().used, before.used);
    drop(fill());
    assert_eq!(system.heap().size, grown.size);
    Ok(())
}

/// Blocks lie at multiples of what their types ask for.
#[reflex::test(group = "heap")]
fn blocks_are_aligned(system: System) {
    let before = system.heap().used;
    for shift in 0..=16 {
        let layout = Layout::from_size_align(100, 1 << shift).expect("a layout");
        // SAFETY: 100 bytes, which are given back with the same layout, and not used after that.
        unsafe {
            let block = alloc(layout);
            assert!(!block.is_null() && block.addr().is_multiple_of(layout.align()), "{layout:?}");
            block.write_bytes(1, 100);
            dealloc(block, layout);
        }
    }
    assert_eq!(system.heap().used, before);
}

/// More than there is: the code that asks carefully is told, and goes on; nothing is taken for nothing.
#[reflex::test(group = "heap")]
fn more_than_there_is_is_refused_and_counted(system: System) {
    let (before, machine) = (system.heap(), system.available_memory());
    for bytes in [before.bound, system.available_memory() * 2, isize::MAX as usize] {
        let mut asked: Vec<u8> = Vec::new();
        assert!(asked.try_reserve_exact(bytes).is_err(), "{bytes}");
    }
    let after = system.heap();
    assert_eq!(after.refused - before.refused, 3);
    assert_eq!(after.allocations - before.allocations, 3);
    assert_eq!((after.used, after.size), (before.used, before.size));
    assert_eq!(system.available_memory(), machine);
}

/// A context that cannot do without what it is refused fails alone, and what is said of it names what it
/// wanted and what there is.
#[reflex::test(group = "heap")]
fn a_context_that_is_refused_fails_alone_and_is_told_why(system: System) -> Result<(), Error> {
    let context = system.context("greedy", ()).on_failure(OnFailure::Ignore).build()?;
    let bound = system.heap().bound;
    let stopped = fail(system, context, move || drop(Vec::<u8>::with_capacity(bound)))?;
    assert_eq!(stopped.reason, Reason::Panic);
    let text = stopped.text.as_str();
    let asked = alloc::format!("memory allocation of {bound} bytes failed: ");
    assert!(text.starts_with(&asked), "{text}");
    assert!(text.contains(&alloc::format!("{bound} allowed")), "{text}");
    assert!(text.contains("left in the machine"), "{text}");
    Ok(())
}

/// A context that fills megabytes of its own memory, a thousand times, leaves nothing behind: in its memory, in
/// the heap, or in the machine (PE-15).
#[reflex::test(group = "heap")]
fn a_thousand_lives_of_five_megabytes_leave_nothing(system: System) -> Result<(), Error> {
    const PIECE: usize = 64 << 10;
    const PIECES: usize = (5 << 20) / PIECE;
    static LIVES: AtomicU32 = AtomicU32::new(0);
    let builder = system
        .context_with("hoarder", move |setup: Setup<'_, [Option<PoolBox<[u8]>>; PIECES]>| {
            let mut pieces = [const { None }; PIECES];
            for piece in &mut pieces {
                *piece = Some(setup.own().bytes(PIECE).map_err(|_| "no room for a piece")?);
            }
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(pieces)
        })
        .memory(8 << 20)
        .backoff(SOON, SOON);
    // SAFETY: nothing that runs there leaves a pointer to its stack or its memory anywhere.
    let context = builder.after_failure(unsafe { reflex::Reuse::at_once() }).build()?;
    let pool = system.pool(context)?;
    let mut before = None;
    for life in 1..=1_000 {
        system.give_up(context.id())?;
        until(|| LIVES.load(Relaxed) == life + 1);
        let (heap, stats) = (system.heap(), pool.stats());
        let now = (
            system.available_memory() + heap.size,
            (heap.used as u64, heap.lost),
            (stats.allocated, stats.blocks),
        );
        assert!(stats.allocated > PIECES * PIECE, "{stats:?}");
        // The first lives may grow tables.
        if life == 10 {
            before = Some(now);
        }
        if life > 10 {
            assert_eq!(Some(now), before, "life {life}");
        }
    }
    Ok(())
}
