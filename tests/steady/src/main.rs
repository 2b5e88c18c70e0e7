//! An appliance that can be asked, over the network, what its own steady state costs: how often
//! the global heap was called, and whether what its handlers were given lay in their pool.
//!
//! TCP port 9 answers each line by a line:
//!
//! | line | answer |
//! | --- | --- |
//! | `heap` | `allocations N deallocations N used N` |
//! | `pool` | `bytes IN OUT boxes IN OUT`: how often within the pool, and how often not |
//! | `runs` | `ticks N signals N datagrams N accepted N connected N over N` |
//! | `stack` | `frames N dropped N`: frames received, and those of them that no socket got to see |
//! | `connect ADDRESS:PORT` | `connecting`, and serves that connection too |
//! | anything else | the line itself |
//!
//! UDP port 9 echoes. A timer ticks all the time; each tick fires a signal and replaces a box in
//! the pool.
#![no_std]
#![no_main]

mod line;
mod service;

use core::time::Duration;
use reflex::{Error, Fired, SignalMode, System, Tick};
use service::Service;

const PORT: u16 = 9;
const CONNECTIONS: u32 = 64;
const BUFFER: usize = 1 << 10;
const MEMORY: usize = 1 << 20;
const PERIOD: Duration = Duration::from_millis(1);

#[reflex::main]
fn main(system: System) -> Result<(), Error> {
    let context = system.context("steady", Service::new(system)).memory(MEMORY).build()?;
    let pool = system.pool(context)?;
    let signal = system.signal(SignalMode::Counter).on(context, Service::signalled)?;
    let connector = system
        .connector()
        .connections(CONNECTIONS)
        .buffers(BUFFER, BUFFER)
        .on_demand()
        .serve(context)?;
    // The service is told what could not be made before its context was.
    let equip = system.signal(SignalMode::Counter);
    let equip = equip.on(context, move |service: &mut Service, _: Fired| {
        service.equip(pool, signal, connector.clone());
    })?;
    equip.fire()?;
    system.every(PERIOD).on(context, |service: &mut Service, tick: Tick| service.tick(tick))?;
    system.udp(PORT).serve(context)?;
    system.tcp(PORT).connections(CONNECTIONS).buffers(BUFFER, BUFFER).on_demand().serve(context)?;
    Ok(())
}
