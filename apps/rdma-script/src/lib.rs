//! Conversations with programs that speak RDMA, from their first word to their last, each written down as one
//! future: what the other side says by completions, connections and TCP is waited for where it is due.
//!
//! ```text
//! rdma_script::begin(system, Terms::default(), |desk| async move {
//!     let mut stream = desk.connect_tcp(server).await?;
//!     stream.write(b"hello")?;
//!     let answer = stream.read(5).await?;
//!     ...
//!     Ok(())
//! })
//! ```
//!
//! A context has the script. Its handlers put what has happened on the [`Desk`], and have the script go on from
//! where it waits; it runs until it waits again. Nothing runs beside it, and nothing is woken by name: what a
//! script waits for is a question to the desk, asked again when something has happened. The image ends with the
//! script.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod begin;
mod deadline;
mod desk;
mod done;
mod inbox;
mod stage;
mod stream;
mod work;

pub use begin::{Terms, begin};
pub use deadline::Deadline;
pub use desk::Desk;
pub use done::Done;
pub use inbox::Happened;

pub use stream::Stream;
