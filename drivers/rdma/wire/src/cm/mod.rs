//! Connection management: the datagrams between the queue pairs 1 of two ports.
//!
//! ```text
//!  active                          passive
//!    REQ  ───────────────────────▶          or SIDR_REQ ─▶ ◀─ SIDR_REP for datagrams
//!         ◀─────────────── MRA, REJ
//!         ◀───────────────────── REP
//!    RTU  ───────────────────────▶
//!         ◀───────── DREQ either way
//!         ─────────▶ DREP
//! ```
//!
//! [`Mad`] is the header all of them have, [`Message`] what follows it. Fields of a message that
//! RoCE has no use for (LIDs, EECNs, alternate paths) are zero on the way out and ignored on the
//! way in, except where Linux fills them. (IBA volume 1, 12.)

mod disconnect;
mod field;
mod mad;
mod message;
mod mra;
mod path;
mod rej;
mod rep;
mod req;
mod rtu;
mod service;
mod sidr;

pub use disconnect::{Drep, Dreq};
pub use mad::Mad;
pub use message::{CommId, Message};
pub use mra::{Mra, Received};
pub use path::Path;
pub use rej::{Rej, RejectReason};
pub use rep::Rep;
pub use req::{Req, Service};
pub use rtu::Rtu;
pub use service::{IpHeader, PortSpace, ServiceId};
pub use sidr::{SidrRep, SidrReq, SidrStatus};
