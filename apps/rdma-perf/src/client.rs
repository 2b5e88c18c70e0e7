//! The side that works and measures.
//!
//! ```text
//!  begin -> Connecting -> Single -> Stream -> Over
//! ```

use crate::end::{COMPLETIONS, End, MEMORY};
use crate::figures::{self, Measured};
use crate::terms::{Ask, Offer, PORT, Test, WARM};
use alloc::vec::Vec;
use core::fmt::Display;
use core::net::IpAddr;
use reflex::rdma::{
    Completion, Connect, Connection, ConnectionChange, ConnectionEvent, ConnectionManager, Kind,
    QueuePair, RKey, SendRequest,
};
use reflex::{Error, Instant, Priority, System, log, status};

/// Receives: answers to messages of either phase.
const RECEIVES: u32 = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    /// One operation at a time.
    Single,
    /// A window of them.
    Stream,
    Over,
}

struct Client {
    system: System,
    ask: Ask,
    mtu: usize,
    link: Option<Link>,
    phase: Phase,
    /// When the operation, or the stream, was begun, and what the processor had done then.
    began: Instant,
    busy: u64,
    /// What each single operation took, in nanoseconds.
    times: Vec<u64>,
    /// Operations posted, done, and answered, in this phase.
    posted: u32,
    done: u32,
    answered: u32,
}

/// What there is once the connection is asked for.
struct Link {
    end: End,
    connection: Connection,
    pair: QueuePair,
    offer: Offer,
}

pub(crate) fn start(system: System, server: IpAddr, ask: Ask) -> Result<(), Error> {
    let rdma = system.rdma()?;
    let state = Client {
        system,
        ask,
        mtu: rdma.mtu().bytes(),
        link: None,
        phase: Phase::Connecting,
        began: system.now(),
        busy: 0,
        times: Vec::with_capacity(ask.count as usize),
        posted: 0,
        done: 0,
        answered: 0,
    };
    let context = system.context("perf", state).memory(MEMORY).build()?;
    let domain = rdma.domain(context)?;
    let completed = |client: &mut Client, completion: &mut Completion| client.completed(completion);
    let queue = rdma.completion_queue(context, COMPLETIONS, Priority::DEFAULT, completed)?;
    let happened = |client: &mut Client, event| client.happened(event);
    let manager = rdma.connections(context, Priority::DEFAULT, happened)?;
    // There has to be an address to connect from.
    let addressed = move |client: &mut Client, own: Option<_>| {
        if own.is_some() && client.link.is_none() {
            let end = End::new(domain.clone(), queue.clone());
            let connected = end.and_then(|end| client.connect(end, &manager, server));
            client.require(connected);
        }
    };
    system.net()?.on_address(context, addressed)?;
    Ok(())
}

impl Client {
    fn fail(&self, why: &dyn Display) {
        log::error!("operation {} of {}: {why}", self.done + 1, self.ask.count);
        self.system.exit(status::MAIN_FAILED);
    }

    fn require(&self, done: Result<(), Error>) {
        if let Err(error) = done {
            self.fail(&error);
        }
    }

    fn connect(
        &mut self,
        end: End,
        manager: &ConnectionManager,
        server: IpAddr,
    ) -> Result<(), Error> {
        let pair = end.pair(&self.ask, RECEIVES)?;
        let connect = Connect::new().data(&self.ask.emit())?;
        let connection = manager.connect(&pair, (server, PORT), connect)?;
        let offer = Offer { address: 0, key: 0, length: 0 };
        self.link = Some(Link { end, connection, pair, offer });
        Ok(())
    }

    fn happened(&mut self, ConnectionEvent { what, .. }: ConnectionEvent) {
        match what {
            ConnectionChange::Connected { data } => {
                let begun = self.begin(data.as_bytes());
                self.require(begun);
            }
            ConnectionChange::Disconnected if self.phase == Phase::Over => {
                self.system.exit(status::SUCCESS);
            }
            ConnectionChange::Rejected { .. } => self.fail(&"the server refused"),
            ConnectionChange::Failed { why } => self.fail(&why),
            ConnectionChange::Disconnected => self.fail(&"the server went away"),
            ConnectionChange::Requested { .. } | ConnectionChange::Resolved { .. } => {}
        }
    }

    fn begin(&mut self, offer: &[u8]) -> Result<(), Error> {
        let offer = Offer::parse(offer).filter(|it| it.length as usize >= self.ask.length());
        let link = self.link.as_mut().ok_or("there is no connection")?;
        link.offer = offer.ok_or("the server offers too little memory")?;
        self.phase = Phase::Single;
        self.began = self.system.now();
        self.post()
    }

    /// Posts an operation.
    fn post(&mut self) -> Result<(), Error> {
        let Some(Link { end, pair, offer, .. }) = &self.link else { return Ok(()) };
        self.posted += 1;
        let (address, key, length) = (offer.address, RKey(offer.key), self.ask.length());
        match self.ask.test {
            Test::Send => end.put(pair, SendRequest::message(), length),
            Test::Write => end.put(pair, SendRequest::write(address, key), length),
            Test::Read => end.fetch(pair, SendRequest::read(address, key), length),
            Test::Atomic => end.fetch(pair, SendRequest::fetch_add(address, key, 1), length),
        }
    }

    fn completed(&mut self, completion: &mut Completion) {
        if self.phase == Phase::Over {
            return;
        }
        if !completion.is_success() {
            return self.fail(&completion.status);
        }
        let went_on = match self.phase {
            Phase::Single => self.single(completion.kind),
            _ => self.stream(completion.kind),
        };
        self.require(went_on);
    }

    /// Counts what is done; true for an answer, after which its receive is posted again.
    fn count(&mut self, kind: Kind) -> Result<bool, Error> {
        let answer = kind == Kind::Receive;
        if !answer {
            self.done += 1;
            return Ok(false);
        }
        self.answered += 1;
        if let Some(Link { end, pair, .. }) = &self.link {
            end.receive(pair, &self.ask)?;
        }
        Ok(true)
    }

    /// One at a time: a message is over when it is acknowledged and answered, in either order.
    fn single(&mut self, kind: Kind) -> Result<(), Error> {
        let now = self.system.now();
        let answered = self.count(kind)?;
        let messages = self.ask.test == Test::Send;
        if answered || !messages {
            let time = now.since(self.began).as_nanos() as u64;
            if self.posted > WARM {
                self.times.push(if messages { time / 2 } else { time });
            }
        }
        if self.done < self.posted || messages && self.answered < self.posted {
            return Ok(());
        }
        if self.posted == WARM + self.ask.count {
            self.phase = Phase::Stream;
            (self.posted, self.done, self.answered) = (0, 0, 0);
            self.began = self.system.now();
            self.busy = self.system.busy();
            return self.fill();
        }
        self.began = self.system.now();
        self.post()
    }

    /// Posts as many operations as may be in flight.
    fn fill(&mut self) -> Result<(), Error> {
        let Ask { test, count, window, .. } = self.ask;
        let permitted = match test {
            Test::Send => (self.answered + 2).saturating_mul(window),
            _ => u32::MAX,
        };
        while self.posted < count && self.posted - self.done < window && self.posted < permitted {
            self.post()?;
        }
        Ok(())
    }

    fn stream(&mut self, kind: Kind) -> Result<(), Error> {
        self.count(kind)?;
        if self.done < self.ask.count {
            return self.fill();
        }
        let time = self.system.now().since(self.began).as_nanos() as u64;
        let busy = self.system.busy() - self.busy;
        self.phase = Phase::Over;
        let times = core::mem::take(&mut self.times);
        figures::tell(&self.ask, &Measured { times, stream: time, mtu: self.mtu });
        figures::instructions(self.system, &self.ask, self.ask.test.name(), busy);
        let Some(link) = &self.link else { return Ok(()) };
        Ok(link.connection.disconnect()?)
    }
}
