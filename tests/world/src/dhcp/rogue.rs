//! A rogue beside the server of an image: it answers what the image has asked, and much that it has not.
//!
//! What it may not say is a whole offer, the first to come: a client that knows nobody takes that (RFC 2131, 4.4.1).

use super::image::Served;
use super::servers::{ROUTER, Server, ip};
use crate::attack::crowd::Crowd;
use crate::attack::victim::{ECHO, MAC, PATIENCE, Report};
use crate::seed::{self, times};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use nix::unistd::read;
use rand::RngExt;
use rand::rngs::StdRng;
use reflex_dhcp::{BROADCAST_MAC, Error};
use reflex_load::echo;
use reflex_qemu::protocol::Protocol;
use reflex_wire::{Ends, Wire};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;
const FORCERENEW: u8 = 9;

/// Connections that work on.
const CLIENTS: u32 = 100;
/// Frames that are sent at once, and how many answers clients have before the next. More would be lost in the image's
/// queue, where it is full, and what its server says with them.
const BATCH: usize = 100;
const ANSWERS: u64 = 200;
/// The rogue's address.
const ROGUE: Ipv4Addr = ip(66);
/// Prolongations that are waited for: with the second, the first lease would be over.
const PROLONGED: usize = 2;

/// A server's message. What is `None` is left out.
#[derive(Clone)]
struct Forged {
    kind: u8,
    transaction: [u8; 4],
    address: Ipv4Addr,
    server: Option<Ipv4Addr>,
    seconds: u32,
    station: [u8; 6],
    cookie: [u8; 4],
    /// What is behind the usual ones.
    options: Vec<u8>,
}

impl Forged {
    /// For the image: an hour at an address of the rogue's choice.
    fn new(kind: u8, transaction: [u8; 4]) -> Self {
        Self {
            kind,
            transaction,
            address: ip(77),
            server: Some(ROGUE),
            seconds: 3600,
            station: MAC,
            cookie: [99, 130, 83, 99],
            options: Vec::new(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![2, 1, 6, 0];
        bytes.extend(self.transaction);
        bytes.resize(16, 0);
        bytes.extend(self.address.octets());
        bytes.resize(28, 0);
        bytes.extend(self.station);
        bytes.resize(236, 0);
        bytes.extend(self.cookie);
        bytes.extend([53, 1, self.kind, 51, 4]);
        bytes.extend(self.seconds.to_be_bytes());
        if let Some(server) = self.server {
            bytes.extend([54, 4]);
            bytes.extend(server.octets());
        }
        bytes.extend(&self.options);
        bytes.push(255);
        bytes
    }
}

/// Where an IPv4 packet has the message of a datagram.
const MESSAGE: usize = 28;

/// The kind and the transaction of what the image asks in a packet.
fn question(packet: &[u8]) -> Option<(u8, [u8; 4])> {
    let is_to_servers = packet.first()? == &0x45 && packet.get(22..24)? == [0, 67];
    let message = packet.get(MESSAGE..)?;
    // The message type comes first among the options.
    let kind = *message.get(240..243)?.strip_prefix(&[53, 1])?.first()?;
    is_to_servers.then_some((kind, *message[4..].first_chunk()?))
}

/// What forged answers to a discovery are refused for.
const REFUSED: [Error; 5] = [
    Error::Unexpected,
    Error::LeaseTooShort,
    Error::NoServer,
    Error::ServerAddress,
    Error::Address,
];

/// What a flood of messages is refused for, when the image waits for none.
const FLOODED: [Error; 7] = [
    Error::Unexpected,
    Error::Forcerenew,
    Error::OtherHardware,
    Error::NoCookie,
    Error::MessageType,
    Error::OptionBeyondEnd,
    Error::OptionLength,
];

/// How often the image has refused something for this reason.
fn refused(report: &Report, error: Error) -> u64 {
    let of = |(name, _): &(&str, u64)| name.contains(error.sentence());
    report.refusals().filter(of).map(|(_, count)| count).sum()
}

struct Rogue {
    wire: Wire,
    /// Has the datagrams that come from the image, and nothing of what clients exchange with it.
    ear: OwnedFd,
    random: StdRng,
    /// Whether it is to refuse a request in the server's name, once.
    impersonates: bool,
    /// The transaction of the last question.
    heard: Option<[u8; 4]>,
}

impl Rogue {
    fn beside(served: &Served) -> Self {
        let ear = served.victim.place.run(|| {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Udp)
        });
        Self {
            wire: served.victim.wire(),
            ear: ear.expect("a user that may make a tap may listen on it"),
            random: seed::random(),
            impersonates: true,
            heard: None,
        }
    }

    /// Sends it to every station, from the address of the server that it names.
    fn say(&mut self, forged: &Forged) -> bool {
        let from = forged.server.unwrap_or(ROGUE);
        let ends = Ends { guest_mac: BROADCAST_MAC, from, to: Ipv4Addr::BROADCAST };
        self.wire.send(&ends.udp(68, &forged.bytes()))
    }

    /// Waits a moment, and answers what the image has asked meanwhile.
    fn answer(&mut self) {
        thread::sleep(Duration::from_millis(1));
        let mut packet = [0; 1_500];
        while let Ok(length) = read(&self.ear, &mut packet) {
            let Some((kind, transaction)) = question(&packet[..length]) else { continue };
            let of = |kind| Forged::new(kind, transaction);
            self.heard = Some(transaction);
            self.say(&of(NAK));
            if kind == DISCOVER {
                self.say(&of(ACK));
                self.say(&Forged { server: Some(ROUTER), ..of(NAK) });
                self.say(&Forged { seconds: 0, ..of(OFFER) });
                self.say(&Forged { server: None, ..of(OFFER) });
                self.say(&Forged { server: Some(Ipv4Addr::BROADCAST), ..of(OFFER) });
                self.say(&Forged { address: Ipv4Addr::LOCALHOST, ..of(OFFER) });
            } else if std::mem::take(&mut self.impersonates) {
                // In time, it has the client begin anew, which cannot know.
                self.say(&Forged { server: Some(ROUTER), ..of(NAK) });
            }
        }
    }

    /// Something that nobody has asked.
    fn nonsense(&mut self, address: Ipv4Addr) -> Forged {
        let random = &mut self.random;
        let kinds = [OFFER, ACK, NAK, NAK, FORCERENEW, random.random()];
        let servers = [Some(ROUTER), Some(ROGUE), Some(Ipv4Addr::from_bits(random.random())), None];
        let addresses = [address, ip(77), Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST];
        let options: [&[u8]; 6] = [
            // A router, a name server and routes that lead to the rogue.
            &[3, 4, 10, 77, 9, 66, 6, 4, 10, 77, 9, 66, 121, 5, 0, 10, 77, 9, 66],
            // No packet at all, an empty mask, the time to renew beyond that to ask all.
            &[26, 2, 0, 0, 1, 4, 0, 0, 0, 0, 58, 4, 255, 255, 255, 255, 59, 4, 0, 0, 0, 0],
            // Beyond the end; more of what is there once; lengths that there are not.
            &[6, 200, 1],
            &[53, 1, 5, 53, 1, 6],
            &[54, 3, 10, 77, 9],
            &[],
        ];
        let any = |random: &mut StdRng, count| random.random_range(0..count);
        let mut forged = Forged::new(kinds[any(random, kinds.len())], random.random());
        forged.server = servers[any(random, servers.len())];
        forged.address = addresses[any(random, addresses.len())];
        forged.seconds = [0, 1, 3600, u32::MAX][any(random, 4)];
        forged.options = options[any(random, options.len())].to_vec();
        match any(random, 8) {
            0 => forged.station[5] ^= 1,
            1 => forged.cookie = random.random(),
            _ => {}
        }
        forged
    }

    /// Sends many of these, and refuses what was asked last; answers what is asked until clients have been answered, too.
    /// How many were sent.
    fn flood(&mut self, crowd: &Crowd, address: Ipv4Addr) -> usize {
        let (begun, before) = (Instant::now(), crowd.progress().all());
        let refusal = self.heard.map(|transaction| Forged::new(NAK, transaction));
        let nonsense = (0..BATCH).map(|_| self.nonsense(address));
        let forged: Vec<Forged> = refusal.into_iter().chain(nonsense).collect();
        let sent = forged.iter().filter(|forged| self.say(forged)).count();
        while crowd.progress().all() < before + ANSWERS {
            self.answer();
            assert!(begun.elapsed() < PATIENCE, "no client is answered");
        }
        sent
    }
}

/// Clients of the image, at the address that it was given.
fn crowd(served: &mut Served) -> Crowd {
    let server = served.victim.endpoint(Protocol::Tcp, ECHO);
    Crowd::gather(&served.victim, move |goes_on| echo::run_while(server, CLIENTS, goes_on))
}

/// Nothing that came was taken for a server's: the image has its address, and serves at it.
fn is_served_still(mut served: Served, crowd: Crowd, address: Ipv4Addr) {
    crowd.moves_on();
    crowd.end();
    assert_eq!(served.address(), address);
    served.victim.echoes();
    served.end();
}

#[test]
fn a_rogue_server_is_refused_beside_dnsmasq() {
    let Some(mut served) = Served::by(Server::Dnsmasq) else { return };
    // The rogue is the first to answer.
    served.server.stand_still(true);
    let mut rogue = Rogue::beside(&served);
    let begun = Instant::now();
    while rogue.heard.is_none() {
        rogue.answer();
        assert!(begun.elapsed() < PATIENCE, "the image asks for no address");
    }
    served.victim.until("forged offers are refused", |now| {
        REFUSED.iter().all(|&error| refused(now, error) > 0)
    });
    served.server.stand_still(false);
    while !served.victim.has_address() {
        rogue.answer();
        assert!(begun.elapsed() < PATIENCE, "the image has no address");
    }
    let address = served.address();
    let crowd = crowd(&mut served);
    let before = served.victim.report();
    let (begun, mut sent) = (Instant::now(), 0);
    while sent < times(5_000, 200_000) as usize {
        sent += rogue.flood(&crowd, address);
    }
    let counted = |now: &Report, error| refused(now, error) - refused(&before, error);
    let after = served
        .victim
        .until("the flood is refused", |now| FLOODED.iter().all(|&error| counted(now, error) > 0));
    println!("{sent} forged messages in {:?}", begun.elapsed());
    for error in FLOODED {
        println!("    {error}: {}", counted(&after, error));
    }
    // It has said and heard nothing else meanwhile.
    for what in ["sent", "accepted"] {
        assert_eq!(after.dhcp(what), before.dhcp(what), "{what}: {after:#?}");
    }
    is_served_still(served, crowd, address);
}

/// While the image waits for its server to prolong the lease, what is of other transactions or of other servers is
/// refused.
#[test]
fn a_rogue_server_keeps_no_lease_from_being_prolonged() {
    let Some(mut served) = Served::shortly() else { return };
    let mut rogue = Rogue::beside(&served);
    // A renewal goes to one server: a refusal in that server's name takes a place on the path to it.
    rogue.impersonates = false;
    let address = served.address();
    let crowd = crowd(&mut served);
    let (begun, mut sent) = (Instant::now(), 0);
    for _ in 0..PROLONGED {
        let before = served.victim.report();
        // The rogue is the first to answer, and the only one for a while.
        served.server.stand_still(true);
        loop {
            sent += rogue.flood(&crowd, address);
            let now = served.victim.report();
            let vain = [Error::OtherTransaction, Error::OtherServer];
            if vain.iter().all(|&error| refused(&now, error) > refused(&before, error)) {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "the image asks for no more time: {now:#?}");
        }
        served.server.stand_still(false);
        // What the server says behind a full queue would be lost, and the image asks again late.
        let accepted = before.dhcp("accepted");
        served.victim.until("the lease is prolonged", |now| now.dhcp("accepted") > accepted);
    }
    println!("{sent} forged messages in {:?}", begun.elapsed());
    assert_eq!(served.server.log().matches("DHCPDISCOVER from").count(), 1);
    is_served_still(served, crowd, address);
}
