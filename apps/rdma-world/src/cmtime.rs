//! `cmtime`: how long connections take, many at a time, over which nothing is said.

use crate::options::Options;
use alloc::vec::Vec;
use core::time::Duration;
use rdma_script::{Desk, Happened};
use reflex::Error;
use reflex::rdma::{Accept, Access, Connect, ConnectionChange};

const PORT: u16 = 7471;
/// How long connections may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn play(desk: Desk, options: Options) -> Result<(), Error> {
    match options.peer {
        Some(_) => measure(&desk, &options).await,
        None => serve(&desk, &options).await,
    }
}

/// Asks for all of them, and then ends all of them.
async fn measure(desk: &Desk, options: &Options) -> Result<(), Error> {
    let server = options.peer.ok_or("peer: there is none")?;
    let to = (server, options.port.unwrap_or(PORT));
    let pairs = (0..options.connections).map(|_| desk.pair((1, 1), Access::NONE));
    let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
    let began = desk.system.now();
    let connect = Connect::new().reads(1).retries(2, 0);
    let links = desk.connect_all(pairs.iter(), to, connect).await?;
    let stood = desk.system.now();
    for (connection, _) in &links {
        connection.disconnect()?;
    }
    for (connection, _) in &links {
        if !desk.ended(connection, PATIENCE).await? {
            return Err("a connection does not end".into());
        }
    }
    let each = |time: Duration| time.as_micros() as u64 / links.len() as u64;
    reflex::println!(
        "{} connections: {} us to connect, {} us to disconnect, each",
        links.len(),
        each(stood.since(began)),
        each(desk.system.now().since(stood))
    );
    Ok(())
}

/// Takes as many as are asked for, until all of them have ended.
async fn serve(desk: &Desk, options: &Options) -> Result<(), Error> {
    desk.listen(options.port.unwrap_or(PORT))?;
    let (mut pairs, mut ended) = (Vec::new(), 0);
    while ended < options.connections {
        let Happened { connection, what } = desk.happened().await;
        match what {
            ConnectionChange::Requested { .. } => {
                let pair = desk.pair((1, 1), Access::NONE)?;
                connection.accept(&pair, Accept::new().reads(1))?;
                pairs.push(pair);
            }
            ConnectionChange::Connected { .. } | ConnectionChange::Resolved { .. } => {}
            ConnectionChange::Disconnected => ended += 1,
            ConnectionChange::Rejected { .. } | ConnectionChange::Failed { .. } => {
                return Err("a connection did not come about".into());
            }
        }
    }
    reflex::println!("{ended} connections came and went");
    Ok(())
}
