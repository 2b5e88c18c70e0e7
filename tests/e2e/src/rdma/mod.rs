//! RDMA: images and Linux machines that talk to each other by RoCEv2, on a network of their own.
//!
//! [`Lab`] is that network, with Linux peers ([`Lab::linux`]) and our images ([`Lab::image`]) at
//! numbered places: number N has the addresses 10.88.0.N and fd88::N. A peer runs any command; a
//! program that waits to be talked to is started, and [waited for](Session::wait_for_cm) until it
//! listens:
//!
//! ```ignore
//! let Some(lab) = Lab::open() else { return };
//! let mut linux = lab.linux(lab.station(1));
//! let mut image = lab.image("rping", lab.station(2).mtu(4200), "rdma.role=server");
//! image.running.wait_for_text("listening", PATIENCE).unwrap();
//! let printed = ok(linux.run("rping -c -a 10.88.0.2 -C 10 -V", PATIENCE));
//! image.stop();
//! ```

mod images;
mod linux;
mod perftest;
mod world;

use std::fmt::Display;
use std::time::Duration;

use reflex_qemu::build;
use reflex_qemu::peer::{Ended, Hub, Peer, Session, Station};

use crate::guest::{Guest, Seats, enter_network, skips};
use crate::tools;

/// How long any one exchange may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A network of its own, for one test. No other guests run while it lives.
pub(crate) struct Lab {
    peer: Peer,
    hub: Hub,
    seats: Seats,
}

impl Lab {
    /// Opens one. Where the Linux peer cannot be made the test fails, saying why; only where
    /// skipping was allowed there is `None`, and the skip is printed.
    pub(crate) fn open() -> Option<Lab> {
        tools::require();
        let seats = Seats::all();
        let hub = Hub::new().unwrap_or_else(|error| panic!("no network for guests: {error}"));
        let peer = Peer::ensure();
        // All is downloaded now.
        enter_network();
        match peer {
            Ok(peer) => Some(Lab { peer, hub, seats }),
            Err(error) if skips(&format_args!("no Linux peer: {error:#}")) => None,
            Err(error) => panic!(
                "the Linux peer, which is made of Debian packages, cannot be made: {error:#} (pass \
                 --allow-skip to `cargo reflex test` to leave out what needs it)"
            ),
        }
    }

    /// A place on the network, on q35 and with the usual MTU until it is told otherwise.
    pub(crate) fn station(&self, number: u8) -> Station {
        Station::new(number, self.hub.network())
    }

    /// Boots a Linux peer at this place.
    pub(crate) fn linux(&self, station: Station) -> Session {
        Session::boot(&self.peer, station).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Boots an image of this repository at this place, with these words on its command line.
    pub(crate) fn image(&self, name: &str, station: Station, words: &str) -> Guest {
        let file = build::image(name).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        // Room for what many queue pairs have in flight.
        let machine = station.machine(file).memory_mib(256).append(words);
        Guest::start_beside(machine, &self.seats)
    }
}

/// What a command that succeeded has printed.
pub(crate) fn ok(ended: Result<Ended, impl Display>) -> String {
    let ended = ended.unwrap_or_else(|error| panic!("{error:#}"));
    ended.success().unwrap_or_else(|error| panic!("{error:#}"))
}
