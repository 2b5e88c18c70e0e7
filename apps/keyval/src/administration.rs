//! The context of the administration: a port that answers however busy the store is, and statistics by UDP.

use crate::plan::{RECEIVE_BUFFER, SEND_BUFFER};
use crate::server::Server;
use crate::store::Store;
use alloc::sync::Arc;
use core::fmt::{self, Write};
use keyval_engine::{Admin, Appliance, Engine, Facts, Shared};
use reflex::prelude::*;
use reflex::supervise::Setup;
use reflex::{Signal, SignalMode};

const PORT: u16 = 6380;
const STATISTICS: u16 = 6379;
const CONNECTIONS: usize = 8;
/// Its event memory: the text of all metrics, for each connection.
const MEMORY: usize = 512 << 10;
/// The longest datagram of statistics: no network cuts it in pieces.
const DATAGRAM: usize = 512;

/// What the administration does with the rest of the appliance.
#[derive(Clone)]
pub(crate) struct Control {
    system: System,
    store: Context<Store>,
    shared: Arc<Shared>,
    /// Has the store keep its limits.
    trim: Signal,
}

/// The state of the administration's context.
type Administration = Server<Admin<Control>>;

impl Control {
    fn facts(&self) -> Facts {
        let (used, capacity) = match self.system.pool(self.store) {
            Ok(pool) => {
                let capacity = pool.region().len();
                (capacity - pool.available(), capacity)
            }
            Err(_) => (0, 0),
        };
        Facts { used, capacity, uptime: self.system.now().as_nanos() / 1_000_000_000 }
    }
}

impl Appliance for Control {
    fn facts(&self) -> Facts {
        Control::facts(self)
    }

    fn limits_changed(&self) {
        // The store's context does not end before the image.
        let _ = self.trim.fire();
    }

    fn system_metrics(&self, out: &mut dyn Write) -> fmt::Result {
        write!(out, "{}", self.system.metrics())
    }

    fn shut_down(&mut self) {
        self.system.shut_down();
    }
}

/// Makes the context, and opens its ports.
pub(crate) fn start(system: System, store: Context<Store>, shared: Arc<Shared>) -> Result {
    let trim =
        system.signal(SignalMode::Counter).on(store, |store: &mut Store, _| store.engine.trim())?;
    let control = Control { system, store, shared, trim };
    system
        .context_with("administration", move |setup| make(control.clone(), setup))
        .priority(Priority::HIGH)
        .memory(MEMORY)
        .build()?;
    Ok(())
}

fn make(control: Control, setup: Setup<'_, Administration>) -> Result<Administration> {
    let (system, shared) = (control.system, control.shared.clone());
    let (context, memory) = (setup.context(), setup.memory());
    let listener = system
        .tcp(PORT)
        .priority(Priority::HIGH)
        .connections(CONNECTIONS as u32)
        .buffers(RECEIVE_BUFFER, SEND_BUFFER)
        .queue(0)
        .serve(context)?;
    system.udp(STATISTICS).priority(Priority::HIGH).serve(context)?;
    system.on_shutdown(context, move |administration: &mut Administration, _| {
        listener.close();
        administration.finish();
    })?;
    let engine = Engine::new(Admin::new(control, shared.clone(), memory), memory, shared);
    Server::new(system, memory, engine, CONNECTIONS)
}

/// Any datagram asks, and is answered by one.
impl UdpService for Administration {
    fn datagram(&mut self, socket: &UdpSocket, datagram: Datagram<'_>) {
        let mut answer = [0; DATAGRAM];
        let length = self.engine.commands().statistics(&mut answer);
        // An answer that cannot be sent is lost, as datagrams may be.
        let _ = socket.send_to(&answer[..length], datagram.from);
    }
}
