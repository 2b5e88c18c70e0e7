//! A key-value server: RESP2 on TCP port 6379, for clients of redis; administration on port 6380, at a higher
//! priority; statistics by UDP on port 6379.
#![no_std]
#![no_main]

extern crate alloc;

mod administration;
mod clock;
mod plan;
mod server;
mod store;

use alloc::sync::Arc;
use keyval_engine::{Policy, Shared};
use plan::Plan;
use reflex::prelude::*;
use reflex::{Argument, log};

const MEMORY: Argument = Argument::number(
    "maxmemory",
    1 << 20..=1 << 40,
    "bytes that keys, values and what clients wait for may take",
)
.usually("half of the memory");
const POLICY: Argument = Argument::text(
    "policy",
    "allkeys-lru|noeviction",
    "whether keys that are not used make room, or writes are refused",
)
.usually("allkeys-lru");
const CONNECTIONS: Argument =
    Argument::number("connections", 1..=1 << 20, "how many there may be at a time")
        .usually("as many as an eighth of the memory holds, at most 1024");

#[reflex::main(arguments = &[MEMORY, POLICY, CONNECTIONS])]
fn main(system: System) -> Result {
    let policy = match system.argument(POLICY) {
        None => Policy::AllKeysLru,
        Some(name) => Policy::named(name.as_bytes()).ok_or_else(|| {
            log::error!("policy: expected allkeys-lru or noeviction, not `{name}`");
            Error::Application("there is no such policy")
        })?,
    };
    // Here, where the stack is long enough for it.
    system.net()?;
    let (memory, connections) = (system.number(MEMORY), system.number(CONNECTIONS));
    let plan = Plan::new(system.available_memory(), memory, connections)?;
    let shared = Arc::new(Shared::new(plan.limit, policy));
    let store = store::start(system, plan, shared.clone())?;
    administration::start(system, store, shared)
}
