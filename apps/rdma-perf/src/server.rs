//! The side that is worked with. What it measures says something with one client at a time; others are
//! served all the same, lest one that died without a word keeps it.

use crate::end::{COMPLETIONS, End, MEMORY};
use crate::figures;
use crate::terms::{Ask, Offer, PORT, REGION, Test, WARM};
use alloc::vec::Vec;
use reflex::rdma::{
    Accept, Completion, CompletionQueue, Connection, ConnectionChange, ConnectionEvent, Kind,
    ProtectionDomain, QueuePair, SendRequest, Transport,
};
use reflex::{Error, Priority, System, log};

/// Requests that may wait.
const BACKLOG: u16 = 8;

struct Server {
    system: System,
    end: Option<End>,
    clients: Vec<Client>,
}

struct Client {
    connection: Connection,
    pair: QueuePair,
    ask: Ask,
    /// Messages that have come.
    received: u32,
    /// What the processor had done when the first of the stream came.
    busy: u64,
}

pub(crate) fn start(system: System) -> Result<(), Error> {
    let state = Server { system, end: None, clients: Vec::new() };
    let context = system.context("perf", state).memory(MEMORY).build()?;
    let rdma = system.rdma()?;
    let domain = rdma.domain(context)?;
    let completed = |server: &mut Server, completion: &mut Completion| server.completed(completion);
    let queue = rdma.completion_queue(context, COMPLETIONS, Priority::DEFAULT, completed)?;
    let happened = move |server: &mut Server, event| server.happened(event, &domain, &queue);
    let manager = rdma.connections(context, Priority::DEFAULT, happened)?;
    manager.listen(Transport::Reliable, PORT, BACKLOG)?;
    reflex::println!("ready at port {PORT}");
    Ok(())
}

impl Server {
    fn happened(
        &mut self,
        ConnectionEvent { connection, what }: ConnectionEvent,
        domain: &ProtectionDomain,
        queue: &CompletionQueue,
    ) {
        match what {
            ConnectionChange::Requested { data, .. } => {
                let admitted = self.equip(domain, queue).and_then(|()| {
                    let ask = Ask::parse(data.as_bytes()).ok_or("a request makes no sense")?;
                    self.admit(&connection, ask)
                });
                if let Err(error) = admitted {
                    log::warn!("not accepted: {error}");
                    // If that does not go either, the peer gives up by itself.
                    let _ = connection.reject(&[]);
                }
            }
            ConnectionChange::Connected { .. } => {}
            ConnectionChange::Rejected { .. }
            | ConnectionChange::Failed { .. }
            | ConnectionChange::Resolved { .. }
            | ConnectionChange::Disconnected => {
                self.clients.retain(|client| client.connection != connection);
            }
        }
    }

    /// Registers the memory, the first time.
    fn equip(&mut self, domain: &ProtectionDomain, queue: &CompletionQueue) -> Result<(), Error> {
        if self.end.is_none() {
            self.end = Some(End::new(domain.clone(), queue.clone())?);
        }
        Ok(())
    }

    fn admit(&mut self, connection: &Connection, ask: Ask) -> Result<(), Error> {
        let end = self.end.as_ref().ok_or("there is no memory")?;
        let receives = if ask.test == Test::Send { 2 * ask.window } else { 0 };
        let pair = end.pair(&ask, receives)?;
        let (address, key) = (end.open.address(), end.open.key().0);
        let offer = Offer { address, key, length: REGION as u32 };
        connection.accept(&pair, Accept::new().data(&offer.emit())?)?;
        let connection = connection.clone();
        self.clients.push(Client { connection, pair, ask, received: 0, busy: 0 });
        Ok(())
    }

    fn completed(&mut self, completion: &mut Completion) {
        let of = |client: &&mut Client| client.pair.number() == completion.queue_pair;
        let (Some(client), Some(end)) = (self.clients.iter_mut().find(of), &self.end) else {
            return;
        };
        // What fails when the client has gone is told otherwise.
        if completion.is_success()
            && completion.kind == Kind::Receive
            && let Err(error) = client.received(self.system, end)
        {
            log::warn!("a client is dropped: {error}");
            // It is dropped when that has been done.
            let _ = client.connection.disconnect();
        }
    }
}

impl Client {
    /// A message has come.
    fn received(&mut self, system: System, end: &End) -> Result<(), Error> {
        let Self { pair, ask, .. } = self;
        end.receive(pair, ask)?;
        self.received += 1;
        let single = WARM + ask.count;
        let streamed = self.received.saturating_sub(single);
        match streamed {
            0 => end.put(pair, SendRequest::message(), ask.length())?,
            _ if streamed.is_multiple_of(ask.window) => pair.post_send(SendRequest::message())?,
            _ => {}
        }
        if streamed == 0 {
            self.busy = system.busy();
        }
        if streamed == ask.count {
            figures::instructions(system, ask, "receive", system.busy() - self.busy);
        }
        Ok(())
    }
}
