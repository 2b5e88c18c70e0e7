//! `ucmatose`: messages over reliable connections, several at a time.
//!
//! ```text
//!  client                                  server
//!    | connections ------------------------> |
//!    | <------------ messages, on each      |
//!    | as many back, when it has all ------> |
//!    | <------------------------ disconnects |
//! ```

use crate::options::Options;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use rdma_script::Desk;
use reflex::Error;
use reflex::rdma::{Accept, Access, Connect, Connection, QueuePair};

const PORT: u16 = 7471;
/// Bytes of a message unless others are asked for.
const SIZE: usize = 100;
/// How long the server may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn play(desk: Desk, options: Options) -> Result<(), Error> {
    let links = match options.peer {
        Some(server) => ask(&desk, &options, server).await?,
        None => admit(&desk, &options).await?,
    };
    if options.peer.is_none() {
        send(&desk, &options, &links)?;
    }
    for (pair, _) in &links {
        let sends = if options.peer.is_none() { options.count } else { 0 };
        desk.settle(pair.number(), sends, options.count).await?;
    }
    if options.peer.is_some() {
        send(&desk, &options, &links)?;
        for (pair, _) in &links {
            desk.settle(pair.number(), options.count, 0).await?;
        }
    }
    for (_, connection) in &links {
        if options.peer.is_none() {
            connection.disconnect()?;
        }
        if !desk.ended(connection, PATIENCE).await? {
            return Err("a connection does not end".into());
        }
    }
    reflex::println!("{} messages over each of {} connections", options.count, links.len());
    Ok(())
}

/// A queue pair with all its receives.
fn pair(desk: &Desk, options: &Options) -> Result<QueuePair, Error> {
    let depth = u32::try_from(options.count).map_err(|_| "count: too many")?;
    let pair = desk.pair((depth, depth), Access::NONE)?;
    desk.receive(&pair, options.count, options.size.unwrap_or(SIZE))?;
    Ok(pair)
}

async fn ask(
    desk: &Desk,
    options: &Options,
    server: IpAddr,
) -> Result<Vec<(QueuePair, Connection)>, Error> {
    let pairs = (0..options.connections).map(|_| pair(desk, options));
    let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
    let (to, connect) =
        ((server, options.port.unwrap_or(PORT)), Connect::new().reads(1).retries(5, 0));
    let connections = desk.connect_all(pairs.iter(), to, connect).await?;
    Ok(pairs.into_iter().zip(connections.into_iter().map(|(connection, _)| connection)).collect())
}

async fn admit(desk: &Desk, options: &Options) -> Result<Vec<(QueuePair, Connection)>, Error> {
    desk.listen(options.port.unwrap_or(PORT))?;
    let mut links = Vec::new();
    for _ in 0..options.connections {
        let connection = desk.requested().await.connection;
        let pair = pair(desk, options)?;
        connection.accept(&pair, Accept::new().reads(1))?;
        links.push((pair, connection));
    }
    for (_, connection) in &links {
        desk.connected(connection).await?;
    }
    Ok(links)
}

fn send(desk: &Desk, options: &Options, links: &[(QueuePair, Connection)]) -> Result<(), Error> {
    let size = options.size.unwrap_or(SIZE);
    for (pair, _) in links {
        for _ in 0..options.count {
            desk.post(pair, size)?;
        }
    }
    Ok(())
}
