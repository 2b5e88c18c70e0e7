//! The script's side: what it works with, and what it waits for.

use crate::done::Done;
use crate::inbox::{Happened, Inbox, Lifeline};
use crate::stage::Stage;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::net::IpAddr;
use core::task::Poll;
use core::time::Duration;
use reflex::rdma::{
    CompletionQueue, Connect, Connection, ConnectionChange, ConnectionManager, Event,
    ProtectionDomain, Qpn, QueuePair, Rdma, RejectReason, Transport,
};
use reflex::{Context, Error, Priority, System, Timer};
use spin::Mutex;

/// Requests that may wait at a time.
const BACKLOG: u16 = 32;
/// How often a server is asked again that does not listen yet, and how long to wait before.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);
/// How long the end of a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a script works with. Copies are of the same.
#[derive(Clone)]
pub struct Desk {
    /// The system.
    pub system: System,
    /// The port.
    pub rdma: &'static Rdma,
    /// For memory and queue pairs.
    pub domain: ProtectionDomain,
    /// Where all work of the script completes.
    pub queue: CompletionQueue,
    /// For connections of the script.
    pub manager: ConnectionManager,
    pub(crate) context: Context<Stage>,
    pub(crate) alarm: Timer,
    pub(crate) inbox: Arc<Mutex<Inbox>>,
}

impl Desk {
    /// Waits until `find` finds something.
    pub(crate) fn until<T>(
        &self,
        mut find: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> impl Future<Output = T> {
        poll_fn(move |_| match find(&mut self.inbox.lock()) {
            Some(found) => Poll::Ready(found),
            None => Poll::Pending,
        })
    }

    /// Waits until `find` finds something, or the peer has gone by which this is [held](Self::hold).
    pub(crate) async fn while_there<T>(
        &self,
        mut find: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<T, Error> {
        let alone = Error::from("the peer went away");
        self.until(|inbox| match find(inbox) {
            Some(found) => Some(Ok(found)),
            None => inbox.is_alone().then_some(Err(alone)),
        })
        .await
    }

    /// Has waiting for completions fail once this connection is over: its peer sends nothing any more.
    pub fn hold(&self, connection: &Connection) {
        self.inbox.lock().lifeline = Some(Lifeline::Connection(connection.clone()));
    }

    /// The oldest completion, whatever has become of the work.
    pub async fn any(&self) -> Done {
        self.until(|inbox| inbox.done.pop_front()).await
    }

    /// The oldest completion, that has to be a success.
    ///
    /// # Errors
    /// What has become of the work; that the peer has gone.
    pub async fn done(&self) -> Result<Done, Error> {
        successful(self.while_there(|inbox| inbox.done.pop_front()).await?)
    }

    /// The oldest completion of a queue pair, that has to be a success.
    ///
    /// # Errors
    /// As [`done`](Self::done).
    pub async fn done_of(&self, pair: Qpn) -> Result<Done, Error> {
        let of = |inbox: &mut Inbox| {
            let place = inbox.done.iter().position(|done| done.pair == pair)?;
            inbox.done.remove(place)
        };
        successful(self.while_there(of).await?)
    }

    /// The oldest received message of a queue pair; completions of sends before it are passed over, if they are
    /// successes.
    ///
    /// # Errors
    /// As [`done`](Self::done).
    pub async fn message(&self, pair: Qpn) -> Result<Done, Error> {
        loop {
            let done = self.done_of(pair).await?;
            if done.is_receive() {
                return Ok(done);
            }
        }
    }

    /// Waits until a peer has written, by a write without a number, to memory of a queue pair that
    /// [tells](Self::tell_writes), more often than `seen` says.
    ///
    /// # Errors
    /// When the peer has gone.
    pub async fn written(&self, seen: &mut u64) -> Result<(), Error> {
        let more = |inbox: &mut Inbox| Some(inbox.writes).filter(|writes| *writes != *seen);
        let now = self.while_there(more).await?;
        *seen = now;
        Ok(())
    }

    /// Has the script told of writes of this queue pair's peer.
    ///
    /// # Errors
    /// When memory or a table does not allow it.
    pub fn tell_writes(&self, pair: &QueuePair) -> Result<(), Error> {
        let told = |stage: &mut Stage, event| {
            if event == Event::Written {
                stage.put(|inbox| inbox.writes += 1);
            }
        };
        Ok(pair.on_event(self.context, Priority::DEFAULT, told)?)
    }

    /// What has happened next to any connection.
    pub async fn happened(&self) -> Happened {
        self.until(|inbox| inbox.happened.pop_front()).await
    }

    /// What has happened next to a connection.
    pub async fn change(&self, connection: &Connection) -> ConnectionChange {
        let of = |inbox: &mut Inbox| {
            let place = inbox.happened.iter().position(|it| it.connection == *connection)?;
            inbox.happened.remove(place)
        };
        self.until(of).await.what
    }

    /// Waits until a connection stands.
    ///
    /// # Errors
    /// When it does not come about.
    pub async fn connected(&self, connection: &Connection) -> Result<ConnectionChange, Error> {
        stands(self.change(connection).await)
    }

    /// Waits for a request for a connection.
    pub async fn requested(&self) -> Happened {
        let request = |inbox: &mut Inbox| {
            let asks = |it: &Happened| matches!(it.what, ConnectionChange::Requested { .. });
            inbox.happened.iter().position(asks).and_then(|place| inbox.happened.remove(place))
        };
        self.until(request).await
    }

    /// Listens for reliable connections, and says so.
    ///
    /// # Errors
    /// Those of [`ConnectionManager::listen`].
    pub fn listen(&self, port: u16) -> Result<(), Error> {
        self.listen_for(Transport::Reliable, port)
    }

    /// Listens for connections of any transport, or for those that ask for a datagram queue pair, and says so.
    ///
    /// # Errors
    /// Those of [`ConnectionManager::listen`].
    pub fn listen_for(&self, transport: Transport, port: u16) -> Result<(), Error> {
        self.manager.listen(transport, port, BACKLOG)?;
        reflex::println!("ready at port {port}");
        Ok(())
    }

    /// Asks for a connection, and waits until it stands.
    ///
    /// # Errors
    /// As [`connect_all`](Self::connect_all).
    pub async fn connect(
        &self,
        pair: &QueuePair,
        to: (IpAddr, u16),
        connect: Connect,
    ) -> Result<(Connection, ConnectionChange), Error> {
        let mut connections = self.connect_all(core::iter::once(pair), to, connect).await?;
        connections.pop().ok_or("there is no queue pair".into())
    }

    /// Asks for a connection of each queue pair, and waits until all of them stand. A server that does not listen yet
    /// is asked again.
    ///
    /// # Errors
    /// When one does not come about.
    pub async fn connect_all<'a>(
        &self,
        pairs: impl Iterator<Item = &'a QueuePair> + Clone,
        to: (IpAddr, u16),
        connect: Connect,
    ) -> Result<Vec<(Connection, ConnectionChange)>, Error> {
        let ask = |pair| self.manager.connect(pair, to, connect);
        let asked: Result<Vec<_>, _> = pairs.clone().map(ask).collect();
        let mut stand = Vec::new();
        let mut tries = TRIES;
        for (pair, mut connection) in pairs.zip(asked?) {
            let change = loop {
                match self.change(&connection).await {
                    ConnectionChange::Rejected { reason, .. }
                        if reason == RejectReason::INVALID_SERVICE_ID && tries > 0 =>
                    {
                        tries -= 1;
                        self.sleep(PAUSE).await?;
                        connection = ask(pair)?;
                    }
                    change => break stands(change)?,
                }
            };
            stand.push((connection, change));
        }
        Ok(stand)
    }

    /// Ends a connection, and waits until that is so.
    ///
    /// # Errors
    /// Those of [`Connection::disconnect`](reflex::rdma::Connection).
    pub async fn disconnect(&self, connection: &Connection) -> Result<(), Error> {
        connection.disconnect()?;
        self.ended(connection, PATIENCE).await?;
        Ok(())
    }
}

/// # Errors
/// Why a connection does not stand.
fn stands(change: ConnectionChange) -> Result<ConnectionChange, Error> {
    match change {
        ConnectionChange::Connected { .. } => Ok(change),
        ConnectionChange::Rejected { .. } => Err("the peer rejected the connection".into()),
        ConnectionChange::Disconnected => Err("the peer went away".into()),
        _ => Err("the peer does not answer".into()),
    }
}

/// # Errors
/// What has become of the work, if it has failed.
pub(crate) fn successful(done: Done) -> Result<Done, Error> {
    if done.status == reflex::rdma::Status::Success {
        return Ok(done);
    }
    reflex::log::error!("{:?} of queue pair {:?}: {}", done.kind, done.pair, done.status);
    Err("work has failed".into())
}
