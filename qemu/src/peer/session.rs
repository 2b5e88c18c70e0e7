//! A peer that runs whatever command it is given.
//!
//! Commands are typed on its console; its init runs each in the background and prefixes what it
//! prints, so that any number can run at a time:
//!
//! ```text
//! host:  run 3 rping -s -C 10        peer:  #! out 3 server ping data: ...
//!        kill 3                             #! end 3 STATUS
//! ```
//!
//! ```no_run
//! use std::time::Duration;
//! use reflex_qemu::peer::{Hub, Peer, Session, Station};
//!
//! let (peer, hub) = (Peer::ensure()?, Hub::new()?);
//! let mut one = Session::boot(&peer, Station::new(1, hub.network()))?;
//! let mut two = Session::boot(&peer, Station::new(2, hub.network()))?;
//! let server = one.start("rping -s -a 10.88.0.1 -C 10")?;
//! one.wait_for_cm(7174)?;
//! two.run("rping -c -a 10.88.0.1 -C 10 -V", Duration::from_secs(30))?.success()?;
//! one.wait(server, Duration::from_secs(10))?.success()?;
//! # anyhow::Ok(())
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::guest::{TUNING, modules};
use super::{Flavour, Peer};
use crate::machine::{Machine, Model, Network, Outcome, Running};
use crate::protocol::Line;

/// How long a peer may take to come up, and to do what takes it no time.
const PATIENCE: Duration = Duration::from_secs(180);
/// What the kernel and the tools need.
const MEMORY_MIB: u32 = 256;

/// A place on a network, the same for peers and images: number N has the addresses 10.88.0.N/24 and
/// fd88::N/64, or on network number M 10.88.M.N/24 and fd88:0:0:M::N/64.
#[derive(Clone, Debug)]
pub struct Station {
    number: u8,
    subnet: u8,
    network: Network,
    second: Option<Network>,
    router: Option<u8>,
    model: Model,
    mtu: Option<u16>,
    life: Duration,
}

impl Station {
    /// Number `number`, from 1 to 254, on this network: on q35, with the usual MTU of 1500, for at most
    /// ten minutes. (On microvm Linux finds nothing to calibrate its clock by while the host is
    /// busy, and hangs.)
    pub fn new(number: u8, network: Network) -> Station {
        let life = Duration::from_secs(600);
        let (subnet, second, router) = (0, None, None);
        Station { number, subnet, network, second, router, model: Model::Q35, mtu: None, life }
    }

    /// The machine.
    pub fn model(mut self, model: Model) -> Station {
        self.model = model;
        self
    }

    /// The network's MTU in bytes, from 68 to 65535: the network card tells the guest. RDMA's path
    /// MTU is the largest of 256, 512, ... 4096 that fits with its headers: 1024 for 1500, 4096 for
    /// 4200.
    pub fn mtu(mut self, mtu: u16) -> Station {
        self.mtu = Some(mtu);
        self
    }

    /// The number of its network.
    pub fn subnet(mut self, subnet: u8) -> Station {
        self.subnet = subnet;
        self
    }

    /// Has everything beyond its network go by this station of it.
    pub fn router(mut self, number: u8) -> Station {
        self.router = Some(number);
        self
    }

    /// Gives it a second card, `eth1`, on another network. It has no address before it is given one.
    pub fn second(mut self, network: Network) -> Station {
        self.second = Some(network);
        self
    }

    /// The longest it lives.
    pub fn life(mut self, life: Duration) -> Station {
        self.life = life;
        self
    }

    /// Its IPv4 address.
    pub fn ipv4(&self) -> Ipv4Addr {
        self.at(self.number)
    }

    fn at(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 88, self.subnet, number)
    }

    /// Its IPv6 address.
    pub fn ipv6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd88, 0, 0, self.subnet.into(), 0, 0, 0, self.number.into())
    }

    /// A machine at this place: hardware address, network, MTU, `ip=` and `ip6=`.
    pub fn machine(&self, image: impl Into<std::path::PathBuf>) -> Machine {
        let mut machine = Machine::new(image)
            .model(self.model)
            .network(self.network.clone())
            .mac([0x52, 0x54, 0x00, 0x88, self.subnet, self.number])
            .timeout(self.life)
            .append(format!("ip={}/24 ip6={}/64", self.ipv4(), self.ipv6()));
        if let Some(router) = self.router {
            machine = machine.append(format!("gw={}", self.at(router)));
        }
        let card = match self.model {
            Model::Q35 | Model::Pc => "virtio-net-pci",
            Model::Microvm => "virtio-net-device",
        };
        if let Some(Network::Other(backend)) = &self.second {
            let mac = format!("52:54:00:88:ff:{:02x}", self.number);
            machine = machine.extra([
                "-netdev".to_owned(),
                format!("{backend},id=net1"),
                "-device".to_owned(),
                format!("{card},netdev=net1,mac={mac}"),
            ]);
        }
        let Some(mtu) = self.mtu else { return machine };
        machine.extra(["-global".to_owned(), format!("{card}.host_mtu={mtu}")])
    }
}

/// A peer that waits for commands. It ends with this value.
pub struct Session {
    running: Running,
    station: Station,
    started: u32,
    commands: BTreeMap<u32, Progress>,
}

/// What is known of a command.
#[derive(Default)]
struct Progress {
    text: String,
    output: String,
    status: Option<u8>,
}

/// A command that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Command(u32);

/// How a command has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a command may have failed"]
pub struct Ended {
    /// What was run.
    pub command: String,
    /// Its exit status; 128 and the signal's number for one that a signal ended.
    pub status: u8,
    /// What it printed on both streams.
    pub output: String,
}

impl Ended {
    /// What it printed, if its status is 0.
    ///
    /// # Errors
    /// With what it printed, if its status is another.
    pub fn success(self) -> Result<String> {
        ensure!(
            self.status == 0,
            "`{}` ended with status {} in the peer:\n{}",
            self.command,
            self.status,
            self.output
        );
        Ok(self.output)
    }
}

impl Session {
    /// Boots a peer with RDMA at this place, and waits until its device is there.
    ///
    /// # Errors
    /// When it does not come up; with its last lines.
    pub fn boot(peer: &Peer, station: Station) -> Result<Session> {
        Session::boot_as(Flavour::Rdma, peer, station)
    }

    /// Boots a peer of this flavour at this place, and waits until it takes commands.
    ///
    /// # Errors
    /// When it does not come up; with its last lines.
    pub fn boot_as(flavour: Flavour, peer: &Peer, station: Station) -> Result<Session> {
        let mut running = machine(flavour, peer, &station).spawn()?;
        running.wait_for_input(PATIENCE)?;
        Ok(Session { running, station, started: 0, commands: BTreeMap::new() })
    }

    /// Its IPv4 address.
    pub fn ipv4(&self) -> Ipv4Addr {
        self.station.ipv4()
    }

    /// Its IPv6 address.
    pub fn ipv6(&self) -> Ipv6Addr {
        self.station.ipv6()
    }

    /// The machine.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Starts a command, for its shell: one line.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn start(&mut self, command: &str) -> Result<Command> {
        ensure!(!command.contains('\n'), "a command of several lines: {command:?}");
        self.started += 1;
        let number = self.started;
        self.running
            .send_line(&format!("run {number} {command}"))
            .with_context(|| format!("`{command}` cannot be started in the peer"))?;
        let progress = Progress { text: command.to_owned(), ..Progress::default() };
        self.commands.insert(number, progress);
        Ok(Command(number))
    }

    /// Waits for a command's end.
    ///
    /// # Errors
    /// When it does not end within `limit`, or the machine ends; with what it has printed.
    pub fn wait(&mut self, command: Command, limit: Duration) -> Result<Ended> {
        self.wait_until(command, "its end", limit, |_| None::<()>)?;
        let progress = self.commands.remove(&command.0).context("it has been waited for")?;
        let status = progress.status.context("it has ended")?;
        Ok(Ended { command: progress.text, status, output: progress.output })
    }

    /// Waits until a command has printed this text.
    ///
    /// # Errors
    /// When it does not within `limit`, or ends first.
    pub fn wait_for_output(&mut self, command: Command, text: &str, limit: Duration) -> Result<()> {
        let what = format!("{text:?}");
        let printed = |output: &str| output.contains(text).then_some(());
        match self.wait_until(command, &what, limit, printed)? {
            Some(()) => Ok(()),
            None => bail!("it ended without {what}:\n{}", self.printed(command)),
        }
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it does not end within `limit`; a status is no error.
    pub fn run(&mut self, command: &str, limit: Duration) -> Result<Ended> {
        let command = self.start(command)?;
        self.wait(command, limit)
    }

    /// Ends a command and all that it has started, and tells what it has printed.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self, command: Command) -> Result<Ended> {
        self.running.send_line(&format!("kill {}", command.0)).context("the peer is gone")?;
        self.wait(command, PATIENCE)
    }

    /// Waits until a program listens on a TCP port.
    ///
    /// # Errors
    /// When none does.
    pub fn wait_for_tcp(&mut self, port: u16) -> Result<()> {
        // State 0A is LISTEN (Linux's `include/net/tcp_states.h`).
        let listens = format!("busybox grep -qi ':{port:04x} .* 0A ' /proc/net/tcp /proc/net/tcp6");
        self.wait_for(&listens).with_context(|| format!("nobody listens on TCP port {port}"))
    }

    /// Waits until a program listens by the connection manager on a port of the RDMA IP port space.
    ///
    /// # Errors
    /// When none does.
    pub fn wait_for_cm(&mut self, port: u16) -> Result<()> {
        let listens = format!("rdma resource show cm_id | busybox grep -q 'LISTEN.*:{port} '");
        self.wait_for(&listens).with_context(|| format!("nobody listens on RDMA port {port}"))
    }

    /// Waits until a command of the shell succeeds.
    ///
    /// # Errors
    /// When it never does.
    pub fn wait_for(&mut self, command: &str) -> Result<()> {
        let waiting = self.start(&format!("until {command}; do busybox usleep 20000; done"))?;
        let ended = self.wait(waiting, PATIENCE);
        if ended.is_err() {
            // Else it would go on for as long as the machine does.
            let _ = self.stop(waiting);
        }
        ended?.success()?;
        Ok(())
    }

    /// Loses this share of all packets it sends, in percent, from now on.
    ///
    /// # Errors
    /// When the network emulator refuses.
    pub fn lose(&mut self, percent: f64) -> Result<()> {
        let command = format!("/usr/bin/tc qdisc replace dev eth0 root netem loss {percent}%");
        self.run(&command, PATIENCE)?.success()?;
        Ok(())
    }

    /// Ends it as a power cut does.
    pub fn kill(self) -> Outcome {
        self.running.kill()
    }

    /// Takes lines until the command has ended (`None`) or `condition` finds something in its
    /// output.
    fn wait_until<T>(
        &mut self,
        command: Command,
        what: &str,
        limit: Duration,
        condition: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let deadline = Instant::now() + limit;
        loop {
            let progress = self.commands.get(&command.0).context("no such command")?;
            if let Some(found) = condition(&progress.output) {
                return Ok(Some(found));
            }
            if progress.status.is_some() {
                return Ok(None);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.running.next_line(Some(left)) {
                Some(line) => self.note(&line),
                None if self.running.ended() => bail!(
                    "the peer ended while `{}` ran; its last lines:\n{}",
                    progress.text,
                    self.last_lines()
                ),
                None if left.is_zero() => bail!(
                    "`{}` in the peer: no {what} within {limit:?}; it has printed:\n{}",
                    progress.text,
                    progress.output
                ),
                None => {}
            }
        }
    }

    fn note(&mut self, line: &Line) {
        match parse(&line.text) {
            Some(Said::Printed(number, text)) => {
                if let Some(progress) = self.commands.get_mut(&number) {
                    // Writing to a string does not fail.
                    let _ = writeln!(progress.output, "{text}");
                }
            }
            Some(Said::Ended(number, status)) => {
                if let Some(progress) = self.commands.get_mut(&number) {
                    progress.status = Some(status);
                }
            }
            None => {}
        }
    }

    fn printed(&self, command: Command) -> &str {
        self.commands.get(&command.0).map_or("", |progress| &progress.output)
    }

    fn last_lines(&self) -> String {
        let lines = self.running.lines();
        let last = &lines[lines.len().saturating_sub(20)..];
        last.iter().map(|line| format!("    {}\n", line.text)).collect()
    }
}

fn machine(flavour: Flavour, peer: &Peer, station: &Station) -> Machine {
    let group = match flavour {
        Flavour::Server => "",
        Flavour::Rdma => ",rdma",
        Flavour::Netem => ",netem",
    };
    station
        .machine(peer.kernel())
        .memory_mib(MEMORY_MIB)
        .append(format!(
            "console=ttyS0 reboot=t panic=-1 {TUNING} peer.run=commands peer.modules={}{group}",
            modules(station.model)
        ))
        .extra(["-initrd".into(), peer.initrd(flavour).into_os_string()])
}

/// What the peer's init says of a command.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Printed(u32, &'a str),
    Ended(u32, u8),
}

fn parse(line: &str) -> Option<Said<'_>> {
    let (word, rest) = line.strip_prefix("#! ")?.split_once(' ')?;
    let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let number = number.parse().ok()?;
    match word {
        "out" => Some(Said::Printed(number, rest)),
        "end" => Some(Said::Ended(number, rest.trim().parse().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_a_command_prints_is_read_as_it_is(number: u32, text in "[^\n]{0,40}", status: u8) {
            let printed = format!("#! out {number} {text}");
            prop_assert_eq!(parse(&printed), Some(Said::Printed(number, text.as_str())));
            let ended = format!("#! end {number} {status}");
            prop_assert_eq!(parse(&ended), Some(Said::Ended(number, status)));
        }
    }

    #[test]
    fn other_lines_are_not_a_commands() {
        for line in ["out 1 a", "#! out x a", "#! exit 0", "#! end 1", "#! end 1 300", ""] {
            assert_eq!(parse(line), None, "{line}");
        }
        assert_eq!(parse("#! out 7"), Some(Said::Printed(7, "")));
    }

    #[test]
    fn a_station_has_addresses_and_an_mtu_of_its_card() {
        let station = Station::new(7, Network::Other("stream".into())).mtu(4200);
        assert_eq!(station.ipv4().to_string(), "10.88.0.7");
        assert_eq!(station.ipv6().to_string(), "fd88::7");
        let arguments = station.machine("x").arguments();
        let text = arguments.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ");
        assert!(text.contains("-append ip=10.88.0.7/24 ip6=fd88::7/64"), "{text}");
        assert!(text.contains("mac=52:54:00:88:00:07"), "{text}");
        assert!(text.ends_with("-global virtio-net-pci.host_mtu=4200"), "{text}");
    }
}
