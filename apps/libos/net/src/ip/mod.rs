//! IP on the interface, with smoltcp: headers, neighbours, addresses, one socket at a time.

pub(crate) mod arp;
pub(crate) mod checksum;
pub(crate) mod conflict;
pub(crate) mod device;
pub(crate) mod dhcp;
pub(crate) mod endpoint;
pub(crate) mod header;
pub(crate) mod icmp;
pub(crate) mod interface;
pub(crate) mod loopback;
pub(crate) mod ndisc;
pub(crate) mod neighbour;
pub(crate) mod next_hop;
pub(crate) mod own_address;
pub(crate) mod path_mtu;
pub(crate) mod rate_limit;
pub(crate) mod reassembly;
pub(crate) mod resolution;
pub(crate) mod routes;
pub(crate) mod runs;
pub(crate) mod segment;
pub(crate) mod socket_reset;
pub(crate) mod station;
pub(crate) mod tcp;
pub(crate) mod time;
pub(crate) mod watch;
