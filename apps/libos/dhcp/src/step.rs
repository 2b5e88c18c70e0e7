//! One call: what it may look at, and what comes of it.

use crate::action::{Action, Actions, Loss};
use crate::error::Oddity;
use crate::history::History;
use crate::lease::Lease;
use crate::offer::Offer;
use crate::parameters::Parameters;
use crate::random::Random;
use crate::request::Request;
use crate::settings::{Delivery, Settings};
use core::net::Ipv4Addr;
use reflex_event::Instant;

/// What a state has at hand.
pub(crate) struct Step<'a> {
    pub(crate) now: Instant,
    pub(crate) random: &'a mut Random<'a>,
    pub(crate) settings: &'a Settings,
    pub(crate) history: &'a mut History,
    pub(crate) actions: &'a mut Actions,
}

impl Step<'_> {
    /// Has a message sent; or says when it may be.
    pub(crate) fn send(&mut self, request: Request) -> Result<(), Instant> {
        let taken = self.history.pacer.take(self.now);
        match taken {
            Ok(()) => self.send_at_once(request),
            Err(_) => self.history.counters.note(Oddity::Paced),
        }
        taken
    }

    /// Has a message sent that no server can have caused.
    pub(crate) fn send_at_once(&mut self, request: Request) {
        self.history.counters.sent += 1;
        self.act(Action::Send(request));
    }

    pub(crate) fn act(&mut self, action: Action) {
        let room = self.actions.0.push(action);
        debug_assert!(room, "a call leads to few actions");
    }

    /// Whole seconds since something began, as messages say it.
    pub(crate) fn seconds_since(&self, begun: Instant) -> u16 {
        u16::try_from(self.now.since(begun).as_secs()).unwrap_or(u16::MAX)
    }
}

/// Where a state leads: the table of what follows is the client's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// Nowhere.
    Stay,
    /// To ask all servers, at once.
    Discover,
    /// To ask for the remembered address.
    Reboot(Remembered),
    /// To take an offer that was asked for so.
    Request(Offer, Asked),
    /// A server has not kept its word: to ask all anew, at once or later.
    Failed(Ipv4Addr, Again),
    /// To look whether the address is free.
    Acknowledged(Lease),
    /// To hold it.
    Hold(Lease),
    /// To begin anew without the address.
    Lose(Loss),
    /// To rest, knowing this.
    Informed(Parameters),
    /// To rest.
    NotInformed,
}

/// How all servers were asked; the request that follows is like the discovery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Seconds that had passed, so that relays treat both alike (RFC 2131, 4.4.1).
    pub(crate) secs: u16,
    /// How servers are to send.
    pub(crate) delivery: Delivery,
}

/// When servers are asked again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Again {
    /// There has been a wait.
    AtOnce,
    /// After more and more time.
    Later,
}

/// An address that the host had before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remembered {
    /// The address.
    pub address: Ipv4Addr,
    /// The server that gave it, if that is known.
    pub server: Option<Ipv4Addr>,
}
