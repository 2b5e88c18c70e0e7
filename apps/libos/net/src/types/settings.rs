//! How connections are to behave, and the stack's own parameters.

use crate::types::conflict::{AddressConflict, ConflictDetection};
use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use reflex_event::Priority;
use reflex_memory::Pool;

/// How the interface gets its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Address {
    /// Given.
    Static {
        /// The interface's address.
        address: Ipv4Addr,
        /// Length of the subnet's prefix, 0 to 32.
        prefix: u8,
        /// The router to everywhere else.
        gateway: Option<Ipv4Addr>,
    },
    /// Asked for by DHCP (RFC 2131).
    Dhcp,
}

/// The two transport protocols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// The stack's parameters.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the interface gets its address.
    pub address: Address,
    /// An IPv6 address beside the link-local one, and the length of its prefix.
    pub address6: Option<(Ipv6Addr, u8)>,
    /// The router to everywhere else over IPv6, on the link whatever its address: mostly a link-local
    /// one.
    pub gateway6: Option<Ipv6Addr>,
    /// Whether the interface's addresses are looked for on the link and defended.
    pub conflict_detection: ConflictDetection,
    /// Is told when somebody else has an address of the interface: when the address is withdrawn,
    /// which [`Net::on_address`](crate::Net::on_address) tells too, and when it has been defended,
    /// which is once in ten seconds.
    pub conflict: Option<fn(AddressConflict)>,
    /// The name told to the DHCP server. One that cannot be a host's is not told.
    pub hostname: Option<&'static str>,
    /// Received frames that may wait in queues, all together. No listener or socket may have
    /// more than half of them.
    pub frames: u32,
    /// Where fragments of IPv4 packets wait for the rest, for a minute at most; without, they are dropped.
    /// Each packet takes up to 64 KiB, until it has been read.
    pub fragments: Option<&'static Pool>,
    /// Whether packets for 127.0.0.0/8 go round: the halves of the interface are those of a
    /// [`Loopback`](crate::Loopback) then.
    pub loopback: bool,
    /// Replies a second to closed ports and to ICMP echo requests.
    pub replies_per_second: u32,
    /// Is told of each port that has been opened.
    pub opened: Option<fn(Transport, u16)>,
}

impl Config {
    /// The usual parameters with the given source of addresses.
    pub const fn new(address: Address) -> Self {
        Self {
            address,
            address6: None,
            gateway6: None,
            conflict_detection: ConflictDetection::On,
            conflict: None,
            hostname: None,
            frames: 512,
            fragments: None,
            loopback: false,
            replies_per_second: 1000,
            opened: None,
        }
    }
}

/// The interface's address and route, once it has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterfaceAddress {
    /// The interface's address.
    pub address: Ipv4Addr,
    /// Length of the subnet's prefix.
    pub prefix: u8,
    /// The router to everywhere else.
    pub gateway: Option<Ipv4Addr>,
}

/// Where the memory of connections comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BufferMemory {
    /// Set aside for all of them when the port is opened, or that is refused: of the machine's memory, and
    /// counted as the owner's.
    SetAside,
    /// The owner's own event memory, as connections come, as long as there is some.
    OnDemand,
}

/// What all connections of one owner have in common; [`ListenBuilder`](crate::ListenBuilder) says more of
/// each.
#[derive(Clone, Copy, Debug)]
pub struct TcpSettings {
    /// The priority of all work for the connections.
    pub priority: Priority,
    /// Half-open connections at a time.
    pub backlog: u32,
    /// Connections at a time, those in TIME-WAIT included.
    pub connections: u32,
    /// Bytes of a connection's receive buffer.
    pub receive_buffer: usize,
    /// Bytes of a connection's send buffer.
    pub send_buffer: usize,
    /// Bytes that may be written beyond what the send buffer has room for.
    pub queue: usize,
    /// Where the memory of the buffers and of the queue comes from.
    pub memory: BufferMemory,
    /// How long a connection may hear nothing, if that was said; [`Duration::MAX`] is for ever.
    pub idle: Option<Duration>,
    /// When an idle connection asks for a sign of life, if that was said.
    pub keep_alive: Option<Duration>,
    /// How long a connection of which our side is closed may stand still, when all that was queued is acknowledged.
    pub linger: Duration,
    /// The handlers of all connections tell one state, each also of [others](crate::Connection::others): one
    /// activation then stands for several connections that have something to tell at the same time.
    pub together: bool,
}

impl TcpSettings {
    /// Whether nothing was said of time-outs: then each idle connection has an end all the same.
    pub(crate) fn insists(&self) -> bool {
        self.idle.or(self.keep_alive).is_none()
    }

    /// Between two questions to an idle peer.
    pub(crate) fn question_interval(&self) -> Option<Duration> {
        self.keep_alive.or(self.insists().then_some(KEEP_ALIVE))
    }

    /// How long a connection goes on without hearing from the peer.
    pub(crate) fn longest_silence(&self) -> Option<Duration> {
        let usual = || self.question_interval().map(|interval| interval.saturating_mul(QUESTIONS));
        self.idle.or_else(usual).filter(|idle| *idle < FOR_EVER)
    }
}

impl Default for TcpSettings {
    fn default() -> Self {
        Self {
            priority: Priority::DEFAULT,
            backlog: 128,
            connections: 256,
            receive_buffer: 4096,
            send_buffer: 8192,
            queue: 16 << 10,
            memory: BufferMemory::OnDemand,
            idle: None,
            keep_alive: None,
            linger: Duration::from_secs(60),
            together: false,
        }
    }
}

/// How long a half-open connection is waited for: SYN-ACKs go out after 0, 1, 3 and 7 seconds.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long an attempt to connect is made: SYNs after 0, 1, 3, 7 and 15 seconds.
pub(crate) const CONNECT: Duration = Duration::from_secs(20);
/// How long what was sent is repeated without an answer, and how long a peer that answers may acknowledge and take nothing.
/// RFC 1122, 4.2.3.5 asks for 100 s at least; Linux takes some fifteen minutes (`tcp_retries2`), and through a loss of a
/// fifth less is too little. A window may stay closed (RFC 9293, 3.8.6.1), but not for ever (RFC 6429).
pub(crate) const GIVE_UP: Duration = Duration::from_secs(900);
/// Until an idle peer is asked for a sign of life, when nothing else was said: no earlier, says RFC 9293,
/// 3.8.4, and until then idle connections cost nothing.
const KEEP_ALIVE: Duration = Duration::from_secs(7200);
/// Questions without an answer after which an idle connection has failed.
const QUESTIONS: u32 = 4;
/// Ten years.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How long an acknowledgement waits for data to travel with (RFC 1122, 4.2.3.2: under 500 ms).
/// Long enough that the timer seldom fires under load, where answers carry it.
pub(crate) const ACK_DELAY: Duration = Duration::from_millis(40);

/// Parameters of a UDP socket.
#[derive(Clone, Copy, Debug)]
pub struct UdpSettings {
    /// The priority of the handler and of sending.
    pub priority: Priority,
    /// Received datagrams that may wait.
    pub receive_queue: u16,
    /// Bytes of the send queue.
    pub send_buffer: usize,
}

impl Default for UdpSettings {
    fn default() -> Self {
        Self { priority: Priority::DEFAULT, receive_queue: 32, send_buffer: 16 * 1024 }
    }
}
