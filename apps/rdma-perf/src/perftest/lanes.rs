//! The queue pairs of the test, with their memory.

use super::exchange::Exchange;
use super::options::Options;
use super::record::Record;
use crate::terms::Test;
use alloc::vec::Vec;
use core::time::Duration;
use rdma_script::{Desk, Done};
use reflex::rdma::{
    Accept, Access, Connect, Connection, Gid, MemoryRegion, PathMtu, Peer, Psn, QueuePair,
    ReceiveRequest, SendRequest, Transport,
};
use reflex::{Error, System};

/// Reads and atomics that may be outstanding of each queue pair.
const READS: u8 = 16;
/// How long the client may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// All of them.
pub(crate) struct Lanes {
    pub(crate) options: Options,
    pub(crate) lanes: Vec<Lane>,
    /// What the other side may work in, and what this side works with.
    pub(crate) open: MemoryRegion,
    own: MemoryRegion,
}

/// One queue pair.
pub(crate) struct Lane {
    pub(crate) pair: QueuePair,
    psn: Psn,
    peer: Option<Record>,
    connection: Option<Connection>,
    /// Operations posted, done, and messages received.
    pub(crate) posted: u64,
    pub(crate) done: u64,
    pub(crate) received: u64,
}

impl Lanes {
    pub(crate) fn new(desk: &Desk, options: Options) -> Result<Self, Error> {
        let length = options.pairs * options.span();
        let region =
            |access| Ok::<_, Error>(desk.domain.register(desk.domain.bytes(length)?, access)?);
        let remote = match options.test {
            Test::Send => Access::NONE,
            Test::Write => Access::REMOTE_WRITE,
            Test::Read => Access::REMOTE_READ,
            Test::Atomic => Access::REMOTE_ATOMIC,
        };
        let (open, own) = (region(Access::LOCAL_WRITE | remote)?, region(Access::LOCAL_WRITE)?);
        let mut lanes = Self { options, lanes: Vec::new(), open, own };
        for number in 0..options.pairs {
            let pair = desk.domain.queue_pair(Transport::Reliable, &desk.queue, &desk.queue);
            let pair = pair.depth(options.sends(), options.receives()).access(remote);
            // That is how the other side of a latency of writes knows of them.
            let tells = options.test == Test::Write && !options.bandwidth;
            let pair = if tells { pair.tell_writes() } else { pair };
            let pair = pair.build()?;
            if tells {
                desk.tell_writes(&pair)?;
            }
            let psn = random(desk.system);
            let (peer, connection) = (None, None);
            let lane = Lane { pair, psn, peer, connection, posted: 0, done: 0, received: 0 };
            lanes.lanes.push(lane);
            for _ in 0..options.receives() {
                lanes.receive(number)?;
            }
        }
        Ok(lanes)
    }

    /// Has each queue pair know the other side's.
    pub(crate) async fn meet(
        &mut self,
        exchange: &mut Exchange,
        mtu: PathMtu,
    ) -> Result<(), Error> {
        if self.options.cm {
            exchange.nothing().await?;
            self.connect(&exchange.desk).await?;
            exchange.nothing().await?;
        }
        let own = exchange.desk.rdma.addresses().into_iter().find(|own| own.is_ipv4());
        let gid = Gid::from(own.ok_or("the interface has no IPv4 address")?);
        self.tell(exchange, gid).await?;
        if !self.options.cm {
            self.establish(mtu)?;
        }
        if !self.options.one_sided() {
            exchange.records(&self.record(0, gid)).await?;
        }
        self.tell(exchange, gid).await?;
        self.synchronise(exchange).await
    }

    /// Waits for each other: a pair that tells nothing new.
    pub(crate) async fn synchronise(&self, exchange: &mut Exchange) -> Result<(), Error> {
        exchange.records(&self.record(0, Gid::from_bytes([0; 16]))).await.map(drop)
    }

    async fn tell(&mut self, exchange: &mut Exchange, gid: Gid) -> Result<(), Error> {
        for number in 0..self.lanes.len() {
            let peer = exchange.records(&self.record(number, gid)).await?;
            self.lanes[number].peer = Some(peer);
        }
        Ok(())
    }

    fn record(&self, number: usize, gid: Gid) -> Record {
        let lane = &self.lanes[number];
        let reads = if matches!(self.options.test, Test::Read | Test::Atomic) { READS } else { 1 };
        Record {
            reads: reads.into(),
            pair: lane.pair.number(),
            psn: lane.psn,
            key: self.open.key(),
            address: self.open.address() + (number * self.options.span()) as u64,
            gid,
        }
    }

    /// Makes a connection for each queue pair.
    async fn connect(&mut self, desk: &Desk) -> Result<(), Error> {
        let reads = if matches!(self.options.test, Test::Read | Test::Atomic) { READS } else { 0 };
        if let Some(server) = self.options.server {
            let (to, connect) = ((server, self.options.port), Connect::new().reads(reads));
            let pairs = self.lanes.iter().map(|lane| &lane.pair);
            let connections = desk.connect_all(pairs, to, connect).await?;
            for (lane, (connection, _)) in self.lanes.iter_mut().zip(connections) {
                lane.connection = Some(connection);
            }
            return Ok(());
        }
        for lane in &mut self.lanes {
            let connection = desk.requested().await.connection;
            connection.accept(&lane.pair, Accept::new().reads(reads))?;
            lane.connection = Some(connection);
        }
        for connection in self.lanes.iter().filter_map(|lane| lane.connection.as_ref()) {
            desk.connected(connection).await?;
        }
        Ok(())
    }

    fn establish(&self, mtu: PathMtu) -> Result<(), Error> {
        let is_client = self.options.server.is_some();
        for lane in &self.lanes {
            let Some(Record { reads, pair, psn, gid, .. }) = lane.peer else { continue };
            lane.pair.establish(Peer {
                address: gid.to_ip(),
                queue_pair: pair,
                receive_psn: psn,
                send_psn: lane.psn,
                mtu,
                timeout: 14,
                retries: 7,
                rnr_retries: 7,
                // Each side permits as many as it has told. A server asks for none.
                reads: if is_client { READS.min(reads.min(255) as u8) } else { READS },
            })?;
        }
        Ok(())
    }

    /// Ends the connections, if there are any: that is the client's part.
    pub(crate) async fn leave(&self, desk: &Desk) -> Result<(), Error> {
        for connection in self.lanes.iter().filter_map(|lane| lane.connection.as_ref()) {
            if self.options.server.is_some() {
                connection.disconnect()?;
            }
            if !desk.ended(connection, PATIENCE).await? {
                connection.disconnect()?;
            }
        }
        Ok(())
    }

    /// Posts the next operation of a queue pair.
    pub(crate) fn post(&mut self, number: usize) -> Result<(), Error> {
        let Self { options, own, .. } = self;
        let lane = &mut self.lanes[number];
        let peer = lane.peer.ok_or("the other side is not known")?;
        let there = peer.address + options.offset(lane.posted) as u64;
        let first = number * options.span();
        let here = own.slice(first..first + options.size)?;
        lane.posted += 1;
        let work = match options.test {
            Test::Send => SendRequest::message(),
            // Latency is told by the last byte of one place.
            Test::Write if !options.bandwidth => SendRequest::write(peer.address, peer.key),
            Test::Write => SendRequest::write(there, peer.key),
            Test::Read => SendRequest::read(there, peer.key),
            Test::Atomic => SendRequest::fetch_add(there, peer.key, 1),
        };
        Ok(lane.pair.post_send(work.slice(here))?)
    }

    /// Posts a receive.
    pub(crate) fn receive(&self, number: usize) -> Result<(), Error> {
        let first = number * self.options.span();
        let place = self.open.slice(first..first + self.options.size)?;
        Ok(self.lanes[number].pair.post_receive(ReceiveRequest::slice(place))?)
    }

    /// Counts what is done, and posts the receive of a message again: of which queue pair it was.
    pub(crate) fn count(&mut self, done: &Done) -> Result<Option<usize>, Error> {
        let of = |lane: &Lane| lane.pair.number() == done.pair;
        let Some(number) = self.lanes.iter().position(of) else { return Ok(None) };
        if done.is_receive() {
            if done.length != self.options.size {
                return Err("a message has another size".into());
            }
            self.lanes[number].received += 1;
            self.receive(number)?;
        } else {
            self.lanes[number].done += 1;
        }
        Ok(Some(number))
    }

    /// Writes to the last byte of what is sent next.
    pub(crate) fn mark(&self, mark: u8) -> Result<(), Error> {
        Ok(self.own.write(self.options.size - 1, &[mark])?)
    }

    /// The last byte of what the other side has written.
    pub(crate) fn marked(&self) -> Result<u8, Error> {
        let mut mark = [0];
        self.open.read(self.options.size - 1, &mut mark)?;
        Ok(mark[0])
    }
}

fn random(system: System) -> Psn {
    let mut random = [0; 4];
    system.random(&mut random);
    Psn::new(u32::from_ne_bytes(random))
}
