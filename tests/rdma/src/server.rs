//! All connections.

use crate::message::{Hello, MESSAGE, PORT, REGION, region};
use crate::peer::{Common, Peer, SHARED};
use alloc::vec::Vec;
use core::time::Duration;
use reflex::rdma::{
    Accept, Access, Completion, CompletionQueue, Connection, ConnectionChange, ConnectionEvent,
    ProtectionDomain, Qpn, ReceiveRequest, Transport,
};
use reflex::{Context, Error, Priority, System, log};

const BACKLOG: u16 = 128;
/// Receives of the queue that connections share.
const SHARED_RECEIVES: u32 = 64;
/// Sends of a connection in flight.
const SENDS: u32 = 64;
/// Completions that can wait: what 64 connections can have in flight, and some more.
const COMPLETIONS: u32 = 1 << 14;
/// Event memory.
const MEMORY: usize = 32 << 20;

struct Server {
    system: System,
    context: Option<Context<Server>>,
    domain: Option<ProtectionDomain>,
    queue: Option<CompletionQueue>,
    common: Option<Common>,
    peers: Vec<Peer>,
}

pub(crate) fn start(system: System) -> Result<(), Error> {
    let server = Server {
        system,
        context: None,
        domain: None,
        queue: None,
        common: None,
        peers: Vec::new(),
    };
    let context = system.context("rdma", server).memory(MEMORY).build()?;
    let rdma = system.rdma()?;
    let domain = rdma.domain(context)?;
    let completed = |server: &mut Server, completion: &mut Completion| server.completed(completion);
    let queue = rdma.completion_queue(context, COMPLETIONS, Priority::DEFAULT, completed)?;
    let happened = move |server: &mut Server, event| {
        let prepared = server.prepare(context, &domain, &queue);
        if let Err(error) = prepared.and_then(|()| server.happened(event)) {
            log::warn!("{error}");
        }
    };
    let manager = rdma.connections(context, Priority::DEFAULT, happened)?;
    manager.listen(Transport::Reliable, PORT, BACKLOG)?;
    manager.listen(Transport::Unreliable, PORT, BACKLOG)?;
    log::info!("ready");
    Ok(())
}

impl Server {
    /// Makes what all connections share, before the first.
    fn prepare(
        &mut self,
        context: Context<Self>,
        domain: &ProtectionDomain,
        queue: &CompletionQueue,
    ) -> Result<(), Error> {
        if self.common.is_some() {
            return Ok(());
        }
        let everything = Access::LOCAL_WRITE
            | Access::REMOTE_READ
            | Access::REMOTE_WRITE
            | Access::REMOTE_ATOMIC;
        let region = domain.register(domain.bytes(REGION)?, everything)?;
        let receives = domain.shared_receive_queue(SHARED_RECEIVES)?;
        for _ in 0..SHARED_RECEIVES {
            receives.post_receive(ReceiveRequest::bytes(domain.bytes(MESSAGE)?).id(SHARED))?;
        }
        self.context = Some(context);
        (self.domain, self.queue) = (Some(domain.clone()), Some(queue.clone()));
        self.common = Some(Common { region, receives });
        Ok(())
    }

    fn happened(
        &mut self,
        ConnectionEvent { connection, what }: ConnectionEvent,
    ) -> Result<(), Error> {
        match what {
            ConnectionChange::Requested { transport, data, .. } => {
                let Some(hello) = Hello::parse(data.as_bytes()) else {
                    return Ok(connection.reject(b"no hello")?);
                };
                self.admit(&connection, transport, hello).or_else(|error| {
                    log::warn!("not accepted: {error}");
                    Ok(connection.reject(b"no room")?)
                })
            }
            ConnectionChange::Connected { .. } => self.post_later(&connection),
            ConnectionChange::Rejected { .. }
            | ConnectionChange::Failed { .. }
            | ConnectionChange::Resolved { .. }
            | ConnectionChange::Disconnected => {
                self.peers.retain(|peer| peer.connection != connection);
                Ok(())
            }
        }
    }

    fn admit(
        &mut self,
        connection: &Connection,
        transport: Transport,
        hello: Hello,
    ) -> Result<(), Error> {
        let parts = (&self.domain, &self.queue, &self.common);
        let (Some(domain), Some(queue), Some(common)) = parts else { return Ok(()) };
        let all = Access::REMOTE_READ | Access::REMOTE_WRITE | Access::REMOTE_ATOMIC;
        let pair = domain.queue_pair(transport, queue, queue).access(all);
        let pair = pair.depth(SENDS, u32::from(hello.receives) + 1);
        let pair = if hello.shared { pair.shared(&common.receives) } else { pair };
        let pair = pair.build()?;
        let at_once = hello.hold == 0 && !hello.shared;
        for _ in 0..if at_once { hello.receives } else { 0 } {
            pair.post_receive(ReceiveRequest::bytes(domain.bytes(MESSAGE)?))?;
        }
        let told = region(common.region.address(), common.region.key());
        let accept = Accept::new().data(&told)?.rnr_retries(hello.rnr_retries);
        connection.accept(&pair, accept)?;
        let (connection, shared) = (connection.clone(), hello.shared);
        let held = if at_once || shared { 0 } else { hello.receives };
        let hold = hello.hold;
        self.peers.push(Peer { connection, pair, held, hold, shared, window: None });
        Ok(())
    }

    /// Posts the receives of a connection that is to have them later, when it is time.
    fn post_later(&mut self, connection: &Connection) -> Result<(), Error> {
        let of = |peer: &&mut Peer| peer.connection == *connection;
        let (Some(peer), Some(context)) = (self.peers.iter_mut().find(of), self.context) else {
            return Ok(());
        };
        if peer.held > 0 {
            let number = peer.pair.number();
            let hold = Duration::from_millis(peer.hold.into());
            self.system.after(hold).on(context, move |server: &mut Self, _| {
                if let Err(error) = server.post_held(number) {
                    log::warn!("{error}");
                }
            })?;
        }
        Ok(())
    }

    fn post_held(&mut self, number: Qpn) -> Result<(), Error> {
        let of = |peer: &&mut Peer| peer.pair.number() == number;
        let (Some(peer), Some(domain)) = (self.peers.iter_mut().find(of), &self.domain) else {
            return Ok(());
        };
        for _ in 0..core::mem::take(&mut peer.held) {
            peer.pair.post_receive(ReceiveRequest::bytes(domain.bytes(MESSAGE)?))?;
        }
        Ok(())
    }

    fn completed(&mut self, completion: &mut Completion) {
        let Some(common) = &self.common else { return };
        let of = |peer: &&mut Peer| peer.pair.number() == completion.queue_pair;
        let peer = self.peers.iter_mut().find(of).filter(|_| completion.is_success());
        let result = match peer {
            Some(peer) => peer.completed(common, completion).inspect_err(|_| {
                // It ends anyway if that does not go.
                let _ = peer.connection.disconnect();
            }),
            // What a connection that is over had of the shared receives goes back.
            None if completion.id & SHARED != 0 => match completion.take_bytes() {
                Some(bytes) => {
                    let receive = ReceiveRequest::bytes(bytes).id(SHARED);
                    common.receives.post_receive(receive).map_err(Error::from)
                }
                None => Ok(()),
            },
            None => Ok(()),
        };
        if let Err(error) = result {
            log::warn!("{error}");
        }
    }
}
