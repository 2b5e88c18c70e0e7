//! The client: what an interface calls.

use crate::action::{Actions, Loss};
use crate::address::is_host;
use crate::counters::Counters;
use crate::ending;
use crate::error::Error;
use crate::frame::{self, Mac, UdpChecksum};
use crate::history::History;
use crate::identity::Identity;
use crate::informing::Informing;
use crate::lease::Lease;
use crate::parameters::Parameters;
use crate::random::{Random, below};
use crate::reply::Reply;
use crate::request::Request;
use crate::settings::Settings;
use crate::state::{Standing, State};
use crate::step::{Next, Remembered, Step};
use core::net::Ipv4Addr;
use reflex_event::Instant;

/// A DHCP client of one interface.
///
/// ```text
///  start()                                            Offer taken
///    |--> [ Waiting ] --> [ Selecting ] ---------------------------> [ Requesting ]
///    |        ^                ^                                      |         | Ack
///    |        | Nak, conflict, | silence                              |         v
///    |        | loss           |------------------- silence ----------'   [ Checking ]
///    |        '---------------------------- Nak, conflict ----------------'     | free
///    '--> [ Rebooting ] --> Ack: Checking; Nak, silence: Selecting              v
///                          [ Bound ] --T1--> [ Renewing ] --T2--> [ Rebinding ]: Holding
///  stop(): [ Off ]         inform(): [ Informing ] --> [ Informed ]
/// ```
///
/// `now` must not go back. Every call may change [`deadline`](Self::deadline), at which
/// [`expired`](Self::expired) is to be called.
#[derive(Clone, Debug)]
pub struct Client {
    settings: Settings,
    identity: Identity,
    history: History,
    state: State,
}

impl Client {
    /// A client that does nothing yet.
    pub fn new(settings: Settings) -> Self {
        let identity = Identity::new(settings.mac, settings.identifier);
        Self { settings, identity, history: History::new(), state: State::Off }
    }

    /// Begins: with the address that the host had before, if it has one in mind (INIT-REBOOT), else
    /// by asking all servers. A lease that is held is forgotten, and not given back.
    pub fn start(
        &mut self,
        remembered: Option<Remembered>,
        now: Instant,
        random: &mut Random<'_>,
    ) -> Actions {
        self.step(now, random, |state, step| {
            let remembered = remembered.filter(|remembered| is_host(remembered.address));
            ending::forget(state, step);
            step.history.prefer(remembered.and_then(|remembered| remembered.server));
            let delay = below(step.random, step.settings.start_delay);
            *state = State::Waiting(step.now + delay, remembered);
            Next::Stay
        })
    }

    /// Asks what there is to know for a host that has an address of its own. A lease that is held is
    /// forgotten, and not given back.
    pub fn inform(&mut self, address: Ipv4Addr, now: Instant, random: &mut Random<'_>) -> Actions {
        self.step(now, random, |state, step| {
            ending::forget(state, step);
            *state = State::Informing(Informing::begin(address, step));
            Next::Stay
        })
    }

    /// Ends: the address is given back (RFC 2131, 4.4.6), and must not be used any longer.
    pub fn stop(&mut self, now: Instant, random: &mut Random<'_>) -> Actions {
        self.step(now, random, |state, step| {
            ending::release(state, step);
            *state = State::Off;
            Next::Stay
        })
    }

    /// Takes a received frame in. One for which [`is_for_client`](crate::is_for_client) says no need
    /// not come here.
    pub fn frame(
        &mut self,
        bytes: &[u8],
        checksum: UdpChecksum,
        now: Instant,
        random: &mut Random<'_>,
    ) -> Actions {
        match frame::message(bytes, self.settings.mac, checksum) {
            Ok(message) => self.message(message, now, random),
            Err(error) => {
                self.history.counters.refuse(error);
                Actions::default()
            }
        }
    }

    /// Takes a received message in: the payload of UDP to port 68.
    pub fn message(&mut self, bytes: &[u8], now: Instant, random: &mut Random<'_>) -> Actions {
        let identity = self.identity;
        self.step(now, random, |state, step| {
            let counters = &mut step.history.counters;
            let reply = Reply::parse(bytes, &identity, state.transaction(), counters);
            match reply.and_then(|reply| state.received(&reply, step)) {
                Ok(next) => {
                    step.history.counters.accepted += 1;
                    next
                }
                Err(error) => {
                    step.history.counters.refuse(error);
                    Next::Stay
                }
            }
        })
    }

    /// Does what is due.
    pub fn expired(&mut self, now: Instant, random: &mut Random<'_>) -> Actions {
        self.step(now, random, State::expired)
    }

    /// The address that was [to be probed](crate::Action::Probe) is nobody's.
    pub fn address_is_free(
        &mut self,
        address: Ipv4Addr,
        now: Instant,
        random: &mut Random<'_>,
    ) -> Actions {
        self.step(now, random, |state, step| match state {
            State::Checking(checking) if checking.lease.address() == address => checking.free(step),
            _ => Next::Stay,
        })
    }

    /// Somebody else has the address, which is probed or in use: it is declined.
    pub fn conflict(
        &mut self,
        address: Ipv4Addr,
        now: Instant,
        random: &mut Random<'_>,
    ) -> Actions {
        self.step(now, random, |state, step| {
            if let Some(next) = ending::decline(state, address, step) {
                *state = next;
            }
            Next::Stay
        })
    }

    /// When [`expired`](Self::expired) is to be called; [`Instant::FAR`] for never.
    pub fn deadline(&self) -> Instant {
        self.state.deadline()
    }

    /// The lease, while its address may be used.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.state {
            State::Holding(holding) => Some(&holding.lease),
            _ => None,
        }
    }

    /// What is known of the network, with a lease or without.
    pub fn parameters(&self) -> Option<&Parameters> {
        match &self.state {
            State::Holding(holding) => Some(holding.lease.parameters()),
            State::Informed(parameters) => Some(parameters),
            _ => None,
        }
    }

    /// Where the client stands.
    pub fn standing(&self) -> Standing {
        self.state.standing()
    }

    /// What was received and sent.
    pub fn counters(&self) -> &Counters {
        &self.history.counters
    }

    /// Writes a message to be sent as a frame for `next_hop`, which matters only where the
    /// [destination](Request::destination) is one host. [`LONGEST_FRAME`](crate::LONGEST_FRAME)
    /// bytes are room enough. Returns its length.
    ///
    /// # Errors
    /// When the buffer is too short.
    pub fn write_frame(
        &self,
        request: &Request,
        next_hop: Mac,
        buffer: &mut [u8],
    ) -> Result<usize, Error> {
        request.write_frame(&self.settings, &self.identity, next_hop, buffer)
    }

    /// Writes a message to be sent from port 68 to port 67. Returns its length.
    ///
    /// # Errors
    /// When the buffer is too short.
    pub fn write_message(&self, request: &Request, buffer: &mut [u8]) -> Result<usize, Error> {
        request.write(&self.settings, &self.identity, buffer)
    }

    /// One call: something happens to the state, and leads to the next.
    fn step(
        &mut self,
        now: Instant,
        random: &mut Random<'_>,
        event: impl FnOnce(&mut State, &mut Step<'_>) -> Next,
    ) -> Actions {
        let mut actions = Actions::default();
        let Self { settings, history, state, .. } = self;
        let mut step = Step { now, random, settings, history, actions: &mut actions };
        // Whatever happens then, it happens to a host without the address.
        if state.is_over(now) {
            state.follow(Next::Lose(Loss::Expired), &mut step);
        }
        let next = event(state, &mut step);
        state.follow(next, &mut step);
        if state.need_not_wait(now) {
            let next = state.expired(&mut step);
            state.follow(next, &mut step);
        }
        actions
    }
}
