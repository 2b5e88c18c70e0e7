//! What crosses cores. Each core owns all that its kernel works on; cores tell each other by messages.
//!
//! ```text
//!      one core                                           another
//!   Port::send ──▶ [ ring of the pair ] ──▶ Port::serve ──▶ its event core
//!       │ full                                  │
//!       ▼                                       │ there is room again
//!   [ waiting list ] ◀──────────────────────────┘
//!       └─ bell: which cores have sent, and which priorities are to interrupt it
//! ```
//!
//! - [`PairRing`]: a bounded ring for each pair of cores and direction, one producer, one consumer, messages by value.
//! - [`Doorbell`]: a core's, in which others mark that they have sent something, and from which they learn whether
//!   an inter-processor interrupt is due: only when the core sleeps, or runs what the message beats.
//! - [`Port`]: what one core has to do with one other. What finds the ring full waits in a bounded list, in order,
//!   until there is room; what finds the list full, too, comes back to the sender.
//! - [`Requests`]: control of what another core owns: each request has a token and is told once that it is done.
//!
//! None of it waits, allocates or knows of interrupts: the runtime owns the memory, calls these in its sections and
//! sends the interrupts.
#![no_std]

mod bell;
mod port;
mod requests;
mod ring;
mod sync;

pub use bell::{Doorbell, Senders};
pub use port::{Full, Port, Sent, Served};
pub use requests::{Requests, Token, TooMany};
pub use ring::{Consumer, PairRing, Producer};

impl Doorbell {
    /// Of a core that has not begun to work.
    pub const fn new() -> Self {
        Self { senders: sync::AtomicU64::new(0), open: sync::AtomicU32::new(0) }
    }
}
