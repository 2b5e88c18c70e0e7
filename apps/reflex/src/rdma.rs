//! RDMA: the library OS's port beside the network stack.
//!
//! ```
//! # use reflex::rdma::{Completion, ConnectionEvent, ReceiveRequest, Transport};
//! # use reflex::{prelude::*, testing::Simulation};
//! # struct Readout;
//! # impl Readout {
//! #     fn completed(&mut self, _: &mut Completion) {}
//! #     fn happened(&mut self, _: ConnectionEvent) {}
//! # }
//! # Simulation::new(|system| {
//! # let context = system.context("readout", Readout).memory(1 << 20).build()?;
//! let rdma = system.rdma()?;
//! let domain = rdma.domain(context)?;
//! let queue = rdma.completion_queue(context, 256, Priority::HIGH, Readout::completed)?;
//! let pair = domain.queue_pair(Transport::Reliable, &queue, &queue).build()?;
//! pair.post_receive(ReceiveRequest::bytes(domain.bytes(4096)?))?;
//! let manager = rdma.connections(context, Priority::DEFAULT, Readout::happened)?;
//! manager.listen(Transport::Reliable, 7000, 16)?;
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! ```

use crate::net::Net;
use crate::{Error, System};
use alloc::boxed::Box;
use reflex_event::{Error as EventError, EventId, Priority};
use reflex_net::Attachment;
use reflex_rdma::{Limits, Place, UDP_PORT};
use reflex_runtime::Runtime;

pub use reflex_rdma::{
    Accept, Access, Completion, Connect, ConnectionChange, Event, Failure, Gid, Kind, PairCounters,
    PathMtu, Peer, PrivateData, Psn, QKey, Qpn, RKey, ReceiveRequest, Refusal, RejectReason,
    SendRequest, Slice, Status, Transport,
};

/// The RDMA port; see [`System::rdma`].
pub type Rdma = reflex_rdma::Rdma<Runtime>;
/// The queue pairs and the regions that belong together: a key is valid for queue pairs of its
/// domain.
pub type ProtectionDomain = reflex_rdma::ProtectionDomain<Runtime>;
/// Memory that peers may reach.
pub type MemoryRegion = reflex_rdma::MemoryRegion<Runtime>;
/// Completions, and their handler's queue.
pub type CompletionQueue = reflex_rdma::CompletionQueue<Runtime>;
/// A queue pair.
pub type QueuePair = reflex_rdma::QueuePair<Runtime>;
/// Receives for several queue pairs.
pub type SharedReceiveQueue = reflex_rdma::SharedReceiveQueue<Runtime>;
/// Makes connections.
pub type ConnectionManager = reflex_rdma::ConnectionManager<Runtime>;
/// A connection.
pub type Connection = reflex_rdma::Connection<Runtime>;
/// What has happened to a connection.
pub type ConnectionEvent = reflex_rdma::ConnectionEvent<Runtime>;

/// The port's place beside the stack.
struct AttachedPlace(Attachment<Runtime>);

impl Place<Runtime> for AttachedPlace {
    fn event(&self, priority: Priority, number: u32) -> Result<EventId, EventError> {
        self.0.event(priority, number).map_err(|error| match error {
            reflex_net::Error::Event(error) => error,
            // The stack has been started, or nothing would be beside it.
            _ => EventError::WrongState,
        })
    }

    fn end(&self, event: EventId, priority: Priority) {
        self.0.end(event, priority);
    }
}

/// Starts the port beside the stack.
pub(crate) fn start(system: System, net: &Net) -> Result<Rdma, Error> {
    let (rdma, port) = Rdma::new(system.kernel(), Limits::default(), net.mtu());
    let attachment = net.0.attach(UDP_PORT, Box::new(port))?;
    rdma.start(Box::new(AttachedPlace(attachment)))?;
    Ok(rdma)
}
