//! An image among servers: it has its address by them, answers at it, and has it prolonged.
//!
//! The echo service boots on the server's network; clients are there, too.

use super::servers::{self, Config, ROUTER, Server, ip, isc_options, isc_with};
use crate::attack::victim::{PATIENCE, Victim};
use crate::place::{Place, Program};
use crate::programs::Programs;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

const POOL: (u8, u8) = (50, 150);
/// Seconds of a lease that is prolonged while a test waits for it.
const SHORT: u32 = 16;

/// A guest on a server's network.
pub(super) struct Served {
    pub(super) victim: Victim,
    pub(super) server: Program,
    _folder: tempfile::TempDir,
}

impl Served {
    /// Boots the image when the server that `start` starts has said that it serves.
    fn begin(
        ready: &str,
        start: impl FnOnce(&Programs, &Place, &Config<'_>) -> Program,
    ) -> Option<Self> {
        let programs = servers::programs()?;
        let place = Place::new()?;
        let folder = tempfile::tempdir().expect("a folder");
        let tap = place.interface(ROUTER, 24);
        let config = Config { interface: tap.name(), pool: POOL, folder: folder.path() };
        let mut server = start(&programs, &place, &config);
        says(&mut server, ready, 1);
        let victim = Victim::boot_in(place, tap, "echo", "ip=dhcp");
        Some(Self { victim, server, _folder: folder })
    }

    /// Among what this server gives usually.
    pub(super) fn by(server: Server) -> Option<Self> {
        Self::begin(server.ready(), |programs, place, config| server.start(programs, place, config))
    }

    /// With a lease of ISC's server that has to be prolonged soon.
    pub(super) fn shortly() -> Option<Self> {
        Self::begin(Server::Isc.ready(), |programs, place, config| {
            let text = format!(
                "authoritative; ping-check false; default-lease-time {SHORT}; max-lease-time {SHORT};\n\
                 subnet 10.77.9.0 netmask 255.255.255.0 {{\n range {} {};\n{}}}\n",
                ip(POOL.0),
                ip(POOL.1),
                isc_options()
            );
            place.start(isc_with(programs, config, &text), config.folder, "server")
        })
    }

    /// The guest's address, of the server's, as soon as it has one.
    pub(super) fn address(&mut self) -> Ipv4Addr {
        let told = self.victim.told_address();
        let address = told.strip_suffix("/24").and_then(|address| address.parse().ok());
        let address: Ipv4Addr = address.unwrap_or_else(|| panic!("{told}"));
        assert!((ip(POOL.0)..=ip(POOL.1)).contains(&address), "{address}");
        address
    }

    /// Ends the guest, which has to be well still, to have its address, and to have complained of nothing.
    pub(super) fn end(self) {
        self.victim.end(&[]);
    }
}

/// Waits until a program has said something so many times.
fn says(program: &mut Program, words: &str, times: usize) {
    let begun = Instant::now();
    while program.log().matches(words).count() < times {
        assert!(!program.has_ended(), "it has ended and not said {words}");
        assert!(begun.elapsed() < PATIENCE, "it has not said {words}, {times} times");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The image has an address, and what else the server knows.
fn an_image_is_served_by(server: Server) {
    let Some(mut served) = Served::by(server) else { return };
    served.address();
    served.victim.echoes();
    // Of the classless routes; without these, of the routers.
    for words in [format!("gateway {ROUTER}"), format!("name server {ROUTER}")] {
        assert!(served.victim.has_said(&words), "{words}");
    }
    served.end();
}

#[test]
fn an_image_is_served_by_iscs_server() {
    an_image_is_served_by(Server::Isc);
}

#[test]
fn an_image_is_served_by_kea() {
    an_image_is_served_by(Server::Kea);
}

#[test]
fn an_image_is_served_by_dnsmasq() {
    an_image_is_served_by(Server::Dnsmasq);
}

/// RFC 2131, 4.4.5: the address is there beyond the end of the first lease.
#[test]
fn an_image_has_its_lease_prolonged() {
    let Some(mut served) = Served::shortly() else { return };
    let address = served.address();
    // The first lease, and three more, each of which begins at the half of the one before.
    says(&mut served.server, &format!("DHCPACK on {address} to"), 4);
    assert_eq!(served.server.log().matches("DHCPDISCOVER from").count(), 1);
    served.victim.echoes();
    served.end();
}
