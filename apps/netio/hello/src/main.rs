//! NetIO's first example: an event loop that says hello and ends.
#![no_std]
#![no_main]

use reflex::{Error, System, println, status};
use reflex_netio::{netio_init, netio_run, netio_terminate};

#[reflex::main]
fn main(system: System) -> Result<(), Error> {
    let mut ctx = netio_init(system, ())?;
    ctx.evloop.cb_init(|(), evloop| {
        println!("Hello, NetIO!");
        netio_terminate(evloop);
    });
    netio_run(&ctx.evloop)?;
    system.exit(status::SUCCESS)
}
