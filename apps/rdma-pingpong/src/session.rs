//! The whole of it: from the first word over TCP to the last message.
//!
//! ```text
//!  begin -> (accepted | connected) -> met -> completed ... -> done -> end
//! ```

use crate::announcement::Announcement;
use crate::exchange::Exchange;
use crate::options::{BUFFER, Options, SENDS};
use crate::rally::{KEY, Rally, receive};
use alloc::vec::Vec;
use core::fmt::Display;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};
use core::time::Duration;
use reflex::net::{Connection, ConnectionError, NetError, TcpService};
use reflex::rdma::{
    Completion, CompletionQueue, Gid, Kind, ProtectionDomain, Psn, Rdma, SharedReceiveQueue,
    Transport,
};
use reflex::{Context, Error, Instant, System, Timer, log, status};

/// How long the side that is done stays, as the other may ask again for what got lost: several of its
/// time-outs.
const LINGER: Duration = Duration::from_millis(500);

/// What a session is made with.
pub(crate) struct Means {
    pub(crate) rdma: &'static Rdma,
    pub(crate) domain: ProtectionDomain,
    pub(crate) queue: CompletionQueue,
    pub(crate) context: Context<Session>,
    /// Has [`Session::end`] called.
    pub(crate) linger: Timer,
}

/// A side of the game.
pub(crate) struct Session {
    system: System,
    options: Options,
    exchange: Exchange,
    means: Option<Means>,
    shared: Option<SharedReceiveQueue>,
    rallies: Vec<Rally>,
    /// When the other side's queue pairs were known.
    began: Option<Instant>,
    sent: usize,
    received: usize,
    done: bool,
    /// What the image ends with.
    status: u8,
}

impl Session {
    pub(crate) fn new(system: System, options: Options) -> Self {
        Self {
            system,
            options,
            exchange: Exchange::new(options.sharing.is_some()),
            means: None,
            shared: None,
            rallies: Vec::new(),
            began: None,
            sent: 0,
            received: 0,
            done: false,
            status: status::SUCCESS,
        }
    }

    fn fail(&mut self, why: &dyn Display) {
        if self.done {
            return;
        }
        log::error!("after {} sent, {} received: {why}", self.sent, self.received);
        self.leave(status::MAIN_FAILED);
    }

    fn require(&mut self, done: Result<(), Error>) {
        if let Err(error) = done {
            self.fail(&error);
        }
    }

    /// The interface has an address. It may be told again.
    pub(crate) fn begin(&mut self, means: Means) {
        if self.means.is_none() {
            let prepared = self.prepare(means);
            self.require(prepared);
        }
    }

    /// Makes the queue pairs, posts their receives, and seeks the other side.
    fn prepare(&mut self, means: Means) -> Result<(), Error> {
        let options = self.options;
        let Means { domain, queue, context, .. } = self.means.insert(means);
        let receives = options.receives as u32;
        if options.sharing.is_some() {
            self.shared = Some(domain.shared_receive_queue(receives)?);
        }
        for _ in 0..options.pairs() {
            let pair = domain.queue_pair(options.transport, queue, queue).depth(SENDS, receives);
            let pair = match &self.shared {
                Some(shared) => pair.shared(shared),
                None => pair,
            };
            let pair = pair.key(KEY).build()?;
            let mut psn = [0; 4];
            self.system.random(&mut psn);
            let psn = match options.transport {
                // Nobody looks at it.
                Transport::Datagram => Psn::new(0),
                _ => Psn::new(u32::from_ne_bytes(psn)),
            };
            self.rallies.push(Rally::new(pair, psn, domain.bytes(options.size)?));
        }
        let first = &self.rallies[0].pair;
        for _ in 0..receives {
            let bytes = domain.bytes(options.route() + options.size)?;
            receive(first, self.shared.as_ref(), bytes)?;
        }
        match options.server {
            Some(server) => {
                let connector = self.system.connector().connections(1).buffers(BUFFER, BUFFER);
                connector.serve(*context)?.connect(SocketAddrV4::new(server, options.port))?;
            }
            None => {
                let listener = self.system.tcp(options.port).connections(1);
                listener.buffers(BUFFER, BUFFER).serve(*context)?;
            }
        }
        Ok(())
    }

    /// Tells the other side of this one's queue pairs, by an address of that kind and reach.
    fn announce(&mut self, like: IpAddr) -> Result<(), Error> {
        let kind = |address: &IpAddr| match address {
            IpAddr::V4(_) => (false, false),
            IpAddr::V6(address) => (true, address.is_unicast_link_local()),
        };
        let addresses = self.means.iter().flat_map(|means| means.rdma.addresses());
        let own = addresses.into_iter().find(|own| kind(own) == kind(&like));
        let gid = Gid::from(own.ok_or("there is no address of that kind")?);
        let rallies = self.rallies.iter();
        let own = rallies.map(|it| Announcement { queue_pair: it.pair.number(), psn: it.psn, gid });
        self.exchange.announce(own);
        Ok(())
    }

    /// The other side has announced its queue pairs.
    fn meet(&mut self) -> Result<(), Error> {
        let mut like = None;
        for (rally, peer) in self.rallies.iter_mut().zip(self.exchange.heard()) {
            let peer = peer.ok_or("the other side makes no sense")?;
            let of = peer.gid.to_ip();
            if of.is_unspecified() {
                return Err("the other side has no GID: it has to be told which (-g)".into());
            }
            rally.meet(peer, &self.options)?;
            like = Some(of);
        }
        self.began = Some(self.system.now());
        if self.options.server.is_none() {
            return self.announce(like.ok_or("the other side has no queue pair")?);
        }
        self.exchange.conclude();
        self.rallies.iter_mut().try_for_each(|rally| rally.serve(&self.options))
    }

    /// Work of a queue pair is done.
    pub(crate) fn completed(&mut self, completion: &mut Completion) {
        if self.done {
            return;
        }
        if !completion.is_success() {
            return self.fail(&completion.status);
        }
        let went_on = self.go_on(completion);
        self.require(went_on);
        let enough = |count| count >= self.options.count;
        if enough(self.sent) && enough(self.received) {
            self.conclude();
        }
    }

    fn go_on(&mut self, completion: &mut Completion) -> Result<(), Error> {
        let of = |rally: &&mut Rally| rally.pair.number() == completion.queue_pair;
        let Some(rally) = self.rallies.iter_mut().find(of) else { return Ok(()) };
        match completion.kind {
            Kind::Send => self.sent += 1,
            _ => self.received += 1,
        }
        rally.completed(completion, &self.options)?;
        if rally.turn(&self.options, self.shared.as_ref())? && self.sent < self.options.count {
            rally.serve(&self.options)?;
        }
        Ok(())
    }

    /// Tells how it went.
    fn conclude(&mut self) {
        let began = self.began.unwrap_or(self.system.now());
        let micros = (self.system.now().since(began).as_micros() as u64).max(1);
        let count = self.options.count as u64;
        let bytes = 2 * count * self.options.size as u64;
        let decimal = |hundredths| (hundredths / 100, hundredths % 100);
        let (seconds, fraction) = decimal(micros / 10_000);
        let (megabits, of_megabit) = decimal(bytes * 800 / micros);
        let (each, of_each) = decimal(micros * 100 / count);
        reflex::println!(
            "{bytes} bytes in {seconds}.{fraction:02} seconds = {megabits}.{of_megabit:02} Mbit/sec"
        );
        reflex::println!(
            "{count} iters in {seconds}.{fraction:02} seconds = {each}.{of_each:02} usec/iter"
        );
        self.leave(status::SUCCESS);
    }

    /// Ends the image soon: the peer may still have to be told, by a packet that is on its way out, and to Linux
    /// silence is no end.
    fn leave(&mut self, status: u8) {
        (self.done, self.status) = (true, status);
        let lingers = self.means.as_ref().map(|means| means.linger.after(LINGER));
        if !matches!(lingers, Some(Ok(()))) {
            self.end();
        }
    }

    /// The image's end.
    pub(crate) fn end(&mut self) {
        self.system.exit(self.status);
    }

    fn tell(&mut self, connection: &Connection) {
        let sent = self.exchange.send(connection).map_err(Error::Net);
        self.require(sent);
    }

    /// The conversation has been cut short, if it has.
    fn lost(&mut self, why: &dyn Display) {
        match (self.options.server, self.began) {
            _ if self.exchange.is_over() => {}
            (None, None) => {
                log::warn!("a client went away: {why}");
                self.exchange.forget();
            }
            _ => self.fail(why),
        }
    }
}

impl TcpService for Session {
    fn connected(&mut self, connection: &Connection) {
        let like: IpAddr = match self.options.v6 {
            true => Ipv6Addr::UNSPECIFIED.into(),
            false => Ipv4Addr::UNSPECIFIED.into(),
        };
        let announced = self.announce(like);
        self.require(announced);
        self.tell(connection);
    }

    fn received(&mut self, connection: &Connection) {
        let met = match self.exchange.listen(connection) {
            Ok(true) => self.meet(),
            Ok(false) => return,
            Err(NetError::Closed) => return,
            Err(error) => Err(error.into()),
        };
        self.require(met);
        self.tell(connection);
    }

    fn failed(&mut self, _: &Connection, error: ConnectionError) {
        self.lost(&error);
    }

    fn ended(&mut self, _: &Connection) {
        self.lost(&"it closed the connection");
    }
}
