//! The side that pings, and ends the image when it has.

use crate::session::{COMPLETIONS, LONGEST, Means, Notice};
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use reflex::rdma::{
    Access, Completion, Connect, Connection, ConnectionChange, ConnectionEvent, ConnectionManager,
    Kind, MemoryRegion, QueuePair,
};
use reflex::{Argument, Error, Priority, System, log, status};

/// Event memory.
const MEMORY: usize = 1 << 20;

struct Client {
    system: System,
    pings: usize,
    size: usize,
    link: Option<Link>,
    done: usize,
    /// The server has the message, and is to write it back.
    halfway: bool,
}

/// What there is once the connection is asked for.
struct Link {
    means: Means,
    connection: Connection,
    pair: QueuePair,
    source: MemoryRegion,
    sink: MemoryRegion,
}

pub(crate) const COUNT: Argument = Argument::number("count", 1..=1 << 30, "pings").usually("10");
pub(crate) const SIZE: Argument =
    Argument::number("size", 1..=LONGEST, "bytes of each").usually("64");

pub(crate) fn start(system: System, server: (IpAddr, u16)) -> Result<(), Error> {
    let pings = system.number(COUNT).unwrap_or(10);
    let size = system.number(SIZE).unwrap_or(64);
    let state = Client { system, pings, size, link: None, done: 0, halfway: false };
    let context = system.context("rping", state).memory(MEMORY).build()?;
    let rdma = system.rdma()?;
    let domain = rdma.domain(context)?;
    let completed = |client: &mut Client, completion: &mut Completion| client.completed(completion);
    let queue = rdma.completion_queue(context, COMPLETIONS, Priority::DEFAULT, completed)?;
    let happened = |client: &mut Client, event| client.happened(event);
    let manager = rdma.connections(context, Priority::DEFAULT, happened)?;
    // There has to be an address to connect from.
    system.net()?.on_address(context, move |client: &mut Client, own| {
        if own.is_some() && client.link.is_none() {
            let means = Means { domain: domain.clone(), queue: queue.clone() };
            if let Err(error) = client.connect(means, &manager, server) {
                client.fail(&error);
            }
        }
    })?;
    Ok(())
}

impl Client {
    fn connect(
        &mut self,
        means: Means,
        manager: &ConnectionManager,
        server: (IpAddr, u16),
    ) -> Result<(), Error> {
        let pair = means.pair(Access::REMOTE_READ | Access::REMOTE_WRITE)?;
        let region =
            |access| Ok::<_, Error>(means.domain.register(means.domain.bytes(self.size)?, access)?);
        let source = region(Access::REMOTE_READ)?;
        let sink = region(Access::REMOTE_WRITE | Access::LOCAL_WRITE)?;
        let connection = manager.connect(&pair, server, Connect::new())?;
        self.link = Some(Link { means, connection, pair, source, sink });
        Ok(())
    }

    /// The message of a ping: as `rping` has it, a name and a number, and then letters in turn. It ends
    /// with a zero, up to which Linux writes it back.
    fn message(&self) -> Vec<u8> {
        let mut message = alloc::format!("rdma-ping-{}: ", self.done).into_bytes();
        let letters = (b'A'..=b'z').cycle().skip(self.done % 58);
        message.extend(letters.take(self.size));
        message.truncate(self.size - 1);
        message.push(0);
        message
    }

    fn fail(&mut self, why: &dyn core::fmt::Display) {
        log::error!("ping {} of {}: {why}", self.done + 1, self.pings);
        self.system.exit(status::MAIN_FAILED);
    }

    fn happened(&mut self, ConnectionEvent { what, .. }: ConnectionEvent) {
        match what {
            ConnectionChange::Connected { .. } => {
                log::info!("connected");
                if let Err(error) = self.ping() {
                    self.fail(&error);
                }
            }
            ConnectionChange::Disconnected if self.done == self.pings => {
                log::info!("{} pings of {} bytes", self.pings, self.size);
                self.system.exit(status::SUCCESS);
            }
            ConnectionChange::Rejected { .. } => self.fail(&"the server refused"),
            ConnectionChange::Failed { why } => self.fail(&why),
            ConnectionChange::Disconnected => self.fail(&"the server went away"),
            ConnectionChange::Requested { .. } | ConnectionChange::Resolved { .. } => {}
        }
    }

    /// Begins a ping.
    fn ping(&mut self) -> Result<(), Error> {
        let message = self.message();
        let Some(link) = &self.link else { return Ok(()) };
        link.source.write(0, &message)?;
        link.means.send(&link.pair, Notice::of(&link.source, self.size))
    }

    fn completed(&mut self, completion: &mut Completion) {
        if self.done == self.pings {
            return;
        }
        if !completion.is_success() {
            return self.fail(&completion.status);
        }
        if completion.kind == Kind::Receive
            && let Err(error) = self.confirmed()
        {
            self.fail(&error);
        }
    }

    /// The server has confirmed a step.
    fn confirmed(&mut self) -> Result<(), Error> {
        let Some(link) = &self.link else { return Ok(()) };
        link.means.receive(&link.pair)?;
        self.halfway = !self.halfway;
        if self.halfway {
            return link.means.send(&link.pair, Notice::of(&link.sink, self.size));
        }
        let mut back = vec![0; self.size];
        link.sink.read(0, &mut back)?;
        if back != self.message() {
            return Err("what came back is not what was sent".into());
        }
        self.done += 1;
        if self.done < self.pings {
            return self.ping();
        }
        Ok(link.connection.disconnect()?)
    }
}
