//! What a client wants done, and what it has to tell.

use crate::list::List;
use crate::request::Request;
use core::net::Ipv4Addr;

/// Actions of one call at most: an address is declined, and lost.
pub(crate) const MOST_ACTIONS: usize = 4;

/// What a call has led to, in this order. What is lost here is lost.
#[must_use = "a message that is not sent is not sent again for seconds"]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Actions(pub(crate) List<Action, MOST_ACTIONS>);

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = <List<Action, MOST_ACTIONS> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// One of the things to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send this ([`Client::write_frame`](crate::Client::write_frame)).
    Send(Request),
    /// Find out whether somebody has this address (RFC 5227, 2.1.1), and then call
    /// [`Client::address_is_free`](crate::Client::address_is_free) or
    /// [`Client::conflict`](crate::Client::conflict).
    Probe(Ipv4Addr),
    /// There is an address: [`Client::lease`](crate::Client::lease).
    Granted,
    /// The lease is longer, and says what it said.
    Renewed,
    /// The lease is longer, and says something else.
    Changed,
    /// The address must not be used any longer, from this moment on.
    Lost(Loss),
    /// A server has said what there is to know:
    /// [`Client::parameters`](crate::Client::parameters).
    Informed,
    /// No server has said what there is to know, and none is asked again.
    NotInformed,
}

/// Why there is no address any longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// Nobody has prolonged the lease.
    Expired,
    /// A server has refused to prolong it.
    Refused,
    /// Somebody else has the address.
    Conflict,
    /// It was given back.
    Released,
    /// The client began anew.
    Forgotten,
}
