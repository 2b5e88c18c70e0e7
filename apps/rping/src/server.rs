//! The side that is pinged, by any number of clients at a time.

use crate::session::{COMPLETIONS, Means, Notice};
use alloc::vec::Vec;
use reflex::rdma::{
    Accept, Access, Completion, Connection, ConnectionChange, ConnectionEvent, Kind, QueuePair,
    RKey, SendRequest, Transport,
};
use reflex::{Error, Lent, Priority, System, log};

/// Requests that may wait.
const BACKLOG: u16 = 16;
/// Event memory.
const MEMORY: usize = 4 << 20;

/// The clients.
struct Server {
    means: Option<Means>,
    clients: Vec<Client>,
}

struct Client {
    connection: Connection,
    pair: QueuePair,
    /// What was read of it, to be written back.
    message: Option<Lent<[u8]>>,
}

pub(crate) fn start(system: System, port: u16) -> Result<(), Error> {
    let state = Server { means: None, clients: Vec::new() };
    let context = system.context("rping", state).memory(MEMORY).build()?;
    let rdma = system.rdma()?;
    let domain = rdma.domain(context)?;
    let completed = |server: &mut Server, completion: &mut Completion| server.completed(completion);
    let queue = rdma.completion_queue(context, COMPLETIONS, Priority::DEFAULT, completed)?;
    let happened = move |server: &mut Server, event| {
        let means = || Means { domain: domain.clone(), queue: queue.clone() };
        server.means.get_or_insert_with(means);
        server.happened(event);
    };
    rdma.connections(context, Priority::DEFAULT, happened)?.listen(
        Transport::Reliable,
        port,
        BACKLOG,
    )?;
    log::info!("rping server at port {port}");
    Ok(())
}

impl Server {
    fn happened(&mut self, ConnectionEvent { connection, what }: ConnectionEvent) {
        match what {
            ConnectionChange::Requested { from, .. } => {
                if let Some((address, port)) = from {
                    log::info!("{address}:{port} asks for a connection");
                }
                if let Err(error) = self.admit(&connection) {
                    log::warn!("not accepted: {error}");
                    // If that does not go either, the peer gives up by itself.
                    let _ = connection.reject(&[]);
                }
            }
            ConnectionChange::Connected { .. } => log::info!("connected"),
            ConnectionChange::Rejected { .. }
            | ConnectionChange::Failed { .. }
            | ConnectionChange::Resolved { .. }
            | ConnectionChange::Disconnected => {
                self.clients.retain(|client| client.connection != connection);
                log::info!("disconnected");
            }
        }
    }

    fn admit(&mut self, connection: &Connection) -> Result<(), Error> {
        let means = self.means.as_ref().ok_or("nothing has happened yet")?;
        let pair = means.pair(Access::NONE)?;
        connection.accept(&pair, Accept::new())?;
        let connection = connection.clone();
        self.clients.push(Client { connection, pair, message: None });
        Ok(())
    }

    fn completed(&mut self, completion: &mut Completion) {
        let of = |client: &&mut Client| client.pair.number() == completion.queue_pair;
        let (Some(client), Some(means)) = (self.clients.iter_mut().find(of), &self.means) else {
            return;
        };
        if !completion.is_success() {
            return;
        }
        if let Err(error) = client.completed(means, completion) {
            log::warn!("a client is dropped: {error}");
            // It is dropped when that has been done.
            let _ = client.connection.disconnect();
        }
    }
}

impl Client {
    fn completed(&mut self, means: &Means, completion: &mut Completion) -> Result<(), Error> {
        let done = Notice { address: 0, key: RKey(0), length: 0 };
        match completion.kind {
            Kind::Receive => {
                let notice = Notice::parse(completion.bytes()).ok_or("a message makes no sense")?;
                means.receive(&self.pair)?;
                match self.message.take() {
                    None => {
                        let read = SendRequest::read(notice.address, notice.key);
                        self.pair.post_send(read.bytes(means.domain.bytes(notice.length)?))?;
                    }
                    Some(message) => {
                        let write = SendRequest::write(notice.address, notice.key);
                        self.pair.post_send(write.bytes(message))?;
                    }
                }
            }
            Kind::Read => {
                self.message = completion.take_bytes();
                means.send(&self.pair, done)?;
            }
            Kind::Write => means.send(&self.pair, done)?,
            _ => {}
        }
        Ok(())
    }
}
