//! `udaddy`: datagrams, to queue pairs that are asked for by a port's number.
//!
//! ```text
//!  client                                             server
//!    | where are datagrams for this port taken? -----> |
//!    | <----------------------- this queue pair, its key |
//!    | datagrams, with the number of its queue pair ---> |
//!    | <------------------------------- as many back     |
//! ```
//!
//! Nobody says that it has ended: each side counts.

use crate::options::Options;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use rdma_script::{Desk, Done};
use reflex::rdma::{Accept, ConnectionChange, QKey, Qpn, QueuePair, SendRequest, Transport};
use reflex::{Error, Lent};

const PORT: u16 = 7174;
/// Bytes of a datagram unless others are asked for, and of the route before it.
const SIZE: usize = 100;
const ROUTE: usize = 40;

/// One queue pair, and how far its conversation has come.
struct Link {
    pair: QueuePair,
    sent: usize,
    received: usize,
    /// Where its datagrams go.
    to: Option<(IpAddr, Qpn, QKey)>,
}

pub(crate) async fn play(desk: Desk, options: Options) -> Result<(), Error> {
    let mut links = (0..options.connections)
        .map(|_| Link::new(&desk, &options))
        .collect::<Result<Vec<_>, _>>()?;
    match options.peer {
        Some(server) => resolve(&desk, &options, &mut links, server).await?,
        None => name(&desk, &options, &links).await?,
    }
    if options.peer.is_some() {
        links.iter_mut().try_for_each(|link| link.send(&desk, &options))?;
    }
    let all = |links: &[Link]| {
        links.iter().all(|link| link.sent == options.count && link.received == options.count)
    };
    while !all(&links) {
        let done = desk.done().await?;
        let of = |link: &&mut Link| link.pair.number() == done.pair;
        let Some(link) = links.iter_mut().find(of) else { continue };
        link.take(done)?;
        if options.peer.is_none() && link.received == options.count && link.sent == 0 {
            link.send(&desk, &options)?;
        }
    }
    reflex::println!("{} datagrams by each of {} queue pairs", options.count, links.len());
    Ok(())
}

impl Link {
    fn new(desk: &Desk, options: &Options) -> Result<Self, Error> {
        let depth = u32::try_from(options.count).map_err(|_| "count: too many")?;
        let pair = desk.domain.queue_pair(Transport::Datagram, &desk.queue, &desk.queue);
        let pair = pair.depth(depth, depth).build()?;
        desk.receive(&pair, options.count, ROUTE + options.size.unwrap_or(SIZE))?;
        Ok(Self { pair, sent: 0, received: 0, to: None })
    }

    /// Takes what is done.
    fn take(&mut self, done: Done) -> Result<(), Error> {
        if !done.is_receive() {
            self.sent += 1;
            return Ok(());
        }
        self.received += 1;
        let number = done.immediate.ok_or("a datagram does not say where an answer goes")?;
        let from = source(done.bytes).ok_or("a datagram has no route")?;
        self.to.get_or_insert((from, Qpn::new(number), QKey::IP_CM));
        Ok(())
    }

    /// Sends all of its datagrams.
    fn send(&self, desk: &Desk, options: &Options) -> Result<(), Error> {
        let (to, number, key) = self.to.ok_or("there is nobody to send to")?;
        for _ in 0..options.count {
            let bytes = desk.domain.bytes(options.size.unwrap_or(SIZE))?;
            let send = SendRequest::message().immediate(self.pair.number().get());
            self.pair.post_send(send.bytes(bytes).to(to, number, key))?;
        }
        Ok(())
    }
}

/// Asks for each queue pair's other side.
async fn resolve(
    desk: &Desk,
    options: &Options,
    links: &mut [Link],
    server: IpAddr,
) -> Result<(), Error> {
    let to = (server, options.port.unwrap_or(PORT));
    for link in links {
        let asked = desk.manager.resolve(to, &[])?;
        let ConnectionChange::Resolved { queue_pair, key, .. } = desk.change(&asked).await else {
            return Err("the server names no queue pair".into());
        };
        link.to = Some((server, queue_pair, key));
    }
    Ok(())
}

/// Names each queue pair to somebody.
async fn name(desk: &Desk, options: &Options, links: &[Link]) -> Result<(), Error> {
    let port = options.port.unwrap_or(PORT);
    desk.listen_for(Transport::Datagram, port)?;
    for link in links {
        desk.requested().await.connection.accept(&link.pair, Accept::new())?;
    }
    Ok(())
}

/// The address that a datagram is from: its route ends with an IPv4 header, or is an IPv6 one.
fn source(datagram: Option<Lent<[u8]>>) -> Option<IpAddr> {
    let datagram = datagram?;
    let route: &[u8; ROUTE] = datagram.first_chunk()?;
    if route[0] >> 4 == 6 {
        let source: [u8; 16] = route[8..].first_chunk().copied()?;
        return Some(IpAddr::V6(Ipv6Addr::from(source)));
    }
    let source: [u8; 4] = route[32..].first_chunk().copied()?;
    Some(IpAddr::V4(Ipv4Addr::from(source)))
}
