//! A peer between two networks, which passes on what comes, and loses, delays, doubles, reorders or corrupts
//! as much of it as it is told, in both directions alike.

use std::time::Duration;

use anyhow::Result;

use super::{Flavour, Peer, Session, Station};
use crate::machine::Network;

/// Its number on both networks.
const NUMBER: u8 = 254;
/// The number of the network of `eth1`; that of `eth0` is 0.
const BEYOND: u8 = 1;
const CARDS: [&str; 2] = ["eth0", "eth1"];
/// Classes that packets may be of: the bands of Linux's `prio`, but for the first.
const MOST_CLASSES: usize = 15;
/// The programs of iproute2: the shell takes busybox's without their folder.
const TC: &str = "/usr/bin/tc";
const IP: &str = "/usr/bin/ip";
const LIFE: Duration = Duration::from_secs(1800);
const PATIENCE: Duration = Duration::from_secs(180);

/// Packets of TCP connections from or to a port, and what becomes of them: arguments of `netem` (tc-netem(8)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// The port.
    pub port: u16,
    /// The arguments.
    pub netem: &'static str,
}

/// A router that runs. It ends with this value.
pub struct Router {
    session: Session,
}

impl Router {
    /// Boots one between a network 0 and a network 1.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn boot(peer: &Peer, one: Network, other: Network) -> Result<Router> {
        Router::boot_for(LIFE, peer, one, other)
    }

    /// Boots one that lives for so long at most.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn boot_for(life: Duration, peer: &Peer, one: Network, other: Network) -> Result<Router> {
        let station = Station::new(NUMBER, one).second(other).life(life);
        let mut session = Session::boot_as(Flavour::Netem, peer, station)?;
        let address = Station::new(NUMBER, Network::None).subnet(BEYOND).ipv4();
        let mut run = |command: &str| session.run(command, PATIENCE)?.success();
        run(&format!("{IP} addr add {address}/24 dev eth1 && {IP} link set eth1 up"))?;
        for card in CARDS {
            // Segments that were put together on their way in would be lost together on their way out.
            run(&format!("{IP} link set {card} gro_max_size 1"))?;
        }
        Ok(Router { session })
    }

    /// A station behind it, which has it as its router: on network 0, or beyond.
    pub fn station(number: u8, beyond: bool, network: Network) -> Station {
        let subnet = if beyond { BEYOND } else { 0 };
        Station::new(number, network).subnet(subnet).router(NUMBER)
    }

    /// The peer itself.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Does this to packets of these classes from now on, and nothing to others.
    ///
    /// # Errors
    /// When Linux refuses it.
    pub fn impair(&mut self, classes: &[Class]) -> Result<()> {
        anyhow::ensure!(classes.len() <= MOST_CLASSES, "at most {MOST_CLASSES} classes");
        for card in CARDS {
            for command in commands(card, classes) {
                self.session.run(&command, PATIENCE)?.success()?;
            }
        }
        Ok(())
    }

    /// Does this, arguments of `netem`, to all packets from now on. Linux doubles packets in this way alone.
    ///
    /// # Errors
    /// When Linux refuses it.
    pub fn impair_all(&mut self, netem: &str) -> Result<()> {
        for card in CARDS {
            let command =
                format!("{} && {TC} qdisc add dev {card} root netem {netem}", clear(card));
            self.session.run(&command, PATIENCE)?.success()?;
        }
        Ok(())
    }

    /// Carries no packets that are longer, on either network, from now on: the stations' cards know nothing of it.
    ///
    /// # Errors
    /// When Linux refuses it.
    pub fn shorten(&mut self, mtu: u16) -> Result<()> {
        for card in CARDS {
            self.session.run(&format!("{IP} link set {card} mtu {mtu}"), PATIENCE)?.success()?;
        }
        Ok(())
    }
}

/// Takes a card's queue away; there may be none yet.
fn clear(card: &str) -> String {
    format!("{{ {TC} qdisc del dev {card} root 2> /dev/null || true; }}")
}

/// What makes a card's queue anew.
fn commands(card: &str, classes: &[Class]) -> Vec<String> {
    let bands = MOST_CLASSES + 1;
    let all_to_the_first = "0 ".repeat(16);
    let mut commands = vec![
        clear(card),
        format!(
            "{TC} qdisc add dev {card} root handle 1: prio bands {bands} priomap {all_to_the_first}"
        ),
    ];
    for (class, band) in classes.iter().zip(2..) {
        let Class { port, netem } = class;
        commands.push(format!(
            "{TC} qdisc add dev {card} parent 1:{band:x} handle {band:x}0: netem {netem}"
        ));
        commands.extend(["sport", "dport"].map(|side| {
            format!(
                "{TC} filter add dev {card} parent 1: protocol ip u32 match ip protocol 6 0xff \
                 match ip {side} {port} 0xffff flowid 1:{band:x}"
            )
        }));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_a_band_of_its_own_and_both_directions_go_there() {
        let class = |port| Class { port, netem: "loss 5%" };
        let classes: Vec<Class> = (2010..).take(MOST_CLASSES).map(class).collect();
        let commands = commands("eth0", &classes);
        assert_eq!(commands.len(), 2 + 3 * MOST_CLASSES);
        assert_eq!(
            commands[2],
            "/usr/bin/tc qdisc add dev eth0 parent 1:2 handle 20: netem loss 5%"
        );
        assert!(commands[3].ends_with("match ip sport 2010 0xffff flowid 1:2"), "{}", commands[3]);
        let last = commands.last().unwrap();
        assert!(last.ends_with("match ip dport 2024 0xffff flowid 1:10"), "{last}");
    }

    #[test]
    fn a_station_on_either_side_goes_by_the_router() {
        let line = |beyond| {
            let machine = Router::station(2, beyond, Network::None).machine("x");
            let arguments = machine.arguments();
            arguments.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
        };
        assert!(
            line(false).contains("ip=10.88.0.2/24 ip6=fd88::2/64 gw=10.88.0.254"),
            "{}",
            line(false)
        );
        assert!(
            line(true).contains("ip=10.88.1.2/24 ip6=fd88:0:0:1::2/64 gw=10.88.1.254"),
            "{}",
            line(true)
        );
    }
}
