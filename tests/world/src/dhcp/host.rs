//! A host: the client, and what an interface does for it.

use rand::RngExt;
use rand::rngs::StdRng;
use reflex_dhcp::*;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant as Moment};

const ARP: [u8; 2] = [8, 6];
/// How long answers to a probe are waited for: the wire is this process.
const PROBING: Duration = Duration::from_millis(400);

pub(crate) struct Host {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    random: StdRng,
    begun: Moment,
    /// How far its clock was moved on.
    skew: Duration,
    neighbours: BTreeMap<Ipv4Addr, Mac>,
    /// Messages that wait for their next hop.
    waiting: Vec<(Ipv4Addr, Request)>,
    probing: Option<(Ipv4Addr, Moment)>,
    /// Its address and routes: what it was told last.
    lease: Option<Lease>,
    /// An address that it has without a lease.
    pub(crate) fixed: Option<Ipv4Addr>,
    /// Whether what it sends to one host is lost.
    pub(crate) cut_off: bool,
    /// What it was told and what it has sent, in order.
    pub(crate) told: Vec<Action>,
    /// Frames with messages for it, as they came.
    pub(crate) heard: Vec<Vec<u8>>,
    /// Frames to be put on the wire.
    pub(crate) outgoing: Vec<Vec<u8>>,
}

impl Host {
    pub(crate) fn new(settings: Settings, random: StdRng) -> Self {
        Self {
            client: Client::new(settings),
            settings,
            random,
            begun: Moment::now(),
            skew: Duration::ZERO,
            neighbours: BTreeMap::new(),
            waiting: Vec::new(),
            probing: None,
            lease: None,
            fixed: None,
            cut_off: false,
            told: Vec::new(),
            heard: Vec::new(),
            outgoing: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.begun.elapsed() + self.skew
    }

    /// How long until there is something to do.
    pub(crate) fn wait(&self) -> Duration {
        let probing = self.probing.map(|(_, end)| end.saturating_duration_since(Moment::now()));
        self.client.deadline().since(self.now()).min(probing.unwrap_or(Duration::MAX))
    }

    /// Moves the clock on to when the client has something to do.
    pub(crate) fn hurry(&mut self) {
        if self.probing.is_none() && self.client.deadline() < Instant::FAR {
            self.skew += self.client.deadline().since(self.now());
        }
    }

    pub(crate) fn call(
        &mut self,
        call: impl FnOnce(&mut Client, Instant, &mut Random<'_>) -> Actions,
    ) {
        let now = self.now();
        let random = &mut self.random;
        let actions = call(&mut self.client, now, &mut || random.random());
        for action in actions {
            self.told.push(action);
            match action {
                Action::Send(request) => self.send(request),
                Action::Probe(address) => {
                    self.probing = Some((address, Moment::now() + PROBING));
                    self.ask(Ipv4Addr::UNSPECIFIED, address);
                }
                Action::Granted | Action::Renewed | Action::Changed => {
                    self.lease = self.client.lease().copied();
                }
                Action::Lost(_) => self.lease = None,
                Action::Informed | Action::NotInformed => {}
            }
        }
    }

    /// Does what is due.
    pub(crate) fn work(&mut self) {
        if let Some((address, end)) = self.probing
            && Moment::now() >= end
        {
            self.probing = None;
            self.call(|client, now, random| client.address_is_free(address, now, random));
        }
        if self.client.deadline() <= self.now() {
            self.call(Client::expired);
        }
    }

    /// Sends a message: to everybody, or by way of a next hop.
    fn send(&mut self, request: Request) {
        if request.destination.is_broadcast() {
            return self.put(&request, BROADCAST_MAC);
        }
        if self.cut_off {
            return;
        }
        let next_hop = match &self.lease {
            Some(lease) if !on_link(lease, request.destination) => {
                lease.parameters().gateways().next().unwrap_or(request.destination)
            }
            _ => request.destination,
        };
        match self.neighbours.get(&next_hop) {
            Some(station) => self.put(&request, *station),
            None => {
                self.waiting.push((next_hop, request));
                self.ask(request.source, next_hop);
            }
        }
    }

    fn put(&mut self, request: &Request, next_hop: Mac) {
        let mut frame = vec![0; LONGEST_FRAME];
        let length = self.client.write_frame(request, next_hop, &mut frame).expect("room");
        frame.truncate(length);
        self.outgoing.push(frame);
    }

    /// Asks for the station that has an address (RFC 826; from nowhere it is a probe, RFC 5227).
    fn ask(&mut self, from: Ipv4Addr, address: Ipv4Addr) {
        let frame = arp(1, (self.settings.mac, from), ([0; 6], address), BROADCAST_MAC);
        self.outgoing.push(frame);
    }

    /// Takes a frame in.
    pub(crate) fn receive(&mut self, frame: &[u8]) {
        if is_for_client(frame) {
            self.heard.push(frame.to_vec());
            // The servers send by packet sockets, or through a kernel that does all there is to do.
            self.call(|client, now, random| client.frame(frame, UdpChecksum::Verify, now, random));
        } else if frame.len() >= 42 && frame[12..14] == ARP {
            self.learn(frame);
        }
    }

    /// Takes in what somebody says about addresses.
    fn learn(&mut self, frame: &[u8]) {
        let address = |at: usize| Ipv4Addr::from(*frame[at..].first_chunk::<4>().expect("four"));
        let station: Mac = *frame[22..].first_chunk().expect("six");
        let (sender, target) = (address(28), address(38));
        if let Some((probed, _)) = self.probing
            && sender == probed
        {
            self.probing = None;
            self.call(|client, now, random| client.conflict(probed, now, random));
        }
        if !sender.is_unspecified() {
            self.neighbours.insert(sender, station);
        }
        let own = self.lease.as_ref().map(Lease::address).or(self.fixed);
        if frame[21] == 1 && Some(target) == own {
            let reply = arp(2, (self.settings.mac, target), (station, sender), station);
            self.outgoing.push(reply);
        }
        let (ready, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(hop, _)| *hop == sender);
        self.waiting = waiting;
        let ready: Vec<(Ipv4Addr, Request)> = ready;
        ready.iter().for_each(|(_, request)| self.put(request, station));
    }
}

/// Whether an address is of the lease's subnet.
fn on_link(lease: &Lease, address: Ipv4Addr) -> bool {
    let differing = (lease.address().to_bits() ^ address.to_bits()).leading_zeros();
    differing >= u32::from(lease.prefix())
}

/// An ARP message; the ends are sender and target.
pub(crate) fn arp(kind: u8, from: (Mac, Ipv4Addr), to: (Mac, Ipv4Addr), station: Mac) -> Vec<u8> {
    let mut frame = [&station[..], &from.0, &ARP, &[0, 1, 8, 0, 6, 4, 0, kind]].concat();
    for (mac, address) in [from, to] {
        frame.extend(mac);
        frame.extend(address.octets());
    }
    frame.resize(60, 0);
    frame
}
