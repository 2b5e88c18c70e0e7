//! NetIO's second example: a signal fired in the initialisation callback runs its own callback when
//! that has returned to the event loop.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use reflex::{Error, SignalMode, System, println, status};
use reflex_netio::{netio_init, netio_run, netio_signal_fire, netio_signal_init, netio_terminate};

static FIRED: AtomicBool = AtomicBool::new(false);

#[reflex::main]
fn main(system: System) -> Result<(), Error> {
    let mut ctx = netio_init(system, &FIRED)?;
    let evloop = ctx.evloop.clone();
    let signal = netio_signal_init(&ctx.evloop, SignalMode::Counter, move |fired| {
        fired.store(true, Relaxed);
        println!("on_signal()");
        netio_terminate(&evloop);
    })?;
    ctx.evloop.cb_init(move |_, _| {
        netio_signal_fire(&signal).expect("the signal is registered");
        println!("on_init()");
    });
    netio_run(&ctx.evloop)?;
    if FIRED.load(Relaxed) {
        println!("the signal has been fired");
    }
    system.exit(status::SUCCESS)
}
