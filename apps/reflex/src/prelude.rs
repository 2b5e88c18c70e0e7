//! What nearly every application uses: `use reflex::prelude::*;`.

pub use crate::net::{Connection, Datagram, TcpService, UdpService, UdpSocket};
pub use crate::time::{millis, secs};
pub use crate::{Context, Error, Priority, Result, System};
pub use log::{debug, error, info, warn};
