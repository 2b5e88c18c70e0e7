//! Event memory: what lies in it, and what happens when it is used up (A-3.4.1, A-3.5.4, C-3).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::supervise::{OnFailure, PoolBox, Setup};
use reflex::{Accumulation, Error, EventError, Lent, Registration, Scheme, SignalMode, System};

/// The state, the handlers and what they capture lie in their context's pool, and nowhere else.
#[reflex::test]
fn everything_of_a_context_lies_in_its_pool(system: System) -> Result<(), Error> {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    let one = system.context("one", [1u8; 100]).build()?;
    let other = system.context("other", [2u8; 100]).build()?;
    let (own, foreign) = (system.pool(one)?, system.pool(other)?);
    let captured = [3u8; 100];
    let signal = system.signal(SignalMode::Counter).on(one, move |state: &mut [u8; 100], _| {
        let boxed = own.alloc([4u8; 100]).expect("room");
        for (place, value) in
            [state.as_ptr(), captured.as_ptr(), boxed.as_ptr()].iter().zip([1, 3, 4])
        {
            assert!(own.contains(*place) && !foreign.contains(*place), "{place:?}");
            SEEN.fetch_add(value, Relaxed);
        }
    })?;
    signal.fire()?;
    assert_eq!(SEEN.load(Relaxed), 8);
    Ok(())
}

/// Firing, timers, boxes and handlers make no call of the global heap.
#[reflex::test]
fn activations_and_boxes_make_no_heap_call(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    struct Owner {
        boxes: [Option<Lent<[u8; 64]>>; 4],
    }
    let owner = Owner { boxes: [const { None }; 4] };
    let context = system.context("owner", owner).build()?;
    let pool = system.pool(context)?;
    let signal =
        system.signal(SignalMode::Semaphore).on(context, move |owner: &mut Owner, _| {
            let run = RUNS.fetch_add(1, Relaxed) as usize;
            owner.boxes[run % 4] = pool.alloc([run as u8; 64]).ok();
            assert!(owner.boxes[run % 4].is_some());
        })?;
    let timer = system.timer().on(context, |_: &mut Owner, _| {
        RUNS.fetch_add(1, Relaxed);
    })?;
    signal.fire()?;
    let before = system.heap();
    for _ in 0..10_000 {
        signal.fire()?;
    }
    timer.every(core::time::Duration::from_micros(50))?;
    let runs = RUNS.load(Relaxed);
    while RUNS.load(Relaxed) < runs + 20 {
        core::hint::spin_loop();
    }
    timer.stop()?;
    assert_eq!(system.heap(), before);
    Ok(())
}

/// A context that has used up its memory is told so precisely, has lost nothing, and goes on as
/// soon as something is given back. Others never notice.
#[reflex::test]
fn exhausted_memory_is_a_precise_error(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let small = system.context("small", ()).memory(4 << 10).build()?;
    let registration = Registration { accumulation: Accumulation::Each, ..Registration::default() };
    let captured = [0u8; 100];
    let register = || {
        kernel.register(small.handle(), registration, move |(), _| {
            RUNS.fetch_add(1 + u32::from(captured[0]), Relaxed);
        })
    };
    let mut events = Vec::new();
    let refused = loop {
        match register() {
            Ok(event) => events.push(event),
            Err(error) => break error,
        }
        assert!(events.len() < 1_000, "a limit that is none");
    };
    assert_eq!(refused, EventError::OutOfMemory);
    assert!(!events.is_empty());
    // All that was registered works.
    events.iter().for_each(|event| kernel.activate(*event, 1).expect("registered"));
    assert_eq!(RUNS.load(Relaxed), events.len() as u32);
    // Another context has memory of its own.
    system.signal(SignalMode::Counter).on(system.context("other", ()).build()?, |(), _| {})?;
    // What is given back can be had again, any number of times.
    for _ in 0..100 {
        kernel.unregister(events.pop().expect("one at least"))?;
        events.push(register()?);
        assert_eq!(register(), Err(EventError::OutOfMemory));
    }
    Ok(())
}

/// A context that asks for more than the machine has is refused; the machine goes on.
#[reflex::test]
fn a_context_larger_than_the_machine_is_refused(system: System) -> Result<(), Error> {
    let refused = system.context("huge", ()).memory(1 << 40).build();
    assert_eq!(refused.err(), Some(Error::Event(EventError::OutOfMemory)));
    let refused = system.context("deep", ()).stack(1 << 40).build();
    assert_eq!(refused.err(), Some(Error::Event(EventError::OutOfMemory)));
    system.context("fits", ()).build()?;
    Ok(())
}

/// The simplest scheme there is: the first gap that is large enough, in units of 16 bytes.
struct FirstFit {
    region: &'static mut [u128],
    taken: &'static mut [bool],
}

/// Blocks handed out and taken back.
static HANDED_OUT: AtomicU32 = AtomicU32::new(0);
static TAKEN_BACK: AtomicU32 = AtomicU32::new(0);

impl FirstFit {
    /// A scheme of so many units.
    fn new(units: usize) -> &'static mut Self {
        let region = Vec::leak(alloc::vec![0u128; units]);
        Box::leak(Box::new(Self { region, taken: Vec::leak(alloc::vec![false; units]) }))
    }

    fn base(&self) -> NonNull<u8> {
        NonNull::from(&*self.region).cast()
    }

    /// From where on there is room for so many units that begin at a multiple of `align`.
    fn gap(&self, units: usize, align: usize) -> Option<usize> {
        let base = self.base().addr().get();
        let fits = |at: &usize| (base + 16 * at).is_multiple_of(align);
        (0..=self.taken.len().checked_sub(units)?)
            .filter(fits)
            .find(|at| self.taken[*at..at + units].iter().all(|taken| !taken))
    }
}

// SAFETY: the region is leaked and used by the scheme alone; blocks are of units that nobody has, of
// which each is in the region. Nothing here panics but for a layout that was not handed out.
unsafe impl Scheme for FirstFit {
    fn region(&self) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.base(), size_of_val(&*self.region))
    }

    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let units = layout.size() / 16;
        let at = self.gap(units, layout.align())?;
        self.taken[at..at + units].fill(true);
        HANDED_OUT.fetch_add(1, Relaxed);
        // SAFETY: in the region.
        Some(unsafe { self.base().add(16 * at) })
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        let at = (block.addr().get() - self.base().addr().get()) / 16;
        self.taken[at..at + layout.size() / 16].fill(false);
        TAKEN_BACK.fetch_add(1, Relaxed);
    }

    fn largest_free(&self) -> usize {
        let runs = self.taken.split(|taken| *taken);
        16 * runs.map(<[bool]>::len).max().unwrap_or(0)
    }
}

/// A context with an allocation scheme of its own has everything where that says, is told precisely
/// when it has no more, and gives back what it does not need.
#[reflex::test]
fn everything_lies_where_an_own_scheme_says(system: System) -> Result<(), Error> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let kernel = raw::kernel(system);
    let scheme = FirstFit::new(256);
    let (from, bytes) = (scheme.region().cast::<u8>().addr().get(), scheme.region().len());
    let within = move |at: *const u8| (from..from + bytes).contains(&at.addr());
    let context = system.context("own", [7u8; 100]).scheme(scheme).build()?;
    let pool = system.pool(context)?;
    assert_eq!((pool.region(), pool.stats().capacity), (from..from + bytes, bytes));
    let captured = [9u8; 50];
    let register = || {
        kernel.register(context.handle(), Registration::default(), move |state, _| {
            let state: &mut [u8; 100] = state;
            let boxed = pool.alloc(state[99]).expect("room for that");
            assert!(
                within(state.as_ptr()) && within(captured.as_ptr()) && within(&raw const *boxed)
            );
            RUNS.fetch_add(1, Relaxed);
        })
    };
    let keep = pool.alloc([0u8; 64]).map_err(|_| "there is room")?;
    let heap = system.heap();
    let mut events = [None; 64];
    let mut count = 0;
    let refused = loop {
        match register() {
            Ok(event) => events[count] = Some(event),
            Err(error) => break error,
        }
        count += 1;
    };
    assert_eq!(refused, EventError::OutOfMemory);
    assert!((10..64).contains(&count), "{count}");
    drop(keep);
    for event in events.into_iter().flatten() {
        kernel.activate(event, 1)?;
        kernel.unregister(event)?;
    }
    assert_eq!(system.heap(), heap);
    assert_eq!(RUNS.load(Relaxed), count as u32);
    // What is left is the state and its cell.
    assert_eq!(pool.stats().blocks, 2);
    assert_eq!(HANDED_OUT.load(Relaxed) - TAKEN_BACK.load(Relaxed), 2);
    assert_eq!(
        system.context("small", ()).scheme(FirstFit::new(2)).build().err(),
        Some(Error::Event(EventError::OutOfMemory))
    );
    Ok(())
}

/// A context that fails gets what it had of its own back into its scheme, and lives again.
#[reflex::test(group = "contexts")]
fn an_own_scheme_survives_failures(system: System) -> Result<(), Error> {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    const SOON: Duration = Duration::from_millis(1);
    struct Owner {
        boxes: Vec<PoolBox<[u8; 100]>>,
    }
    let builder = system
        .context_with("owner", |setup: Setup<'_, Owner>| {
            let own = setup.own();
            let boxes = (0..20).map(|n| own.alloc([n; 100]).map_err(|_| "full"));
            LIVES.fetch_add(1, Relaxed);
            boxes.collect::<Result<_, _>>().map(|boxes| Owner { boxes })
        })
        .scheme(FirstFit::new(256))
        .on_failure(OnFailure::Ignore)
        .backoff(SOON, SOON);
    // SAFETY: nothing that runs there leaves a pointer to its stack or its memory anywhere.
    let context = builder.after_failure(unsafe { reflex::Reuse::at_once() }).build()?;
    let kernel = raw::kernel(system);
    let pool = system.pool(context)?;
    let mut blocks = None;
    for life in 1..=20 {
        while LIVES.load(Relaxed) < life {
            system.sleep(SOON)?;
        }
        let now = pool.stats().blocks;
        assert_eq!(*blocks.get_or_insert(now), now, "in life {life}");
        let fail = system.signal(SignalMode::Counter).on(context, |owner: &mut Owner, _| {
            owner.boxes.pop();
            panic!("with boxes in hand");
        })?;
        fail.fire()?;
        assert_eq!(system.stopped(context.id())?.failures, life);
        assert_eq!(pool.stats().allocated, 0);
        kernel.restart(context.id())?;
    }
    Ok(())
}
