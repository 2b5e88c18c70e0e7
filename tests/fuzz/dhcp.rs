//! Servers' messages, conflicts and time to a DHCP client that has asked: whatever comes, it sends no
//! more than it may, and holds no address for longer than it was told.

use bolero::check;
use reflex_dhcp::*;
use std::net::Ipv4Addr;
use std::time::Duration;

mod dice;
use dice::Bytes;

const AS_A_TEST: Duration = Duration::from_secs(3);
const MAC: Mac = [2, 0, 0, 0, 0, 0x42];
const SERVER: [u8; 4] = [10, 0, 0, 1];

/// What the client has done so far.
struct Game {
    client: Client,
    now: Instant,
    draws: u32,
    /// Of the client's last message: transaction and kind.
    last: Option<(u32, Kind)>,
    sent: Vec<Instant>,
    /// The most seconds that were said, and until when they last, counted from any message.
    most: u32,
    longest: Instant,
    probed: Option<Ipv4Addr>,
}

impl Game {
    fn new(bytes: &mut Bytes<'_>) -> Self {
        let check = if bytes.below(2) == 0 { Check::Trust } else { Check::Probe };
        Self {
            client: Client::new(Settings { check, ..Settings::new(MAC) }),
            now: Instant::ZERO,
            draws: 0,
            last: None,
            sent: Vec::new(),
            most: 0,
            longest: Instant::ZERO,
            probed: None,
        }
    }

    fn call(&mut self, call: impl FnOnce(&mut Client, Instant, &mut Random<'_>) -> Actions) {
        let draws = &mut self.draws;
        let mut random = || {
            *draws = draws.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            *draws
        };
        let held = self.client.lease().copied();
        let mut lost = false;
        for action in call(&mut self.client, self.now, &mut random) {
            match action {
                Action::Send(request) => self.sent(&request),
                Action::Probe(address) => self.probed = Some(address),
                Action::Lost(_) => lost = true,
                _ => {}
            }
        }
        // An address that is gone, or another, was lost in so many words.
        let holds = self.client.lease().map(Lease::address);
        assert!(held.is_none_or(|held| lost || holds == Some(held.address())));
        if let Some(lease) = self.client.lease() {
            assert!(self.now < lease.expiry && lease.renewal <= lease.rebinding);
            assert!(lease.rebinding <= lease.expiry && lease.expiry <= self.longest);
            let address = lease.address();
            assert!(!address.is_loopback() && !address.is_multicast() && !address.is_broadcast());
            assert!((1..=32).contains(&lease.prefix()));
        }
    }

    fn sent(&mut self, request: &Request) {
        let mut message = [0; 576];
        let length = self.client.write_message(request, &mut message).expect("room");
        assert!(length >= 300);
        let xid = message[4..8].first_chunk().copied().expect("four bytes");
        self.last = Some((u32::from_be_bytes(xid), request.kind));
        if request.kind == Kind::Release {
            return;
        }
        self.sent.push(self.now);
        for (count, from) in (1u32..).zip(self.sent.iter().rev().take(64)) {
            let most = INTERVAL * BURST + self.now.since(*from);
            assert!(INTERVAL * count <= most, "{count} messages");
        }
    }

    /// A message that is mostly right.
    fn message(&self, bytes: &mut Bytes<'_>) -> Vec<u8> {
        let (xid, kind) = self.last.unwrap_or((0, Kind::Discover));
        let mut message = vec![2, 1, 6, 0];
        message.extend(xid.to_be_bytes());
        message.extend([0; 8]);
        // Mostly in one subnet, sometimes anywhere.
        let anywhere = bytes.below(8) == 7;
        message.extend(if anywhere { bytes.array() } else { [10, 0, 0, 2 + bytes.byte() % 4] });
        message.extend([0; 8]);
        message.extend(MAC);
        message.resize(236, 0);
        message.extend([99, 130, 83, 99]);
        let usual = if kind == Kind::Discover { 2 } else { 5 };
        let kind = if bytes.below(4) == 3 { bytes.byte() } else { usual };
        message.extend([53, 1, kind, 54, 4]);
        message.extend(if bytes.below(8) == 7 { bytes.array() } else { SERVER });
        Self::options(&mut message, bytes);
        if bytes.below(4) == 3 {
            let at = bytes.below(message.len() as u64) as usize;
            message[at] = bytes.byte();
        }
        message
    }

    fn options(message: &mut Vec<u8>, bytes: &mut Bytes<'_>) {
        let seconds = match bytes.below(4) {
            0 => 3600,
            1 => u32::from(bytes.byte()),
            2 => u32::from_be_bytes(bytes.array()),
            _ => u32::MAX,
        };
        if bytes.below(8) < 7 {
            message.extend([51, 4]);
            message.extend(seconds.to_be_bytes());
        }
        for _ in 0..bytes.below(6) {
            let code = [1, 3, 6, 15, 26, 52, 58, 59, 61, 121, 255, 0][bytes.below(12) as usize];
            let length = bytes.below(12) as u8;
            message.extend([code, length]);
            message.extend(bytes.take(length.into()));
        }
        if bytes.below(8) < 7 {
            message.push(255);
        }
    }

    fn round(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(16) {
            0..=6 => {
                let message = self.message(bytes);
                self.allow(&message);
                self.call(|client, now, random| client.message(&message, now, random));
            }
            7 => {
                let length = bytes.byte().into();
                let frame = bytes.take(length);
                self.call(|client, now, random| {
                    client.frame(frame, UdpChecksum::Verify, now, random)
                });
            }
            8..=11 => {
                let deadline = self.client.deadline();
                if deadline < Instant::FAR {
                    self.now = self.now.max(deadline);
                    self.call(Client::expired);
                }
            }
            12 => {
                let wait = Duration::from_secs(bytes.below(5000));
                self.now = self.now + wait;
                self.call(Client::expired);
            }
            13 => {
                if let Some(address) = self.probed {
                    self.call(|client, now, random| client.address_is_free(address, now, random));
                }
            }
            14 => {
                let address = self.probed.unwrap_or(SERVER.into());
                self.call(|client, now, random| client.conflict(address, now, random));
            }
            _ => self.control(bytes),
        }
    }

    /// Remembers the lease time that the message says, in one piece or in several. A later one that
    /// says none may repeat it.
    fn allow(&mut self, message: &[u8]) {
        let mut said = Vec::new();
        let mut rest = &message[240..];
        loop {
            rest = match rest {
                [0, rest @ ..] => rest,
                [255, ..] | [] | [_] => break,
                [code, length, rest @ ..] => {
                    let value = &rest[..rest.len().min((*length).into())];
                    if *code == 51 {
                        said.extend(value);
                    }
                    &rest[value.len()..]
                }
            };
        }
        if let [a, b, c, d] = said[..] {
            self.most = self.most.max(u32::from_be_bytes([a, b, c, d]));
        }
        let forever = self.most == u32::MAX;
        let end = self.now + Duration::from_secs(self.most.into());
        self.longest = self.longest.max(if forever { Instant::FAR } else { end });
    }

    fn control(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(4) {
            0 => self.call(Client::stop),
            1 => self.call(|client, now, random| client.inform(SERVER.into(), now, random)),
            2 => self.call(|client, now, random| client.start(None, now, random)),
            _ => {
                let remembered = Remembered { address: bytes.array::<4>().into(), server: None };
                self.call(|client, now, random| client.start(Some(remembered), now, random));
            }
        }
    }
}

#[test]
fn dhcp() {
    let bytes = dice::bytes(4096);
    check!().with_generator(bytes).with_test_time(AS_A_TEST).for_each(|bytes: &Vec<u8>| {
        let mut bytes = Bytes::new(bytes);
        let mut game = Game::new(&mut bytes);
        game.call(|client, now, random| client.start(None, now, random));
        while !bytes.is_empty() {
            game.round(&mut bytes);
        }
    });
}
