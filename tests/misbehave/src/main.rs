//! Goes wrong in the way the key `by` of the kernel command line says, so that the host can see
//! what is told of it. Without the key it ends well.
#![no_std]
#![no_main]

extern crate alloc;

mod contained;
mod crowded;
mod elsewhere;
mod faults;
mod late;
mod standstill;

use alloc::vec::Vec;
use core::hint::{black_box, spin_loop};
use core::time::Duration;
use reflex::{Argument, Error, Limits, Priority, SignalMode, System, log, status};

const STATUS: Argument = Argument::text("status", "0..255", "ends with it");
const TOKEN: Argument = Argument::secret("token", "what nobody is to read");
const BY: Argument = Argument::text("by", "WAY", "how to go wrong");

#[reflex::main(arguments = &[STATUS, TOKEN, BY])]
fn main(system: System) -> Result<(), Error> {
    if let Some(number) = system.argument(STATUS) {
        let number = number.parse().map_err(|_| Error::Application("status= takes 0 to 255"))?;
        system.exit(number);
    }
    match system.argument(BY) {
        None => system.exit(status::SUCCESS),
        Some("error") => Err(Error::Application("told to fail")),
        Some("panic") => panic_below(black_box(2)),
        Some("hang") => hang(),
        Some("secret") => {
            let secret = system.secret(TOKEN).ok_or(Error::Application("no token="))?;
            let seen = system.argument(TOKEN).is_some();
            log::info!("{secret} {secret:?} {:?} {seen}", system.machine().arguments);
            log::info!("{} bytes", secret.expose().len());
            system.exit(status::SUCCESS)
        }
        Some("wait") => {
            log::info!("waiting");
            Ok(())
        }
        Some("panic-elsewhere") => elsewhere::panic(),
        Some("unmapped") => elsewhere::read_unmapped(),
        Some("handler-panic") => in_handler(system, |()| panic_below(black_box(1))),
        Some("overflow") => in_handler(system, |()| {
            log::info!("went down {} frames", faults::descend(black_box(1)));
        }),
        Some("null") => done(faults::read_null()),
        Some("write-text") => done(faults::write_text(main)),
        Some("execute-data") => done(faults::execute_data()),
        Some("contained") => contained::serve(system),
        Some("quarantine") => contained::fill_quarantine(system),
        Some("overrun") => in_limited_handler(system),
        Some("heap") => exhaust_heap(system),
        Some("refused") => be_refused(system),
        Some("section") => contained::fail_in_section(system),
        Some("crowded") => crowded::serve(system),
        Some("late-shutdown") => late::ask_late(system),
        Some("masked") => standstill::mask(),
        Some("endless-section") => standstill::in_section(system),
        Some("idle") => standstill::idle(system),
        Some("busy") => standstill::busy(system),
        Some("invalid-opcode") => done(faults::invalid_opcode()),
        Some(_) => Err(Error::Application("by= names no known way to go wrong")),
    }
}

/// What should have been stopped was not: that is no way to end well.
fn done(survived: u64) -> Result<(), Error> {
    log::error!("survived with {survived:#x}");
    Err(Error::Application("nothing stopped it"))
}

/// Panics some calls further down, so that a backtrace has something to show.
#[inline(never)]
fn panic_below(calls: u32) -> Result<(), Error> {
    if calls == 0 {
        panic!("told to panic");
    }
    let result = panic_below(calls - 1);
    black_box(calls);
    result
}

/// Asks for more memory than the heap may have, again and again, and then insists.
fn exhaust_heap(system: System) -> Result<(), Error> {
    let bound = system.heap().bound;
    let mut most: Vec<Vec<u8>> = Vec::new();
    // Its memory to the last chunk, so that not even a smaller one is left.
    while system.heap().size < bound {
        let mut block = Vec::new();
        if block.try_reserve_exact(32 << 10).is_err() {
            break;
        }
        most.push(block);
    }
    let refused = (0..99).filter(|_| Vec::<u8>::new().try_reserve_exact(bound).is_err()).count();
    log::info!("refused {refused} of 99, {} in all", system.heap().refused);
    let all: Vec<u8> = Vec::with_capacity(bound);
    log::error!("survived with {} and {}", black_box(all).capacity(), black_box(most).len());
    Err(Error::Application("nothing stopped it"))
}

/// Asks for more of everything than a context may have, again and again.
fn be_refused(system: System) -> Result<(), Error> {
    let limits = Limits { registrations: 3, ..Limits::NONE };
    let context = system.context("greedy", ()).memory(4 << 10).limits(limits).build()?;
    let pool = system.pool(context)?;
    let pieces = (0..9).filter(|_| pool.bytes(5_000).is_err()).count();
    let register = || system.signal(SignalMode::Counter).on(context, |(), _| {});
    let registrations = (0..12).filter(|_| register().is_err()).count();
    let contexts = system.context("huge", ()).memory(1 << 40).build().is_err();
    log::info!("refused {pieces} pieces, {registrations} registrations, a context: {contexts}");
    system.exit(0)
}

/// Keeps the processor for itself.
fn hang() -> ! {
    log::info!("hanging");
    loop {
        spin_loop();
    }
}

/// Has a handler exceed its time budget, in a context that takes the image with it when it fails.
fn in_limited_handler(system: System) -> Result<(), Error> {
    let context = system.context("limited", ()).budget(Duration::from_millis(10)).build()?;
    let signal = system.signal(SignalMode::Counter).on(context, |(), _| hang())?;
    signal.fire()?;
    Err(Error::Application("it was contained"))
}

/// Has a handler, on its context's own stack, go wrong.
fn in_handler<R>(system: System, wrong: fn(()) -> R) -> Result<(), Error>
where
    R: 'static,
{
    let context = system.context("culprit", ()).priority(Priority::HIGH).build()?;
    let signal = system.signal(SignalMode::Counter).on(context, move |(), _| {
        wrong(());
    })?;
    signal.fire()?;
    Ok(())
}
