//! `fi_pingpong -p verbs -e msg` of libfabric.
//!
//! ```text
//!  client                                                   server
//!    | TCP: <------- length, kind and name of its endpoint   |   a socket address with a port
//!    | a connection to that port -------------------------> |
//!    | of each size: TCP: "q" ----------------------------> |
//!    |               TCP: <----------------------------- "a" |
//!    |               messages, the client's first <-------> |
//!    |               TCP: how many there were ------------> |
//!    |               TCP: <------------------------ "cnt ok" |
//!    | "fin" <--------------------------------------------> |   messages
//! ```
//!
//! A client tells neither sizes nor counts before, so that the server takes what comes, and tells by TCP and by the
//! last message how far the client is.

use crate::options::{LONGEST, Options};
use core::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use rdma_script::{Desk, Stream};
use reflex::rdma::{
    Accept, Access, Connect, Connection, Kind, QueuePair, ReceiveRequest, SendRequest,
};
use reflex::{Error, Lent};

/// Where the conversation over TCP is.
const PORT: u16 = 47_592;
/// Where the server's endpoint is.
const ENDPOINT: u16 = 47_593;
/// Sizes of messages, unless one is asked for.
const SIZES: [usize; 6] = [64, 256, 1 << 10, 4 << 10, 64 << 10, 1 << 20];
/// What the sides say to each other.
const QUESTION: &[u8; 2] = b"q\0";
const ANSWER: &[u8; 2] = b"a\0";
const COUNTED: &[u8; 7] = b"cnt ok\0";
const END: &[u8; 4] = b"fin\0";
/// Bytes of a count, in digits.
const DIGITS: usize = 10;
/// A name that is a socket address of IPv4, and its length.
const KIND: u32 = 2;
const NAME: u32 = 16;
const LOST: &str = "work has no memory";
/// How long the other side may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn play(desk: Desk, options: Options) -> Result<(), Error> {
    match options.server()? {
        Some(server) => ask(&desk, &options, server).await,
        None => serve(&desk, &options).await,
    }
}

/// The side that says what is played.
async fn ask(desk: &Desk, options: &Options, server: Ipv4Addr) -> Result<(), Error> {
    let to = SocketAddrV4::new(server, options.port.unwrap_or(PORT));
    let mut stream = desk.connect_tcp(to).await?;
    let (length, kind) = (stream.array().await?, stream.array().await?);
    if (u32::from_be_bytes(length), u32::from_le_bytes(kind)) != (NAME, KIND) {
        return Err("the server's endpoint has no address of IPv4".into());
    }
    let name: [u8; NAME as usize] = stream.array().await?;
    let port = u16::from_be_bytes([name[2], name[3]]);
    let pair = desk.pair((2, 2), Access::NONE)?;
    desk.receive(&pair, 1, LONGEST)?;
    let (connection, _) = desk.connect(&pair, (IpAddr::V4(server), port), Connect::new()).await?;
    let sizes = options.size.map_or(&SIZES[..], |_| &[]);
    for size in sizes.iter().copied().chain(options.size) {
        rally(desk, &mut stream, &pair, (size, options.count)).await?;
    }
    stream.finish();
    desk.send(&pair, END)?;
    if *desk.heard(&pair).await? != *END {
        return Err("the server does not end".into());
    }
    leave(desk, &connection).await
}

/// All messages of a size.
async fn rally(
    desk: &Desk,
    stream: &mut Stream,
    pair: &QueuePair,
    (size, count): (usize, usize),
) -> Result<(), Error> {
    stream.write(QUESTION)?;
    if stream.array().await? != *ANSWER {
        return Err("the server is not ready".into());
    }
    let began = desk.system.now();
    let mut message = desk.domain.bytes(size)?;
    for _ in 0..count {
        pair.post_send(SendRequest::message().bytes(message))?;
        let (mut sent, mut came) = (None, None);
        while sent.is_none() || came.is_none() {
            let done = desk.done_of(pair.number()).await?;
            match done.kind {
                Kind::Send => sent = done.bytes,
                _ if done.length != size => return Err("a message has another size".into()),
                _ => came = done.bytes,
            }
        }
        let memory = came.ok_or(LOST)?;
        message = sent.ok_or(LOST)?;
        pair.post_receive(ReceiveRequest::bytes(memory))?;
    }
    let micros = desk.system.now().since(began).as_micros() as u64;
    let transfer = micros * 100 / (2 * count as u64);
    reflex::println!(
        "{size} bytes, {count} sent, {count} acked, {}.{:02} usec/xfer",
        transfer / 100,
        transfer % 100
    );
    let text = alloc::format!("{count}");
    let mut digits = [0; DIGITS];
    digits[..text.len()].copy_from_slice(text.as_bytes());
    stream.write(&digits)?;
    if stream.array().await? != *COUNTED {
        return Err("the server has counted otherwise".into());
    }
    Ok(())
}

/// The side that answers.
async fn serve(desk: &Desk, options: &Options) -> Result<(), Error> {
    desk.listen(ENDPOINT)?;
    desk.listen_tcp(options.port.unwrap_or(PORT))?;
    let mut stream = desk.accept_tcp().await;
    stream.write(&NAME.to_be_bytes())?;
    stream.write(&KIND.to_le_bytes())?;
    let mut name = [0; NAME as usize];
    name[..2].copy_from_slice(&(KIND as u16).to_le_bytes());
    name[2..4].copy_from_slice(&ENDPOINT.to_be_bytes());
    let own = desk.rdma.addresses().into_iter().find_map(|own| match own {
        IpAddr::V4(own) => Some(own),
        IpAddr::V6(_) => None,
    });
    name[4..8].copy_from_slice(&own.ok_or("there is no address of IPv4")?.octets());
    stream.write(&name)?;
    let pair = desk.pair((2, 2), Access::NONE)?;
    desk.receive(&pair, 2, LONGEST)?;
    let connection = desk.requested().await.connection;
    connection.accept(&pair, Accept::new())?;
    desk.connected(&connection).await?;
    desk.hold(&connection);
    // Which messages there are is the client's part.
    let mut told = 0;
    loop {
        let Some((memory, length)) = next(&mut stream, &pair).await? else { continue };
        if memory[..length] == *END {
            break;
        }
        pair.post_send(SendRequest::message().prefix(memory, length))?;
        told += 1;
    }
    desk.send(&pair, END)?;
    leave(desk, &connection).await?;
    reflex::println!("{told} messages were answered");
    Ok(())
}

/// A message, or nothing when something else has been dealt with: a send that is done, the memory of which
/// takes the next message, or words over TCP.
async fn next(stream: &mut Stream, pair: &QueuePair) -> Result<Option<(Lent<[u8]>, usize)>, Error> {
    let Some(done) = stream.or_done().await? else {
        if stream.array().await? == *QUESTION {
            stream.write(ANSWER)?;
        } else {
            // The first two digits of the count.
            stream.array::<{ DIGITS - 2 }>().await?;
            stream.write(COUNTED)?;
        }
        return Ok(None);
    };
    let is_receive = done.is_receive();
    let memory = done.bytes.ok_or(LOST)?;
    if is_receive {
        return Ok(Some((memory, done.length)));
    }
    pair.post_receive(ReceiveRequest::bytes(memory))?;
    Ok(None)
}

/// Ends the connection, which the other side may do as well.
async fn leave(desk: &Desk, connection: &Connection) -> Result<(), Error> {
    connection.disconnect()?;
    if !desk.ended(connection, PATIENCE).await? {
        return Err("the connection does not end".into());
    }
    Ok(())
}
