//! What all tests stand on: messages as a server writes and reads them, written here anew from the
//! specifications, and scripts.

pub(crate) mod answer;
pub(crate) mod script;
pub(crate) mod sent;

use reflex_dhcp::Mac;
use std::net::Ipv4Addr;

pub(crate) const MAC: Mac = [0x02, 0, 0, 0, 0, 0x42];
pub(crate) const SERVER_MAC: Mac = [0x02, 0, 0, 0, 0, 0x01];

pub(crate) const fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, last)
}

/// The usual server, and another.
pub(crate) const SERVER: Ipv4Addr = ip(1);
pub(crate) const OTHER: Ipv4Addr = ip(3);
/// The usual address.
pub(crate) const HOST: Ipv4Addr = ip(42);

/// The Internet checksum of these bytes, as RFC 1071 defines it.
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A UDP datagram in IPv4 in Ethernet.
pub(crate) fn frame(
    stations: (Mac, Mac),
    hosts: (Ipv4Addr, Ipv4Addr),
    ports: (u16, u16),
    payload: &[u8],
) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut udp =
        [ports.0.to_be_bytes(), ports.1.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
    udp.extend(payload);
    let pseudo =
        [&hosts.0.octets()[..], &hosts.1.octets(), &[0, 17], &length.to_be_bytes()].concat();
    let check = sum(&[&pseudo[..], &udp].concat());
    udp[6..8].copy_from_slice(&if check == 0 { 0xffff } else { check }.to_be_bytes());
    let mut ip = vec![0x45, 0];
    ip.extend((20 + length).to_be_bytes());
    ip.extend([0x12, 0x34, 0, 0, 64, 17, 0, 0]);
    ip.extend(hosts.0.octets());
    ip.extend(hosts.1.octets());
    let check = sum(&ip);
    ip[10..12].copy_from_slice(&check.to_be_bytes());
    [&stations.1[..], &stations.0, &[8, 0], &ip, &udp].concat()
}

/// The seed of all random choices, printed; `REFLEX_SEED=N` repeats them.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok());
    let clock = || std::time::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64);
    let seed = given.unwrap_or_else(clock);
    println!("seed {seed}");
    seed
}

/// Random numbers (splitmix64, Steele and others, OOPSLA '14).
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}
