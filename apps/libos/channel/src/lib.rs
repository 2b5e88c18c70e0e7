//! Bounded channels between contexts. The receiving end is an event: a handler that runs once for each message, at
//! its own priority, in the context that receives.
//!
//! ```text
//!   send ──▶ [ queue: `capacity` places in the event memory of one context ] ──▶ handler(state, message)
//!     ◀── Refused { reason, value }: Full, Closed, Kernel         when_room ◀── it has drained to a half
//! ```
//!
//! - **Bounded, and nothing lost.** A message that the queue has no place for comes back with the reason. A
//!   sender that is to be told ([`Sender::when_room`]) is activated when the queue has drained to a half, and when it
//!   makes no sense to wait any longer, or makes sense again: when the receiving end has come to its end, and when
//!   there is another.
//! - **The receiving end may come to its end**: its context is given up, or its event unregistered. From then on
//!   sending is refused as [`Closed`](Reason::Closed). What was queued stays, for the next receiving end
//!   ([`Sender::attach`]), such as that of the context's next life, or for [`Sender::take_back`]. The message that
//!   a handler had when it failed is that one's.
//! - **The senders may come to their end**: when the last is gone and the queue is empty, the receiving end is
//!   unregistered.
//! - Constant time, but for telling the senders that wait: each has been refused once for that. No call takes
//!   memory after the channel was made.
//!
//! A message is `Send`; a collection of a context's own is not, and stays in it:
//!
//! ```compile_fail,E0277
//! # use reflex_channel::Sender;
//! # use reflex_event::Kernel;
//! # use reflex_memory::String;
//! fn send<K: Kernel>(to: &Sender<K, String>, word: String) {
//!     let _ = to.send(word);
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod channel;
mod queue;
mod receive;
mod refused;
mod sender;
mod waiting;

pub use channel::Counters;
pub use refused::{Reason, Refused};
pub use sender::Sender;
