//! Virtual machines: what to boot ([`Machine`]), by which QEMU ([`Emulator`]), a machine that runs
//! ([`Running`]) and how it ended ([`Outcome`]).
//!
//! ```no_run
//! use std::time::Duration;
//! use reflex_qemu::machine::{Forward, Machine, Network};
//! use reflex_qemu::protocol::Protocol;
//!
//! let web = Forward::free(Protocol::Tcp, 80);
//! let mut machine = Machine::new("target/release/httpd")
//!     .memory_mib(16)
//!     .network(Network::User(vec![web]))
//!     .timeout(Duration::from_secs(60))
//!     .spawn()?;
//! machine.wait_for_listen(Protocol::Tcp, 80, Duration::from_secs(10))?;
//! // ... drive it through web.host_address() ...
//! let outcome = machine.kill();
//! # Ok::<(), reflex_qemu::machine::MachineError>(())
//! ```

mod arguments;
mod control;
mod counter;
mod disk;
mod emulator;
mod forward;
mod option;
mod outcome;
mod running;
mod tap;
mod versions;

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};

pub use counter::{Counter, Mark};
pub use disk::{Disk, DiskError};
pub use emulator::{Emulator, EmulatorError, QEMU, VARIABLE as QEMU_VARIABLE, choose, named};
pub use forward::{Forward, ForwardError, free_port};
pub use outcome::{Outcome, Status};
pub use running::{Interrupter, Running};
pub use tap::{Offloads, Tap, TapError};
pub use versions::{OLDEST, Version};

use crate::medium::Medium;
use crate::process;
use crate::protocol::Protocol;
use control::Control;

/// The file of the firmware qboot, in QEMU's folders.
pub const QBOOT: &str = "qboot.rom";

/// Which machine QEMU emulates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Model {
    /// A PC with PCI Express.
    #[default]
    Q35,
    /// A PC of the time before, without PCI Express.
    Pc,
    /// A minimal machine with devices on virtio-mmio.
    Microvm,
}

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Accel {
    /// QEMU's translator; works everywhere.
    #[default]
    Tcg,
    /// The processor, through /dev/kvm.
    Kvm,
}

/// Which firmware starts the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Firmware {
    /// The machine's usual one: SeaBIOS on q35 and pc, qboot on microvm.
    #[default]
    Usual,
    /// qboot everywhere: starts sooner, assigns no PCI BARs.
    Qboot,
    /// That of a file: one of UEFI's, for instance.
    File(PathBuf),
}

/// The guest's network card.
#[derive(Clone, Debug, Default)]
pub enum Network {
    /// No card.
    #[default]
    None,
    /// QEMU's user networking (guest 10.0.2.15, host 10.0.2.2), with ports forwarded in.
    User(Vec<Forward>),
    /// A tap device.
    Tap(Tap),
    /// Any other `-netdev`, without its `id=`; for instance `dgram,...` between two guests.
    Other(String),
}

/// The guest's source of random numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Entropy {
    /// The processor's RDRAND and a virtio-rng device.
    #[default]
    All,
    /// A virtio-rng device alone.
    Device,
    /// RDRAND alone.
    Processor,
    /// None.
    None,
}

/// Counts instructions instead of time: the guest's clock advances by 2^`shift` ns for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Icount {
    /// Logarithm of the nanoseconds an instruction takes.
    pub shift: u8,
    /// Whether an idle guest waits in real time; without, its clock jumps to the next timer.
    pub sleep: bool,
}

/// What to boot and how.
#[derive(Clone, Debug)]
pub struct Machine {
    image: PathBuf,
    medium: Medium,
    emulator: Option<Emulator>,
    memory_mib: u32,
    cpus: u32,
    model: Model,
    accel: Accel,
    firmware: Firmware,
    entropy: Entropy,
    network: Network,
    mac: [u8; 6],
    pcap: Option<PathBuf>,
    disks: Vec<Disk>,
    append: Vec<String>,
    gdb: Option<u16>,
    watchdog: bool,
    timeout: Option<Duration>,
    icount: Option<Icount>,
    extra: Vec<OsString>,
}

/// Why a machine did not start, or did not do what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// There is no emulator to use.
    #[error(transparent)]
    Emulator(#[from] EmulatorError),
    /// The image file cannot be read.
    #[error("the image {path} cannot be read: {source}", path = path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A disk's file cannot be used.
    #[error("the disk {disk} cannot be opened: {source}")]
    Disk {
        /// The disk.
        disk: Box<Disk>,
        /// Why not.
        source: io::Error,
    },
    /// A forwarded port of the host is in use.
    #[error(
        "{} port {} on 127.0.0.1 is already in use: choose another with --forward {alternative}",
        forward.protocol, forward.host_port
    )]
    PortTaken {
        /// The forward asked for.
        forward: Forward,
        /// The same from a port that is free.
        alternative: Forward,
    },
    /// A forwarded port of the host cannot be opened for another reason.
    #[error(
        "{} port {} on 127.0.0.1 cannot be opened ({source}): choose another with --forward \
         {alternative}",
        forward.protocol, forward.host_port
    )]
    PortDenied {
        /// The forward asked for.
        forward: Forward,
        /// The same from a port that is free.
        alternative: Forward,
        /// Why not.
        source: io::Error,
    },
    /// `/dev/kvm` cannot be used.
    #[error("/dev/kvm cannot be used ({0}): use --accel tcg")]
    Kvm(io::Error),
    /// The emulator did not start.
    #[error("{program} could not be started: {source}", program = program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The tap device could not be made.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// What was waited for did not come in time.
    #[error("{what} did not come within {limit:?}; the guest's last lines:\n{tail}")]
    WaitedTooLong {
        /// What was waited for.
        what: String,
        /// For how long.
        limit: Duration,
        /// The end of the log.
        tail: String,
    },
    /// The machine ended before what was waited for came.
    #[error("the machine ended before {what}: {how}; the guest's last lines:\n{tail}")]
    Ended {
        /// What was waited for.
        what: String,
        /// How it ended.
        how: String,
        /// The end of the log.
        tail: String,
    },
}

impl Machine {
    /// A machine with 64 MiB, one processor and no network that boots `image`: a bootable file that QEMU loads, or a
    /// disk or an ISO with a boot loader.
    pub fn new(image: impl Into<PathBuf>) -> Machine {
        let image = image.into();
        Machine {
            medium: Medium::at(&image),
            image,
            emulator: None,
            memory_mib: 64,
            cpus: 1,
            model: Model::default(),
            accel: Accel::default(),
            firmware: Firmware::default(),
            entropy: Entropy::default(),
            network: Network::default(),
            mac: [0x52, 0x54, 0x00, 0x77, 0x00, 0x02],
            pcap: None,
            disks: Vec::new(),
            append: Vec::new(),
            gdb: None,
            watchdog: false,
            timeout: None,
            icount: None,
            extra: Vec::new(),
        }
    }

    /// The QEMU it runs in; without a word, [that of the process](Emulator::of_process).
    pub fn emulator(mut self, emulator: Emulator) -> Machine {
        self.emulator = Some(emulator);
        self
    }

    /// Memory in MiB.
    pub fn memory_mib(mut self, memory_mib: u32) -> Machine {
        self.memory_mib = memory_mib;
        self
    }

    /// Number of processors.
    pub fn cpus(mut self, cpus: u32) -> Machine {
        self.cpus = cpus;
        self
    }

    /// Which machine is emulated.
    pub fn model(mut self, model: Model) -> Machine {
        self.model = model;
        self
    }

    /// What executes the guest's instructions.
    pub fn accel(mut self, accel: Accel) -> Machine {
        self.accel = accel;
        self
    }

    /// Which firmware starts the image.
    pub fn firmware(mut self, firmware: Firmware) -> Machine {
        self.firmware = firmware;
        self
    }

    /// Where random numbers come from.
    pub fn entropy(mut self, entropy: Entropy) -> Machine {
        self.entropy = entropy;
        self
    }

    /// The network card. A tap with an address of the host also puts the guest's address on
    /// the kernel command line, unless `append` has an `ip=` already.
    pub fn network(mut self, network: Network) -> Machine {
        self.network = network;
        self
    }

    /// The network card's hardware address; give each guest on a shared link its own.
    pub fn mac(mut self, mac: [u8; 6]) -> Machine {
        self.mac = mac;
        self
    }

    /// Records all frames of the network card into this file.
    pub fn pcap(mut self, file: impl Into<PathBuf>) -> Machine {
        self.pcap = Some(file.into());
        self
    }

    /// Adds a disk.
    pub fn disk(mut self, disk: Disk) -> Machine {
        self.disks.push(disk);
        self
    }

    /// Adds to the kernel command line; of a disk or an ISO, to the configuration that QEMU hands over.
    pub fn append(mut self, text: impl Into<String>) -> Machine {
        let text = text.into();
        if !text.is_empty() {
            self.append.push(text);
        }
        self
    }

    /// Waits at the first instruction for a debugger on this port of the host's loopback.
    pub fn gdb(mut self, port: u16) -> Machine {
        self.gdb = Some(port);
        self
    }

    /// Has the machine reset when its kernel stands still, which ends it: see [`Status::StoodStill`].
    ///
    /// Only on q35, for the watchdog timer needs its bus; not while a debugger may stop the guest,
    /// nor when the command line has `watchdog=0`.
    pub fn watchdog(mut self) -> Machine {
        self.watchdog = true;
        self
    }

    /// Ends the machine after this long, whatever it does.
    pub fn timeout(mut self, timeout: Duration) -> Machine {
        self.timeout = Some(timeout);
        self
    }

    /// Counts instructions.
    pub fn icount(mut self, icount: Icount) -> Machine {
        self.icount = Some(icount);
        self
    }

    /// Further arguments for QEMU, at the end.
    pub fn extra<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Machine {
        self.extra.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The image it boots.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Where a client on the host reaches this port of the guest, if it can.
    pub fn endpoint(&self, protocol: Protocol, guest_port: u16) -> Option<SocketAddr> {
        match &self.network {
            Network::User(forwards) => forwards
                .iter()
                .find(|f| f.protocol == protocol && f.guest_port == guest_port)
                .map(|f| f.host_address().into()),
            Network::Tap(tap) => tap.guest().map(|address| (address, guest_port).into()),
            Network::None | Network::Other(_) => None,
        }
    }

    /// Whether the machine has a watchdog timer.
    fn has_watchdog(&self) -> bool {
        let words = || self.append.iter().flat_map(|text| text.split_ascii_whitespace());
        let off = words().any(|word| word == "watchdog=0");
        self.watchdog && self.model == Model::Q35 && self.gdb.is_none() && !off
    }

    /// QEMU's arguments, without the program.
    pub fn arguments(&self) -> Vec<OsString> {
        arguments::arguments(self, TAP_DESCRIPTOR, CONTROL_DESCRIPTOR)
    }

    /// Starts the machine, after having checked what can be known before.
    pub fn spawn(self) -> Result<Running, MachineError> {
        let emulator = self.check()?;
        let mut command = emulator.command();
        command.args(self.arguments());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed =
            |source| MachineError::Spawn { program: emulator.program().to_owned(), source };
        let mut descriptors = Vec::new();
        if let Network::Tap(tap) = &self.network
            && let Some(device) = tap.device()
        {
            let parent_fd = device.as_fd().try_clone_to_owned().map_err(failed)?;
            descriptors.push(FdMapping { parent_fd, child_fd: TAP_DESCRIPTOR });
        }
        let (control, parent_fd) = Control::pair().map_err(failed)?;
        descriptors.push(FdMapping { parent_fd, child_fd: CONTROL_DESCRIPTOR });
        let mapped = command.fd_mappings(descriptors);
        mapped.map_err(|error| failed(io::Error::other(error)))?;
        // A terminal's Ctrl-C is for this process, not for QEMU.
        command.process_group(0);
        let child = process::spawn_tied(command).map_err(failed)?;
        Ok(Running::new(child, self, control))
    }

    /// Finds out before the boot what would fail, and returns the emulator to start.
    fn check(&self) -> Result<Emulator, MachineError> {
        let emulator = match &self.emulator {
            Some(emulator) => emulator.clone(),
            None => Emulator::of_process()?.clone(),
        };
        std::fs::File::open(&self.image)
            .map_err(|source| MachineError::Image { path: self.image.clone(), source })?;
        if self.accel == Accel::Kvm {
            let kvm = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm");
            kvm.map_err(MachineError::Kvm)?;
        }
        for disk in &self.disks {
            let failed = |source| MachineError::Disk { disk: Box::new(disk.clone()), source };
            disk.probe().map_err(failed)?;
        }
        if let Network::User(forwards) = &self.network {
            check_ports(forwards)?;
        }
        Ok(emulator)
    }

    /// The guest's address on a tap, if it has a fixed one.
    fn guest_address(&self) -> Option<Ipv4Addr> {
        match &self.network {
            Network::Tap(tap) => tap.guest(),
            _ => None,
        }
    }
}

/// Finds out whether all these ports of the host can be opened now.
pub fn check_ports(forwards: &[Forward]) -> Result<(), MachineError> {
    for &forward in forwards {
        forward.probe().map_err(|source| {
            let alternative = forward.alternative(forwards);
            match source.kind() {
                io::ErrorKind::AddrInUse => MachineError::PortTaken { forward, alternative },
                _ => MachineError::PortDenied { forward, alternative, source },
            }
        })?;
    }
    Ok(())
}

/// The descriptor by which QEMU finds a tap device that was opened here.
const TAP_DESCRIPTOR: i32 = 3;
/// The descriptor by which QEMU finds the socket of its machine protocol.
const CONTROL_DESCRIPTOR: i32 = 4;
