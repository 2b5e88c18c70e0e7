//! The service: it counts, and answers questions about what it counted.

use crate::line::Line;
use crate::{CONNECTIONS, PORT};
use core::net::SocketAddrV4;
use reflex::net::{
    Connection, ConnectionError, Connector, Datagram, TcpService, UdpService, UdpSocket,
};
use reflex::{Fired, Lent, Pool, Signal, System, Tick, log};

/// How often something lay within the pool, and how often not.
#[derive(Default)]
struct Places {
    inside: u64,
    outside: u64,
}

impl Places {
    fn count<T>(&mut self, pool: &Pool, at: *const T) {
        let place = if pool.contains(at.cast()) { &mut self.inside } else { &mut self.outside };
        *place += 1;
    }
}

#[derive(Default)]
struct Runs {
    ticks: u64,
    signals: u64,
    datagrams: u64,
    accepted: u64,
    connected: u64,
    over: u64,
}

/// What could not be made before the context was.
struct Equipment {
    pool: &'static Pool,
    signal: Signal,
    connector: Connector,
}

/// As much of a line as has come.
#[derive(Clone, Copy)]
struct Question {
    bytes: [u8; 96],
    length: usize,
    whole: bool,
}

impl Default for Question {
    fn default() -> Self {
        Self { bytes: [0; 96], length: 0, whole: false }
    }
}

impl Question {
    /// Takes bytes up to the end of the line; a line that is too long ends early. Returns how many.
    fn take(&mut self, received: &[u8]) -> usize {
        for (taken, byte) in received.iter().enumerate() {
            self.bytes[self.length] = *byte;
            self.length += 1;
            self.whole = *byte == b'\n' || self.length == self.bytes.len();
            if self.whole {
                return taken + 1;
            }
        }
        received.len()
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Where a connection's question is kept: the listener's first, then the connector's. None when
/// the connection is over.
fn place(connection: &Connection) -> Option<usize> {
    let accepted = connection.local().ok()?.port() == PORT;
    Some(connection.slot() + if accepted { 0 } else { CONNECTIONS as usize })
}

/// One for all connections.
pub(crate) struct Service {
    system: System,
    equipment: Option<Equipment>,
    newest: Option<Lent<u64>>,
    questions: [Question; 2 * CONNECTIONS as usize],
    bytes: Places,
    boxes: Places,
    runs: Runs,
}

impl Service {
    pub(crate) fn new(system: System) -> Self {
        Self {
            system,
            equipment: None,
            newest: None,
            questions: [Question::default(); 2 * CONNECTIONS as usize],
            bytes: Places::default(),
            boxes: Places::default(),
            runs: Runs::default(),
        }
    }

    pub(crate) fn equip(&mut self, pool: &'static Pool, signal: Signal, connector: Connector) {
        self.equipment = Some(Equipment { pool, signal, connector });
    }

    /// Forgets what an earlier connection in the same place has left.
    fn begin(&mut self, connection: &Connection) {
        if let Some(place) = place(connection) {
            self.questions[place] = Question::default();
        }
    }

    pub(crate) fn tick(&mut self, tick: Tick) {
        self.runs.ticks += u64::from(tick.count);
        let Some(equipment) = &self.equipment else { return };
        match equipment.pool.alloc(self.runs.ticks) {
            Ok(newest) => {
                self.boxes.count(equipment.pool, &raw const *newest);
                self.newest = Some(newest);
            }
            Err(_) => self.boxes.outside += 1,
        }
        // Refused only when four billion are pending.
        let _ = equipment.signal.fire();
    }

    pub(crate) fn signalled(&mut self, fired: Fired) {
        self.runs.signals += u64::from(fired.count);
    }

    /// Answers every whole line there is; the beginning of one is kept for the rest to come.
    fn answer(&mut self, connection: &Connection) {
        let Some(place) = place(connection) else { return };
        loop {
            let (bytes, question) = (&mut self.bytes, &mut self.questions[place]);
            let pool = self.equipment.as_ref().map(|equipment| equipment.pool);
            let taken = connection.receive(|received| {
                if let Some(pool) = pool {
                    bytes.count(pool, received.as_ptr());
                }
                question.take(received)
            });
            if !taken.is_ok_and(|taken| taken > 0) {
                return;
            }
            if !question.whole {
                continue;
            }
            let question = core::mem::take(question);
            let answer = self.line(question.as_bytes());
            connection.write(answer.as_bytes());
        }
    }

    /// The answer to a line.
    fn line(&mut self, question: &[u8]) -> Line {
        let text = core::str::from_utf8(question).unwrap_or("not UTF-8").trim_end();
        let Self { bytes, boxes, runs, .. } = self;
        match text.split_once(' ').unwrap_or((text, "")) {
            ("heap", "") => {
                let heap = self.system.heap();
                Line::new(format_args!(
                    "allocations {} deallocations {} used {}",
                    heap.allocations, heap.deallocations, heap.used
                ))
            }
            ("pool", "") => Line::new(format_args!(
                "bytes {} {} boxes {} {}",
                bytes.inside, bytes.outside, boxes.inside, boxes.outside
            )),
            ("runs", "") => Line::new(format_args!(
                "ticks {} signals {} datagrams {} accepted {} connected {} over {}",
                runs.ticks, runs.signals, runs.datagrams, runs.accepted, runs.connected, runs.over
            )),
            ("stack", "") => self.stack(),
            ("connect", peer) => self.connect(peer),
            _ => Line::new(format_args!("{text}")),
        }
    }

    fn stack(&self) -> Line {
        match self.system.net() {
            Ok(net) => {
                let counters = net.counters();
                let taken =
                    counters.segments + counters.openings + counters.datagrams + counters.others;
                let late = counters.bad_checksum + counters.arp_ignored;
                let dropped = counters.frames - taken + late;
                Line::new(format_args!("frames {} dropped {dropped}", counters.frames))
            }
            Err(error) => Line::new(format_args!("{error}")),
        }
    }

    fn connect(&mut self, peer: &str) -> Line {
        let Ok(peer) = peer.parse::<SocketAddrV4>() else {
            return Line::new(format_args!("expected connect ADDRESS:PORT"));
        };
        match self.equipment.as_ref().map(|equipment| equipment.connector.connect(peer)) {
            Some(Ok(_)) => Line::new(format_args!("connecting")),
            Some(Err(error)) => Line::new(format_args!("{error}")),
            None => Line::new(format_args!("not ready")),
        }
    }
}

impl TcpService for Service {
    fn accepted(&mut self, connection: &Connection) {
        self.runs.accepted += 1;
        self.begin(connection);
    }

    fn connected(&mut self, connection: &Connection) {
        self.begin(connection);
        self.runs.connected += 1;
        connection.write(b"connected\n");
    }

    fn received(&mut self, connection: &Connection) {
        self.answer(connection);
    }

    fn failed(&mut self, _: &Connection, error: ConnectionError) {
        log::info!("a connection failed: {error}");
        self.runs.over += 1;
    }

    fn ended(&mut self, _: &Connection) {
        self.runs.over += 1;
    }
}

impl UdpService for Service {
    fn datagram(&mut self, socket: &UdpSocket, datagram: Datagram<'_>) {
        self.runs.datagrams += 1;
        // A datagram that cannot be answered is lost, as datagrams may be.
        let _ = socket.send_to(datagram.payload, datagram.from);
    }
}
