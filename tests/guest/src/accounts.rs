//! What each thing takes of the machine, as `docs/memory.md` says (PE-14).

use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::supervise::Setup;
use reflex::{Context, Error, KeyedTimers, Priority, Registration, SignalMode, System};

/// Of a context's event memory, and of the global heap, in bytes; what `made` holds meanwhile is counted.
fn taken<R>(
    system: System,
    context: Context<()>,
    make: impl FnOnce() -> Result<R, Error>,
) -> Result<(usize, usize), Error> {
    let before = (system.usage(context.id())?.memory.allocated, system.heap().used);
    let made = make()?;
    let after = (system.usage(context.id())?.memory.allocated, system.heap().used);
    core::mem::forget(made);
    Ok((after.0 - before.0, after.1 - before.1))
}

#[reflex::test(group = "accounts")]
fn each_thing_takes_what_is_written_down(system: System) -> Result<(), Error> {
    let kernel = raw::kernel(system);
    let context = system.context("owner", ()).build()?;
    // The first of its kind may make room in a table.
    system.every(Duration::from_secs(1)).on(context, |(), _| {})?;
    let plain = taken(system, context, || {
        Ok(kernel.register(context.handle(), Registration::default(), |(), _| {})?)
    })?;
    let captured = 5_u64;
    let signal = taken(system, context, || {
        system.signal(SignalMode::Counter).on(context, move |(), _| {
            core::hint::black_box(captured);
        })
    })?;
    let timer =
        taken(system, context, || system.every(Duration::from_secs(1)).on(context, |(), _| {}))?;
    let channel = taken(system, context, || system.channel::<u64>(64).on(context, |(), _| {}))?;
    let mutex = taken(system, context, || system.mutex(context, Priority::HIGH, 1_u64))?;
    let deadlines = taken(system, context, || {
        let timers: KeyedTimers<u64> = system.timers(1_000).on(context, |(), _, _| {})?;
        Ok(timers)
    })?;
    for (what, (event_memory, heap), most) in [
        ("a registration", plain, (32, 0)),
        ("a signal", signal, (64, 32)),
        ("a timer", timer, (128, 24)),
        ("a channel", channel, (1_600, 0)),
        ("a mutex", mutex, (160, 0)),
        ("keyed timers", deadlines, (128, 64 * 1_000 + (7 << 10))),
    ] {
        assert!(event_memory <= most.0 && heap <= most.1, "{what}: {event_memory}, {heap}");
        assert!(event_memory > 0, "{what} is not counted");
    }
    // The first that fails alone brings its supervisor along.
    system.context_with("first", |_: Setup<'_, ()>| Ok::<_, Error>(())).build()?;
    let before = system.available_memory();
    let given = system.context("given", ()).build()?;
    let machine = before - system.available_memory();
    let usage = system.usage(given.id())?;
    assert_eq!((usage.memory.allocated, usage.stack, usage.heap), (64, 16 << 10, 0));
    assert!(usage.memory.capacity > (64 << 10) * 32 / 37 - 64, "{usage:?}");
    assert!(machine <= (16 << 10) + (64 << 10) + (8 << 10), "{machine}");
    let before = system.available_memory();
    let alone = system.context_with("alone", |_: Setup<'_, ()>| Ok::<_, Error>(())).build()?;
    let machine = before - system.available_memory();
    assert_eq!(system.usage(alone.id())?.memory.allocated, 64);
    assert!(machine <= (16 << 10) + (64 << 10) + (16 << 10), "{machine}");
    Ok(())
}
