//! How an address is given up: released, declined, forgotten.

use crate::action::{Action, Loss};
use crate::backoff;
use crate::request::{Kind, Request};
use crate::state::State;
use crate::step::Step;
use core::net::Ipv4Addr;
use core::time::Duration;

/// The least wait after an address was declined (RFC 2131, 3.1.5).
const AFTER_CONFLICT: Duration = Duration::from_secs(10);

/// Gives the address back, if there is one (RFC 2131, 4.4.6).
pub(crate) fn release(state: &State, step: &mut Step<'_>) {
    let lease = match state {
        State::Holding(holding) => holding.lease,
        State::Checking(checking) => checking.lease,
        _ => return,
    };
    let release = Request {
        destination: lease.server(),
        server: Some(lease.server()),
        ..Request::new(Kind::Release, (step.random)()).by(lease.address())
    };
    step.send_at_once(release);
    if matches!(state, State::Holding(_)) {
        step.act(Action::Lost(Loss::Released));
    }
}

/// Forgets the address, if there is one.
pub(crate) fn forget(state: &State, step: &mut Step<'_>) {
    if matches!(state, State::Holding(_)) {
        step.act(Action::Lost(Loss::Forgotten));
    }
}

/// Declines the address, which somebody else has (RFC 2131, 4.4.4); returns what follows, unless it
/// is another one than the client's.
pub(crate) fn decline(state: &State, address: Ipv4Addr, step: &mut Step<'_>) -> Option<State> {
    let (lease, held_since) = match state {
        State::Checking(checking) => (checking.lease, None),
        State::Holding(holding) => (holding.lease, Some(holding.since)),
        _ => return None,
    };
    if lease.address() != address {
        return None;
    }
    let decline = Request {
        requested: Some(address),
        server: Some(lease.server()),
        ..Request::new(Kind::Decline, (step.random)())
    };
    // Put off, it is not sent: its server will find out by itself before it offers the address again.
    let _ = step.send(decline);
    if let Some(since) = held_since {
        step.act(Action::Lost(Loss::Conflict));
        step.history.worked(since, step.now);
    }
    step.history.failed(lease.server());
    let tries = step.history.misfortunes().saturating_sub(1);
    let wait = backoff::after(tries, step.random).max(AFTER_CONFLICT);
    Some(State::Waiting(step.now + wait, None))
}
