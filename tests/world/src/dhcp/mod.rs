//! The DHCP client among real servers: ISC's, Kea and dnsmasq, two of them, a failover pair, and behind
//! ISC's relay.
//!
//! The client is the one of the image; what an interface does for it (ARP, probing, the next hop) is
//! [`host`]. Its clock is moved on where it waits, so that leases of minutes take moments; the servers'
//! clocks are real. In [`image`] a whole image boots among them, in real time; in [`rogue`] it is answered by a forger, too.

mod host;
mod image;
mod pairs;
mod rogue;
mod servers;
mod single;
mod world;
