//! A stream as librdmacm's rsockets have it: writes with numbers into a buffer of the other side's, of which each half
//! is announced again when it has been read.
//!
//! ```text
//!  connection request, and reply: a name of the first half, and of where announcements go
//!  number 000.. + length     data, to where the last has ended
//!  number 100.. + credits    the other side may have sent so many pieces of data in all; with 16 bytes, which name
//!                            the next half: address, key and length, in the machine's byte order
//!  number 111..              the end
//! ```

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use rdma_script::{Desk, Done};
use reflex::Error;
use reflex::rdma::{
    Accept, Access, Connect, Connection, ConnectionChange, MemoryRegion, QueuePair, RKey,
    ReceiveRequest, SendRequest,
};

/// Pieces of data that may come before the other side is told of more.
const CREDITS: u16 = 384;
/// Receives: there have to be some for announcements, too.
const RECEIVES: u32 = 512;
/// Writes in flight.
const SENDS: u32 = 128;
/// Bytes of half of the buffer, and of the longest piece that is sent.
const HALF: usize = 64 << 10;
const PIECE: usize = 16 << 10;
/// Announcements that there is room for, and bytes of each.
const PLACES: usize = 2;
const ANNOUNCEMENT: usize = 16;
/// What the upper three bits of a number say.
const KIND: u32 = 0b111 << 29;
const DATA: u32 = 0;
const ANNOUNCE: u32 = 0b100 << 29;
const CONTROL: u32 = 0b111 << 29;
/// Bytes of what the sides tell each other with the connection, and its version.
const NAME: usize = 40;
const VERSION: u8 = 1;
/// How long the other side may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Memory of the other side's.
#[derive(Clone, Copy, Default)]
struct Place {
    address: u64,
    key: u32,
    length: u32,
}

/// A stream.
pub(crate) struct Rsocket {
    desk: Desk,
    pair: QueuePair,
    connection: Connection,
    /// Where data come to, two halves; and announcements.
    buffer: MemoryRegion,
    told: MemoryRegion,
    /// What has come and was not read.
    unread: Vec<u8>,
    /// Bytes and pieces that have come, and pieces that the other side may have sent as far as it was told.
    came: usize,
    pieces: u16,
    credits: u16,
    /// Halves that were announced, and the place of the next announcement of each side.
    halves: usize,
    next: usize,
    expected: usize,
    /// Where announcements go.
    board: Place,
    /// Where data go to: the place in use, and the other.
    places: [Place; PLACES],
    place: usize,
    /// Pieces sent, how many may be, and writes in flight.
    sent: u16,
    permitted: u16,
    in_flight: u32,
    /// The other side has said its last.
    over: bool,
}

impl Rsocket {
    /// Connects to a server.
    pub(crate) async fn connect(desk: &Desk, to: (IpAddr, u16)) -> Result<Self, Error> {
        let (pair, buffer, told) = Self::prepare(desk)?;
        let connect = Connect::new().reads(0).data(&name(&buffer, &told))?;
        let (connection, change) = desk.connect(&pair, to, connect).await?;
        let ConnectionChange::Connected { data } = change else {
            return Err("the server says nothing".into());
        };
        Self::begin(desk, (pair, buffer, told), connection, data.as_bytes())
    }

    /// Waits for a client.
    pub(crate) async fn accept(desk: &Desk, port: u16) -> Result<Self, Error> {
        desk.listen(port)?;
        let asked = desk.requested().await;
        let ConnectionChange::Requested { data, .. } = asked.what else {
            return Err("nobody asks".into());
        };
        let (pair, buffer, told) = Self::prepare(desk)?;
        let connection = asked.connection;
        let accept = Accept::new().reads(0).data(&name(&buffer, &told))?;
        connection.accept(&pair, accept)?;
        desk.connected(&connection).await?;
        Self::begin(desk, (pair, buffer, told), connection, data.as_bytes())
    }

    fn prepare(desk: &Desk) -> Result<(QueuePair, MemoryRegion, MemoryRegion), Error> {
        let access = Access::LOCAL_WRITE | Access::REMOTE_WRITE;
        let region =
            |length| Ok::<_, Error>(desk.domain.register(desk.domain.bytes(length)?, access)?);
        let pair = desk.pair((SENDS, RECEIVES), Access::REMOTE_WRITE)?;
        for _ in 0..RECEIVES {
            pair.post_receive(ReceiveRequest::empty())?;
        }
        Ok((pair, region(2 * HALF)?, region(PLACES * ANNOUNCEMENT)?))
    }

    /// Reads the other side's name, and announces the second half.
    fn begin(
        desk: &Desk,
        (pair, buffer, told): (QueuePair, MemoryRegion, MemoryRegion),
        connection: Connection,
        name: &[u8],
    ) -> Result<Self, Error> {
        let name: &[u8; NAME] = name.first_chunk().ok_or("the other side says too little")?;
        if name[0] != VERSION || name[1] & 1 != 0 {
            return Err("the other side is of another kind".into());
        }
        let half = |at: usize| u16::from_be_bytes([name[at], name[at + 1]]);
        let place = |at: usize| {
            let (address, rest) = name[at..].split_first_chunk()?;
            let (key, rest) = rest.split_first_chunk()?;
            let length = u32::from_be_bytes(*rest.first_chunk()?);
            let (address, key) = (u64::from_be_bytes(*address), u32::from_be_bytes(*key));
            Some(Place { address, key, length })
        };
        let board = place(8).filter(|board| board.length as usize == PLACES);
        let board = board.ok_or("the other side has another number of halves")?;
        let first = place(24).ok_or("the other side says too little")?;
        desk.hold(&connection);
        let mut socket = Self {
            desk: desk.clone(),
            pair,
            connection,
            buffer,
            told,
            unread: Vec::new(),
            came: 0,
            pieces: 0,
            credits: CREDITS,
            halves: 1,
            next: 1,
            expected: 1,
            board,
            places: [first, Place::default()],
            place: 0,
            sent: 0,
            permitted: half(2),
            in_flight: 0,
            over: false,
        };
        socket.announce()?;
        Ok(socket)
    }

    /// The next `length` bytes.
    pub(crate) async fn read(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        while self.unread.len() < length {
            if self.over {
                return Err("the other side has ended the stream".into());
            }
            self.turn().await?;
        }
        let rest = self.unread.split_off(length);
        Ok(core::mem::replace(&mut self.unread, rest))
    }

    /// Sends all of it.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let place = &mut self.places[self.place];
            if place.length == 0 || self.sent == self.permitted || self.in_flight + 2 >= SENDS {
                self.turn().await?;
                continue;
            }
            let length = bytes.len().min(PIECE).min(place.length as usize);
            let (piece, rest) = bytes.split_at(length);
            bytes = rest;
            let (address, key) = (place.address, place.key);
            place.address += length as u64;
            place.length -= length as u32;
            if place.length == 0 {
                self.place = (self.place + 1) % PLACES;
            }
            self.sent = self.sent.wrapping_add(1);
            let mut memory = self.desk.domain.bytes(length)?;
            memory.copy_from_slice(piece);
            let write = SendRequest::write(address, RKey(key)).immediate(DATA | length as u32);
            self.post(write.bytes(memory))?;
        }
        Ok(())
    }

    /// Ends the stream, after the other side has had all of it.
    pub(crate) async fn close(mut self) -> Result<(), Error> {
        while self.in_flight > 0 {
            self.turn().await?;
        }
        self.post(SendRequest::write(0, RKey(0)).immediate(CONTROL))?;
        while self.in_flight > 0 && !self.over {
            // The other side may end first: then there is nothing to wait for.
            if self.turn().await.is_err() {
                break;
            }
        }
        self.connection.disconnect()?;
        if !self.desk.ended(&self.connection, PATIENCE).await? {
            return Err("the connection does not end".into());
        }
        Ok(())
    }

    fn post(&mut self, work: SendRequest) -> Result<(), Error> {
        self.pair.post_send(work)?;
        self.in_flight += 1;
        Ok(())
    }

    /// Deals with what happens next.
    async fn turn(&mut self) -> Result<(), Error> {
        let done = self.desk.done().await?;
        if !done.is_receive() {
            self.in_flight -= 1;
            return Ok(());
        }
        self.pair.post_receive(ReceiveRequest::empty())?;
        self.came(&done)
    }

    fn came(&mut self, done: &Done) -> Result<(), Error> {
        let number = done.immediate.ok_or("a write has no number")?;
        let said = number & !KIND;
        match number & KIND {
            DATA => self.take(said as usize),
            ANNOUNCE => {
                self.permitted = said as u16;
                // Without one it tells of credits alone.
                if done.length == ANNOUNCEMENT { self.learn() } else { Ok(()) }
            }
            CONTROL => {
                self.over = true;
                Ok(())
            }
            _ => Err("a number makes no sense".into()),
        }
    }

    /// Data have come to where the last have ended.
    fn take(&mut self, length: usize) -> Result<(), Error> {
        let first = self.came % (2 * HALF);
        let before = self.unread.len();
        self.unread.resize(before + length, 0);
        if first % HALF + length > HALF {
            return Err("data go beyond their half".into());
        }
        self.buffer.read(first, &mut self.unread[before..])?;
        self.came += length;
        self.pieces = self.pieces.wrapping_add(1);
        if self.came / HALF + 2 > self.halves {
            return self.announce();
        }
        if self.credits.wrapping_sub(self.pieces) < CREDITS / 2 {
            self.credits = self.pieces.wrapping_add(CREDITS);
            let write = SendRequest::write(0, RKey(0));
            return self.post(write.immediate(ANNOUNCE | u32::from(self.credits)));
        }
        Ok(())
    }

    /// Announces the next half.
    fn announce(&mut self) -> Result<(), Error> {
        self.credits = self.pieces.wrapping_add(CREDITS);
        let address = self.buffer.address() + (self.halves % 2 * HALF) as u64;
        let mut memory = self.desk.domain.bytes(ANNOUNCEMENT)?;
        memory[..8].copy_from_slice(&address.to_ne_bytes());
        memory[8..12].copy_from_slice(&self.buffer.key().0.to_ne_bytes());
        memory[12..].copy_from_slice(&(HALF as u32).to_ne_bytes());
        let there = self.board.address + (self.next * ANNOUNCEMENT) as u64;
        self.halves += 1;
        self.next = (self.next + 1) % PLACES;
        let write = SendRequest::write(there, RKey(self.board.key)).bytes(memory);
        self.post(write.immediate(ANNOUNCE | u32::from(self.credits)))
    }

    /// Learns of the other side's next half.
    fn learn(&mut self) -> Result<(), Error> {
        let mut bytes = [0; ANNOUNCEMENT];
        self.told.read(self.expected * ANNOUNCEMENT, &mut bytes)?;
        let word = |at: usize| {
            u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let [low, high] = [0, 4].map(|at| u64::from(word(at)));
        if self.places[self.expected].length != 0 {
            return Err("a half is announced before it was used".into());
        }
        let address = low | high << 32;
        self.places[self.expected] = Place { address, key: word(8), length: word(12) };
        self.expected = (self.expected + 1) % PLACES;
        Ok(())
    }
}

/// What is told with the connection, big-endian: where announcements go, and the first half.
fn name(buffer: &MemoryRegion, told: &MemoryRegion) -> [u8; NAME] {
    let mut name = [0; NAME];
    name[0] = VERSION;
    name[2..4].copy_from_slice(&CREDITS.to_be_bytes());
    for (at, region, length) in [(8, told, PLACES), (24, buffer, HALF)] {
        name[at..at + 8].copy_from_slice(&region.address().to_be_bytes());
        name[at + 8..at + 12].copy_from_slice(&region.key().0.to_be_bytes());
        name[at + 12..at + 16].copy_from_slice(&(length as u32).to_be_bytes());
    }
    name
}
