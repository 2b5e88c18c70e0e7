//! What a port's communication manager is made with, and the times that follow from it.

use reflex_rdma_wire::{AckTimeout, PathMtu};

/// What a port's communication manager is made with. All of its memory is taken then, about half
/// a kibibyte a communication.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Communications at a time, at most 2^16: connections, requests that wait, resolutions, and
    /// those in time-wait.
    pub communications: u32,
    /// Listeners at a time.
    pub listeners: u16,
    /// The channel adapter's name, by which a peer knows this machine.
    pub ca_guid: u64,
    /// Keys the tables that peers could fill with names of their choice: random.
    pub secret: [u8; 16],
    /// The first communication ID; the others follow from it. Random, so that a machine that
    /// starts anew does not use the names of before.
    pub first_id: u32,
    /// Upper half of the transaction IDs.
    pub transaction: u32,
    /// Largest path MTU of the port.
    pub mtu: PathMtu,
    /// How long either side may take to answer a message. Linux has 20: 4.3 s.
    pub response_timeout: AckTimeout,
    /// How long a packet is under way at most. Linux takes 18 for RoCE: 1.07 s.
    pub packet_lifetime: AckTimeout,
    /// How long a queue pair of this machine may take to acknowledge. `rdma_rxe` has 15.
    pub ack_delay: AckTimeout,
    /// How much time a peer that asks again is asked to allow while the application has not
    /// answered. Linux has 24: 69 s.
    pub service_timeout: AckTimeout,
    /// How often a message is sent again without an answer, at most 15, which Linux has.
    pub retries: u8,
}

impl Config {
    /// With the times of Linux, 256 communications and 16 listeners.
    pub const fn new(ca_guid: u64, secret: [u8; 16], first_id: u32) -> Self {
        Self {
            communications: 256,
            listeners: 16,
            ca_guid,
            secret,
            first_id,
            transaction: 2,
            mtu: PathMtu::B1024,
            response_timeout: AckTimeout::from_code(20),
            packet_lifetime: AckTimeout::from_code(18),
            ack_delay: AckTimeout::from_code(15),
            service_timeout: AckTimeout::from_code(24),
            retries: 15,
        }
    }

    /// How long an answer to a message of this side takes at most: there, thinking, and back.
    pub(super) const fn round_trip(&self) -> u64 {
        nanos(self.packet_lifetime) * 2 + nanos(self.response_timeout)
    }
}

/// The time that a code stands for. In connection messages, zero is the shortest, not for ever.
pub(super) const fn nanos(time: AckTimeout) -> u64 {
    4096 << time.code()
}

/// A code that a peer gave, within bounds.
const fn within(time: AckTimeout, shortest: u8, longest: u8) -> AckTimeout {
    let code = time.code();
    AckTimeout::from_code(if code < shortest {
        shortest
    } else if code > longest {
        longest
    } else {
        code
    })
}

/// How long a peer says it may take to answer: from 0.27 s, so that a forged request does not draw
/// a burst of replies upon its victim, to 17 s, so that it does not hold its place for hours.
pub(super) const fn response_of_peer(time: AckTimeout) -> u64 {
    nanos(within(time, 16, 22))
}

/// How much time a peer asks to be allowed: to 137 s.
pub(super) const fn service_of_peer(time: AckTimeout) -> u64 {
    nanos(within(time, 0, 25))
}

/// The acknowledge time-out that a peer asks for: from 1 ms to 17 s. For ever is not offered: a
/// peer that dies would hold the queue pair.
pub(super) const fn ack_of_peer(time: AckTimeout) -> AckTimeout {
    within(time, 8, 22)
}

/// How long to wait for an acknowledge when packets are under way for `lifetime` and the
/// responder takes `delay`: twice the one and the other, to the nearest code (IBA volume 1,
/// 12.7: local ACK time-out).
pub(super) const fn ack_timeout(lifetime: AckTimeout, delay: AckTimeout) -> AckTimeout {
    let sum = (2_u64 << lifetime.code()) + (1 << delay.code());
    let floor = sum.ilog2();
    let rounds_up = sum >= 3 << (floor - 1);
    let code = floor + if rounds_up { 1 } else { 0 };
    AckTimeout::from_code(if code > 31 { 31 } else { code as u8 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledge_timeouts_are_those_of_linux() {
        // As `cm_ack_timeout` reckons: adds one where the smaller is at least half of the larger.
        for lifetime in 0..30_u8 {
            for delay in 0..31_u8 {
                let twice = lifetime + 1;
                let linux = if twice >= delay {
                    twice + u8::from(delay >= twice - 1)
                } else {
                    delay + u8::from(twice >= delay - 1)
                };
                let [life, wait] = [lifetime, delay].map(AckTimeout::from_code);
                assert_eq!(ack_timeout(life, wait).code(), linux.min(31), "{lifetime}, {delay}");
            }
        }
    }

    #[test]
    fn a_peers_times_are_bounded() {
        for code in 0..32 {
            let time = AckTimeout::from_code(code);
            assert!((268_000_000..18_000_000_000).contains(&response_of_peer(time)));
            assert!(service_of_peer(time) < 138_000_000_000);
            assert!(ack_of_peer(time).duration().is_some());
        }
    }
}
