//! `qperf -cm1`: tests of reliable connections, for so many seconds each.
//!
//! ```text
//!  client                                        server
//!    | TCP: what is asked for -------------------> |
//!    | TCP: <------ where connections are taken    |
//!    | a connection there -----------------------> |
//!    | TCP: memory, and that it begins <---------> |   the server first
//!    | messages, writes, reads, atomics            |
//!    | TCP: <------------- what has been counted   |
//!    | TCP: that it has ended -------------------> |
//! ```
//!
//! Numbers are little-endian. Each side ends by its own clock.

use crate::options::Options;
use core::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use rdma_script::Desk;
use reflex::rdma::{
    Accept, Access, Connect, Connection, Kind, MemoryRegion, QueuePair, RKey, ReceiveRequest,
    SendRequest, Status,
};
use reflex::{Error, Instant};

/// Where the conversation over TCP is, and connections are taken.
const PORT: u16 = 19_765;
const ENDPOINT: u16 = 19_766;
/// Bytes of what is asked for, of what is told of memory, and of what has been counted.
const REQUEST: usize = 200;
const MEMORY: usize = 40;
const STATISTICS: usize = 256;
const BEFORE: &[u8; 27] = b"synchronization before test";
const AFTER: &[u8; 26] = b"synchronization after test";
/// The versions that have been tried: a request begins with it.
const VERSION: [u16; 3] = [0, 4, 11];
/// Operations in flight.
const DEPTH: u32 = 128;
/// Bytes of a message where bandwidth is measured, unless others are asked for.
const LONG: usize = 64 << 10;
/// What a client's and a server's writes are seen by.
const MARKS: [u8; 2] = [0x55, 0xaa];
/// How long the other side may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Test {
    SendBandwidth = 13,
    Atomics = 15,
    SendLatency = 16,
    ReadBandwidth = 17,
    ReadLatency = 18,
    WriteBandwidth = 19,
    WriteLatency = 20,
    /// Writes without numbers.
    PolledLatency = 21,
}

const TESTS: [(&str, Test); 8] = [
    ("rc_bw", Test::SendBandwidth),
    ("rc_fetch_add_mr", Test::Atomics),
    ("rc_lat", Test::SendLatency),
    ("rc_rdma_read_bw", Test::ReadBandwidth),
    ("rc_rdma_read_lat", Test::ReadLatency),
    ("rc_rdma_write_bw", Test::WriteBandwidth),
    ("rc_rdma_write_lat", Test::WriteLatency),
    ("rc_rdma_write_poll_lat", Test::PolledLatency),
];

impl Test {
    /// Both sides send by turns, or only the client works.
    fn by_turns(self) -> bool {
        matches!(self, Self::SendLatency | Self::WriteLatency | Self::PolledLatency)
    }

    /// Messages, or writes with a number.
    fn takes_receives(self) -> bool {
        matches!(
            self,
            Self::SendBandwidth | Self::SendLatency | Self::WriteBandwidth | Self::WriteLatency
        )
    }

    /// What the client has in flight.
    fn depth(self) -> u32 {
        match self {
            Self::SendBandwidth | Self::WriteBandwidth => DEPTH,
            _ => 1,
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
struct Asked {
    test: Test,
    size: usize,
    seconds: u32,
}

/// What a side works with.
struct Side {
    desk: Desk,
    asked: Asked,
    pair: QueuePair,
    open: MemoryRegion,
    own: MemoryRegion,
    /// Where the other side's memory is.
    address: u64,
    key: RKey,
    end: Instant,
    counted: Counted,
}

/// Messages, or other operations.
#[derive(Clone, Copy, Default)]
struct Counted {
    sent: u64,
    received: u64,
}

pub(crate) async fn play(desk: Desk, options: Options) -> Result<(), Error> {
    match options.server()? {
        Some(server) => ask(&desk, &options, server).await,
        None => serve(&desk, &options).await,
    }
}

async fn ask(desk: &Desk, options: &Options, server: Ipv4Addr) -> Result<(), Error> {
    let named = TESTS.into_iter().find(|(name, _)| *name == options.test);
    let (_, test) = named.ok_or("test: there is no such test")?;
    let usual = match test {
        Test::Atomics => size_of::<u64>(),
        Test::SendBandwidth | Test::ReadBandwidth | Test::WriteBandwidth => LONG,
        _ => 1,
    };
    let asked = Asked { test, size: options.size.unwrap_or(usual), seconds: options.seconds };
    let to = SocketAddrV4::new(server, options.port.unwrap_or(PORT));
    let mut stream = desk.connect_tcp(to).await?;
    stream.write(&asked.emit())?;
    let port = u32::from_le_bytes(stream.array().await?) as u16;
    let mut side = Side::new(desk, asked)?;
    let connect = Connect::new().reads(1);
    let (connection, _) = desk.connect(&side.pair, (IpAddr::V4(server), port), connect).await?;
    stream.hold();
    side.learn(&stream.array().await?);
    stream.write(&side.tell())?;
    if stream.array().await? != *BEFORE {
        return Err("the server does not begin".into());
    }
    stream.write(BEFORE)?;
    let began = side.begin();
    side.work(true).await?;
    let micros = (desk.system.now().since(began).as_micros() as u64).max(1);
    let statistics: [u8; STATISTICS] = stream.array().await?;
    let received = statistics[188..].first_chunk().copied().map_or(0, u64::from_le_bytes);
    stream.write(AFTER)?;
    let Counted { sent, .. } = side.counted;
    reflex::println!(
        "{}: {sent} of {} bytes, {received} received, {} ns each, {} KB/s",
        options.test,
        asked.size,
        micros * 1000 / sent.max(1),
        sent * asked.size as u64 * 1000 / micros
    );
    leave(desk, &connection, true).await?;
    stream.finish();
    stream.drained().await;
    Ok(())
}

async fn serve(desk: &Desk, options: &Options) -> Result<(), Error> {
    desk.listen(ENDPOINT)?;
    desk.listen_tcp(options.port.unwrap_or(PORT))?;
    let mut stream = desk.accept_tcp().await;
    let asked = Asked::parse(&stream.array().await?).ok_or("there is no such test")?;
    stream.write(&u32::from(ENDPOINT).to_le_bytes())?;
    let mut side = Side::new(desk, asked)?;
    let connection = desk.requested().await.connection;
    connection.accept(&side.pair, Accept::new().reads(1))?;
    desk.connected(&connection).await?;
    stream.hold();
    stream.write(&side.tell())?;
    side.learn(&stream.array().await?);
    stream.write(BEFORE)?;
    if stream.array().await? != *BEFORE {
        return Err("the client does not begin".into());
    }
    let began = side.begin();
    side.work(false).await?;
    stream.write(&statistics(&side.counted, asked, desk.system.now().since(began)))?;
    if stream.array().await? != *AFTER {
        return Err("the client does not end".into());
    }
    leave(desk, &connection, false).await?;
    stream.finish();
    stream.drained().await;
    let Counted { sent, received } = side.counted;
    reflex::println!("{sent} sent, {received} received");
    Ok(())
}

/// Ends the connection: that is the client's part.
async fn leave(desk: &Desk, connection: &Connection, is_client: bool) -> Result<(), Error> {
    if is_client {
        connection.disconnect()?;
    }
    if !desk.ended(connection, PATIENCE).await? {
        return Err("the connection does not end".into());
    }
    Ok(())
}

/// What has been counted: times in hundredths of a second at the beginning and at the end, of which the first is that
/// of the clock, and bytes and messages each way.
fn statistics(counted: &Counted, asked: Asked, time: Duration) -> [u8; STATISTICS] {
    let mut bytes = [0; STATISTICS];
    let mut put = |at: usize, number: u64| {
        bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
    };
    // One processor, and a hundred ticks a second.
    put(0, 100 << 32 | 1);
    put(84, time.as_millis() as u64 / 10);
    put(156, counted.sent * asked.size as u64);
    put(164, counted.sent);
    put(180, counted.received * asked.size as u64);
    put(188, counted.received);
    bytes
}

impl Asked {
    fn emit(&self) -> [u8; REQUEST] {
        let mut bytes = [0; REQUEST];
        let [zero, major, minor] = VERSION;
        for (at, half) in [zero, major, minor, self.test as u16].into_iter().enumerate() {
            bytes[2 * at..2 * at + 2].copy_from_slice(&half.to_le_bytes());
        }
        let size = if self.test == Test::Atomics { 0 } else { self.size as u32 };
        // The last is that connections are made by the connection manager.
        for (at, word) in [(24, size), (60, self.seconds), (64, 5), (68, 1)] {
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn parse(bytes: &[u8; REQUEST]) -> Option<Self> {
        let word = |at: usize| bytes[at..].first_chunk().copied().map(u32::from_le_bytes);
        let number = u16::from_le_bytes([bytes[6], bytes[7]]);
        let (_, test) = TESTS.into_iter().find(|(_, test)| *test as u16 == number)?;
        let (size, seconds) = (word(24)? as usize, word(60)?);
        // Nothing is said of the size of what has but one.
        let size = if test == Test::Atomics { size_of::<u64>() } else { size };
        let possible = word(68)? == 1 && (1..=1 << 20).contains(&size) && seconds <= 60;
        possible.then_some(Self { test, size, seconds })
    }
}

impl Side {
    fn new(desk: &Desk, asked: Asked) -> Result<Self, Error> {
        let remote = Access::REMOTE_READ | Access::REMOTE_WRITE | Access::REMOTE_ATOMIC;
        let region = |access| {
            let bytes = desk.domain.bytes(asked.size.max(size_of::<u64>()))?;
            Ok::<_, Error>(desk.domain.register(bytes, access)?)
        };
        let (open, own) = (region(Access::LOCAL_WRITE | remote)?, region(Access::LOCAL_WRITE)?);
        let pair =
            desk.domain.queue_pair(reflex::rdma::Transport::Reliable, &desk.queue, &desk.queue);
        let pair = pair.depth(DEPTH, 2 * DEPTH).access(remote).tell_writes().build()?;
        if asked.test == Test::PolledLatency {
            desk.tell_writes(&pair)?;
        }
        let (address, key, end) = (0, RKey(0), desk.system.now());
        let counted = Counted::default();
        let side = Self { desk: desk.clone(), asked, pair, open, own, address, key, end, counted };
        if asked.test.takes_receives() {
            for _ in 0..2 * DEPTH {
                side.receive()?;
            }
        }
        Ok(side)
    }

    fn receive(&self) -> Result<(), Error> {
        let place = self.open.slice(0..self.asked.size)?;
        Ok(self.pair.post_receive(ReceiveRequest::slice(place))?)
    }

    /// What the other side is told of memory.
    fn tell(&self) -> [u8; MEMORY] {
        let mut bytes = [0; MEMORY];
        bytes[..8].copy_from_slice(&self.open.address().to_le_bytes());
        bytes[24..28].copy_from_slice(&self.open.key().0.to_le_bytes());
        // The longest of what a card is asked for at a time.
        bytes[32..36].copy_from_slice(&DEPTH.to_le_bytes());
        bytes
    }

    fn learn(&mut self, bytes: &[u8; MEMORY]) {
        self.address = bytes.first_chunk().copied().map_or(0, u64::from_le_bytes);
        self.key = RKey(bytes[24..].first_chunk().copied().map_or(0, u32::from_le_bytes));
    }

    fn begin(&mut self) -> Instant {
        let now = self.desk.system.now();
        self.end = now + Duration::from_secs(self.asked.seconds.into());
        now
    }

    /// Does it until the time is over.
    async fn work(&mut self, is_client: bool) -> Result<(), Error> {
        if self.asked.test == Test::PolledLatency {
            return self.polled(is_client).await;
        }
        let test = self.asked.test;
        if is_client {
            for _ in 0..test.depth() {
                self.post()?;
            }
        } else if !test.takes_receives() {
            return self.desk.sleep(Duration::from_secs(self.asked.seconds.into())).await;
        }
        let deadline = self.desk.deadline(self.end.since(self.desk.system.now()))?;
        while let Some(done) = self.desk.done_before(deadline).await {
            if done.status != Status::Success {
                // The other side's time was over before.
                break;
            }
            let answered = match done.kind {
                Kind::Receive | Kind::ReceiveWrite => {
                    self.counted.received += 1;
                    self.receive()?;
                    test.by_turns()
                }
                _ => {
                    self.counted.sent += 1;
                    is_client && !test.by_turns()
                }
            };
            if answered {
                self.post()?;
            }
        }
        Ok(())
    }

    /// Writes by turns, the client's first: each is seen by what it has changed.
    async fn polled(&mut self, is_client: bool) -> Result<(), Error> {
        let mark = if is_client { MARKS[0] } else { MARKS[1] };
        self.own.write(0, &alloc::vec![mark; self.asked.size])?;
        let mut seen = 0;
        let deadline = self.desk.deadline(self.end.since(self.desk.system.now()))?;
        let mut sends = is_client;
        loop {
            if sends {
                self.post()?;
                self.counted.sent += 1;
            }
            sends = true;
            if !self.desk.written_before(&mut seen, deadline).await {
                return Ok(());
            }
            self.counted.received += 1;
        }
    }

    fn post(&self) -> Result<(), Error> {
        let here = self.own.slice(0..self.asked.size)?;
        let (address, key) = (self.address, self.key);
        let work = match self.asked.test {
            Test::SendBandwidth | Test::SendLatency => SendRequest::message(),
            Test::WriteBandwidth | Test::WriteLatency => {
                SendRequest::write(address, key).immediate(0)
            }
            Test::PolledLatency => SendRequest::write(address, key).unsignalled(),
            Test::ReadBandwidth | Test::ReadLatency => SendRequest::read(address, key),
            Test::Atomics => SendRequest::fetch_add(address, key, 1),
        };
        Ok(self.pair.post_send(work.slice(here))?)
    }
}
