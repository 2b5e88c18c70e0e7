//! `rcopy`, over rsockets: a file goes to the server. Of one that comes, the image tells length and CRC-32; one that
//! goes has letters in turn.
//!
//! Each step is a message with a head: version, command, length of the whole in two bytes, four bytes of the mode or of
//! an error, four of nothing, and a number of eight; little-endian, as Linux has it on this machine. It is answered by
//! a head with the command's uppermost bit set.

use crate::options::Options;
use crate::rsocket::Rsocket;
use alloc::vec::Vec;
use crc32fast::Hasher;
use rdma_script::Desk;
use reflex::Error;

const PORT: u16 = 7427;
/// Bytes of a file, unless others are asked for.
const SIZE: usize = 100_000;
/// Bytes of a head, and of one with a number.
const HEAD: usize = 16;
const LONG: usize = 24;
/// Bytes that are read or written at a time.
const PIECE: usize = 16 << 10;
/// Commands, and what the answer to one has beside.
const OPEN: u8 = 1;
const CLOSE: u8 = 2;
const WRITE: u8 = 3;
const ANSWER: u8 = 0x80;
/// An ordinary file, that all may read.
const MODE: u32 = 0o100_644;

pub(crate) async fn play(desk: Desk, options: Options) -> Result<(), Error> {
    let port = options.port.unwrap_or(PORT);
    match options.peer {
        Some(server) => {
            let socket = Rsocket::connect(&desk, (server, port)).await?;
            send(socket, options.size.unwrap_or(SIZE)).await
        }
        None => receive(Rsocket::accept(&desk, port).await?).await,
    }
}

/// The bytes so far, and their checksum.
#[derive(Default)]
struct Sum {
    hasher: Hasher,
    bytes: usize,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.hasher.update(bytes);
    }

    fn tell(self, what: &str) {
        reflex::println!("{what} {} bytes with the CRC {:08x}", self.bytes, self.hasher.finalize());
    }
}

/// The bytes of the file that goes, from there on.
fn text(first: usize, length: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().skip(first % 26).take(length).collect()
}

async fn send(mut socket: Rsocket, size: usize) -> Result<(), Error> {
    let name = b"/tmp/file\0";
    let mut open = head(OPEN, HEAD + name.len());
    open[4..8].copy_from_slice(&MODE.to_le_bytes());
    open.extend_from_slice(name);
    ask(&mut socket, &open).await?;
    let mut write = head(WRITE, LONG);
    write.extend_from_slice(&(size as u64).to_le_bytes());
    socket.write(&write).await?;
    let mut sum = Sum::default();
    while sum.bytes < size {
        let piece = text(sum.bytes, PIECE.min(size - sum.bytes));
        socket.write(&piece).await?;
        sum.add(&piece);
    }
    answered(&mut socket, WRITE).await?;
    ask(&mut socket, &head(CLOSE, HEAD)).await?;
    sum.tell("sent");
    socket.close().await
}

fn head(command: u8, length: usize) -> Vec<u8> {
    let mut head = alloc::vec![0; HEAD];
    head[1] = command;
    head[2..4].copy_from_slice(&(length as u16).to_le_bytes());
    head
}

async fn ask(socket: &mut Rsocket, message: &[u8]) -> Result<(), Error> {
    socket.write(message).await?;
    answered(socket, message[1]).await
}

async fn answered(socket: &mut Rsocket, command: u8) -> Result<(), Error> {
    let answer = socket.read(HEAD).await?;
    if answer[1] != command | ANSWER || answer[4..8] != [0; 4] {
        return Err("the server refuses".into());
    }
    Ok(())
}

async fn receive(mut socket: Rsocket) -> Result<(), Error> {
    let mut sum = Sum::default();
    loop {
        let asked = socket.read(HEAD).await?;
        let length = usize::from(u16::from_le_bytes([asked[2], asked[3]]));
        let rest = length.checked_sub(HEAD).ok_or("a message makes no sense")?;
        let rest = socket.read(rest).await?;
        if asked[1] == WRITE {
            let bytes = rest.first_chunk().copied().map(u64::from_le_bytes);
            let mut left = bytes.ok_or("a message makes no sense")? as usize;
            while left > 0 {
                let piece = socket.read(left.min(PIECE)).await?;
                sum.add(&piece);
                left -= piece.len();
            }
        }
        socket.write(&head(asked[1] | ANSWER, HEAD)).await?;
        if asked[1] == CLOSE {
            break;
        }
    }
    sum.tell("received");
    socket.close().await
}
