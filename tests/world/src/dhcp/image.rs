//! An image among servers: it has its address by them, answers at it, and has it prolonged.
//!
//! The echo service boots on the server's network; clients are there, too.

use super::servers::{self, Config, ROUTER, Server, ip, isc_options, isc_with};
use crate::place::{Place, Program};
use crate::programs::Programs;
use reflex_qemu::build;
use reflex_qemu::machine::{Machine, Network, Running, Status};
use reflex_qemu::protocol::Protocol;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest a guest lives.
const LIFE: Duration = Duration::from_secs(180);
const POOL: (u8, u8) = (50, 150);
/// Seconds of a lease that is prolonged while a test waits for it.
const SHORT: u32 = 16;
const ECHO: u16 = 7;

/// A guest on a server's network.
struct Served {
    guest: Running,
    server: Program,
    place: Place,
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
        let file = build::image("echo").unwrap_or_else(|error| panic!("echo: {error:#}"));
        let machine = Machine::new(file).network(Network::Tap(tap)).append("ip=dhcp");
        let guest = machine.timeout(LIFE).spawn().unwrap_or_else(|error| panic!("{error}"));
        Some(Self { guest, server, place, _folder: folder })
    }

    /// The guest's address and prefix, as soon as it has one.
    fn address(&mut self) -> Ipv4Addr {
        let told = self.guest.wait_for_address(PATIENCE).unwrap_or_else(|error| panic!("{error}"));
        let address = told.strip_suffix("/24").and_then(|address| address.parse().ok());
        let address: Ipv4Addr = address.unwrap_or_else(|| panic!("{told}"));
        assert!((ip(POOL.0)..=ip(POOL.1)).contains(&address), "{address}");
        address
    }

    /// A client on the network is answered there.
    fn answers_at(&mut self, address: Ipv4Addr) {
        let listens = self.guest.wait_for_listen(Protocol::Tcp, ECHO, PATIENCE);
        listens.unwrap_or_else(|error| panic!("{error}"));
        let echoed = self.place.run(move || {
            let mut stream = TcpStream::connect((address, ECHO))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"anybody?")?;
            let mut echoed = [0; 8];
            stream.read_exact(&mut echoed).map(|()| echoed)
        });
        assert_eq!(echoed.expect("an answer"), *b"anybody?");
    }

    /// Ends the guest, which has to be well still, and to have its address.
    fn end(self) {
        let outcome = self.guest.kill();
        let said = outcome.tail(usize::MAX);
        assert_eq!(outcome.status, Status::Killed, "\n{said}");
        assert!(!outcome.crashed(), "{:?}\n{said}", outcome.crashes);
        assert!(!said.contains("no address any more"), "{said}");
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
    let started = Served::begin(server.ready(), |programs, place, config| {
        server.start(programs, place, config)
    });
    let Some(mut served) = started else { return };
    let address = served.address();
    served.answers_at(address);
    let said = |words: &str| served.guest.lines().iter().any(|line| line.text.contains(words));
    // Of the classless routes; without these, of the routers.
    assert!(said(&format!("gateway {ROUTER}")), "{:?}", served.guest.lines());
    assert!(said(&format!("name server {ROUTER}")), "{:?}", served.guest.lines());
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
    let started = Served::begin(Server::Isc.ready(), |programs, place, config| {
        let text = format!(
            "authoritative; ping-check false; default-lease-time {SHORT}; max-lease-time {SHORT};\n\
             subnet 10.77.9.0 netmask 255.255.255.0 {{\n range {} {};\n{}}}\n",
            ip(POOL.0),
            ip(POOL.1),
            isc_options()
        );
        place.start(isc_with(programs, config, &text), config.folder, "server")
    });
    let Some(mut served) = started else { return };
    let address = served.address();
    // The first lease, and two more, of which each begins at the other's half.
    says(&mut served.server, &format!("DHCPACK on {address} to"), 4);
    assert_eq!(served.server.log().matches("DHCPDISCOVER from").count(), 1);
    served.answers_at(address);
    served.end();
}
