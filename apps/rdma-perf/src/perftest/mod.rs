//! The programs of perftest, `ib_send_lat` to `ib_atomic_bw`, of which either side can be Linux: the same exchange of
//! parameters, over TCP or by the connection manager, the same traffic, the same table.
//!
//! ```text
//!  client                                                 server
//!    | greeting: version, buffer, cache line, MTU  <------> |   exchange
//!    | by the connection manager: a connection for each --> |   lanes
//!    | records of the queue pairs                  <------> |   record
//!    | the traffic                                 <------> |   latency, bandwidth
//!    | results of one-sided bandwidth, an end      <------> |
//! ```

mod bandwidth;
mod exchange;
mod lanes;
mod latency;
mod options;
mod record;
mod session;
mod table;

pub(crate) use options::{ARGUMENTS, Options};
pub(crate) use session::start;
