//! What the stack and the applications share: connections, ports, queues, lists; data, and what each does by itself.

pub(crate) mod connection_record;
pub(crate) mod control;
pub(crate) mod datagram_queue;
pub(crate) mod flow;
pub(crate) mod flow_key;
pub(crate) mod grow;
pub(crate) mod handle;
pub(crate) mod held;
pub(crate) mod index;
pub(crate) mod lost_buffers;
pub(crate) mod outgoing;
pub(crate) mod port;
pub(crate) mod priorities;
pub(crate) mod queue;
pub(crate) mod ready_list;
pub(crate) mod records;
pub(crate) mod socket_record;
pub(crate) mod tables;
pub(crate) mod wait_list;
pub(crate) mod waiter;
