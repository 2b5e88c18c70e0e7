//! The context of the store: the port for data, and the times of keys.

use crate::clock;
use crate::plan::{Plan, RECEIVE_BUFFER, SEND_BUFFER};
use crate::server::Server;
use alloc::sync::Arc;
use keyval_engine::{Database, Deadlines, Engine, Shared};
use reflex::prelude::*;
use reflex::supervise::Setup;
use reflex::{KeyedTimers, log};

const PORT: u16 = 6379;

/// The state of the store's context.
pub(crate) type Store = Server<Database<Timers>>;

/// When the time of each key is up.
pub(crate) struct Timers {
    system: System,
    timers: KeyedTimers<()>,
}

impl Deadlines for Timers {
    fn set(&mut self, hash: u64, deadline: u64) -> bool {
        self.timers.set(hash, clock::instant(self.system, deadline), ()).is_ok()
    }

    fn cancel(&mut self, hash: u64) {
        // One that has come meanwhile finds nothing to remove.
        let _ = self.timers.cancel(hash);
    }
}

/// Makes the context, and opens its port.
pub(crate) fn start(system: System, plan: Plan, shared: Arc<Shared>) -> Result<Context<Store>> {
    let store = system
        .context_with("store", move |setup| make(system, plan, shared.clone(), setup))
        .memory(plan.memory)
        .build()?;
    log::info!("{} connections, {} bytes for keys and values", plan.connections, plan.limit);
    Ok(store)
}

fn make(system: System, plan: Plan, shared: Arc<Shared>, setup: Setup<'_, Store>) -> Result<Store> {
    let (context, memory) = (setup.context(), setup.memory());
    let timers =
        system.timers(plan.deadlines).on(context, move |store: &mut Store, hash, ()| {
            store.engine.expire(hash, clock::now(system));
        })?;
    let mut random = [0; 8];
    system.random(&mut random);
    let begin = (u64::from_ne_bytes(random), clock::now(system));
    let database = Database::new(memory, shared.clone(), Timers { system, timers }, begin);
    let database = database.map_err(|_| Error::Application("there is no memory for the store"))?;
    let engine = Engine::new(database, memory, shared);
    let listener = system
        .tcp(PORT)
        .connections(plan.connections as u32)
        .backlog(plan.connections as u32)
        .buffers(RECEIVE_BUFFER, SEND_BUFFER)
        .queue(0)
        .serve(context)?;
    system.on_shutdown(context, move |store: &mut Store, _| {
        listener.close();
        store.finish();
    })?;
    Server::new(system, memory, engine, plan.connections)
}
