//! A thousand connections that work on while one attack after the other comes.
//!
//! An attack is so many frames, and goes on until all of them were sent and every client has been answered meanwhile.
//! The wire holds a thousand frames, and half as many are sent at once. More would be lost on the wire, those of
//! clients too, before the image has a say.
//! Afterwards there is nothing left of an attack but what was counted.

use super::crowd::Crowd;
use super::victim::{ECHO, MAC, PATIENCE, Report, Victim};
use crate::seed::{self, times};
use rand::rngs::StdRng;
use reflex_load::echo;
use reflex_qemu::protocol::Protocol;
use reflex_wire::{Ends, Wire};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Connections that work on.
pub(crate) const CLIENTS: u32 = 1_000;
/// Places that the image has for connections: more are left than may be half open, which are three quarters of all.
pub(crate) const PLACES: u32 = 4_400;
/// Frames that are sent at once, and how many answers clients have before the next.
pub(crate) const BATCH: usize = 500;
pub(crate) const ANSWERS: u64 = 200;
/// How long an image may take until everything is as it was before an attack: longer than a handshake that is
/// never completed (10 s).
const SETTLING: Duration = Duration::from_secs(20);

/// Frames of each flood.
pub(crate) fn frames() -> usize {
    times(5_000, 200_000) as usize
}

/// An image with its clients, and what is needed for an attack on them.
pub(crate) struct Siege {
    pub(crate) victim: Victim,
    pub(crate) crowd: Crowd,
    pub(crate) wire: Wire,
    pub(crate) random: StdRng,
    /// After the first attack, which has used every place once: what is made for a place is kept.
    peace: Option<Report>,
}

impl Siege {
    /// Boots the image, and has the clients connect.
    pub(crate) fn lay() -> Option<Self> {
        let mut victim = Victim::boot("echo", &format!("connections={PLACES}"))?;
        let server = victim.endpoint(Protocol::Tcp, ECHO);
        let load = move |goes_on| echo::run_while(server, CLIENTS, goes_on);
        let crowd = Crowd::gather(&victim, load);
        let wire = victim.wire();
        Some(Self { victim, crowd, wire, random: seed::random(), peace: None })
    }

    /// Frames for the image that come from here, as they say.
    pub(crate) fn from(&self, from: Ipv4Addr) -> Ends {
        Ends { guest_mac: MAC, from, to: self.victim.address() }
    }

    /// The address of the clients.
    pub(crate) fn clients(&self) -> Ipv4Addr {
        self.victim.tap.host().expect("a tap of ours has an address")
    }

    /// Sends at least `least` frames of those that `attack` makes, until every client has been answered meanwhile and
    /// all of these have been counted; waits until there is nothing left of it.
    pub(crate) fn endures(
        &mut self,
        name: &str,
        least: usize,
        counted: &[&str],
        attack: impl FnMut(&mut Self) -> Vec<u8>,
    ) {
        let before = self.suffers(name, least, counted, attack);
        self.is_over(name, &before, counted);
    }

    /// The same, but the image is not left in peace afterwards. What it had counted before.
    pub(crate) fn suffers(
        &mut self,
        name: &str,
        least: usize,
        counted: &[&str],
        mut attack: impl FnMut(&mut Self) -> Vec<u8>,
    ) -> Report {
        let before = self.victim.report();
        let (begun, start) = (Instant::now(), self.crowd.progress());
        let mut sent = 0;
        loop {
            for _ in 0..least.div_ceil(BATCH) {
                for _ in 0..BATCH {
                    let frame = attack(self);
                    sent += usize::from(self.wire.send(&frame));
                }
                self.crowd.has_answers(ANSWERS);
            }
            // Some may have been lost on the wire.
            let now = self.victim.report();
            let missing: Vec<&&str> =
                counted.iter().filter(|what| now.count(what) == before.count(what)).collect();
            let waiting = self.crowd.waiting_since(&start);
            if missing.is_empty() && waiting == 0 {
                println!("{name}: {sent} frames in {:?}", begun.elapsed());
                return before;
            }
            let patient = begun.elapsed() < PATIENCE;
            assert!(patient, "{name}: {waiting} clients wait, and not counted is {missing:?}");
        }
    }

    /// Waits until an attack has left nothing behind, and looks whether it was counted.
    pub(crate) fn is_over(&mut self, name: &str, before: &Report, counted: &[&str]) {
        let begun = Instant::now();
        let after = loop {
            let after = self.victim.report();
            if after.connections() == u64::from(CLIENTS) && after.half_open() == 0 {
                break after;
            }
            assert!(begun.elapsed() < SETTLING, "{name}: something is left: {after:#?}");
        };
        println!("    over after {:?}", begun.elapsed());
        let memory = after.memory().clone();
        for what in counted {
            let (before, after) = (before.count(what), after.count(what));
            assert!(after > before, "{name}: {what} is {after} and was {before}");
            println!("    {what}: {}", after - before);
        }
        let peace = self.peace.get_or_insert(after).memory();
        assert_eq!(memory, *peace, "{name}");
        self.crowd.moves_on();
        self.victim.echoes();
    }
}
