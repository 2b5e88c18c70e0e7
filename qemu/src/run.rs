//! `cargo reflex run`: build an appliance, boot it, show its log.

mod input;
mod stats;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::build::build;
use crate::console;
use crate::crash::{CrashReport, Symbols};
use crate::machine::{
    Accel, Disk, Forward, Machine, Model, Network, Offloads, Outcome, Running, Status, Tap,
    check_ports, free_port,
};
use crate::packages::{self, Installing};
use crate::project::{Image, Project, Settings};
use crate::protocol::{Event, Line, Protocol};
use stats::Stats;

/// Exit status when the watchdog reset the guest.
const STOOD_STILL: u8 = 123;
/// Exit status when the time-out ended the guest, as of timeout(1).
const TIMED_OUT: u8 = 124;
/// Exit status when the guest ended without a status of its own.
const CRASHED: u8 = 125;
/// Exit status when QEMU failed.
const QEMU_FAILED: u8 = 126;
/// Exit status after Ctrl-C, as of a shell.
const INTERRUPTED: u8 = 130;
/// With the first Ctrl-C the guest is asked to end, and by the second it is ended; a third is for a command that
/// does not come to either.
const ASKED_AND_ENDED: u32 = 2;
/// Memory of a guest for which nobody says anything, in MiB.
pub(crate) const USUAL_MEMORY_MIB: u32 = 64;
/// A guest that has printed nothing for this long under KVM will not.
const KVM_SILENCE: Duration = Duration::from_secs(10);

/// What `run` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo reflex run httpd\n  \
        cargo reflex run httpd --memory 16 --machine microvm\n  \
        cargo reflex run echo --forward tcp:9007:7 --forward udp:9007:7\n  \
        cargo reflex run httpd --net tap --pcap frames.pcap\n  \
        cargo reflex run boots --disk boots.img\n  \
        cargo reflex run ./httpd.elf        boots a file as it is\n\n\
        Exits with the guest's status: 0 success, 1 main returned an error, 2 to 100 the\n\
        application's own, 101 panic, 102 processor exception, 103 bad kernel command line,\n\
        104 no network interface, 105 too little memory, 106 no random numbers, 107 boot\n\
        protocol error. Else 123 reset by the watchdog, as its kernel stood still, 124 timed out,\n\
        125 ended without a status, 126 QEMU failed, 130 Ctrl-C.")]
pub struct Arguments {
    /// The appliance's name, or a bootable file; inside an appliance's folder it may be left out
    app: Option<String>,
    /// Memory in MiB [default: the package's setting, or 64]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    memory: Option<u32>,
    /// Number of processors
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=255))]
    cpus: u32,
    /// The machine QEMU emulates
    #[arg(long, value_enum, default_value_t)]
    machine: Model,
    /// What executes the guest's instructions
    #[arg(long, value_enum, default_value_t)]
    accel: Accel,
    /// Network: user (ports forwarded to 127.0.0.1), tap (made for the run), tap=IFNAME, none
    #[arg(long, value_name = "NET", default_value_t)]
    net: NetworkChoice,
    /// Forward a port: tcp:HOSTPORT:GUESTPORT or udp:...; replaces the appliance's own forward of
    /// that guest port. May be given several times
    #[arg(long, value_name = "FORWARD")]
    forward: Vec<Forward>,
    /// Record all frames of the network card
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Add a disk: FILE, with its own name but for the extension; FILE,ro; FILE,name=NAME. May be given several
    /// times
    #[arg(long, value_name = "FILE[,ro]")]
    disk: Vec<Disk>,
    /// Add to the kernel command line, as "key=value key"
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    append: Vec<String>,
    /// Wait for gdb before the first instruction
    #[arg(long)]
    gdb: bool,
    /// End the guest after this time
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// Show at the end how long activations waited for their handlers, by priority
    #[arg(long)]
    stats: bool,
    /// Also show the lines meant for machines
    #[arg(long, short)]
    verbose: bool,
}

/// `--net`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum NetworkChoice {
    #[default]
    User,
    Tap,
    ExistingTap(String),
    None,
}

impl FromStr for NetworkChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some(("tap", name)) if !name.is_empty() => Ok(Self::ExistingTap(name.to_owned())),
            None if text == "user" => Ok(Self::User),
            None if text == "tap" => Ok(Self::Tap),
            None if text == "none" => Ok(Self::None),
            _ => Err("write user, tap, tap=IFNAME or none".to_owned()),
        }
    }
}

impl fmt::Display for NetworkChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::Tap => f.write_str("tap"),
            Self::ExistingTap(name) => write!(f, "tap={name}"),
            Self::None => f.write_str("none"),
        }
    }
}

/// Runs the subcommand.
pub fn run(arguments: Arguments, installing: Installing) -> Result<ExitCode> {
    let source = source(arguments.app.as_deref())?;
    let settings = source.settings();
    // What can fail at once comes before what takes time.
    let network = network(&arguments, &settings)?;
    packages::emulator(installing)?;
    let (name, file) = source.file()?;
    let machine = machine(&arguments, &settings, &file, network);
    let gdb = arguments.gdb.then(|| debugger_port(&file));
    let machine = match gdb {
        Some(port) => machine.gdb(port),
        None => machine,
    };
    console::step("Booting", format!("{name} ({} MiB)", memory(&arguments, &settings)));
    let running = machine.spawn()?;
    let interrupter = running.interrupter();
    let mut before = 0;
    ctrlc::set_handler(move || {
        before += 1;
        if before > ASKED_AND_ENDED {
            std::process::exit(INTERRUPTED.into());
        }
        interrupter.interrupt();
    })
    .context("Ctrl-C cannot be caught")?;
    Session {
        arguments: &arguments,
        file: &file,
        symbols: None,
        shown_crashes: 0,
        stats: Stats::default(),
    }
    .follow(running)
}

/// What to boot.
enum Source {
    /// A file as it is.
    File(PathBuf),
    /// An image of the project, to be built.
    Image(Image),
}

impl Source {
    fn settings(&self) -> Settings {
        match self {
            Source::File(_) => Settings::default(),
            Source::Image(image) => image.settings.clone(),
        }
    }

    /// Its name, and the file to boot, built now if need be.
    fn file(self) -> Result<(String, PathBuf)> {
        match self {
            Source::File(path) => Ok((path.display().to_string(), path)),
            Source::Image(image) => build(&image).map(|file| (image.name, file)),
        }
    }
}

fn source(app: Option<&str>) -> Result<Source> {
    if let Some(file) = app.filter(|app| app.contains('/')) {
        if !Path::new(file).is_file() {
            bail!("there is no file {file} to boot");
        }
        return Ok(Source::File(file.into()));
    }
    Ok(Source::Image(Project::here()?.image(app)?.clone()))
}

fn memory(arguments: &Arguments, settings: &Settings) -> u32 {
    arguments.memory.or(settings.memory).unwrap_or(USUAL_MEMORY_MIB)
}

/// The network card's other end, made or checked.
fn network(arguments: &Arguments, settings: &Settings) -> Result<Network> {
    if arguments.net == NetworkChoice::None && arguments.pcap.is_some() {
        bail!("--pcap records the network card, and --net none leaves it out");
    }
    if arguments.net != NetworkChoice::User && !arguments.forward.is_empty() {
        bail!("--forward is for --net user: on a tap the guest has an address of its own");
    }
    Ok(match &arguments.net {
        NetworkChoice::User => {
            let forwards = forwards(settings.forward.as_deref(), &arguments.forward);
            check_ports(&forwards)?;
            Network::User(forwards)
        }
        NetworkChoice::Tap => Network::Tap(Tap::with_default_network(Offloads::Offered)?),
        NetworkChoice::ExistingTap(name) => Network::Tap(Tap::existing(name)?),
        NetworkChoice::None => Network::None,
    })
}

fn machine(arguments: &Arguments, settings: &Settings, file: &Path, network: Network) -> Machine {
    let mut machine = Machine::new(file)
        .memory_mib(memory(arguments, settings))
        .cpus(arguments.cpus)
        .model(arguments.machine)
        .accel(arguments.accel)
        .network(network)
        .watchdog();
    for text in &arguments.append {
        machine = machine.append(text);
    }
    for disk in &arguments.disk {
        machine = machine.disk(disk.clone());
    }
    if arguments.stats {
        machine = machine.append(format!("stats={}", stats::PERIOD_MS));
    }
    if let Some(pcap) = &arguments.pcap {
        machine = machine.pcap(pcap);
    }
    if let Some(seconds) = arguments.timeout {
        machine = machine.timeout(Duration::from_secs(seconds));
    }
    if arguments.accel == Accel::Kvm {
        console::warning(
            "some machines have a /dev/kvm that cannot run the image; if the guest stays silent, \
             use --accel tcg",
        );
    }
    machine
}

/// The appliance's forwards, with those of the command line in place of the ones for the same
/// guest port. An appliance that says nothing has HTTP forwarded if the usual port is free.
fn forwards(settings: Option<&[Forward]>, given: &[Forward]) -> Vec<Forward> {
    let usual = Forward::tcp(8080, 80);
    let mut list = match settings {
        Some(settings) => settings.to_vec(),
        None if usual.probe().is_ok() => vec![usual],
        None => Vec::new(),
    };
    list.retain(|own| {
        !given.iter().any(|f| f.protocol == own.protocol && f.guest_port == own.guest_port)
    });
    list.extend(given);
    list
}

/// A port for the debugger, and what to type.
fn debugger_port(file: &Path) -> u16 {
    let usual = 1234;
    let port = match Forward::tcp(usual, usual).probe() {
        Ok(()) => usual,
        Err(_) => free_port(Protocol::Tcp),
    };
    console::note("Debug", "the guest waits; in another terminal type:");
    console::note("", format!("gdb {} -ex 'target remote 127.0.0.1:{port}'", file.display()));
    port
}

/// One boot as it is shown to a person.
struct Session<'a> {
    arguments: &'a Arguments,
    file: &'a Path,
    symbols: Option<Symbols>,
    shown_crashes: usize,
    stats: Stats,
}

impl Session<'_> {
    fn follow(&mut self, mut running: Running) -> Result<ExitCode> {
        let watch_kvm = self.arguments.accel == Accel::Kvm && !self.arguments.gdb;
        let mut asked = false;
        while !running.ended() {
            if running.take_interruption() {
                if asked || running.press_power_button().is_err() {
                    return Ok(self.interrupt(running));
                }
                asked = true;
                console::step("Stopping", "the guest was asked to; Ctrl-C again ends it");
            }
            let limit = (watch_kvm && running.lines().is_empty()).then_some(KVM_SILENCE);
            match running.next_line(limit) {
                Some(line) => self.show(&line, &mut running),
                None if running.is_interrupted() => {}
                None if limit.is_some() && !running.ended() => {
                    bail!(
                        "the guest printed nothing in {} s: this machine's /dev/kvm cannot run \
                         it; use --accel tcg",
                        KVM_SILENCE.as_secs()
                    )
                }
                None => {}
            }
        }
        self.show_stats();
        let outcome = running.finish();
        // A report that was cut off has not been shown.
        let shown = self.shown_crashes;
        self.show_crash(&outcome.crashes[shown..]);
        self.conclude(&outcome)
    }

    /// Ends the machine, which is still running.
    fn interrupt(&mut self, running: Running) -> ExitCode {
        self.show_stats();
        console::step("Stopping", "the machine");
        running.kill();
        ExitCode::from(INTERRUPTED)
    }

    fn show(&mut self, line: &Line, running: &mut Running) {
        if line.event.is_none() || self.arguments.verbose {
            console::log_line(&line.text);
        }
        if let Some(event) = &line.event {
            self.stats.note(event);
        }
        match &line.event {
            Some(Event::Address(address)) => console::note("Address", address),
            Some(Event::Listen(protocol, port)) => self.show_port(*protocol, *port, running),
            Some(Event::Input) => {
                if let Some(guest) = running.take_input() {
                    input::connect(guest);
                }
            }
            Some(Event::CrashEnd) => {
                let shown = self.shown_crashes;
                self.show_crash(&running.crashes()[shown..]);
            }
            _ => {}
        }
    }

    fn show_stats(&self) {
        if self.arguments.stats {
            match self.stats.table() {
                Some(table) => console::log_line(&table),
                None => console::warning("the guest has told nothing of its activations"),
            }
            for table in [self.stats.contexts(), self.stats.metrics()].into_iter().flatten() {
                console::log_line(&table);
            }
        }
    }

    fn show_port(&self, protocol: Protocol, port: u16, running: &Running) {
        let endpoint = match (&self.arguments.net, running.endpoint(protocol, port)) {
            (_, Some(endpoint)) => endpoint,
            // A tap without a fixed address: the guest has told its own.
            (NetworkChoice::ExistingTap(_), None) if running.address().is_some() => {
                let Some(address) = running.address() else { return };
                (address, port).into()
            }
            (NetworkChoice::User, None) => {
                let free = Forward { protocol, host_port: port.max(1024), guest_port: port };
                let free = if free.probe().is_ok() { free } else { free.alternative(&[]) };
                console::note(
                    "Hint",
                    format!("{protocol} port {port} is not forwarded: pass --forward {free}"),
                );
                return;
            }
            _ => return,
        };
        console::note("Try", attempt(protocol, port, endpoint));
    }

    fn show_crash(&mut self, reports: &[CrashReport]) {
        if self.symbols.is_none() && !reports.is_empty() {
            self.symbols = Symbols::load(self.file).ok();
        }
        for report in reports {
            console::error(report.render(self.symbols.as_ref()));
            self.shown_crashes += 1;
        }
    }

    /// The exit status, and a word on what it means.
    fn conclude(&self, outcome: &Outcome) -> Result<ExitCode> {
        let code = match &outcome.status {
            Status::Exited(0) => 0,
            Status::Exited(status) => *status,
            Status::StoodStill => STOOD_STILL,
            Status::TimedOut => TIMED_OUT,
            Status::Crashed(_) | Status::Killed => CRASHED,
            Status::QemuFailed(_) => QEMU_FAILED,
        };
        let text = format!("the guest {}", outcome.status);
        match &outcome.status {
            Status::Exited(0) => console::step("Finished", text),
            Status::QemuFailed(_) => console::error(&outcome.status),
            Status::TimedOut => console::error(format!(
                "{text} after {} s (--timeout)",
                self.arguments.timeout.unwrap_or_default()
            )),
            _ => console::error(text),
        }
        Ok(ExitCode::from(code))
    }
}

/// What a person can type or open to try a port.
fn attempt(protocol: Protocol, port: u16, endpoint: std::net::SocketAddr) -> String {
    match (protocol, port, endpoint.port()) {
        (Protocol::Tcp, 80, 80) => format!("http://{}/", endpoint.ip()),
        (Protocol::Tcp, 80 | 8080, _) => format!("http://{endpoint}/"),
        (Protocol::Tcp, ..) => format!("nc {} {}", endpoint.ip(), endpoint.port()),
        (Protocol::Udp, ..) => format!("nc -u {} {}", endpoint.ip(), endpoint.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read_and_written_alike() {
        for text in ["user", "tap", "tap=tap0", "none"] {
            assert_eq!(text.parse::<NetworkChoice>().unwrap().to_string(), text);
        }
        for text in ["", "tap=", "user=x", "bridge"] {
            assert!(text.parse::<NetworkChoice>().unwrap_err().contains("tap=IFNAME"));
        }
    }

    #[test]
    fn a_forward_of_the_command_line_replaces_the_appliances() {
        let own = [Forward::tcp(8080, 80), Forward::tcp(8007, 7), Forward::udp(8007, 7)];
        let given = [Forward::tcp(9000, 7), Forward::tcp(9443, 443)];
        assert_eq!(
            forwards(Some(&own), &given),
            [
                Forward::tcp(8080, 80),
                Forward::udp(8007, 7),
                Forward::tcp(9000, 7),
                Forward::tcp(9443, 443)
            ]
        );
        assert_eq!(forwards(Some(&[]), &[]), []);
    }

    #[test]
    fn an_attempt_names_the_usual_client() {
        let at = |port| std::net::SocketAddr::from(([10, 77, 0, 2], port));
        assert_eq!(attempt(Protocol::Tcp, 80, at(80)), "http://10.77.0.2/");
        assert_eq!(attempt(Protocol::Tcp, 80, at(8080)), "http://10.77.0.2:8080/");
        assert_eq!(attempt(Protocol::Udp, 7, at(7)), "nc -u 10.77.0.2 7");
    }
}
