//! A server: what the client's messages say, and answers with any options.

use crate::common;
use common::raw::{arp, checksum, udp_from};
use common::{Host, SimNet};
use reflex_net::{Address, Config};
use reflex_testkit::Clock;
use std::net::Ipv4Addr;
use std::time::Duration;

pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 99);
pub(super) const OFFERED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 42);
pub(super) const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
pub(super) const DISCOVER: u8 = 1;
pub(super) const OFFER: u8 = 2;
pub(super) const REQUEST: u8 = 3;
pub(super) const ACK: u8 = 5;
pub(super) const NAK: u8 = 6;
/// Option numbers (RFC 2132, RFC 3442).
pub(super) const MASK: u8 = 1;
pub(super) const ROUTERS: u8 = 3;
pub(super) const NAME_SERVERS: u8 = 6;
pub(super) const DOMAIN: u8 = 15;
pub(super) const MTU: u8 = 26;
pub(super) const LEASE: u8 = 51;
pub(super) const CLASSLESS: u8 = 121;

/// What an answer says beside its kind and its server.
pub(super) type Options = Vec<(u8, Vec<u8>)>;

/// An hour, a mask and a router.
pub(super) fn usual() -> Options {
    vec![
        (LEASE, 3600u32.to_be_bytes().to_vec()),
        (MASK, vec![255, 255, 255, 0]),
        (ROUTERS, ROUTER.octets().to_vec()),
    ]
}

/// These, but for `number`, which says this; or nothing, if it is empty.
pub(super) fn with(mut options: Options, number: u8, bytes: &[u8]) -> Options {
    options.retain(|option| option.0 != number);
    if !bytes.is_empty() {
        options.push((number, bytes.to_vec()));
    }
    options
}

/// A client's message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) transaction: [u8; 4],
    pub(super) broadcast: bool,
    pub(super) source: Ipv4Addr,
    pub(super) requested: Option<Ipv4Addr>,
    pub(super) hostname: Option<Vec<u8>>,
}

fn options(mut bytes: &[u8]) -> Options {
    let mut options = Vec::new();
    while let [kind, rest @ ..] = bytes {
        match kind {
            0 => bytes = rest,
            255 => break,
            _ => {
                let length = usize::from(rest[0]);
                options.push((*kind, rest[1..=length].to_vec()));
                bytes = &rest[1 + length..];
            }
        }
    }
    options
}

fn parse(frame: &[u8]) -> Option<Message> {
    if frame[12..14] != [8, 0] || frame[23] != 17 || frame[36..38] != [0, 67] {
        return None;
    }
    assert_eq!(checksum(&frame[14..34]), 0);
    let dhcp = &frame[42..];
    let options = options(&dhcp[240..]);
    let option = |kind| options.iter().find(|option| option.0 == kind).map(|option| &option.1);
    let address = |bytes: &[u8]| Ipv4Addr::from(*bytes.first_chunk::<4>().unwrap());
    Some(Message {
        kind: option(53)?[0],
        transaction: dhcp[4..8].try_into().unwrap(),
        broadcast: frame[..6] == [0xff; 6],
        source: address(&frame[26..]),
        requested: option(50).map(|bytes| address(bytes)),
        hostname: option(12).cloned(),
    })
}

/// The client's messages among what was sent.
pub(super) fn messages(frames: &[Vec<u8>]) -> Vec<Message> {
    frames.iter().filter_map(|frame| parse(frame)).collect()
}

/// The addresses that were asked for by ARP, in order.
pub(super) fn asked_for(frames: &[Vec<u8>]) -> Vec<Ipv4Addr> {
    let requests = frames.iter().filter(|frame| frame[12..14] == [8, 6] && frame[21] == 1);
    requests.map(|frame| Ipv4Addr::from(*frame[38..].first_chunk::<4>().unwrap())).collect()
}

/// A server's answer.
pub(super) fn answer(mac: [u8; 6], kind: u8, transaction: [u8; 4], options: &Options) -> Vec<u8> {
    let mut dhcp = vec![2, 1, 6, 0];
    dhcp.extend(transaction);
    dhcp.extend([0; 8]);
    dhcp.extend(OFFERED.octets());
    dhcp.extend(SERVER.octets());
    dhcp.extend([0; 4]);
    dhcp.extend(mac);
    dhcp.resize(236, 0);
    dhcp.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind, 54, 4]);
    dhcp.extend(SERVER.octets());
    for (number, bytes) in options {
        dhcp.extend([*number, bytes.len() as u8]);
        dhcp.extend(bytes);
    }
    dhcp.push(255);
    udp_from(SERVER, mac, OFFERED, (67, 68), &dhcp)
}

/// A host that asks for its address, and time.
pub(super) struct Leased {
    pub(super) clock: Clock,
    pub(super) host: Host,
    /// All that was sent.
    pub(super) sent: Vec<Vec<u8>>,
}

impl Leased {
    pub(super) fn begin() -> Self {
        Self::begin_with(|_| {})
    }

    pub(super) fn begin_with(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::default();
        clock.set(reflex_event::Instant::from_nanos(1_000_000_000));
        let host = Host::with(&clock, 1, 5, 16, |config| {
            config.address = Address::Dhcp;
            config.hostname = Some("appliance");
            change(config);
        });
        let sent = host.sent(&clock);
        Self { clock, host, sent }
    }

    /// With the address granted, and these options.
    pub(super) fn granted(options: &Options) -> Self {
        let mut leased = Self::begin();
        leased.is_granted(options);
        leased
    }

    pub(super) fn net(&self) -> &SimNet {
        &self.host.net
    }

    /// Hands over a frame; what is sent then.
    pub(super) fn hears(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        let sent = self.host.exchange(&self.clock, frame);
        self.sent.extend(sent.iter().cloned());
        sent
    }

    /// The server answers the last message.
    pub(super) fn is_answered(&mut self, kind: u8, options: &Options) -> Vec<Vec<u8>> {
        let last = messages(&self.sent).pop().expect("a message");
        self.hears(&answer(self.host.mac, kind, last.transaction, options))
    }

    /// An offer and an acknowledgement; what is sent then. After a misfortune a client waits for more
    /// offers.
    pub(super) fn is_granted(&mut self, options: &Options) -> Vec<Vec<u8>> {
        let is_request = |sent: &[Vec<u8>]| messages(sent).iter().any(|it| it.kind == REQUEST);
        let sent = self.is_answered(OFFER, options);
        if !is_request(&sent) {
            self.passes_until(Duration::from_secs(10), is_request);
        }
        let sent = self.is_answered(ACK, options);
        assert_eq!(self.net().address().map(|own| own.address), Some(OFFERED));
        sent
    }

    /// A neighbour tells its hardware address, as it was asked for.
    pub(super) fn neighbour_answers(&mut self, mac: [u8; 6], address: Ipv4Addr) -> Vec<Vec<u8>> {
        self.hears(&arp(self.host.mac, 2, (mac, address), (self.host.mac, OFFERED)))
    }

    pub(super) fn passes(&mut self, time: Duration) -> Vec<Vec<u8>> {
        let sent = self.host.pass(&self.clock, time);
        self.sent.extend(sent.iter().cloned());
        sent
    }

    /// Lets time pass by seconds until something sent is so, for at most that long.
    pub(super) fn passes_until(
        &mut self,
        most: Duration,
        mut is_so: impl FnMut(&[Vec<u8>]) -> bool,
    ) -> Vec<Vec<u8>> {
        for _ in 0..most.as_secs() {
            let sent = self.passes(Duration::from_secs(1));
            if is_so(&sent) {
                return sent;
            }
        }
        panic!("not in {most:?}");
    }
}
